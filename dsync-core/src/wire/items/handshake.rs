//! The handshake.

use super::Row;
use crate::wire::item::{Column, optional, required};
use crate::wire::row::{Fields, RowWriter};
use crate::wire::value::join_list;
use crate::wire::{ItemKind, WireError, limits};

/// Which mailboxes are looked into, and how much of them is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncType {
    /// All mailboxes and messages.
    Full,
    /// All messages of those whose counters differ.
    Changed,
    /// What happened since a [`MailboxState`](super::MailboxState).
    State,
}

/// How a side introduces itself. The options are those of the master; a server says nothing but its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The name of the host. The side with the smaller one locks the account, if that is wanted.
    pub hostname: Vec<u8>,
    /// Prefixes of the namespaces that take part.
    pub namespace_prefixes: Option<Vec<Vec<u8>>>,
    /// Only this mailbox, with the separator of the sender, or all with a special use.
    pub mailbox: Option<Vec<u8>>,
    /// Only the mailbox with this GUID; all without their messages if it is empty.
    pub mailbox_guid: Option<Vec<u8>>,
    /// How much is looked at; a server does not say it.
    pub sync_type: Option<SyncType>,
    /// Say more in the logs.
    pub debug: bool,
    /// All visible namespaces take part.
    pub visible_namespaces: bool,
    /// Mailboxes that do not take part: patterns, or special uses.
    pub exclude_mailboxes: Option<Vec<Vec<u8>>>,
    /// Messages are sent only if they are asked for.
    pub send_mail_requests: bool,
    /// The receiver of this row is the source of a one-way run.
    pub backup_send: bool,
    /// The receiver of this row is the destination of a one-way run.
    pub backup_recv: bool,
    /// Lock the account, and wait so many seconds for that.
    pub lock_timeout: Option<u32>,
    /// Only the tree.
    pub no_mail_sync: bool,
    /// A one-way run that keeps what the destination has.
    pub no_backup_overwrite: bool,
    /// Free the space of what was expunged when all is done.
    pub purge_remote: bool,
    /// Tell nobody about new messages.
    pub no_notify: bool,
    /// Only messages that were received at this time or later, in seconds since 1970.
    pub since: Option<u64>,
    /// Only messages of at most so many bytes.
    pub max_size: Option<u64>,
    /// Only messages with a flag or keyword, or without it if a `-` is in front.
    pub flags: Option<Vec<u8>>,
    /// Only messages that were received at this time or earlier.
    pub until: Option<u64>,
    /// A virtual mailbox that has all messages.
    pub virtual_all_mailbox: Option<Vec<u8>>,
    /// Messages without headers are like any other.
    pub empty_header_workaround: bool,
    /// Commit after so many messages.
    pub commit_interval: Option<u32>,
    /// Which headers are hashed to recognise messages. Real masters append an empty name.
    pub hashed_headers: Option<Vec<Vec<u8>>>,
    /// What takes the place of characters that a name cannot have.
    pub alternative_character: Option<Vec<u8>>,
    /// The sender says its [`Deletions`](super::Deletions) after it has heard those of the receiver. Only this program says
    /// that; others do not understand it.
    pub waits_for_deletions: bool,
    /// What separates the levels of the sender's names for its clients, and then with what they begin. If both sides say such a
    /// thing, they leave the latter out of the names in trees. Only this program says that; others do not understand it.
    pub relative_to: Option<Vec<u8>>,
    /// A source without any mailbox empties the copy. Only this program says that; others do not understand it.
    pub allow_empty_source: bool,
    /// What tells the store of the sender from others of its host. Only this program says that; others do not understand it.
    pub store: Option<Vec<u8>>,
    /// If both sides say it, hashes of messages are over all of their bytes instead of some headers. Only this program says that;
    /// others do not understand it.
    pub hashes_contents: bool,
    /// As a slave, the sender takes offers of mailboxes before it has answered the last one. Only this program says that; others do
    /// not understand it.
    pub takes_early_offers: bool,
    /// If both sides say it, the slave holds a mailbox that both change while the master commits, and a mailbox that others changed
    /// meanwhile is offered again. Only this program says that; others do not understand it.
    pub commits_in_turn: bool,
    /// The sender leaves alone what it has and the other side does not list, if that says that a mailbox is
    /// [`partial`](super::MailboxInfo::partial). Only this program says that; others do not understand it.
    pub takes_partial_mailboxes: bool,
}

