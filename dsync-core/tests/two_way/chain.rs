//! Three stores, of which the one in the middle is mirrored with both others.

use std::collections::BTreeMap;

use dsync_core::memory::MemoryStore;
use dsync_core::model::{MailboxIdentity, MailboxName, Timestamp};
use dsync_core::store::MailStore;

use crate::clients::{Content, carry_out, mailboxes};
use crate::generate::{ChainStep, Work};
use crate::promises::Promises;
use crate::world::{facts, run};

pub(crate) struct Chain {
    stores: [MemoryStore; 3],
    promises: Promises,
    contents: Content,
    clock: i64,
}

/// How many rounds it takes at most until every change has come to every store.
const ROUNDS: usize = 4;

type Identities = BTreeMap<MailboxName, MailboxIdentity>;

fn identities(store: &mut MemoryStore) -> Identities {
    mailboxes(store).into_iter().map(|name| (name.clone(), store.open(&name).unwrap().status().identity)).collect()
}

impl Chain {
    pub(crate) fn new() -> Self {
        let stores = [1, 2, 3].map(MemoryStore::with_seed);
        Self { stores, promises: Promises::default(), contents: 0, clock: 1000 }
    }

    pub(crate) fn take(&mut self, step: &ChainStep) {
        self.clock += 10;
        for store in &mut self.stores {
            store.set_clock(Timestamp(self.clock));
        }
        match step {
            ChainStep::Client { store, work } => {
                let done = carry_out(&mut self.stores[*store], work, &mut self.contents);
                self.promises.note(*store, &done);
                if matches!(work, Work::Delete { .. }) {
                    // What comes back at one store may take the place of what was flagged at another.
                    self.promises.give_up_flags();
                }
            }
            ChainStep::Run { last } => self.mirror(*last),
        }
    }

    /// Mirrors the one in the middle with the last or the first.
    fn mirror(&mut self, last: bool) {
        let [first, middle, third] = &mut self.stores;
        let (one, other) = if last { (middle, third) } else { (first, middle) };
        let before = [identities(one), identities(other)];
        let report = run(one, other, false, None).unwrap();
        let renewed = |before: &Identities, now: &Identities| {
            before.iter().any(|(name, identity)| now.get(name).is_some_and(|now| now != identity))
        };
        if renewed(&before[0], &identities(one)) || renewed(&before[1], &identities(other)) {
            // Unrelated mailboxes became one, and with the old identity its history is gone.
            self.promises.give_up_flags();
        }
        assert_eq!(report.problems, []);
        assert_eq!(facts(one, true), facts(other, true));
    }

    /// Mirrors until all are equal.
    pub(crate) fn finish(&mut self) {
        for _ in 0..ROUNDS {
            [false, true].into_iter().for_each(|last| self.mirror(last));
            let [first, second, third] = self.stores.each_mut().map(|store| facts(store, true));
            if first == second && second == third {
                self.promises.check(&mut self.stores[0]);
                self.promises.start_anew();
                return;
            }
        }
        panic!("three stores do not become equal");
    }
}
