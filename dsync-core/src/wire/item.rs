//! Everything that can be in a row.

use std::fmt;

use super::items::Row;
use super::row::{Fields, RowWriter};
use super::{
    Attribute, Change, Deletions, Finish, Handshake, Layouts, Mail, MailRequest, MailboxInfo, MailboxState, TreeNode,
    WireError,
};

/// The kinds of rows that have columns, in the order in which Dovecot lists them in its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// [`Handshake`]
    Handshake,
    /// [`MailboxState`]
    MailboxState,
    /// [`TreeNode`]
    TreeNode,
    /// [`Deletions`]
    Deletions,
    /// [`MailboxInfo`]
    Mailbox,
    /// [`Attribute`]
    Attribute,
    /// [`Change`]
    Change,
    /// [`MailRequest`]
    MailRequest,
    /// [`Mail`]
    Mail,
    /// [`Finish`]
    Finish,
    /// [`CacheField`](super::CacheField); only within a [`MailboxInfo`].
    CacheField,
}

/// A column of an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether every peer has to have it in its header.
    pub(super) required: bool,
}

/// A column that must be there.
pub(super) const fn required(name: &'static str) -> Column {
    Column { name, required: true }
}

/// A column that may be missing.
pub(super) const fn optional(name: &'static str) -> Column {
    Column { name, required: false }
}

impl ItemKind {
    pub(super) const COUNT: usize = 11;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Handshake,
        Self::MailboxState,
        Self::TreeNode,
        Self::Deletions,
        Self::Mailbox,
        Self::Attribute,
        Self::Change,
        Self::MailRequest,
        Self::Mail,
        Self::Finish,
        Self::CacheField,
    ];

    /// The character with which its rows begin.
    #[must_use]
    pub const fn character(self) -> u8 {
        match self {
            Self::Handshake => b'H',
            Self::MailboxState => b'S',
            Self::TreeNode => b'N',
            Self::Deletions => b'D',
            Self::Mailbox => b'B',
            Self::Attribute => b'A',
            Self::Change => b'C',
            Self::MailRequest => b'R',
            Self::Mail => b'M',
            Self::Finish => b'F',
            Self::CacheField => b'c',
        }
    }

    pub(super) fn of(character: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.character() == character)
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Its columns in the order of Dovecot 2.3.
    pub(super) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Handshake => Handshake::COLUMNS,
            Self::MailboxState => MailboxState::COLUMNS,
            Self::TreeNode => TreeNode::COLUMNS,
            Self::Deletions => Deletions::COLUMNS,
            Self::Mailbox => MailboxInfo::COLUMNS,
            Self::Attribute => Attribute::COLUMNS,
            Self::Change => Change::COLUMNS,
            Self::MailRequest => MailRequest::COLUMNS,
            Self::Mail => Mail::COLUMNS,
            Self::Finish => Finish::COLUMNS,
            Self::CacheField => super::CacheField::COLUMNS,
        }
    }

    /// The minor version that brought it.
    pub(super) const fn since(self) -> u32 {
        match self {
            Self::Attribute => 1,
            Self::Finish => 3,
            _ => 0,
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::MailboxState => "mailbox state",
            Self::TreeNode => "mailbox name",
            Self::Deletions => "deletions",
            Self::Mailbox => "mailbox",
            Self::Attribute => "attribute",
            Self::Change => "change",
            Self::MailRequest => "mail request",
            Self::Mail => "mail",
            Self::Finish => "finish",
            Self::CacheField => "cache field",
        })
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// How a side introduces itself, and what it wants to be done.
    Handshake(Box<Handshake>),
    /// What both sides had in common in a mailbox, before or after the run.
    MailboxState(MailboxState),
    /// A name of the tree.
    TreeNode(TreeNode),
    /// What was deleted from the tree.
    Deletions(Deletions),
    /// A mailbox that is looked at now.
    Mailbox(Box<MailboxInfo>),
    /// An attribute of the mailbox.
    Attribute(Attribute),
    /// A message, or what happened to it.
    Change(Change),
    /// A message that is wanted.
    MailRequest(MailRequest),
    /// A message that was wanted.
    Mail(Mail),
    /// The other side is done.
    Finish(Finish),
    /// Nothing more will be said.
    Done,
}

