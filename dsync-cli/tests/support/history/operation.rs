//! What a mail user can do.

use std::fmt;

/// A message that an operation works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub uid: u32,
    pub message_id: String,
}

/// How a change of flags combines with the flags that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Add,
    Remove,
    Replace,
}

/// One thing that a user does at one side. Names of mailboxes are as IMAP writes them; flags include keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `date` is an internal date, quoted, or empty.
    Append {
        mailbox: String,
        message_id: String,
        flags: Vec<&'static str>,
        date: String,
    },
    Store {
        mailbox: String,
        targets: Vec<Target>,
        how: How,
        flags: Vec<&'static str>,
    },
    Expunge {
        mailbox: String,
        targets: Vec<Target>,
    },
    Copy {
        mailbox: String,
        targets: Vec<Target>,
        to: String,
    },
    Move {
        mailbox: String,
        targets: Vec<Target>,
        to: String,
    },
    Create {
        mailbox: String,
    },
    /// Children go with it.
    Rename {
        mailbox: String,
        to: String,
    },
    /// Children stay.
    Delete {
        mailbox: String,
    },
    Subscribe {
        mailbox: String,
    },
    Unsubscribe {
        mailbox: String,
    },
}

impl How {
    /// As the STORE command writes it.
    pub fn item(self) -> &'static str {
        match self {
            Self::Add => "+FLAGS",
            Self::Remove => "-FLAGS",
            Self::Replace => "FLAGS",
        }
    }
}

impl Operation {
    /// The command for it, but for the bytes of a message.
    pub fn command(&self) -> String {
        match self {
            Self::Append { mailbox, flags, date, .. } => {
                format!("APPEND \"{mailbox}\" ({}) {date}", flags.join(" "))
            }
            Self::Store { targets, how, flags, .. } => {
                format!("UID STORE {} {} ({})", uids(targets), how.item(), flags.join(" "))
            }
            Self::Expunge { targets, .. } => format!("UID EXPUNGE {}", uids(targets)),
            Self::Copy { targets, to, .. } => format!("UID COPY {} \"{to}\"", uids(targets)),
            Self::Move { targets, to, .. } => format!("UID MOVE {} \"{to}\"", uids(targets)),
            Self::Create { mailbox } => format!("CREATE \"{mailbox}\""),
            Self::Rename { mailbox, to } => format!("RENAME \"{mailbox}\" \"{to}\""),
            Self::Delete { mailbox } => format!("DELETE \"{mailbox}\""),
            Self::Subscribe { mailbox } => format!("SUBSCRIBE \"{mailbox}\""),
            Self::Unsubscribe { mailbox } => format!("UNSUBSCRIBE \"{mailbox}\""),
        }
    }

    /// The mailbox that has to be selected for it.
    pub fn works_in(&self) -> Option<&str> {
        match self {
            Self::Store { mailbox, .. }
            | Self::Expunge { mailbox, .. }
            | Self::Copy { mailbox, .. }
            | Self::Move { mailbox, .. } => Some(mailbox),
            _ => None,
        }
    }

    /// Whether it puts copies of messages into the mailbox that they are in.
    pub fn copies_onto_itself(&self) -> bool {
        match self {
            Self::Copy { mailbox, to, .. } | Self::Move { mailbox, to, .. } => mailbox == to,
            _ => false,
        }
    }

    /// Whether it takes mailboxes away under their names.
    pub fn unnames(&self) -> bool {
        matches!(self, Self::Rename { .. } | Self::Delete { .. })
    }

    fn targets(&self) -> &[Target] {
        match self {
            Self::Store { targets, .. }
            | Self::Expunge { targets, .. }
            | Self::Copy { targets, .. }
            | Self::Move { targets, .. } => targets,
            _ => &[],
        }
    }
}

/// A set of UIDs as commands write it.
pub fn uids(targets: &[Target]) -> String {
    targets.iter().map(|target| target.uid.to_string()).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mailbox) = self.works_in() {
            write!(f, "in {mailbox}: ")?;
        }
        f.write_str(self.command().trim_end())?;
        if let Self::Append { message_id, .. } = self {
            write!(f, " {message_id}")?;
        }
        if !self.targets().is_empty() {
            let ids: Vec<_> = self.targets().iter().map(|target| target.message_id.as_str()).collect();
            write!(f, "   # {}", ids.join(" "))?;
        }
        Ok(())
    }
}
