//! One mailbox of a backup: what is known of both sides, and what follows from that.

use crate::merge::{self, Contents, LeftOut, MailboxPlan, MailboxView, RecogniseSide};
use crate::model::{Glance, KeptFields, MailboxName, MailboxStatus, MessageKey, MessageList, Uid};
use crate::session::content::content;
use crate::session::{ListedContent, MailboxSummary};
use crate::store::{ErrorKind, Mailbox};

/// So many messages below the last common moment are compared nevertheless.
const SAMPLES: usize = 4;

/// A mailbox whose messages are about to be compared.
pub(super) struct Transfer {
    pub(super) name: MailboxName,
    pub(super) mailbox: Box<dyn Mailbox>,
    /// It is new, so it has to be committed even if nothing is in it.
    pub(super) created: bool,
    /// Its counters at the source.
    pub(super) status: MailboxStatus,
    /// Its fingerprint there.
    pub(super) fingerprint: Option<[u8; 16]>,
    /// Whether the source could read all of it.
    pub(super) complete: bool,
    /// What it looks like there, if that tells.
    pub(super) glance: Option<Glance>,
    pub(super) comparison: Comparison,
    /// Messages of the source that do not come.
    pub(super) left_out: LeftOut,
}

/// How messages are recognised.
pub(super) enum Comparison {
    /// By their GUIDs, which both sides keep.
    Guids,
    /// By what is in them.
    Contents {
        /// Below it a UID means the same message on both sides.
        proven: Option<Uid>,
        /// What is in the messages here.
        own: Contents,
        /// What is in those of the source.
        source: Contents,
        /// Some message could not be read, on either side: what it is like is not known.
        is_partial: bool,
        /// What the sides keep of a message, the source first.
        keeps: [KeptFields; 2],
    },
}

impl Transfer {
    pub(super) fn plan(&self, messages: &MessageList) -> MailboxPlan {
        let source = MailboxView { status: &self.status, messages };
        let own = MailboxView { status: self.mailbox.status(), messages: self.mailbox.messages() };
        let mut plan = match &self.comparison {
            Comparison::Guids => merge::one_way(source, own, &self.left_out, self.complete),
            Comparison::Contents { proven, own: contents, source: source_contents, is_partial, keeps } => {
                let there = RecogniseSide { view: source, contents: source_contents, keeps: keeps[0] };
                let here = RecogniseSide { view: own, contents, keeps: keeps[1] };
                let (there, here) = merge::recognise(there, here, *proven);
                let source = MailboxView { messages: &there, ..source };
                // A message that could not be compared may be the one that would go.
                let complete = self.complete && !is_partial;
                merge::one_way(source, MailboxView { messages: &here, ..own }, &self.left_out, complete)
            }
        };
        plan.needed |= self.created;
        plan
    }
}

impl Comparison {
    /// How the messages of a mailbox are recognised that is `summary` at the source, whose messages up to the last moment that
    /// is common with this `peer` are known to be the same. Without a peer no moment is believed.
    pub(super) fn start(
        mailbox: &mut dyn Mailbox,
        summary: &MailboxSummary,
        keeps: [KeptFields; 2],
        peer: Option<[u8; 8]>,
    ) -> Self {
        if keeps[0].common(keeps[1]).guids {
            return Self::Guids;
        }
        let status = &summary.status;
        let same_mailbox = status.identity.guid.is_none_or(|guid| Some(guid) == mailbox.status().identity.guid);
        let points = mailbox.sync_points().iter().filter(|point| {
            // Other stores may have had other messages under these UIDs.
            let is_common = Some(point.peer) == peer;
            same_mailbox && is_common && point.can_precede(status) && point.can_precede(mailbox.status())
        });
        let proven = points.map(|point| point.uid_next).max();
        let is_proven = |uid: Option<Uid>| uid.is_some_and(|uid| proven.is_some_and(|proven| uid < proven));
        let count = mailbox.messages().len();
        let known: Vec<_> = (0..count).filter(|place| is_proven(mailbox.messages().uid_at(*place))).collect();
        // A source that was restored from an old copy may have given UIDs again since; if so, then also the last ones.
        let samples = known.get(known.len().saturating_sub(SAMPLES)..).unwrap_or_default().iter().copied();
        let open: Vec<_> = samples
            .chain((0..count).filter(|place| !is_proven(mailbox.messages().uid_at(*place))))
            .filter_map(|place| Some((place, mailbox.messages().key_of(place)?)))
            .collect();
        let mut own = Contents::new();
        let mut is_partial = false;
        for (place, key) in open {
            match mailbox.body(key) {
                Ok(body) => match content(body) {
                    Some(content) => drop(own.insert(place, content)),
                    None => is_partial = true,
                },
                // It is like no other message.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => is_partial = true,
            }
        }
        Self::Contents { proven, own, source: Contents::new(), is_partial, keeps }
    }

    /// Whether some message could not be compared, so that nothing was removed.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Self::Contents { is_partial: true, .. })
    }

    /// Takes what is in a message of the source.
    pub(super) fn note(&mut self, place: usize, content: ListedContent) {
        if let Self::Contents { source, is_partial, .. } = self {
            match content {
                ListedContent::Unasked => {}
                ListedContent::Unreadable => *is_partial = true,
                ListedContent::Is(content) => drop(source.insert(place, content)),
            }
        }
    }

    /// From which UID on the source has to say what is in its messages.
    pub(super) fn contents_from(&self, messages: &MessageList, source: &MailboxStatus) -> Option<Uid> {
        // A message without a number, of a store that keeps no GUIDs, is nothing but what is in it.
        let is_undecided = source.identity.uid_validity.is_none();
        match self {
            Self::Contents { proven, own, keeps, .. } if !own.is_empty() || !keeps[0].guids && is_undecided => {
                let first = own.keys().filter_map(|place| messages.uid_at(*place)).min();
                Some(proven.unwrap_or(Uid::FIRST).min(first.unwrap_or(Uid::MAX)))
            }
            _ => None,
        }
    }

    /// Whether a UID from before the common moment names another message at the source.
    pub(super) fn is_disproved(&self, messages: &MessageList, there: &MessageList) -> bool {
        let Self::Contents { proven: Some(proven), own, source, .. } = self else { return false };
        own.iter().any(|(place, content)| {
            let uid = messages.uid_at(*place).filter(|uid| uid < proven);
            let there = uid.and_then(|uid| there.index_of(MessageKey::Uid(uid)));
            there.and_then(|there| source.get(&there)).is_some_and(|other| other != content)
        })
    }
}
