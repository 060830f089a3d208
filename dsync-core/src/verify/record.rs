//! What is different in two records of one message. A pure function.

use super::Field;
use crate::model::{Flags, KeptFields, Keywords, MessageRecord};

/// What one field is at the first and at the second store.
type Values = [Option<String>; 2];

/// The fields that are different, with both values, and how many were not compared because one side leaves them open.
pub(super) fn differences([first, second]: [&MessageRecord; 2], keeps: KeptFields) -> (Vec<(Field, Values)>, u64) {
    let mut found = Vec::new();
    let mut undecided = 0;
    let mut open = |field, values: Values| match values {
        [Some(first), Some(second)] if first == second => {}
        [Some(_), Some(_)] => found.push((field, values)),
        _ => undecided += 1,
    };
    let both = [first, second];
    open(Field::Uid, both.map(|record| record.uid.map(|uid| uid.to_string())));
    open(Field::ModSeq, both.map(|record| record.modseq.map(|modseq| modseq.to_string())));
    if keeps.save_dates {
        open(Field::Saved, both.map(|record| record.saved.map(|time| time.seconds().to_string())));
    }
    if keeps.guids && first.guid != second.guid {
        found.push((Field::MessageGuid, both.map(|record| Some(record.guid.to_string()))));
    }
    if first.flags != second.flags {
        found.push((Field::Flags, both.map(|record| flags(record.flags))));
    }
    if !first.keywords.same_names(&second.keywords) {
        found.push((Field::Keywords, both.map(|record| keywords(&record.keywords))));
    }
    if first.received != second.received {
        found.push((Field::Received, both.map(|record| Some(record.received.seconds().to_string()))));
    }
    if keeps.pop3 && first.pop3_uidl != second.pop3_uidl {
        found.push((Field::Pop3Uidl, both.map(|record| record.pop3_uidl.as_ref().map(|uidl| uidl.to_string()))));
    }
    if keeps.pop3 && first.pop3_order != second.pop3_order {
        found.push((Field::Pop3Order, both.map(|record| record.pop3_order.map(|order| order.to_string()))));
    }
    (found, undecided)
}

fn flags(flags: Flags) -> Option<String> {
    (!flags.is_empty()).then(|| flags.to_string())
}

fn keywords(keywords: &Keywords) -> Option<String> {
    let names: Vec<_> = keywords.iter().map(|keyword| keyword.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" "))
}
