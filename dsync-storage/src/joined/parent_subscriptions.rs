//! Subscriptions to mailboxes of a namespace that are in the file of another one, because it has none (`subscriptions=no`).
//!
//! ```text
//! Public/News TAB Old     the namespace has the prefix "Public/", the mailbox "News.Old" in a Maildir++, and the file is in a Maildir++
//! Public TAB News.Old     the same in the file of an mdbox
//! ```
//!
//! A server puts the prefix as it is configured before the name as the storage of the mailbox spells it, and takes that apart where the
//! storage of the file has its separator. Source: observation of Dovecot 2.3.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dsync_core::model::{MailboxName, NameHash, TreeChange};
use dsync_core::store::{ErrorKind, StoreError};

use crate::fs::permissions::Permissions;
use crate::list::files::{log_changes, read_subscriptions, set_subscribed};
use crate::list::layout::Naming;
use crate::location::Location;

/// Where the subscriptions to the mailboxes of a namespace are.
#[derive(Clone, Debug)]
pub struct ParentSubscriptions {
    file: PathBuf,
    /// Where changes are written down, and the root of the store with the file.
    log: Option<PathBuf>,
    root: PathBuf,
    parent: Naming,
    child: Naming,
    prefix: String,
    read_only: bool,
}

impl ParentSubscriptions {
    /// In the file of the store at `parent`, of mailboxes of the store at `child`, which are shown with `prefix`.
    #[must_use]
    pub fn new(parent: &Location, child: &Location, prefix: &str, read_only: bool) -> Self {
        let (naming, roots) = (parent.naming(), parent.roots());
        Self {
            file: parent.subscriptions_file(),
            log: roots.index.map(|root| naming.layout.list_files(&root)),
            root: roots.mails,
            parent: naming,
            child: child.naming(),
            prefix: prefix.to_owned(),
            read_only,
        }
    }

    /// The names that are subscribed to, as the store of the namespace has them.
    pub(super) fn read(&self) -> Result<BTreeSet<MailboxName>, StoreError> {
        let file = read_subscriptions(&self.file, self.parent.layout.separator())?.unwrap_or_default();
        let texts = file.names().map(|parts| parts.join(&self.parent_separator()[..]));
        Ok(texts.filter_map(|text| self.name_of(&text)).collect())
    }

    fn parent_separator(&self) -> Vec<u8> {
        self.parent.layout.separator().to_string().into_bytes()
    }

    fn name_of(&self, text: &[u8]) -> Option<MailboxName> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        let separator = u8::try_from(self.child.layout.separator()).ok()?;
        let parts: Vec<&[u8]> = rest.split(|byte| *byte == separator).collect();
        self.child.name_of_stored(&parts)
    }

    /// Whether what the store with the file takes for one of its names is one of this namespace.
    pub(super) fn has(&self, name: &MailboxName) -> bool {
        let text = self.parent.stored_parts(name).join(&self.parent.layout.separator().to_string());
        text.starts_with(&self.prefix)
    }

    /// Subscribes to a name of the namespace, or cancels that.
    pub(super) fn set(&self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        if self.read_only {
            let text = format!("{} was opened for reading only", self.file.display());
            return Err(StoreError::new(ErrorKind::ReadOnly, text));
        }
        let stored = self.child.stored_parts(name).join(&self.child.layout.separator().to_string());
        let text = format!("{}{stored}", self.prefix);
        let separator = self.parent.layout.separator();
        let parts: Vec<&[u8]> = text.split(separator).map(str::as_bytes).collect();
        let permissions = Permissions::like(&self.root, &self.root);
        if set_subscribed(&self.file, separator, &parts, subscribed, &permissions)?
            && let Some(log) = &self.log
        {
            let change = if subscribed { TreeChange::Subscribed } else { TreeChange::Unsubscribed };
            let changes: Vec<_> = NameHash::of_spellings(name, &self.prefix, &['/', '.']).map(change).collect();
            log_changes(log, &changes, &permissions)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_a_server_does_it() {
        let name = |text: &str| MailboxName::parse(text, '/').unwrap();
        for (parent, line) in [("maildir", "Public/News\tOld &APw-\n"), ("mdbox", "Public\tNews.Old &APw-\n")] {
            let directory = tempfile::tempdir().unwrap();
            let at = |driver: &str, place: &str| {
                Location::parse(&format!("{driver}:{}/{place}", directory.path().display()), None).unwrap()
            };
            let (parent, child) = (at(parent, "main"), at("maildir", "public"));
            std::fs::create_dir(&parent.root).unwrap();
            let subscriptions = ParentSubscriptions::new(&parent, &child, "Public/", false);
            assert!(subscriptions.read().unwrap().is_empty());
            subscriptions.set(&name("News/Old ü"), true).unwrap();
            let file = std::fs::read_to_string(parent.subscriptions_file()).unwrap();
            assert!(file.ends_with(line), "{file:?}");
            assert_eq!(subscriptions.read().unwrap(), BTreeSet::from([name("News/Old ü")]));
            let parts = line.trim().split('\t').collect::<Vec<_>>();
            assert!(subscriptions.has(&parent.naming().name_of_stored(&parts).unwrap()));
            assert!(!subscriptions.has(&name("Publicity")));
            let reading = ParentSubscriptions::new(&parent, &child, "Public/", true);
            assert_eq!(reading.set(&name("x"), true).unwrap_err().kind(), ErrorKind::ReadOnly);
            subscriptions.set(&name("News/Old ü"), false).unwrap();
            assert!(subscriptions.read().unwrap().is_empty());
        }
    }
}
