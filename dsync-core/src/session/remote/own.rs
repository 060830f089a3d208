//! A mailbox of this side as the other one is told about it.
//!
//! The protocol knows no values that are not decided yet. A store that may be changed has been settled before; for one that
//! may not, they are decided here in the way in which its server will decide them, so that they are the same in every run.

use std::collections::HashMap;

use sha1::{Digest, Sha1};

use crate::merge::own_guid::own_guid;
use crate::merge::{self, LeftOut, MailboxView};
use crate::model::{
    KeptFields, MailboxGuid, MailboxIdentity, MailboxName, MailboxStatus, MessageGuid, MessageKey, MessageList,
    MessageRecord, ModSeq, Uid, UidValidity,
};
use crate::store::Mailbox;
use crate::wire::MailboxInfo;

/// A number of messages that no mailbox has. A side that says it is looked into whatever its counters are.
pub(super) const UNCOUNTED: u32 = u32::MAX;

/// A mailbox that is open on this side.
pub(super) struct OwnMailbox {
    pub(super) name: MailboxName,
    pub(super) mailbox: Box<dyn Mailbox>,
    /// It is new, so it has to be committed even if nothing is in it.
    pub(super) created: bool,
    /// What the store keeps of a message.
    pub(super) keeps: KeptFields,
    decided: Option<Decided>,
}

/// What was decided for a mailbox that must not be changed.
struct Decided {
    status: MailboxStatus,
    messages: MessageList,
    keys: HashMap<Uid, MessageKey>,
}

impl OwnMailbox {
    /// A mailbox that may be changed.
    pub(super) fn new(name: MailboxName, mailbox: Box<dyn Mailbox>, created: bool, keeps: KeptFields) -> Self {
        Self { name, mailbox, created, keeps, decided: None }
    }

    /// A mailbox of a source. `store_id` is the name of the store.
    pub(super) fn of_source(name: MailboxName, mailbox: Box<dyn Mailbox>, keeps: KeptFields, store_id: &str) -> Self {
        let view = MailboxView { status: mailbox.status(), messages: mailbox.messages() };
        let plan = merge::one_way(view, view, &LeftOut::default(), true);
        let decided = plan.needed.then(|| {
            let changes = plan.changes;
            let mut status = view.status.clone();
            status.identity = status.identity.or(derived_identity(store_id, &name));
            status.uid_next = changes.uid_next;
            status.highest_modseq = Some(changes.highest_modseq);
            status.first_recent_uid = Some(changes.first_recent_uid);
            let mut messages = MessageList::default();
            let mut updates: HashMap<_, _> =
                changes.update.into_iter().filter_map(|record| Some((record.uid?, record))).collect();
            for record in view.messages.records() {
                let Some(uid) = record.uid else { break };
                // They were in order before, and come in the order of new UIDs.
                let _ = messages.push(&updates.remove(&uid).unwrap_or(record));
            }
            let mut new = changes.renumber;
            new.sort_by_key(|(_, record)| record.uid);
            let mut keys = HashMap::new();
            for (key, record) in new {
                let _ = messages.push(&record);
                keys.extend(record.uid.map(|uid| (uid, key)));
            }
            Decided { status, messages, keys }
        });
        Self { name, mailbox, created: false, keeps, decided }
    }

    pub(super) fn status(&self) -> &MailboxStatus {
        self.decided.as_ref().map_or_else(|| self.mailbox.status(), |decided| &decided.status)
    }

    /// Whether nothing had to be decided here that the store, or its server, may decide otherwise later.
    pub(super) fn is_decided(&self) -> bool {
        self.decided.is_none()
    }

    /// Whether all of its messages can be read.
    pub(super) fn is_whole(&self) -> bool {
        self.mailbox.problems().is_empty()
    }

    pub(super) fn messages(&self) -> &MessageList {
        self.decided.as_ref().map_or_else(|| self.mailbox.messages(), |decided| &decided.messages)
    }

    /// How the store finds the message with that UID.
    pub(super) fn key(&self, uid: Uid) -> MessageKey {
        let decided = self.decided.as_ref().and_then(|decided| decided.keys.get(&uid));
        decided.copied().unwrap_or(MessageKey::Uid(uid))
    }

    /// The GUID of a message for others. What a store shows that keeps none may be shown for other messages too.
    pub(super) fn guid_of(&self, record: &MessageRecord) -> MessageGuid {
        match self.keeps.guids {
            true => record.guid.clone(),
            false => own_guid(self.status().identity, record.uid, None, 0),
        }
    }

    /// The counters for the other side. The mailbox is `agreed` between both sides under that identity.
    pub(super) fn info(&self, agreed: MailboxIdentity) -> Option<MailboxInfo> {
        let status = self.status();
        let identity = status.identity.or(agreed);
        Some(MailboxInfo {
            guid: agreed.guid?,
            uid_validity: identity.uid_validity.map_or(0, UidValidity::get),
            uid_next: status.uid_next.get(),
            message_count: u32::try_from(self.messages().len()).unwrap_or(UNCOUNTED),
            first_recent_uid: status.first_recent_uid.unwrap_or(Uid::FIRST).get(),
            highest_modseq: status.highest_modseq.unwrap_or(ModSeq::FIRST).get(),
            highest_private_modseq: 0,
            lost: false,
            ignore: false,
            cache_fields: Vec::new(),
            have_guids: true,
            have_save_guids: self.keeps.guids,
            have_only_guid128: false,
            partial: !self.is_whole(),
            common_below: None,
        })
    }
}

/// The counters in a row about a mailbox.
pub(super) fn status_of(info: &MailboxInfo) -> MailboxStatus {
    let identity = MailboxIdentity { guid: Some(info.guid), uid_validity: UidValidity::new(info.uid_validity) };
    MailboxStatus {
        identity,
        uid_next: Uid::new(info.uid_next).unwrap_or(Uid::FIRST),
        message_count: info.message_count,
        highest_modseq: Some(ModSeq(info.highest_modseq)).filter(|modseq| modseq.get() > 0),
        first_recent_uid: Uid::new(info.first_recent_uid),
    }
}

/// Whether two sides that look only at counters take a mailbox for the same. (Dovecot's program cannot know what [`UNCOUNTED`] is,
/// but never says it.)
pub(super) fn counters_are_equal(own: &MailboxInfo, other: &MailboxInfo) -> bool {
    let counters = |info: &MailboxInfo| {
        let MailboxInfo { uid_validity, uid_next, message_count, first_recent_uid, .. } = info;
        let modseqs = [info.highest_modseq, info.highest_private_modseq];
        ([*uid_validity, *uid_next, *message_count, *first_recent_uid], modseqs)
    };
    own.message_count != UNCOUNTED && counters(own) == counters(other)
}

/// The identity of a mailbox that has none yet, as long as it has none.
pub(super) fn derived_identity(store_id: &str, name: &MailboxName) -> MailboxIdentity {
    let mut hash = Sha1::new();
    hash.update((store_id.len() as u64).to_le_bytes());
    hash.update(store_id);
    for part in name.parts() {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 20] = hash.finalize().into();
    let guid = digest.first_chunk().copied().and_then(MailboxGuid::new);
    let number = digest.last_chunk().map_or(1, |bytes| u32::from_le_bytes(*bytes));
    // Clients know no greater ones.
    MailboxIdentity { guid, uid_validity: UidValidity::new((number >> 1).max(1)) }
}
