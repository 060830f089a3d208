//! Why a backup does what it does, in words for those who watch.

use crate::merge::MailboxPlan;
use crate::model::{MessageList, MessageRecord};

/// What happens to each message and why, a sentence each. `here` are the messages of the destination.
#[must_use]
pub fn explain(plan: &MailboxPlan, here: &MessageList) -> Vec<String> {
    let changes = &plan.changes;
    let mut told = Vec::new();
    told.extend(plan.fetch.iter().filter_map(|(_, record)| {
        let uid = record.uid?;
        Some(format!("UID {uid}: copied, because only the source has it"))
    }));
    told.extend(changes.renumber.iter().filter_map(|(key, record)| {
        let uid = record.uid?;
        Some(format!("{key}: becomes UID {uid}, which it has at the source"))
    }));
    told.extend(changes.update.iter().filter_map(|record| {
        let uid = record.uid?;
        let before = here.at(here.index_of(crate::model::MessageKey::Uid(uid))?)?;
        Some(format!("UID {uid}: becomes as at the source: {}", differences(&before, record).join(", ")))
    }));
    told.extend(changes.remove.iter().map(|key| format!("{key}: removed, because the source does not have it")));
    told
}

/// In what a message differs from what it becomes.
fn differences(before: &MessageRecord, after: &MessageRecord) -> Vec<String> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "none".to_owned(), |value| value.to_string())
    }
    let marks = |record: &MessageRecord| {
        let keywords = record.keywords.iter().map(ToString::to_string);
        let words: Vec<_> = Some(record.flags.to_string()).into_iter().chain(keywords).collect();
        format!("({})", words.join(" ").trim())
    };
    let order = |record: &MessageRecord| text(record.pop3_order);
    let uidl = |record: &MessageRecord| {
        text(record.pop3_uidl.as_ref().map(|uidl| String::from_utf8_lossy(uidl.as_bytes()).into_owned()))
    };
    let fields = [
        ("flags", marks(before), marks(after)),
        ("modseq", text(before.modseq), text(after.modseq)),
        ("received", before.received.seconds().to_string(), after.received.seconds().to_string()),
        ("saved", text(before.saved.map(|time| time.seconds())), text(after.saved.map(|time| time.seconds()))),
        ("POP3 UIDL", uidl(before), uidl(after)),
        ("POP3 order", order(before), order(after)),
    ];
    let differing = fields.into_iter().filter(|(_, before, after)| before != after);
    differing.map(|(field, before, after)| format!("{field} {before} to {after}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{LeftOut, MailboxView, one_way};
    use crate::model::{Flags, Keywords, MailboxIdentity, MailboxStatus, MessageGuid, ModSeq, Timestamp, Uid};

    fn message(uid: u32, guid: &str, flags: Flags) -> MessageRecord {
        MessageRecord {
            uid: Uid::new(uid),
            guid: MessageGuid::new(guid.as_bytes()).unwrap(),
            flags,
            keywords: Keywords::none(),
            modseq: Some(ModSeq(1)),
            received: Timestamp(1),
            saved: None,
            pop3_uidl: None,
            pop3_order: None,
        }
    }

    #[test]
    fn every_change_has_its_reason() {
        let source = MessageList::new(vec![
            message(1, "a", Flags::SEEN),
            message(3, "b", Flags::NONE),
            message(4, "d", Flags::NONE),
        ]);
        let here = MessageList::new(vec![
            message(1, "a", Flags::NONE),
            message(2, "b", Flags::NONE),
            message(5, "c", Flags::NONE),
        ]);
        let (source, here) = (source.unwrap(), here.unwrap());
        let status = MailboxStatus {
            identity: MailboxIdentity::UNDECIDED,
            uid_next: Uid::new(9).unwrap(),
            message_count: 3,
            highest_modseq: Some(ModSeq(1)),
            first_recent_uid: None,
        };
        let [there, own] = [&source, &here].map(|messages| MailboxView { status: &status, messages });
        let plan = one_way(there, own, &LeftOut::default(), true);
        assert_eq!(
            explain(&plan, &here),
            [
                "UID 4: copied, because only the source has it",
                "message with UID 2: becomes UID 3, which it has at the source",
                "UID 1: becomes as at the source: flags () to (\\Seen)",
                "message with UID 5: removed, because the source does not have it",
            ]
        );
    }
}
