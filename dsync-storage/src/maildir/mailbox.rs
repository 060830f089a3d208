//! An open mailbox of a Maildir.

use std::sync::Arc;

use dsync_core::model::{
    Glance, HistoryRange, MailboxHistory, MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList,
    MessageRecord, ModSeq, SyncPoint,
};
use dsync_core::store::{ErrorKind, FileRange, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

use super::commit::{self, Held};
use super::files::MessageFiles;
use super::listing;
use super::snapshot::{self, IndexHealth, OpenedMessage, Snapshot};
use super::staging::Staging;
use crate::content;
use crate::fs::mutation;
use crate::fs::permissions::Permissions;
use crate::index;
use crate::index::files::IndexFiles;
use crate::index::writer::LockedIndex;
use crate::list::build::Build;
use crate::list::changes;
use crate::list::context::Context;
use crate::list::layout::{Layout, MailboxPaths};

/// A mailbox as it was when it was opened, or after the last commit.
pub(super) struct MaildirMailbox {
    context: Arc<Context>,
    name: MailboxName,
    paths: MailboxPaths,
    permissions: Permissions,
    snapshot: Snapshot,
    staging: Option<Staging>,
    /// The hidden place where the mailbox is while it is new.
    build: Option<Build>,
    /// It is no new one.
    existed: bool,
    /// The identity that a new mailbox is to have.
    identity: MailboxIdentity,
    /// What keeps others from changing it.
    held: Option<Held>,
}

impl MaildirMailbox {
    /// Opens a mailbox that exists.
    pub(super) fn open(context: Arc<Context>, name: MailboxName, paths: MailboxPaths) -> Result<Self, StoreError> {
        let permissions = Permissions::like(&paths.mails, &context.roots.mails);
        let mailbox = Self::open_new(context, name, paths, permissions, MailboxIdentity::UNDECIDED)?;
        Ok(Self { existed: true, ..mailbox })
    }

    /// The files of its messages.
    pub(super) fn files(&self) -> &MessageFiles {
        &self.snapshot.joined.files
    }

    /// A mailbox that is new but cannot be built elsewhere: it appears with its first message.
    pub(super) fn open_new(
        context: Arc<Context>,
        name: MailboxName,
        paths: MailboxPaths,
        permissions: Permissions,
        identity: MailboxIdentity,
    ) -> Result<Self, StoreError> {
        let snapshot = snapshot::look(&paths, !context.read_only)?;
        let mut mailbox = Self {
            context,
            name,
            paths,
            permissions,
            snapshot,
            staging: None,
            build: None,
            existed: false,
            identity,
            held: None,
        };
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
        // Nothing has been counted in it yet, as in a new mailbox of any other format.
        mailbox.snapshot.joined.status.highest_modseq = Some(ModSeq::FIRST);
        Ok(mailbox)
    }

    fn target(&self) -> commit::Target<'_> {
        commit::Target {
            context: &self.context,
            paths: &self.paths,
            permissions: &self.permissions,
            name: &self.name,
            existed: self.existed,
            hidden: self.build.is_some(),
        }
    }

    fn show_identity(&mut self) {
        let status = &mut self.snapshot.joined.status;
        status.identity = status.identity.or(self.identity);
    }

    /// A mailbox that was there must not come into being again because it is written to.
    fn refuse_if_gone(&self) -> Result<(), StoreError> {
        if self.existed { listing::refuse_if_gone(&self.context, &self.name, &self.paths) } else { Ok(()) }
    }

    /// Puts a new mailbox into its place, which it returns.
    fn publish(&self, build: Build) -> Result<MailboxPaths, StoreError> {
        let context = &self.context;
        let layout = context.naming.layout;
        if layout == Layout::MaildirPlusPlus {
            drop(mutation::create(&build.paths().mails.join(listing::FOLDER_MARK), &self.permissions)?);
        }
        build.sync()?;
        let lock = changes::lock(context)?;
        let is_taken = |target: &MailboxPaths| listing::is_mailbox(layout, &self.name, &target.mails);
        let paths = build.publish(&lock, &self.name, &self.permissions, &is_taken)?;
        changes::note(context, &[], &[])?;
        Ok(paths)
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

    fn glance(&self) -> Option<Glance> {
        let glance = self.snapshot.marks.as_ref().and_then(|marks| self.context.glance(marks))?;
        Some(Glance { inside: self.snapshot.dates_of_files, ..glance })
    }

    fn is_settled(&self) -> bool {
        !(self.snapshot.joined.index_is_behind && self.snapshot.index == IndexHealth::Sound)
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        match &self.paths.index {
            Some(directory) => Ok(index::mailbox::history(&IndexFiles::of_mailbox(directory), range)?),
            None => Ok(MailboxHistory::default()),
        }
    }

    fn sync_points(&self) -> &[SyncPoint] {
        &self.snapshot.points
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        self.release();
        match (&self.paths.index, self.snapshot.index) {
            (Some(directory), IndexHealth::Sound) => {
                let mut locked = LockedIndex::lock(&IndexFiles::of_mailbox(directory), &self.permissions)?;
                let is_unchanged = self.snapshot.marks.as_ref() == Some(&snapshot::marks(&self.paths));
                index::mailbox::remember(&mut locked, point)?;
                let marks = self.snapshot.marks.take().filter(|_| is_unchanged);
                self.snapshot.marks = marks.map(|marks| snapshot::with_new_index(marks, &self.paths));
            }
            // Without an index there is no place for it.
            _ => return Ok(()),
        }
        self.snapshot.points = point.added_to(&self.snapshot.points);
        Ok(())
    }

    fn hold(&mut self) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        if self.existed && self.held.is_none() {
            self.held = Some(self.target().hold(&self.snapshot)?);
        }
        Ok(())
    }

    fn release(&mut self) {
        self.held = None;
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        let index = self.messages().index_of(message);
        let found = index.and_then(|index| Some((index, self.snapshot.joined.files.get(index)?)));
        let (index, file) = found.ok_or_else(|| {
            let text = format!("mailbox {} has no {message}", self.name);
            StoreError::new(ErrorKind::NotFound, text)
        })?;
        let OpenedMessage { file, size, path } = snapshot::open_message(&self.paths, file)?;
        let stored = FileRange::new(Arc::new(file), 0, size);
        content::open(stored, self.snapshot.stated_size(index), &path)
    }

    fn save(&mut self, message: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        self.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        let staging = match &mut self.staging {
            Some(staging) => staging,
            None => {
                commit::prepare_directories(&self.paths, &self.permissions)?;
                self.staging.insert(Staging::new(&self.paths.mails, self.context.compression))
            }
        };
        Ok(SavedBody(staging.add(body, message.received, &self.permissions)?))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        self.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        let mut staging = self.staging.take().unwrap_or_else(|| Staging::new(&self.paths.mails, None));
        let mut changes = changes;
        changes.identity = changes.identity.or(self.identity);
        let held = self.held.take();
        self.snapshot = self.target().commit(&self.snapshot, &mut changes, staging.files_mut(), held)?;
        drop((staging, changes));
        if let Some(build) = self.build.take() {
            self.paths = self.publish(build)?;
            // Its place is another one.
            (self.snapshot, _) = snapshot::look_again(&self.paths, &self.snapshot.joined.files)?;
        }
        self.existed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dsync_core::model::Uid;
    use dsync_core::store::{MailStore, NewMessages, Origin};

    use super::*;
    use crate::fs::marks::{gives_each_change_its_time, has_exact_times};
    use crate::location::Location;
    use crate::maildir::MaildirStore;

    fn no_changes(identity: MailboxIdentity, highest_modseq: ModSeq) -> MailboxChanges {
        MailboxChanges {
            origin: Origin::Mirrored,
            identity,
            remove: Vec::new(),
            renumber: Vec::new(),
            update: Vec::new(),
            add: NewMessages::default(),
            uid_next: Uid::FIRST,
            highest_modseq,
            first_recent_uid: Uid::FIRST,
        }
    }

    /// What an empty mailbox looks like after a commit, and then from outside, if something was done to its directory
    /// before.
    fn glances_after(meanwhile: &dyn Fn(&Path)) -> [Option<Glance>; 2] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("mail");
        let location = Location::parse(&format!("maildir:{}", root.display()), None).unwrap();
        let mut store = MaildirStore::open(&location).unwrap();
        let name = MailboxName::inbox();
        let identity = store.new_identity().unwrap();
        store.create(&name, identity).unwrap().commit(no_changes(identity, ModSeq::FIRST)).unwrap();
        let mut mailbox = store.open(&name).unwrap();
        meanwhile(&root);
        mailbox.commit(no_changes(identity, ModSeq(5))).unwrap();
        assert_eq!(mailbox.status().message_count, 0);
        [mailbox.glance(), store.glance(&name, false)]
    }

    #[test]
    fn a_delivery_that_is_left_out_leaves_no_glance() {
        let [within, _] = glances_after(&|root| std::fs::write(root.join("new/x"), "").unwrap());
        assert_eq!(within, None);
    }

    #[test]
    fn without_a_delivery_there_is_one() {
        let [within, outside] = glances_after(&|_| {});
        assert_eq!(within.map(|glance| glance.outside), outside.map(|glance| glance.outside));
        let is_believed = has_exact_times(&std::env::temp_dir()) && gives_each_change_its_time();
        assert_eq!(within.is_some(), is_believed);
    }
}
