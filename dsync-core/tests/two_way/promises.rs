//! What must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxName, MessageRecord, ModSeq, Uid, UidValidity};
use dsync_core::store::MailStore;

use crate::clients::{Content, Done, flag_names, mailboxes, messages};

/// What clients did that must not be lost.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    delivered: BTreeSet<Content>,
    /// Somebody expunged an instance of it.
    expunged: BTreeSet<Content>,
    /// There may be, or may have been, several of it.
    copied: BTreeSet<Content>,
    /// What was remembered about it is not complete.
    forgotten: BTreeSet<Content>,
    /// By message, flag or keyword and side: what it was made to be since the sides were last equal.
    changes: BTreeMap<(Content, String), [Option<bool>; 3]>,
    /// Nothing is promised about flags.
    flags_are_uncertain: bool,
}

impl Promises {
    pub(crate) fn note(&mut self, side: usize, done: &Done) {
        match done {
            Done::Nothing => {}
            Done::Delivered(content) => drop(self.delivered.insert(*content)),
            Done::Copied(content) | Done::Moved(content) => drop(self.copied.insert(*content)),
            Done::Expunged(contents) => self.expunged.extend(contents),
            Done::Forgot(contents) => self.forgotten.extend(contents),
            Done::Changed(content, changes) => {
                for (flag, set) in changes {
                    self.changes.entry((*content, flag.clone())).or_default()[side] = Some(*set);
                }
            }
        }
    }

    /// Something happened that may cost flags.
    pub(crate) fn give_up_flags(&mut self) {
        self.flags_are_uncertain = true;
    }

    /// Checks a store after both sides became equal.
    pub(crate) fn check(&self, store: &mut MemoryStore) {
        let mut present: BTreeMap<Content, Vec<MessageRecord>> = BTreeMap::new();
        for mailbox in mailboxes(store) {
            for (record, content) in messages(store, &mailbox) {
                present.entry(content).or_default().push(record);
            }
        }
        for content in self.delivered.difference(&self.expunged) {
            assert!(present.contains_key(content), "message {content} was lost");
        }
        if self.flags_are_uncertain {
            return;
        }
        for ((content, flag), sides) in &self.changes {
            let mut wanted = sides.iter().flatten();
            let Some(set) = wanted.next() else { continue };
            let certain = wanted.all(|other| other == set);
            let records = present.get(content).map_or(&[][..], Vec::as_slice);
            let clear = [&self.copied, &self.forgotten, &self.expunged].iter().all(|set| !set.contains(content));
            if !certain || !clear || records.len() != 1 {
                continue;
            }
            let record = &records[0];
            let is_set = flag_names(record.flags, true).contains(&(flag.clone(), true))
                || record.keywords.iter().any(|keyword| keyword.as_str() == flag);
            assert_eq!(
                is_set, *set,
                "{flag} of message {content} is not what the only client that changed it wanted"
            );
        }
    }

    /// From now on both sides are equal.
    pub(crate) fn start_anew(&mut self) {
        self.changes.clear();
        self.flags_are_uncertain = false;
        self.forgotten.clear();
    }
}

/// What the clients of one side have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    messages: BTreeMap<(MailboxName, UidValidity, Uid), Content>,
    records: BTreeMap<(MailboxName, UidValidity), (ModSeq, BTreeMap<Uid, MessageRecord>)>,
    uid_next: BTreeMap<(MailboxName, UidValidity), Uid>,
}

impl Seen {
    /// Looks at everything; whatever changed since the last look must be noticeable.
    pub(crate) fn look(&mut self, store: &mut MemoryStore, exact: bool) {
        for mailbox in mailboxes(store) {
            let status = store.open(&mailbox).unwrap().status().clone();
            let key = (mailbox.clone(), status.identity.uid_validity.unwrap());
            let highest = status.highest_modseq.unwrap();
            let mut now = BTreeMap::new();
            for (record, content) in messages(store, &mailbox) {
                let uid = record.uid.unwrap();
                let known = self.messages.insert((key.0.clone(), key.1, uid), content);
                assert!(known.is_none_or(|known| known == content), "UID {uid} of {mailbox} changed its meaning");
                assert!(record.modseq.unwrap() <= highest, "a modseq is greater than the highest");
                now.insert(uid, record);
            }
            let uid_next = self.uid_next.insert(key.clone(), status.uid_next);
            assert!(uid_next.is_none_or(|before| before <= status.uid_next), "UIDNEXT of {mailbox} went back");
            if let Some((before_highest, before)) = self.records.get(&key)
                && exact
            {
                assert!(*before_highest <= highest, "HIGHESTMODSEQ of {mailbox} went back");
                for (uid, record) in &now {
                    let was = before.get(uid);
                    let modseq = record.modseq.unwrap();
                    assert!(was.is_none_or(|was| was.modseq.unwrap() <= modseq), "a modseq of {mailbox} went back");
                    let same = was.is_some_and(|was| was.flags == record.flags && was.keywords == record.keywords);
                    assert!(same || modseq > *before_highest, "a change of {mailbox} {uid} cannot be noticed");
                }
                let vanished = before.keys().any(|uid| !now.contains_key(uid));
                assert!(!vanished || highest > *before_highest, "an expunge in {mailbox} cannot be noticed");
            }
            self.records.insert(key, (highest, now));
        }
    }

    /// A mailbox that was renamed away and another that took its name are not told apart by clients that look by name,
    /// unless their UIDVALIDITY differs; here they may have the same.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
