//! Carrying out a commit.
//!
//! 1. Lock the mbox, then its index; if anything is not as it was when the changes were decided, stop.
//! 2. Change the file ([`journal`]). A crash later leaves a file that is newer than its index, as a delivery does: a server
//!    believes the file.
//! 3. Write the index.
//!
//! A new mailbox is written in a hidden place, complete with its index, and then put into its place.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use dsync_core::model::{MailboxIdentity, MailboxName, ModSeq, UidValidity};
use dsync_core::store::{BodySource, ErrorKind, MailboxChanges, MessageBody, Origin, StoreError};

use super::commit_plan::{self, CommitPlan};
use super::contents::{Assembly, Contents, PieceReader};
use super::indexed::MboxHeader;
use super::journal::{self, Write};
use super::listing;
use super::lock::MboxLock;
use super::scan::ScannedMessage;
use super::shared::Shared;
use super::snapshot::{self, IndexHealth, Snapshot, index_files};
use super::staging::Staging;
use super::visible::VisibleMessage;
use crate::fs::clock::now;
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::Durability;
use crate::fs::{FsError, mutation};
use crate::index::mailbox::{save_dates, target_message};
use crate::index::reading::IndexMark;
use crate::index::target::IndexTarget;
use crate::index::writer::{self, IndexLock, LockedIndex};
use crate::list::build::Build;
use crate::list::changes as list_changes;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// The mailbox that is changed.
pub(super) struct Target<'a> {
    pub(super) shared: &'a Shared,
    pub(super) paths: &'a MailboxPaths,
    pub(super) permissions: &'a Permissions,
    pub(super) name: &'a MailboxName,
}

/// What is to be done.
pub(super) struct Work<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) changes: &'a mut MailboxChanges,
    pub(super) staging: &'a mut Staging,
    pub(super) identity: MailboxIdentity,
}

/// A mailbox that nobody else can change; released when dropped.
#[derive(Debug)]
pub(super) struct Held {
    index: Option<IndexLock>,
    lock: Arc<MboxLock>,
}

impl Held {
    /// The lock of the file, for those who read it meanwhile.
    pub(super) fn lock(&self) -> &Arc<MboxLock> {
        &self.lock
    }
}

