//! An open mailbox in an mbox file.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use dsync_core::model::{
    Glance, HistoryRange, MailboxHistory, MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList,
    MessageRecord, SyncPoint,
};
use dsync_core::store::{BodySource, ErrorKind, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

use super::commit::{Held, Target, Work};
use super::lock::{MboxLock, ReadLock};
use super::scan::ScannedMessage;
use super::shared::Shared;
use super::snapshot::{self, FileMark, IndexHealth, Snapshot, index_files};
use super::staging::Staging;
use super::visible::VisibleMessage;
use super::{journal, listing, outside};
use crate::fs::FsError;
use crate::fs::mutation;
use crate::fs::permissions::Permissions;
use crate::index;
use crate::index::writer::LockedIndex;
use crate::list::build::Build;
use crate::list::changes as list_changes;
use crate::list::hidden::hidden_place;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// A mailbox as it was when it was opened, or after the last commit.
pub(super) struct MboxMailbox {
    shared: Arc<Shared>,
    name: MailboxName,
    paths: MailboxPaths,
    permissions: Permissions,
    snapshot: Snapshot,
    staging: Option<Staging>,
    /// Where the mailbox is while it is new.
    place: Place,
    /// What keeps others from changing it.
    held: Option<Held>,
}

/// Where a mailbox is.
enum Place {
    /// Where others see it.
    Visible,
    /// In a hidden place, until its first commit.
    Hidden(Box<Build>),
    /// Nowhere, until its first commit.
    Missing,
}

impl MboxMailbox {
    /// Opens a mailbox that exists.
    pub(super) fn open(shared: Arc<Shared>, name: MailboxName, paths: MailboxPaths) -> Result<Self, StoreError> {
        let permissions = Permissions::of_file(&paths.mails)?;
        let told = match &paths.index {
            Some(index) if !shared.context.read_only && journal::path_in(index).exists() => {
                let lock = MboxLock::take(&paths.mails, shared.settings.mbox_locks, &permissions)?;
                journal::recover(lock.file(), &paths.mails, index, &permissions)?
            }
            _ => None,
        };
        let mut snapshot = snapshot::look(&shared, &paths)?;
        snapshot.problems.extend(told);
        Ok(Self { shared, name, paths, permissions, snapshot, staging: None, place: Place::Visible, held: None })
    }

    /// A mailbox that is new but cannot be built elsewhere: it appears with its first commit.
    pub(super) fn open_new(
        shared: Arc<Shared>,
        name: MailboxName,
        paths: MailboxPaths,
        permissions: Permissions,
        identity: MailboxIdentity,
    ) -> Self {
        let snapshot = Snapshot::of_new(identity);
        Self { shared, name, paths, permissions, snapshot, staging: None, place: Place::Missing, held: None }
    }

    /// Opens a mailbox that is still being built.
    pub(super) fn building(shared: Arc<Shared>, name: MailboxName, build: Build, permissions: Permissions) -> Self {
        let paths = build.paths().clone();
        let snapshot = Snapshot::of_new(build.identity());
        Self {
            shared,
            name,
            paths,
            permissions,
            snapshot,
            staging: None,
            place: Place::Hidden(Box::new(build)),
            held: None,
        }
    }

    fn target(&self) -> Target<'_> {
        Target { shared: &self.shared, paths: &self.paths, permissions: &self.permissions, name: &self.name }
    }

    fn staging(&mut self) -> Result<&mut Staging, StoreError> {
        if self.staging.is_none() {
            let context = &self.shared.context;
            let path = hidden_place(context, &context.roots.mails, &self.permissions)?;
            self.staging = Some(Staging::new(path, self.shared.settings.mbox_digest, &self.permissions)?);
        }
        self.staging.as_mut().ok_or_else(|| StoreError::new(ErrorKind::Impossible, "no place for new messages"))
    }

    /// A mailbox that was there must not come into being again because it is written to.
    fn refuse_if_gone(&self) -> Result<(), StoreError> {
        if matches!(self.place, Place::Visible) && !listing::is_mailbox(&self.paths.mails) {
            let text = format!("{} was deleted or renamed by somebody else meanwhile", lossy(&self.paths.mails));
            return Err(StoreError::new(ErrorKind::NotFound, text));
        }
        Ok(())
    }

    /// Where a message is, and the file, which nobody changes meanwhile. It is looked for again if somebody has changed the file
    /// since the mailbox was opened.
    fn locate(&self, place: usize) -> Result<(ScannedMessage, Kept), StoreError> {
        let gone = || {
            let text =
                format!("the message in place {} of {} is gone", place.saturating_add(1), lossy(&self.paths.mails));
            StoreError::new(ErrorKind::NotFound, text)
        };
        let found = self.snapshot.found(place).ok_or_else(gone)?;
        if let Some(held) = &self.held {
            return Ok((found, Kept::Held(Arc::clone(held.lock()))));
        }
        let path = &self.paths.mails;
        let lock = ReadLock::take(path, self.shared.settings.mbox_locks)?;
        let mark = snapshot::file_mark(lock.file(), path)?;
        if self.snapshot.mark.is_some_and(|then| then.file() == mark) {
            return Ok((found, Kept::ForReading(lock)));
        }
        let uid = self.snapshot.messages.uid_at(place).ok_or_else(gone)?;
        let now = snapshot::look_under(&self.shared, &self.paths, &lock)?;
        let same_numbers = now.status.identity.uid_validity == self.snapshot.status.identity.uid_validity;
        let there = now.messages.index_of(MessageKey::Uid(uid)).filter(|_| same_numbers).ok_or_else(gone)?;
        let moved = now.found(there).filter(|moved| moved.md5 == found.md5).ok_or_else(gone)?;
        Ok((moved, Kept::ForReading(lock)))
    }
}