impl Row for Handshake {
    const KIND: ItemKind = ItemKind::Handshake;
    const COLUMNS: &'static [Column] = &[
        required("hostname"),
        optional("sync_ns_prefix"),
        optional("sync_box"),
        optional("sync_box_guid"),
        optional("sync_type"),
        optional("debug"),
        optional("sync_visible_namespaces"),
        optional("exclude_mailboxes"),
        optional("send_mail_requests"),
        optional("backup_send"),
        optional("backup_recv"),
        optional("lock_timeout"),
        optional("no_mail_sync"),
        optional("no_backup_overwrite"),
        optional("purge_remote"),
        optional("no_notify"),
        optional("sync_since_timestamp"),
        optional("sync_max_size"),
        optional("sync_flags"),
        optional("sync_until_timestamp"),
        optional("virtual_all_box"),
        optional("empty_hdr_workaround"),
        optional("import_commit_msgs_interval"),
        optional("hashed_headers"),
        optional("alt_char"),
        optional("waits_for_deletions"),
        optional("relative_to"),
        optional("allow_empty_source"),
        optional("store"),
        optional("hashes_contents"),
        optional("takes_early_offers"),
        optional("commits_in_turn"),
        optional("takes_partial_mailboxes"),
    ];

    fn read(fields: &Fields<'_>) -> Result<Self, WireError> {
        let sync_type = match fields.get("sync_type") {
            None => None,
            Some(b"f") => Some(SyncType::Full),
            Some(b"c") => Some(SyncType::Changed),
            Some(b"s") => Some(SyncType::State),
            Some(other) => return Err(fields.invalid("sync_type", other)),
        };
        let prefixes = fields.get("sync_ns_prefix").map(|value| value.split(|byte| *byte == b'\n'));
        if prefixes.clone().is_some_and(|prefixes| prefixes.count() > limits::LIST) {
            return Err(fields.too_many("sync_ns_prefix", limits::LIST));
        }
        let hostname = fields.required("hostname")?;
        if hostname.is_empty() {
            return Err(fields.invalid("hostname", hostname));
        }
        Ok(Self {
            hostname: hostname.to_vec(),
            namespace_prefixes: prefixes.map(|prefixes| prefixes.map(<[u8]>::to_vec).collect()),
            mailbox: fields.bytes("sync_box"),
            mailbox_guid: fields.bytes("sync_box_guid"),
            sync_type,
            debug: fields.is_set("debug"),
            visible_namespaces: fields.is_set("sync_visible_namespaces"),
            exclude_mailboxes: fields.list("exclude_mailboxes", limits::LIST)?,
            send_mail_requests: fields.is_set("send_mail_requests"),
            backup_send: fields.is_set("backup_send"),
            backup_recv: fields.is_set("backup_recv"),
            lock_timeout: fields.number("lock_timeout")?,
            no_mail_sync: fields.is_set("no_mail_sync"),
            no_backup_overwrite: fields.is_set("no_backup_overwrite"),
            purge_remote: fields.is_set("purge_remote"),
            no_notify: fields.is_set("no_notify"),
            since: fields.number("sync_since_timestamp")?,
            max_size: fields.number("sync_max_size")?,
            flags: fields.bytes("sync_flags"),
            until: fields.number("sync_until_timestamp")?,
            virtual_all_mailbox: fields.bytes("virtual_all_box"),
            empty_header_workaround: fields.is_set("empty_hdr_workaround"),
            commit_interval: fields.number("import_commit_msgs_interval")?,
            hashed_headers: fields.list("hashed_headers", limits::LIST)?,
            alternative_character: fields.bytes("alt_char"),
            waits_for_deletions: fields.is_set("waits_for_deletions"),
            relative_to: fields.bytes("relative_to"),
            allow_empty_source: fields.is_set("allow_empty_source"),
            store: fields.bytes("store"),
            hashes_contents: fields.is_set("hashes_contents"),
            takes_early_offers: fields.is_set("takes_early_offers"),
            commits_in_turn: fields.is_set("commits_in_turn"),
            takes_partial_mailboxes: fields.is_set("takes_partial_mailboxes"),
        })
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        fn joined(list: Option<&Vec<Vec<u8>>>) -> Option<Vec<u8>> {
            list.map(|list| join_list(list.iter().map(Vec::as_slice)))
        }
        let sync_type = self.sync_type.map(|sync_type| match sync_type {
            SyncType::Full => "f",
            SyncType::Changed => "c",
            SyncType::State => "s",
        });
        row.set("hostname", self.hostname.as_slice());
        row.set_if_some("sync_ns_prefix", self.namespace_prefixes.as_ref().map(|prefixes| prefixes.join(&b'\n')));
        row.set_if_some("sync_box", self.mailbox.clone());
        row.set_if_some("sync_box_guid", self.mailbox_guid.clone());
        row.set_if_some("sync_type", sync_type);
        row.set_flag("debug", self.debug);
        row.set_flag("sync_visible_namespaces", self.visible_namespaces);
        row.set_if_some("exclude_mailboxes", joined(self.exclude_mailboxes.as_ref()));
        row.set_flag("send_mail_requests", self.send_mail_requests);
        row.set_flag("backup_send", self.backup_send);
        row.set_flag("backup_recv", self.backup_recv);
        row.set_if_some("lock_timeout", self.lock_timeout.map(|seconds| seconds.to_string()));
        row.set_flag("no_mail_sync", self.no_mail_sync);
        row.set_flag("no_backup_overwrite", self.no_backup_overwrite);
        row.set_flag("purge_remote", self.purge_remote);
        row.set_flag("no_notify", self.no_notify);
        row.set_if_some("sync_since_timestamp", self.since.map(|time| time.to_string()));
        row.set_if_some("sync_max_size", self.max_size.map(|size| size.to_string()));
        row.set_if_some("sync_flags", self.flags.clone());
        row.set_if_some("sync_until_timestamp", self.until.map(|time| time.to_string()));
        row.set_if_some("virtual_all_box", self.virtual_all_mailbox.clone());
        row.set_flag("empty_hdr_workaround", self.empty_header_workaround);
        row.set_if_some("import_commit_msgs_interval", self.commit_interval.map(|count| count.to_string()));
        row.set_if_some("hashed_headers", joined(self.hashed_headers.as_ref()));
        row.set_if_some("alt_char", self.alternative_character.clone());
        row.set_flag("waits_for_deletions", self.waits_for_deletions);
        row.set_if_some("relative_to", self.relative_to.clone());
        row.set_flag("allow_empty_source", self.allow_empty_source);
        row.set_if_some("store", self.store.clone());
        row.set_flag("hashes_contents", self.hashes_contents);
        row.set_flag("takes_early_offers", self.takes_early_offers);
        row.set_flag("commits_in_turn", self.commits_in_turn);
        row.set_flag("takes_partial_mailboxes", self.takes_partial_mailboxes);
    }
}
