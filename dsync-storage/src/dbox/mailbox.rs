//! An open mailbox of an mdbox or sdbox.

use std::sync::Arc;

use dsync_core::model::{
    Glance, HistoryRange, MailboxHistory, MailboxIdentity, MailboxName, MailboxStatus, MessageKey, MessageList,
    MessageRecord, SyncPoint, Uid,
};
use dsync_core::store::{ErrorKind, Mailbox, MailboxChanges, MessageBody, SavedBody, StoreError};

use super::commit::{self, Held, Target, Work};
use super::commit_plan;
use super::header::MdboxRecord;
use super::known;
use super::marks;
use super::shared::{Shared, corrupt};
use super::single;
use super::snapshot::{self, Snapshot, Stored};
use super::staging::Staging;
use super::storage::Located;
use crate::content::{self, AttachmentFiles};
use crate::fs::clock::now;
use crate::fs::permissions::Permissions;
use crate::index;
use crate::index::reading::IndexMark;
use crate::list::build::Build;
use crate::list::changes as list_changes;
use crate::list::hidden::{self, HiddenPlaces};
use crate::list::layout::MailboxPaths;
use crate::text::lossy;

/// A mailbox as it was when it was opened, or after the last commit.
pub(super) struct DboxMailbox {
    shared: Arc<Shared>,
    name: MailboxName,
    paths: MailboxPaths,
    permissions: Permissions,
    snapshot: Snapshot,
    staging: Option<Staging>,
    /// The hidden place where the mailbox is while it is new.
    build: Option<Build>,
    /// What keeps others from changing it.
    held: Option<Held>,
}

impl DboxMailbox {
    /// Opens a mailbox that exists.
    pub(super) fn open(shared: Arc<Shared>, name: MailboxName, paths: MailboxPaths) -> Result<Self, StoreError> {
        let permissions = Permissions::like(&paths.mails, &shared.context.roots.mails);
        let snapshot = snapshot::look(&shared, &paths)?;
        if !shared.context.read_only {
            shared.note_files(&paths, &snapshot);
            if shared.storage.is_none() {
                // The storage of an mdbox was cleaned with the roots.
                hidden::remove_abandoned_in(&paths.mails, HiddenPlaces::DBOX.prefix)?;
                // Another time, if somebody is just at work in the mailbox.
                let _ = single::remove_expunged(&paths, &snapshot, &permissions);
            }
        }
        Ok(Self { shared, name, paths, permissions, snapshot, staging: None, build: None, held: None })
    }

    /// Opens a mailbox that is still being built.
    pub(super) fn building(shared: Arc<Shared>, name: MailboxName, build: Build, permissions: Permissions) -> Self {
        let paths = build.paths().clone();
        let snapshot = Snapshot::of_new(build.identity());
        Self { shared, name, paths, permissions, snapshot, staging: None, build: Some(build), held: None }
    }

    fn target(&self) -> Target<'_> {
        Target { shared: &self.shared, paths: &self.paths, permissions: &self.permissions, name: &self.name }
    }

    fn staging(&mut self) -> &mut Staging {
        let (directory, rotate_size) = match &self.shared.storage {
            Some(storage) => (storage.primary().to_owned(), Some(self.shared.settings.rotate_size)),
            None => (self.paths.mails.clone(), None),
        };
        let (permissions, compression) = (self.permissions, self.shared.context.compression);
        self.staging.get_or_insert_with(|| Staging::new(directory, permissions, rotate_size, compression))
    }

    fn locate(&self, uid: Uid, stored: Stored, record: &MessageRecord) -> Result<Located, StoreError> {
        let indexed = MdboxRecord { map_uid: stored.map_uid, saved: 0, guid: record.guid.to_128() };
        let located = match &self.shared.storage {
            Some(storage) => {
                // A busy server changes the map all the time. Where a GUID shows whether it is right, an old one is as good.
                let last = storage.last_map_with(stored.map_uid).filter(|_| indexed.guid != [0; 16]);
                let map = last.or_else(|| storage.map().ok());
                let map = map.filter(|map| map.map().uid_validity() == self.snapshot.header.first);
                snapshot::locate(storage, map.as_deref(), &indexed)?
            }
            None => single::locate(&self.paths, uid)?,
        };
        // The mailbox may be another one by now.
        match snapshot::guid(&located.message.metadata, &indexed) {
            Some(guid) if guid == record.guid => Ok(located),
            _ => Err(corrupt(&format!("{} holds another message in its place", lossy(&located.file.path)))),
        }
    }

    /// Why a message that was there cannot be read: because it is gone, or because of its bytes.
    fn explain(&self, uid: Uid, error: StoreError) -> StoreError {
        let state = snapshot::index_files(&self.paths).and_then(|files| snapshot::read(&self.shared, &files));
        let is_gone = match state {
            Ok((state, _)) => state.view.index_of(uid.get()).is_none(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        let kind = if is_gone { ErrorKind::NotFound } else { ErrorKind::Source };
        StoreError::new(kind, format!("the message with UID {uid} in {}: {error}", lossy(&self.paths.mails)))
    }

    /// The storage may have the message that was just taken: in another mailbox.
    fn share_last(&mut self, record: &MessageRecord) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let guid = record.guid.to_128();
        let staging = self.staging();
        if let Some(storage) = &shared.storage {
            let candidates = shared.known_numbers(guid)?;
            if candidates.is_empty() {
                return Ok(());
            }
            let (Some(last), Ok(map)) = (staging.last()?, storage.map()) else { return Ok(()) };
            let usable = candidates.into_iter().filter_map(|map_uid| map.map().get(map_uid)).find(|entry| {
                let waiting = staging.known().get(&entry.map_uid).copied().unwrap_or(0);
                entry.references > 0
                    && entry.takes(waiting.saturating_add(1))
                    && storage.locate(entry.place).is_ok_and(|located| known::is_same(&located, &last))
            });
            if let Some(entry) = usable {
                staging.replace_last_by_known(entry.map_uid)?;
            }
            return Ok(());
        }
        let Some(located) = shared.known_file(guid) else { return Ok(()) };
        if let Some(last) = staging.last()?
            && known::is_same(&located, &last)
        {
            staging.replace_last_by_link(&located.file.path)?;
        }
        Ok(())
    }

    /// Stores messages again whose dates or POP3 data change.
    fn rewrite(&mut self, plan: &mut commit_plan::CommitPlan) -> Result<(), StoreError> {
        for place in std::mem::take(&mut plan.rewrite) {
            let (Some(record), Some(uid)) = (plan.messages.at(place), plan.sources.uid_before(place)) else {
                continue;
            };
            let body = self.body(MessageKey::Uid(uid))?;
            let saved = self.save(&record, body)?;
            plan.sources.set(place, saved.into());
        }
        Ok(())
    }
}