impl Mailbox for MboxMailbox {
    fn status(&self) -> &MailboxStatus {
        &self.snapshot.status
    }

    fn messages(&self) -> &MessageList {
        &self.snapshot.messages
    }

    fn problems(&self) -> &[String] {
        &self.snapshot.problems
    }

    fn glance(&self) -> Option<Glance> {
        self.snapshot.marks.as_ref().and_then(|marks| self.shared.context.glance(marks))
    }

    fn is_settled(&self) -> bool {
        let is_open = self.snapshot.index_is_behind || self.snapshot.lacks_dates();
        !(is_open && self.snapshot.index == IndexHealth::Sound)
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        match index_files(&self.paths) {
            Some(files) => Ok(index::mailbox::history(&files, range)?),
            None => Ok(MailboxHistory::default()),
        }
    }

    fn sync_points(&self) -> &[SyncPoint] {
        &self.snapshot.points
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.shared.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        self.release();
        let (Some(files), IndexHealth::Sound) = (index_files(&self.paths), self.snapshot.index) else {
            // Without an index there is no place for it.
            return Ok(());
        };
        let mut locked = LockedIndex::lock(&files, &self.permissions)?;
        let before = index::reading::IndexMark::of(locked.state());
        index::mailbox::remember(&mut locked, point)?;
        let unchanged = self.snapshot.mark.is_some_and(|mark| mark.index() == Some(before));
        let marks = self.snapshot.marks.take().filter(|_| unchanged);
        self.snapshot.marks = marks.map(|marks| outside::with_new_index(marks, &self.paths));
        if let Some(mark) = &mut self.snapshot.mark {
            mark.advance(before, index::reading::IndexMark::of(locked.state()));
        }
        self.snapshot.points = point.added_to(&self.snapshot.points);
        Ok(())
    }

    fn hold(&mut self) -> Result<(), StoreError> {
        self.shared.context.refuse_if_read_only()?;
        if matches!(self.place, Place::Visible) && self.held.is_none() {
            self.held = Some(self.target().hold(&self.snapshot)?);
        }
        Ok(())
    }

    fn release(&mut self) {
        self.held = None;
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        let place = self
            .messages()
            .index_of(message)
            .ok_or_else(|| StoreError::new(ErrorKind::NotFound, format!("mailbox {} has no {message}", self.name)))?;
        let (found, lock) = self.locate(place)?;
        let file = lock.file().try_clone().map_err(|error| FsError::new("open", &self.paths.mails, error))?;
        let bytes = LockedBody {
            bytes: VisibleMessage::new(Arc::new(file), &found),
            mark: snapshot::file_mark(lock.file(), &self.paths.mails)?,
            path: self.paths.mails.clone(),
            lock,
        };
        Ok(MessageBody { size: Some(found.visible_size), source: BodySource::Stream(Box::new(bytes)) })
    }

    fn save(&mut self, _: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        self.shared.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        Ok(SavedBody(self.staging()?.add(body)?))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        self.shared.context.refuse_if_read_only()?;
        self.refuse_if_gone()?;
        self.staging()?;
        let Some(mut staging) = self.staging.take() else { return Ok(()) };
        let mut changes = changes;
        let before = self.snapshot.status.identity;
        let wanted = changes.identity.or(before);
        let identity = list_changes::decide_identity(&self.shared.context, wanted, &self.permissions)?;
        if matches!(self.place, Place::Missing) {
            if let Some(directory) = self.paths.mails.parent() {
                mutation::create_directories(directory, &self.permissions)?;
            }
            drop(mutation::create(&self.paths.mails, &self.permissions)?);
            let identity = self.snapshot.status.identity;
            self.snapshot = snapshot::look(&self.shared, &self.paths)?;
            self.snapshot.status.identity = identity;
            self.place = Place::Visible;
        }
        let held = self.held.take();
        let work = Work { before: &self.snapshot, changes: &mut changes, staging: &mut staging, identity };
        self.snapshot = match std::mem::replace(&mut self.place, Place::Visible) {
            Place::Hidden(build) => {
                self.paths = self.target().build(work, *build)?;
                snapshot::look(&self.shared, &self.paths)?
            }
            Place::Visible | Place::Missing => {
                let mut changed = self.target().change(work, held)?;
                changed.look_from_outside(&self.paths);
                changed
            }
        };
        list_changes::note_identity(&self.shared.context, before, identity)?;
        Ok(())
    }
}

/// What keeps others from changing the file while a message is read.
enum Kept {
    ForReading(ReadLock),
    /// The mailbox is held anyway.
    Held(Arc<MboxLock>),
}

impl Kept {
    fn file(&self) -> &File {
        match self {
            Self::ForReading(lock) => lock.file(),
            Self::Held(lock) => lock.file(),
        }
    }
}

/// The bytes of a message, which nobody moves while they are read.
struct LockedBody {
    bytes: VisibleMessage,
    path: PathBuf,
    mark: FileMark,
    lock: Kept,
}

impl std::io::Read for LockedBody {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        // Not everybody takes the locks that keep others away from who reads.
        if count == 0 && snapshot::file_mark(self.lock.file(), &self.path).ok() != Some(self.mark) {
            return Err(std::io::Error::other("the mbox was changed while the message was read"));
        }
        Ok(count)
    }
}