impl Target<'_> {
    /// Keeps others from changing a mailbox that they can see, and that must still be as it was.
    pub(super) fn hold(&self, before: &Snapshot) -> Result<Held, StoreError> {
        let (index, lock) = self.lock(before)?;
        Ok(Held { index: index.map(LockedIndex::forget_state), lock })
    }

    /// Locks the file, then the index.
    fn lock(&self, before: &Snapshot) -> Result<(Option<LockedIndex>, Arc<MboxLock>), StoreError> {
        if !listing::is_mailbox(&self.paths.mails) {
            return Err(self.gone());
        }
        let lock = MboxLock::take(&self.paths.mails, self.shared.settings.mbox_locks, self.permissions)?;
        mutation::create_directories(self.index_path()?, self.permissions)?;
        let index = self.lock_index(before)?;
        self.refuse_if_changed(before, &lock, index.as_ref())?;
        Ok((index, Arc::new(lock)))
    }

    /// Carries the changes out on a mailbox that others can see, and that may be `held`.
    pub(super) fn change(&self, work: Work<'_>, held: Option<Held>) -> Result<Snapshot, StoreError> {
        let index_path = self.index_path()?;
        let (index, lock) = match held {
            Some(Held { index, lock }) => (index.map(IndexLock::read_again).transpose()?, lock),
            None => self.lock(work.before)?,
        };
        let Work { before, changes, staging, identity } = work;
        let mut plan = commit_plan::plan(before, changes, now())?;
        if has_crlf(lock.file(), &self.paths.mails, before)? {
            let staged = self.stage_again(before, lock.file(), staging)?;
            plan.write_anew(&staged);
        }
        let assembly = self.assembly(before, &plan, changes, identity, Some(lock.file()), staging);
        let contents = assembly.contents()?;
        let writes: Vec<Write<'_>> = contents
            .changes()
            .into_iter()
            .map(|(offset, pieces)| Write {
                offset,
                length: pieces.iter().map(super::contents::Piece::length).sum(),
                bytes: Box::new(PieceReader::new(pieces, &assembly)),
            })
            .collect();
        let is_changed = !writes.is_empty() || contents.length != before.file.length;
        if is_changed {
            let journal = journal::path_in(index_path);
            let path = &self.paths.mails;
            journal::rewrite(lock.file(), path, &journal, writes, contents.length, self.permissions)?;
        } else {
            drop(writes);
        }
        let header = self.header(lock.file(), before, identity, is_changed)?;
        let places = contents.places;
        staging.forget_messages();
        let index = self.write_index(index, (changes, plan), &places, header, identity)?;
        drop(places);
        let after = snapshot::look_locked(self.shared, self.paths, &lock);
        drop(index);
        after
    }

    /// Writes a new mailbox, and puts it into its place, which it returns.
    pub(super) fn build(&self, work: Work<'_>, build: Build) -> Result<MailboxPaths, StoreError> {
        let Work { before, changes, staging, identity } = work;
        let plan = commit_plan::plan(before, changes, now())?;
        let assembly = self.assembly(before, &plan, changes, identity, None, staging);
        let contents = assembly.contents()?;
        let path = &self.paths.mails;
        let file = mutation::create(path, self.permissions)?;
        write_all(&file, path, &contents, &assembly)?;
        let header = self.header(&file, before, identity, false)?;
        let places = contents.places;
        staging.forget_messages();
        self.write_index(None, (changes, plan), &places, header, identity)?;
        build.sync()?;
        let lock = list_changes::lock(&self.shared.context)?;
        let paths =
            build.publish(&lock, self.name, self.permissions, &|target| listing::is_mailbox(&target.mails))?;
        list_changes::note(&self.shared.context, &[], &[])?;
        Ok(paths)
    }

    fn index_path(&self) -> Result<&Path, StoreError> {
        self.paths
            .index
            .as_deref()
            .ok_or_else(|| StoreError::new(ErrorKind::Impossible, "a mailbox cannot be changed with INDEX=MEMORY"))
    }

    fn gone(&self) -> StoreError {
        let text = format!("{} was deleted or renamed by somebody else meanwhile", lossy(&self.paths.mails));
        StoreError::new(ErrorKind::NotFound, text)
    }

    /// Locks the index, which comes into being for that, unless what is there cannot be used anyway.
    fn lock_index(&self, before: &Snapshot) -> Result<Option<LockedIndex>, StoreError> {
        match (index_files(self.paths), before.index) {
            (Some(files), IndexHealth::Sound | IndexHealth::Missing) => {
                Ok(Some(LockedIndex::lock(&files, self.permissions)?))
            }
            _ => Ok(None),
        }
    }

    fn refuse_if_changed(
        &self,
        before: &Snapshot,
        lock: &MboxLock,
        index: Option<&LockedIndex>,
    ) -> Result<(), StoreError> {
        let file = snapshot::file_mark(lock.file(), &self.paths.mails)?;
        let same_file = before.mark.is_some_and(|mark| mark.file() == file);
        let same_index = match index {
            // If there was none, nobody may have put anything into one meanwhile.
            Some(index) if before.index == IndexHealth::Missing => {
                index.view().uid_validity() == 0 && index.view().messages().is_empty()
            }
            Some(index) => before.mark.and_then(|mark| mark.index()) == Some(IndexMark::of(index.state())),
            None => true,
        };
        if same_file && same_index {
            return Ok(());
        }
        let text = format!("{} was changed by somebody else meanwhile; run again", lossy(&self.paths.mails));
        Err(StoreError::new(ErrorKind::Changed, text))
    }

    /// A file with CRLF is not safe to be changed by servers, so all its messages are written anew. Gives the numbers under
    /// which they wait, by their places.
    fn stage_again(&self, before: &Snapshot, file: &File, staging: &mut Staging) -> Result<Vec<usize>, StoreError> {
        let handle = file.try_clone().map_err(|error| FsError::new("open", &self.paths.mails, error))?;
        let handle = Arc::new(handle);
        let stage = |found: ScannedMessage| {
            let bytes = VisibleMessage::new(Arc::clone(&handle), &found);
            staging.add(MessageBody { size: Some(found.visible_size), source: BodySource::Stream(Box::new(bytes)) })
        };
        (0..before.messages.len()).filter_map(|place| before.found(place)).map(stage).collect()
    }

    fn assembly<'b>(
        &'b self,
        before: &'b Snapshot,
        plan: &'b CommitPlan,
        changes: &MailboxChanges,
        identity: MailboxIdentity,
        file: Option<&'b File>,
        staging: &'b Staging,
    ) -> Assembly<'b> {
        Assembly {
            file,
            path: &self.paths.mails,
            before,
            plan,
            staging,
            uid_validity: identity.uid_validity.map_or(0, UidValidity::get),
            first_recent_uid: changes.first_recent_uid,
            now: now(),
        }
    }

    /// What the index is to say about the file. Servers look only at its size and at the second of its last change, so one of
    /// them must be another.
    fn header(
        &self,
        file: &File,
        before: &Snapshot,
        identity: MailboxIdentity,
        is_changed: bool,
    ) -> Result<MboxHeader, StoreError> {
        let path = &self.paths.mails;
        let look = || file.metadata().map_err(|error| FsError::new("look at", path, error));
        let mut metadata = look()?;
        let was = before.mark.map(|mark| mark.file());
        if is_changed && was.is_some_and(|was| was.looks_like(&metadata)) {
            mutation::set_modified(file, path, metadata.mtime().saturating_add(1))?;
            metadata = look()?;
        }
        let modified = u32::try_from(metadata.mtime()).unwrap_or(0);
        Ok(MboxHeader { size: metadata.len(), modified, guid: identity.guid })
    }

    fn write_index(
        &self,
        locked: Option<LockedIndex>,
        (changes, plan): (&MailboxChanges, CommitPlan),
        places: &[u64],
        header: MboxHeader,
        identity: MailboxIdentity,
    ) -> Result<Option<FileLock>, StoreError> {
        let highest_modseq = changes.highest_modseq.max(ModSeq::FIRST);
        let target = IndexTarget {
            mirrored: changes.origin == Origin::Mirrored,
            removed: plan.removed,
            uid_validity: identity.uid_validity.map_or(0, UidValidity::get),
            next_uid: plan.uid_next.get(),
            first_recent_uid: changes.first_recent_uid.get(),
            highest_modseq: highest_modseq.get(),
            reuses_uids: plan.reuses_uids,
            stale_in_cache: plan.stale,
            extensions: vec![header.extension(places.iter().copied())],
            messages: plan.messages.records().filter_map(|record| target_message(&record, highest_modseq)).collect(),
        };
        let dates = save_dates(plan.messages.records());
        drop(plan.messages);
        let files = index_files(self.paths).ok_or_else(|| self.gone())?;
        match locked {
            Some(locked) => Ok(Some(locked.change_to(target, &dates)?)),
            None => {
                mutation::create_directories(files.directory(), self.permissions)?;
                writer::create(&files, target, &dates, self.permissions, Durability::Now)?;
                Ok(None)
            }
        }
    }
}

/// Whether the lines of the file end with CRLF, as its first one does.
fn has_crlf(file: &File, path: &Path, before: &Snapshot) -> Result<bool, StoreError> {
    let first = before.file.pseudo.clone().or_else(|| before.found(0));
    let Some(end) = first.and_then(|first| first.header.checked_sub(2)) else { return Ok(false) };
    let mut bytes = [0; 2];
    file.read_exact_at(&mut bytes, end).map_err(|error| FsError::new("read", path, error))?;
    Ok(bytes == *b"\r\n")
}

fn write_all(file: &File, path: &Path, contents: &Contents, assembly: &Assembly<'_>) -> Result<(), StoreError> {
    let mut reader = PieceReader::new(&contents.pieces, assembly);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count =
            std::io::Read::read(&mut reader, &mut buffer).map_err(|error| FsError::new("write", path, error))?;
        if count == 0 {
            return Ok(());
        }
        mutation::write(file, path, buffer.get(..count).unwrap_or_default())?;
    }
}
