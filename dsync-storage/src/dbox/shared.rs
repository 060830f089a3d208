//! What all mailboxes of one opened mdbox or sdbox share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dsync_core::store::{ErrorKind, StoreError};

use super::commit_plan::CommitPlan;
use super::known::{KnownFiles, KnownNumbers};
use super::snapshot::{Snapshot, Stored};
use super::sources::Source;
use super::storage::{Located, MessageFile, Storage};
use crate::list::context::Context;
use crate::list::layout::MailboxPaths;
use crate::location::Driver;
use crate::settings::Settings;

/// A store that was opened.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Context,
    pub(super) settings: Settings,
    /// The storage of an mdbox; an sdbox has its messages in the mailboxes.
    pub(super) storage: Option<Arc<Storage>>,
    known: Mutex<Known>,
}

/// Messages that a new one may turn out to be.
#[derive(Debug, Default)]
struct Known {
    /// Of an mdbox; read when it is first asked.
    numbers: Option<KnownNumbers>,
    /// Of an sdbox, as far as its mailboxes were opened.
    files: KnownFiles,
}

impl Shared {
    pub(super) fn new(context: Context, settings: Settings, storage: Option<Storage>) -> Self {
        Self { context, settings, storage: storage.map(Arc::new), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers in the map of the messages with this GUID.
    ///
    /// # Errors
    /// If the mailboxes cannot be listed.
    pub(super) fn known_numbers(&self, guid: [u8; 16]) -> Result<Vec<u32>, StoreError> {
        let mut known = self.known();
        let mut numbers = match known.numbers.take() {
            Some(numbers) => numbers,
            None => KnownNumbers::read(self)?,
        };
        let found = numbers.with_guid(guid);
        known.numbers = Some(numbers);
        Ok(found)
    }

    /// A message of an sdbox with this GUID, in any mailbox that was opened.
    pub(super) fn known_file(&self, guid: [u8; 16]) -> Option<Located> {
        let path = {
            let mut known = self.known();
            let (directory, uid) = known.files.with_guid(guid)?;
            directory.join(format!("u.{uid}"))
        };
        let file = Arc::new(MessageFile::open(&path).ok()?);
        file.message(file.first, None).ok()
    }

    /// Notes the files of an sdbox mailbox.
    pub(super) fn note_files(&self, paths: &MailboxPaths, snapshot: &Snapshot) {
        if self.storage.is_none() {
            let records = snapshot.messages.records();
            let messages = records.filter_map(|record| Some((record.guid.to_128(), record.uid?.get())));
            self.known().files.add(&paths.mails, messages);
        }
    }

    /// Notes the messages that a commit has added.
    pub(super) fn note_saved(&self, plan: &CommitPlan, stored: &[Stored], paths: &MailboxPaths) {
        let saved = plan.placed().zip(stored).filter(|((_, source), _)| matches!(source, Source::Saved(_)));
        let known = &mut *self.known();
        match &self.storage {
            Some(_) => {
                if let Some(numbers) = &mut known.numbers {
                    saved.for_each(|((record, _), stored)| numbers.add(record.guid.to_128(), stored.map_uid));
                }
            }
            None => {
                let messages = saved.filter_map(|((record, _), _)| Some((record.guid.to_128(), record.uid?.get())));
                known.files.add(&paths.mails, messages);
            }
        }
    }

    /// The format.
    pub(super) fn driver(&self) -> Driver {
        if self.storage.is_some() { Driver::Mdbox } else { Driver::Sdbox }
    }

    /// The name of the header that a mailbox has in its index.
    pub(super) fn header_name(&self) -> &'static str {
        match &self.storage {
            Some(_) => super::header::MDBOX_HEADER,
            None => super::header::SDBOX_HEADER,
        }
    }
}

/// What cannot be understood, with the advice that helps.
pub(super) fn corrupt(text: &str) -> StoreError {
    StoreError::new(ErrorKind::Corrupt, format!("{text} (doveadm force-resync makes a server repair it)"))
}