impl Mailbox for DboxMailbox {
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
        self.snapshot.doomed.is_empty()
    }

    fn history(&mut self, range: HistoryRange) -> Result<MailboxHistory, StoreError> {
        if self.build.is_some() {
            return Ok(MailboxHistory::default());
        }
        Ok(index::mailbox::history(&snapshot::index_files(&self.paths)?, range)?)
    }

    fn sync_points(&self) -> &[SyncPoint] {
        &self.snapshot.points
    }

    fn remember(&mut self, point: SyncPoint) -> Result<(), StoreError> {
        self.shared.context.refuse_if_read_only()?;
        self.release();
        let mut locked = commit::lock_index(&self.paths, None, &self.permissions)?;
        let unchanged = self.snapshot.mark == Some(IndexMark::of(locked.state()));
        index::mailbox::remember(&mut locked, point)?;
        let marks = self.snapshot.marks.take().filter(|_| unchanged);
        self.snapshot.marks = marks.map(|marks| marks::with_new_index(marks, &self.shared, &self.paths));
        if unchanged {
            self.snapshot.mark = Some(IndexMark::of(locked.state()));
        }
        self.snapshot.points = point.added_to(&self.snapshot.points);
        Ok(())
    }

    fn hold(&mut self) -> Result<(), StoreError> {
        self.shared.context.refuse_if_read_only()?;
        if self.build.is_none() && self.held.is_none() {
            self.held = Some(self.target().hold(&self.snapshot)?);
        }
        Ok(())
    }

    fn release(&mut self) {
        self.held = None;
    }

    fn body(&mut self, message: MessageKey) -> Result<MessageBody, StoreError> {
        let found = self
            .messages()
            .index_of(message)
            .and_then(|place| Some((self.messages().at(place)?, *self.snapshot.stored.get(place)?)));
        let Some((record, stored)) = found else {
            let text = format!("mailbox {} has no {message}", self.name);
            return Err(StoreError::new(ErrorKind::NotFound, text));
        };
        let uid = record.uid.unwrap_or(Uid::FIRST);
        let located = self.locate(uid, stored, &record).map_err(|error| self.explain(uid, error))?;
        let suffix = match (&self.shared.storage, self.snapshot.status.identity.guid) {
            (None, Some(guid)) => format!("-{guid}-{uid}"),
            _ => String::new(),
        };
        let files = AttachmentFiles { directory: self.shared.settings.attachments.as_deref(), suffix: &suffix };
        content::open_message(located.body(), &located.message.metadata, &files, &located.file.path)
    }

    fn save(&mut self, message: &MessageRecord, body: MessageBody) -> Result<SavedBody, StoreError> {
        self.shared.context.refuse_if_read_only()?;
        let name = match self.shared.storage {
            Some(_) => Some(self.shared.context.naming.stored_parts(&self.name).join("/")),
            None => None,
        };
        let number = self.staging().add(message, body, name.as_deref().map(str::as_bytes))?;
        self.share_last(message)?;
        Ok(SavedBody(number))
    }

    fn commit(&mut self, changes: MailboxChanges) -> Result<(), StoreError> {
        let mut changes = changes;
        self.shared.context.refuse_if_read_only()?;
        let identity_before = self.snapshot.status.identity;
        let wanted = changes.identity.or(identity_before);
        // What is locked to decide an identity comes before what is held.
        let held = self.held.take().filter(|_| wanted.is_decided());
        let identity: MailboxIdentity =
            list_changes::decide_identity(&self.shared.context, wanted, &self.permissions)?;
        let mut plan = commit_plan::plan(&self.snapshot, &mut changes, identity, now())?;
        self.rewrite(&mut plan)?;
        self.staging();
        let Some(mut staging) = self.staging.take() else { return Ok(()) };
        let work =
            Work { before: &self.snapshot, changes: &changes, plan: &plan, uid_validity: identity.uid_validity };
        let build = self.build.take();
        let committed = self.target().commit(&work, &mut staging, build, held)?;
        self.paths = committed.paths;
        let problems = if plan.lost.is_empty() { Vec::new() } else { std::mem::take(&mut self.snapshot.problems) };
        self.shared.note_saved(&plan, &committed.stored, &self.paths);
        drop(changes);
        let (messages, lost) = (plan.messages, plan.lost);
        drop(plan.sources);
        self.snapshot = Snapshot::after(&self.shared, &self.paths, messages, committed.stored, lost, problems)?;
        // A server may wait for it while it holds the list, which is told next.
        drop(committed.lock);
        list_changes::note_identity(&self.shared.context, identity_before, identity)
    }
}
