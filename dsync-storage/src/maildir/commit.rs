//! Carrying out a commit, in the order that survives a crash at any point.
//!
//! 1. Lock the uidlist, then the index; look again: if anything is not as it was when the changes were decided, stop. Files that
//!    were delivered since do not count, as they have no UID yet: to a busy mailbox there is always one.
//! 2. Make the bytes of new messages durable.
//! 3. Keywords, so that no letter is ever without a name.
//! 4. Files: new ones into place, then other names, dates, removals. Make the directories durable.
//! 5. The uidlist, replaced as a whole.
//! 6. The index.
//!
//! A crash after 4 leaves files without a line, which get a UID from whoever looks next; after 5, lines without an index
//! record, which a server adds with their UIDs. Running again then repairs what differs.

use std::time::{Duration, SystemTime};

use dsync_core::model::{MailboxIdentity, MailboxName, MessageGuid, ModSeq, UidValidity};
use dsync_core::store::{ErrorKind, MailboxChanges, NewMessages, Origin, StoreError};

use super::commit_plan::{self, CommitPlan, Found};
use super::keywords::{self, KeywordSlots};
use super::listing;
use super::snapshot::{self, IndexHealth, Snapshot};
use super::staging::StagedFile;
use super::uidlist::{self, UidList};
use crate::fs::dotlock::{Dotlock, DotlockRules};
use crate::fs::lock::FileLock;
use crate::fs::permissions::Permissions;
use crate::fs::replace::{self, Durability};
use crate::fs::{FsError, mutation, read, unique};
use crate::index::files::IndexFiles;
use crate::index::mailbox::{save_dates, target_message};
use crate::index::target::IndexTarget;
use crate::index::writer::{self, IndexLock, LockedIndex};
use crate::list;
use crate::list::context::Context;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// From how many new messages on it is cheaper to sync the whole file system than each file.
const MANY: usize = 8;

/// The mailbox that is changed.
pub(super) struct Target<'a> {
    pub(super) context: &'a Context,
    pub(super) paths: &'a MailboxPaths,
    pub(super) permissions: &'a Permissions,
    pub(super) name: &'a MailboxName,
    /// It was there before, so it must still be.
    pub(super) existed: bool,
    /// Nobody else can see it yet, and everything will be made durable before they can.
    pub(super) hidden: bool,
}

/// A mailbox that nobody else can change, if they take locks; released when dropped.
#[derive(Debug)]
pub(super) struct Held {
    index: Option<IndexLock>,
    uidlist: Dotlock,
}

/// Makes the directories of a mailbox that are missing.
pub(super) fn prepare_directories(paths: &MailboxPaths, permissions: &Permissions) -> Result<(), FsError> {
    for subdirectory in ["tmp", "new", "cur"] {
        mutation::create_directories(&paths.mails.join(subdirectory), permissions)?;
    }
    mutation::create_directories(&paths.control, permissions)?;
    match &paths.index {
        Some(index) => mutation::create_directories(index, permissions),
        None => Ok(()),
    }
}

