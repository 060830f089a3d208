//! What can go wrong in a store.

use std::error::Error;
use std::fmt;

use crate::model::MailboxName;

/// The class of a failure, by which a caller decides how to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing does not exist.
    NotFound,
    /// The name is taken.
    Exists,
    /// The store cannot hold a mailbox of this name.
    InvalidName,
    /// The store can never do this.
    Impossible,
    /// The store was opened for reading only.
    ReadOnly,
    /// Somebody else changed the mailbox meanwhile; look again and try again.
    Changed,
    /// What is stored cannot be understood.
    Corrupt,
    /// Access was refused.
    Permission,
    /// The bytes of a message could not be read from where they come from; the store itself is fine.
    Source,
    /// A lock was held by somebody else for too long.
    Locked,
    /// There is no room for what was to be written: the disk is full, or the user's share of it is used up.
    NoRoom,
    /// Reading or writing failed.
    Io,
}

/// A failure of a store: what was being done to what, what went wrong, and its class.
#[derive(Debug)]
pub struct StoreError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure without a deeper cause. `message` is a sentence that names the path or mailbox.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A failure that another error caused; its text is appended when shown.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The same failure, told as one of this mailbox.
    #[must_use]
    pub fn in_mailbox(self, name: &MailboxName) -> Self {
        Self { message: format!("mailbox {name}: {}", self.message), ..self }
    }

    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // Its text is part of ours already.
        self.source.as_deref().and_then(Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_is_named_before_what_happened_to_it() {
        let name = MailboxName::parse("Work/Old", '/').unwrap();
        let error = StoreError::with_source(ErrorKind::NoRoom, "cannot write /x", "full").in_mailbox(&name);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NoRoom, "mailbox Work/Old: cannot write /x: full")
        );
    }
}