impl Item {
    /// The character of [`Item::Done`].
    pub(super) const DONE: u8 = b'X';

    /// Reads a row without its end.
    ///
    /// # Errors
    /// If it means nothing.
    pub(super) fn parse(line: &[u8], layouts: &Layouts) -> Result<Self, WireError> {
        let unknown = || WireError::UnknownItem(super::value::shown(line));
        let (character, rest) = line.split_first().ok_or_else(unknown)?;
        if *character == Self::DONE {
            return Ok(Self::Done);
        }
        let kind = ItemKind::of(*character).filter(|kind| *kind != ItemKind::CacheField).ok_or_else(unknown)?;
        let fields = Fields::parse(kind, layouts, rest)?;
        Ok(match kind {
            ItemKind::Handshake => Self::Handshake(Box::new(Row::read(&fields)?)),
            ItemKind::MailboxState => Self::MailboxState(Row::read(&fields)?),
            ItemKind::TreeNode => Self::TreeNode(Row::read(&fields)?),
            ItemKind::Deletions => Self::Deletions(Row::read(&fields)?),
            ItemKind::Mailbox => Self::Mailbox(Box::new(MailboxInfo::read_with(&fields, layouts)?)),
            ItemKind::Attribute => Self::Attribute(Row::read(&fields)?),
            ItemKind::Change => Self::Change(Row::read(&fields)?),
            ItemKind::MailRequest => Self::MailRequest(Row::read(&fields)?),
            ItemKind::Mail => Self::Mail(Row::read(&fields)?),
            ItemKind::Finish => Self::Finish(Row::read(&fields)?),
            ItemKind::CacheField => return Err(unknown()),
        })
    }

    /// Writes the row with its end.
    pub(super) fn write(&self, layouts: &Layouts, out: &mut Vec<u8>) {
        match self {
            Self::Handshake(item) => write_row(&**item, layouts, out),
            Self::MailboxState(item) => write_row(item, layouts, out),
            Self::TreeNode(item) => write_row(item, layouts, out),
            Self::Deletions(item) => write_row(item, layouts, out),
            Self::Mailbox(item) => item.write_with(layouts, out),
            Self::Attribute(item) => write_row(item, layouts, out),
            Self::Change(item) => write_row(item, layouts, out),
            Self::MailRequest(item) => write_row(item, layouts, out),
            Self::Mail(item) => write_row(item, layouts, out),
            Self::Finish(item) => write_row(item, layouts, out),
            Self::Done => out.push(Self::DONE),
        }
        out.push(b'\n');
    }

    /// Whether the bytes of something follow the row.
    #[must_use]
    pub fn has_body(&self) -> bool {
        match self {
            Self::Attribute(attribute) => attribute.stream,
            Self::Mail(mail) => mail.stream,
            _ => false,
        }
    }

    /// What it is called in messages to people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::MailboxState(_) => "mailbox state",
            Self::TreeNode(_) => "mailbox name",
            Self::Deletions(_) => "deletions",
            Self::Mailbox(_) => "mailbox",
            Self::Attribute(_) => "attribute",
            Self::Change(_) => "change",
            Self::MailRequest(_) => "mail request",
            Self::Mail(_) => "mail",
            Self::Finish(_) => "finish",
            Self::Done => "done",
        }
    }
}

fn write_row<T: Row>(item: &T, layouts: &Layouts, out: &mut Vec<u8>) {
    out.push(T::KIND.character());
    let mut row = RowWriter::new(layouts.columns(T::KIND).unwrap_or_default());
    item.write(&mut row);
    row.finish(out);
}