impl Target<'_> {
    /// Keeps others from changing a mailbox that exists, and must still be as it was.
    pub(super) fn hold(&self, before: &Snapshot) -> Result<Held, StoreError> {
        let (index, uidlist) = self.lock(before)?;
        let index = index.map(LockedIndex::forget_state);
        let (found, _) = snapshot::look_again(self.paths, &before.joined.files)?;
        self.refuse_if_changed(before, &found)?;
        Ok(Held { index, uidlist })
    }

    /// Locks the uidlist, then the index.
    fn lock(&self, before: &Snapshot) -> Result<(Option<LockedIndex>, Dotlock), StoreError> {
        let uidlist = self.lock_uidlist()?;
        if self.existed {
            // Whoever deletes or renames takes no lock that we hold, so this is asked again as late as possible.
            listing::refuse_if_gone(self.context, self.name, self.paths)?;
            prepare_directories(self.paths, self.permissions)?;
        }
        Ok((self.lock_index(before)?, uidlist))
    }

    fn lock_index(&self, before: &Snapshot) -> Result<Option<LockedIndex>, StoreError> {
        match (&self.paths.index, before.index) {
            (Some(directory), IndexHealth::Sound) => {
                Ok(Some(LockedIndex::lock(&IndexFiles::of_mailbox(directory), self.permissions)?))
            }
            _ => Ok(None),
        }
    }

    /// The index of a visible mailbox that has none: a server may just be making one.
    fn begin_index(&self) -> Result<Option<LockedIndex>, StoreError> {
        let Some(directory) = &self.paths.index else { return Ok(None) };
        let index = LockedIndex::lock(&IndexFiles::of_mailbox(directory), self.permissions)?;
        let is_empty = index.view().uid_validity() == 0 && index.view().messages().is_empty();
        if is_empty { Ok(Some(index)) } else { Err(self.changed()) }
    }

    /// Carries `changes` out, which were decided on what `before` shows. The mailbox may be `held`. Gives it as it is then.
    pub(super) fn commit(
        &self,
        before: &Snapshot,
        changes: &mut MailboxChanges,
        staged: &mut [StagedFile],
        held: Option<Held>,
    ) -> Result<Snapshot, StoreError> {
        self.sync_staged(staged)?;
        if !self.existed {
            prepare_directories(self.paths, self.permissions)?;
        }
        let (index, lock) = match held {
            Some(Held { index, uidlist }) => (index.map(IndexLock::read_again).transpose()?, Some(uidlist)),
            None if self.hidden => (self.lock_index(before)?, None),
            None => {
                let (index, uidlist) = self.lock(before)?;
                (index, Some(uidlist))
            }
        };
        let (found, uidlist) = snapshot::look_again(self.paths, &before.joined.files)?;
        self.refuse_if_changed(before, &found)?;
        if let Some(obstacle) = &found.joined.obstacle {
            // The uidlist would not know the message any more, and the other side would learn that it was expunged.
            let text =
                format!("{obstacle}; nothing is changed in the mailbox while that is in the place of a message");
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        let index = match before.index {
            IndexHealth::Missing if !self.hidden => self.begin_index()?,
            _ => index,
        };
        let wanted = changes.identity.or(found.joined.status.identity);
        let identity = list::changes::decide_identity(self.context, wanted, self.permissions)?;
        let sizes = |number: usize| staged.get(number).map(StagedFile::sizes);
        let view = Found { joined: &found.joined, uidlist: &uidlist, slots: &found.slots };
        let mut plan = commit_plan::plan(&self.paths.mails, view, changes, &sizes, identity, &mut unique::file_name)?;
        // The plan has everything now, and there may be millions.
        changes.add = NewMessages::default();
        self.write_keywords(&found.slots, &plan.slots)?;
        self.move_files(&plan, staged)?;
        self.write_uidlist(&plan)?;
        plan.uidlist = UidList::default();
        let index = self.write_index(index, &uidlist, changes, &plan, identity)?;
        drop(plan);
        let (after, _) = snapshot::look_again(self.paths, &found.joined.files)?;
        drop((index, lock));
        list::changes::note_identity(self.context, found.joined.status.identity, identity)?;
        Ok(after)
    }

    fn durability(&self) -> Durability {
        if self.hidden { Durability::Later } else { Durability::Now }
    }

    fn sync_staged(&self, staged: &[StagedFile]) -> Result<(), FsError> {
        if self.hidden {
            return Ok(());
        }
        if staged.len() >= MANY {
            return mutation::sync_file_system(&self.paths.mails);
        }
        for file in staged {
            let path = file.path();
            let (open, _) = read::open(&path)?;
            mutation::sync_file(&open, &path)?;
        }
        Ok(())
    }

    fn lock_uidlist(&self) -> Result<Dotlock, FsError> {
        let path = self.paths.control.join(uidlist::FILE_NAME);
        let lock = self.paths.control.join(format!("{}.lock", uidlist::FILE_NAME));
        Dotlock::take(&lock, &path, DotlockRules::UIDLIST, self.permissions)
    }

    fn refuse_if_changed(&self, before: &Snapshot, now: &Snapshot) -> Result<(), StoreError> {
        if self.hidden {
            return Ok(());
        }
        let same = before.joined.messages == now.joined.messages
            && before.joined.files_digest == now.joined.files_digest
            && before.uidlist_digest == now.uidlist_digest
            && before.index == now.index;
        if same {
            return Ok(());
        }
        Err(self.changed())
    }

    fn changed(&self) -> StoreError {
        let text = format!("{} was changed by somebody else meanwhile; run again", lossy(&self.paths.mails));
        StoreError::new(ErrorKind::Changed, text)
    }

    fn write_keywords(&self, before: &KeywordSlots, after: &KeywordSlots) -> Result<(), FsError> {
        if before == after {
            return Ok(());
        }
        let path = self.paths.control.join(keywords::FILE_NAME);
        // The lock of the uidlist protects this file too; servers make it in the same way.
        let temporary = self.paths.control.join(format!("{}.lock", keywords::FILE_NAME));
        let old = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        replace::replace(&path, &temporary, &after.encode(), self.permissions, self.durability())?;
        // Servers look only at the second of the last change, so each change needs one of its own.
        if let Some(old) = old {
            let second =
                |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
            if second(SystemTime::now()) <= second(old) {
                let (file, _) = read::open(&path)?;
                let next = second(old).saturating_add(1);
                mutation::set_modified(&file, &path, i64::try_from(next).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }

    fn move_files(&self, plan: &CommitPlan, staged: &mut [StagedFile]) -> Result<(), StoreError> {
        let mut placed = false;
        for (number, path) in plan.placed(&self.paths.mails) {
            if let Some(file) = staged.get_mut(number) {
                file.place(&path)?;
                placed = true;
            }
        }
        for (from, to) in &plan.rename {
            // Two different messages may share a base name if somebody copied files by hand.
            mutation::rename_to_free_name(from, to)?;
        }
        for (path, received) in &plan.date {
            let (file, _) = read::open_below(path, &self.paths.root)?;
            mutation::set_modified(&file, path, received.seconds())?;
        }
        for path in &plan.remove {
            mutation::remove_file(path)?;
        }
        let moved = placed || !(plan.rename.is_empty() && plan.remove.is_empty());
        if moved && !self.hidden {
            mutation::sync_directory(&self.paths.mails.join("new"))?;
            mutation::sync_directory(&self.paths.mails.join("cur"))?;
        }
        Ok(())
    }

    fn write_uidlist(&self, plan: &CommitPlan) -> Result<(), FsError> {
        let path = self.paths.control.join(uidlist::FILE_NAME);
        if path.exists() && replace::holds(&path, &plan.uidlist.encode())? {
            return Ok(());
        }
        let temporary = self.paths.control.join(format!("{}.tmp", uidlist::FILE_NAME));
        replace::replace_with(&path, &temporary, self.permissions, self.durability(), &|file| {
            plan.uidlist.encode_in_pieces(&mut |piece| mutation::write(file, &temporary, piece))
        })
    }

    fn write_index(
        &self,
        locked: Option<LockedIndex>,
        before: &UidList,
        changes: &MailboxChanges,
        plan: &CommitPlan,
        identity: MailboxIdentity,
    ) -> Result<Option<FileLock>, StoreError> {
        let Some(directory) = &self.paths.index else { return Ok(None) };
        // Also those whose files were gone already.
        let gone = before.entries.iter().filter(|entry| !plan.messages.contains(entry.uid));
        let removed = gone.filter_map(|entry| {
            let guid = MessageGuid::new(entry.guid())?;
            Some((entry.uid.get(), guid.to_128()))
        });
        let highest_modseq = changes.highest_modseq.max(ModSeq::FIRST);
        let target = IndexTarget {
            mirrored: changes.origin == Origin::Mirrored,
            removed: removed.collect(),
            uid_validity: identity.uid_validity.map_or(0, UidValidity::get),
            next_uid: changes.uid_next.get(),
            first_recent_uid: changes.first_recent_uid.get(),
            highest_modseq: highest_modseq.get(),
            reuses_uids: plan.reuses_uids,
            stale_in_cache: plan.redated.clone(),
            extensions: Vec::new(),
            messages: plan.messages.records().filter_map(|record| target_message(&record, highest_modseq)).collect(),
        };
        let dates = save_dates(&plan.messages);
        let files = IndexFiles::of_mailbox(directory);
        match locked {
            Some(locked) => Ok(Some(locked.change_to(target, &dates)?)),
            None => {
                writer::create(&files, target, &dates, self.permissions, self.durability())?;
                Ok(None)
            }
        }
    }
}
