//! Passing over mailboxes that look as they did when there was nothing left to do about them.

use super::peer_label;
use super::{MailboxSummary, SyncOptions};
use crate::model::{Agreement, Agreements, Glance, MailboxName, MailboxStatus};
use crate::store::{MailStore, Mailbox};

/// What a side knows about former agreements with the other side, and what is agreed on in this run.
#[derive(Default)]
pub(super) struct Agreeing {
    peer: [u8; 8],
    known: Agreements,
    now: Agreements,
}

/// What was to be reached: that a mailbox is a copy does not mean that a mirror has nothing to do about it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    Copy,
    /// A copy may have another UIDVALIDITY, so that clients forget what it had.
    Restored,
    Mirror,
}

/// How the mailbox that comes next is shown to the other side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Look {
    /// By a glance, if it has one.
    #[default]
    Glance,
    /// By a glance that depends on each message, which the other side has asked for.
    Closer,
    /// As a whole: a glance told the other side nothing.
    Whole,
}

impl Look {
    /// Whether a glance is to be a close one; `None` if there is to be none.
    pub(super) fn is_close(self) -> Option<bool> {
        match self {
            Self::Glance => Some(false),
            Self::Closer => Some(true),
            Self::Whole => None,
        }
    }
}

/// What a glance leads to.
pub(super) enum Found {
    /// There is nothing to do about the mailbox, which has these counters.
    Agreement(MailboxStatus),
    /// A closer look may lead to an agreement.
    More,
    Nothing,
}

/// Whether mailboxes may be passed over.
pub(super) fn is_possible(options: &SyncOptions) -> bool {
    !options.full && keeps(options)
}

/// Whether something can be agreed on: a run that leaves out messages says little about the next one.
fn keeps(options: &SyncOptions) -> bool {
    options.messages.is_all() && !options.tree_only
}

impl Agreeing {
    /// What the store knows about agreements with the one that has the id `peer`.
    pub(super) fn load(store: &mut dyn MailStore, peer: &str, aim: Aim) -> Self {
        let peer = peer_label(&format!("{aim:?} {peer}"));
        // Without them the run only takes longer.
        Self { peer, known: store.agreements(peer).unwrap_or_default(), now: Agreements::new() }
    }

    /// Whether there is nothing to do about a mailbox as long as it looks like `other` at the other side.
    pub(super) fn find(&mut self, store: &mut dyn MailStore, name: &MailboxName, other: Glance) -> Found {
        let Some(known) = self.known.get(name).filter(|known| known.other.outside == other.outside) else {
            return Found::Nothing;
        };
        if known.other.inside.is_some() && other.inside.is_none() {
            return Found::More;
        }
        let is_same = known.other.inside == other.inside || known.other.inside.is_none();
        if !is_same || store.glance(name, known.own.inside.is_some()) != Some(known.own) {
            return Found::Nothing;
        }
        self.now.insert(name.clone(), known.clone());
        Found::Agreement(known.status.clone())
    }

    /// There is nothing to do about the mailbox any more, which looks like `other` at the other side.
    pub(super) fn note(&mut self, name: &MailboxName, mailbox: &dyn Mailbox, other: Option<Glance>) {
        if let Some((own, other)) = agreed_glance(mailbox).zip(other) {
            self.add(name, Agreement { own, other, status: mailbox.status().clone() });
        }
    }

    pub(super) fn add(&mut self, name: &MailboxName, agreement: Agreement) {
        self.now.insert(name.clone(), agreement);
    }

    /// Keeps what was agreed on.
    pub(super) fn keep(mut self, store: &mut dyn MailStore, options: &SyncOptions) {
        if !keeps(options) {
            return;
        }
        // This run says nothing about mailboxes that were not selected. About the others it may have found out that what was
        // agreed on is not so.
        let is_left_out = |name: &MailboxName, agreement: &Agreement| {
            !options.mailboxes.contains(name, agreement.status.identity.guid)
        };
        for (name, agreement) in self.known.iter().filter(|(name, agreement)| is_left_out(name, agreement)) {
            self.now.entry(name.clone()).or_insert_with(|| agreement.clone());
        }
        if self.now != self.known {
            // Without them the next run only takes longer.
            let _ = store.keep_agreements(self.peer, &self.now);
        }
    }
}

/// What a mailbox looks like, if everything in it could be read.
pub(super) fn agreed_glance(mailbox: &dyn Mailbox) -> Option<Glance> {
    mailbox.glance().filter(|_| mailbox.problems().is_empty())
}

/// The same of the other side.
pub(super) fn glance_of(summary: &MailboxSummary) -> Option<Glance> {
    summary.glance.filter(|_| summary.complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::{MailboxIdentity, MailboxSelection, Uid};

    fn agreements(names: &[&str]) -> Agreements {
        let status = MailboxStatus {
            identity: MailboxIdentity::UNDECIDED,
            uid_next: Uid::FIRST,
            message_count: 0,
            highest_modseq: None,
            first_recent_uid: None,
        };
        let glance = Glance { outside: [1; 16], inside: None };
        let agreement = Agreement { own: glance, other: glance, status };
        names.iter().map(|name| (MailboxName::new([*name]).unwrap(), agreement.clone())).collect()
    }

    #[test]
    fn what_was_selected_and_not_agreed_on_again_is_forgotten() {
        let mut store = MemoryStore::new();
        let mut kept = |selection: MailboxSelection| {
            let first = Agreeing { now: agreements(&["a", "b"]), ..Agreeing::load(&mut store, "peer", Aim::Copy) };
            first.keep(&mut store, &SyncOptions::default());
            let options = SyncOptions { full: true, mailboxes: selection, ..SyncOptions::default() };
            Agreeing::load(&mut store, "peer", Aim::Copy).keep(&mut store, &options);
            Agreeing::load(&mut store, "peer", Aim::Copy).known
        };
        assert_eq!(kept(MailboxSelection::matching("a")), agreements(&["b"]));
        assert_eq!(kept(MailboxSelection::all().excluding("a")), agreements(&["a"]));
        assert_eq!(kept(MailboxSelection::all()), agreements(&[]));
    }
}
