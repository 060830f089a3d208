//! The files of an sdbox mailbox around a commit: names for new and moved messages before the index is written, removals after.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dsync_core::model::{MessageKey, Uid};
use dsync_core::store::{ErrorKind, StoreError};

use super::commit::not_saved;
use super::commit_plan::CommitPlan;
use super::single;
use super::snapshot::Snapshot;
use super::sources::Source;
use super::staging::{StagedMessage, Staging, temporary_path};
use crate::fs::mutation;
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// The files of a mailbox, with what it was and what it is to be.
pub(super) struct MailFiles<'a> {
    pub(super) paths: &'a MailboxPaths,
    pub(super) before: &'a Snapshot,
    pub(super) plan: &'a CommitPlan,
}

impl MailFiles<'_> {
    /// Gives the files of an sdbox their names, and says where those are that were moved. No message loses its own before the
    /// index says so.
    pub(super) fn place(&self, staging: &mut Staging, is_hidden: bool) -> Result<BTreeMap<Uid, PathBuf>, StoreError> {
        let mut moved = Vec::new();
        let mut placed = BTreeMap::new();
        let mut any = false;
        for (place, source) in self.plan.sources.iter().enumerate() {
            let Some(uid) = self.plan.messages.uid_at(place) else { continue };
            if let Source::Kept(old, _) = source
                && old != uid
            {
                let from = self.file_of(old)?;
                let temporary = temporary_path(from.parent().unwrap_or(Path::new(".")));
                mutation::link(&from, &temporary)?;
                let to = from.with_file_name(format!("u.{uid}"));
                moved.push((temporary, to, uid));
            }
        }
        for (temporary, to, uid) in moved {
            self.set_aside_unknown(uid)?;
            mutation::rename(&temporary, &to)?;
            placed.insert(uid, to);
            any = true;
        }
        for (place, source) in self.plan.sources.iter().enumerate() {
            let (Some(uid), Source::Saved(saved)) = (self.plan.messages.uid_at(place), source) else { continue };
            let Some(StagedMessage::New { file, .. }) = staging.messages().get(saved as usize).copied() else {
                return Err(not_saved());
            };
            self.set_aside_unknown(uid)?;
            staging.files_mut().get_mut(file as usize).ok_or_else(not_saved)?.place(&self.place_of_new(uid))?;
            any = true;
        }
        if any && !is_hidden {
            for directory in [Some(&self.paths.mails), self.paths.alt.as_ref()].into_iter().flatten() {
                if directory.is_dir() {
                    mutation::sync_directory(directory)?;
                }
            }
        }
        Ok(placed)
    }

    fn place_of_new(&self, uid: Uid) -> PathBuf {
        self.paths.mails.join(format!("u.{uid}"))
    }

    fn file_of(&self, uid: Uid) -> Result<PathBuf, StoreError> {
        single::paths_of(self.paths, uid).find(|path| path.exists()).ok_or_else(|| {
            let text = format!("the file of the message with UID {uid} in {} is gone", lossy(&self.paths.mails));
            StoreError::new(ErrorKind::Changed, text)
        })
    }

    /// A file that the index does not know, or that cannot be read, gives up its name but stays: it may be a message that
    /// somebody lost.
    fn set_aside_unknown(&self, uid: Uid) -> Result<(), StoreError> {
        if self.before.messages.contains(uid) {
            return Ok(());
        }
        for path in single::paths_of(self.paths, uid) {
            if path.symlink_metadata().is_err() {
                continue;
            }
            // Servers complain about names that begin with `u.` and are none of theirs.
            let mut aside = path.with_file_name(format!("broken-u.{uid}"));
            let mut number = 1u32;
            while aside.symlink_metadata().is_ok() {
                number = number.saturating_add(1);
                aside = path.with_file_name(format!("broken-u.{uid}-{number}"));
            }
            mutation::rename(&path, &aside)?;
        }
        Ok(())
    }

    /// Removes the files of messages that are `gone`. Where another message has the UID now, only what lies in the other
    /// place than its file is out of date. `moved` is what [`place`](Self::place) said.
    pub(super) fn remove(
        &self,
        moved: &BTreeMap<Uid, PathBuf>,
        gone: impl Iterator<Item = Uid>,
    ) -> Result<(), StoreError> {
        for uid in gone.collect::<BTreeSet<_>>() {
            let index = self.plan.messages.index_of(MessageKey::Uid(uid));
            let is_new = index.is_some_and(|index| self.plan.sources.is_saved(index));
            let place = moved.get(&uid).cloned().or_else(|| is_new.then(|| self.place_of_new(uid)));
            if place.is_none() && index.is_some() {
                continue;
            }
            for path in single::paths_of(self.paths, uid).filter(|path| Some(path) != place.as_ref()) {
                mutation::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
