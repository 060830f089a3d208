//! Requests to the storage that have not been carried out yet.

use super::IndexView;
use crate::index::log::{Change, LogRecord, UidRange};

impl IndexView {
    /// Notes a request that has not been carried out.
    pub(in crate::index) fn note_pending(&mut self, record: &LogRecord) {
        if record.external {
            return;
        }
        let uids = |view: &Self, ranges: &mut dyn Iterator<Item = UidRange>| -> Vec<u32> {
            let places = ranges.flat_map(|range| view.places(range));
            places.filter_map(|place| view.index.messages.get(place)).map(|(uid, _)| *uid).collect()
        };
        match &record.change {
            Change::Expunge(ranges) => {
                let uids = uids(self, &mut ranges.iter().copied());
                self.pending_expunges.extend(uids);
            }
            Change::ExpungeGuid(messages) => {
                let ranges = messages.iter().map(|(uid, _)| UidRange { first: *uid, last: *uid });
                let uids = uids(self, &mut ranges.into_iter());
                self.pending_expunges.extend(uids);
            }
            Change::FlagUpdate(updates) => {
                let uids = uids(self, &mut updates.iter().map(|update| update.uids));
                self.pending_changes.extend(uids);
            }
            Change::KeywordUpdate { uids: ranges, .. } | Change::KeywordReset(ranges) => {
                let uids = uids(self, &mut ranges.iter().copied());
                self.pending_changes.extend(uids);
            }
            _ => {}
        }
    }

    /// The log was rotated, which happens only when nothing is left to be carried out.
    pub(in crate::index) fn forget_requests(&mut self) {
        self.pending_expunges.clear();
        self.pending_changes.clear();
    }

    pub(super) fn forget_requests_for_missing(&mut self) {
        let messages = &self.index.messages;
        let there = |uid: &u32| messages.binary_search_by_key(uid, |(uid, _)| *uid).is_ok();
        self.pending_expunges.retain(there);
        self.pending_changes.retain(there);
    }
}
