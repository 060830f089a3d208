//! What this side knows of a mailbox beside its list, before anything is said about it.

use super::exchange::Exchange;
use super::part::Part;
use super::{own, points, since};
use crate::model::{HistoryRange, MailboxHistory, SyncPoint, Uid};
use crate::session::selecting;
use crate::store::StoreError;

impl Exchange {
    /// Finds out what this side knows beside its list.
    pub(super) fn look(&mut self, history: Option<MailboxHistory>) -> Result<(), StoreError> {
        let mut history = match history {
            Some(history) => history,
            None if self.terms.part.is_copying() => MailboxHistory::default(),
            None => {
                let points = self.own.mailbox.sync_points();
                let agreed = points.iter().map(|point| point.highest_modseq).max().unwrap_or_default();
                let whole = self.own.mailbox.history(HistoryRange { since: None, mirrored_until: agreed })?;
                let other = own::status_of(&self.other_info);
                // One that was put back from an older copy needs all of it.
                let has_gone_on = |point: &SyncPoint| {
                    other.identity.uid_validity == Some(point.uid_validity) && other.uid_next >= point.uid_next
                };
                match points::last_with(&self.own, self.terms.peer).filter(has_gone_on) {
                    Some(last) => since::with_flags_since(&mut self.own, whole, last, &self.terms)?,
                    None => whole,
                }
            }
        };
        let needs_content = self.by_hash && self.other_info.message_count > 0;
        for place in 0..self.own.messages().len() {
            let Some(uid) = self.own.messages().uid_at(place) else { continue };
            let mut content = None;
            if needs_content {
                let body = self.own.mailbox.body(self.own.key(uid)).ok();
                let hash = body.and_then(|body| self.terms.hashing.of(body));
                self.known.hashes.extend(hash.map(|hash| (place, hash)));
                content = hash.map(|hash| self.terms.hashing.content(hash, uid, self.terms.part));
                self.is_comparable &= content.is_some();
                self.contents.extend(content.map(|content| (place, content)));
            }
            let flags = history.flags.remove(&uid).filter(|history| !history.is_empty());
            let is_common = self.since.is_some_and(|since| uid <= since.last);
            let selected = is_common || self.is_selected(place, uid);
            self.known.leaves_out |= !selected;
            self.known.notes.push(place, flags, content, selected);
        }
        let uid_next = self.own.status().uid_next;
        self.known.expunged = history.expunged;
        if let Some(since) = self.since {
            since::up_to(since, &mut self.known);
        }
        let own = self.own.messages();
        self.known.expunged.retain(|uid, _| *uid < uid_next && !own.contains(*uid));
        if self.by_hash && self.since.is_none() && self.terms.part != Part::Source {
            let common = points::common_below(&self.own, &self.other_info, self.terms.peer);
            self.known.expunged.retain(|uid, _| common.is_some_and(|next| *uid < next));
        }
        Ok(())
    }

    /// Whether the other side expunged a message that both had, if it says that it expunged that UID. Without GUIDs our own program
    /// tells only those; of others it is believed of the UIDs that both had when they last were the same.
    pub(super) fn proves_expunge(&self, uid: Uid) -> bool {
        let is_told_by_proof = !self.by_hash || self.since.is_some() || self.terms.hashing.is_by_contents();
        is_told_by_proof || points::last_with(&self.own, self.terms.peer).is_some_and(|point| uid < point.uid_next)
    }

    /// Whether a message of this side is chosen. Notes its size if that matters.
    pub(super) fn is_selected(&mut self, place: usize, uid: Uid) -> bool {
        if self.terms.selection.is_all() {
            return true;
        }
        let Some(record) = self.own.messages().at(place) else { return true };
        let mut fits = self.terms.selection.contains_apart_from_size(&record);
        if let Some(max) = self.terms.selection.max_size {
            let body = self.own.mailbox.body(self.own.key(uid)).ok();
            // One that cannot be read is reported when it is to be copied.
            if let Some(size) = body.and_then(selecting::size_for_clients) {
                self.known.sizes.insert(place, size);
                fits &= size <= max;
            }
        }
        fits
    }
}
