//! An open mailbox of a Maildir.

use std::sync::Arc;

use dsync_core::model::{MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList, MessageRecord};
use dsync_core::store::{ErrorKind, Mailbox, MailboxChanges, MessageBody, StoreError};

use super::build::Build;
use super::commit;
use super::context::Context;
use super::snapshot::{self, Snapshot};
use super::staging::StagedFile;
use crate::fs::permissions::Permissions;
use crate::list::layout::MailboxPaths;

/// A mailbox as it was when it was opened, or after the last commit.
pub(super) struct MaildirMailbox {
    context: Arc<Context>,
    name: MailboxName,
    paths: MailboxPaths,
    permissions: Permissions,
    snapshot: Snapshot,
    staged: Vec<StagedFile>,
    /// The hidden place where the mailbox is while it is new.
    build: Option<Build>,
    /// The identity that a new mailbox is to have.
    identity: MailboxIdentity,
}

impl MaildirMailbox {
    /// Opens a mailbox that exists.
    pub(super) fn open(context: Arc<Context>, name: MailboxName, paths: MailboxPaths) -> Result<Self, StoreError> {
        let snapshot = snapshot::look(&paths)?;
        let permissions = Permissions::like(&paths.mails, &context.roots.mails);
        Ok(Self {
            context,
            name,
            paths,
            permissions,
            snapshot,
            staged: Vec::new(),
            build: None,
            identity: MailboxIdentity::UNDECIDED,
        })
    }

    /// A mailbox that is new but cannot be built elsewhere: it appears with its first message.
    pub(super) fn open_new(
        context: Arc<Context>,
        name: MailboxName,
        paths: MailboxPaths,
        permissions: Permissions,
        identity: MailboxIdentity,
    ) -> Result<Self, StoreError> {
        let snapshot = snapshot::look(&paths)?;
        let mut mailbox =
            Self { context, name, paths, permissions, snapshot, staged: Vec::new(), build: None, identity };
        mailbox.show_identity();
        Ok(mailbox)
    }

    /// Opens a mailbox that is still being built.
    pub(super) fn building(
        context: Arc<Context>,
        name: MailboxName,
        build: Build,
        permissions: Permissions,
    ) -> Result<Self, StoreError> {
        let paths = build.paths().clone();
        let identity = build.identity();
        let mut mailbox = Self::open_new(context, name, paths, permissions, identity)?;
        mailbox.build = Some(build);
        Ok(mailbox)
    }

    fn show_identity(&mut self) {
        let status = &mut self.snapshot.joined.status;
        status.identity = status.identity.or(self.identity);
    }

    fn index_of(&self, key: &MessageKey) -> Option<usize> {
        let messages = self.messages();
        match key {
            MessageKey::Uid(uid) => messages.assigned().binary_search_by_key(&Some(*uid), |record| record.uid).ok(),
            MessageKey::Unassigned(guid) => {
                let found = messages.unassigned().iter().position(|record| record.guid == *guid)?;
                messages.assigned().len().checked_add(found)
            }
        }
    }
}

impl Mailbox for MaildirMailbox {
    fn status(&self) -> &MailboxStatus {
        &self.snapshot.joined.status
    }

    fn messages(&self) -> &MessageList {
        &self.snapshot.joined.messages
    }

    fn problems(&self) -> &[String] {
        &self.snapshot.joined.problems
    }

    fn body(&mut self, message: &MessageKey) -> Result<MessageBody, StoreError> {
        let file = self.index_of(message).and_then(|index| self.snapshot.joined.files.get(index));
        let file = file.ok_or_else(|| {
            let text = format!("mailbox {} has no message {message:?}", self.name);
            StoreError::new(ErrorKind::NotFound, text)
        })?;
        let (file, size) = snapshot::open_message(&self.paths.mails, file)?;
        Ok(MessageBody::from_file(file, size))
    }

    fn save(&mut self, message: &MessageRecord, body: MessageBody) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        commit::prepare_directories(&self.paths, &self.permissions)?;
        let staged = StagedFile::write(&self.paths.mails, body, message.received, &self.permissions)?;
        self.staged.push(staged);
        Ok(())
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        let mut staged = std::mem::take(&mut self.staged);
        let target = commit::Target {
            context: &self.context,
            paths: &self.paths,
            permissions: &self.permissions,
            hidden: self.build.is_some(),
        };
        let mut changes = changes;
        changes.identity = changes.identity.or(self.identity);
        target.commit(&self.snapshot, &changes, &mut staged)?;
        if let Some(build) = self.build.take() {
            self.paths = build.publish(&self.context, &self.name, &self.permissions)?;
        }
        self.snapshot = snapshot::look(&self.paths)?;
        Ok(())
    }
}
