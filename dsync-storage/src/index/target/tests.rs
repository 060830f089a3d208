use dsync_core::model::Keyword;
use proptest::prelude::*;

use super::records::Builder;
use super::*;
use crate::index::log::LogRecord;
use crate::index::main_index::MainIndex;

pub(in crate::index) fn any_target() -> impl Strategy<Value = IndexTarget> {
    let keywords = prop::sample::subsequence(vec!["B", "a", "c", "d", "e", "f", "g", "h", "i", "j"], 0..10);
    let message = (0u8..32, keywords, 1u64..60);
    let messages = prop::collection::btree_map(1u32..20, message, 0..8);
    (messages, 1u32..3, 0u32..5, 0u64..40, 1u32..20).prop_map(|(messages, uid_validity, gap, raised, recent)| {
        let messages: Vec<_> = messages
            .into_iter()
            .map(|(uid, (flags, keywords, modseq))| TargetMessage {
                uid,
                flags,
                keywords: keywords.iter().filter_map(|name| Keyword::new(name)).collect(),
                modseq,
            })
            .collect();
        let next_uid = messages.last().map_or(1, |message| message.uid + 1) + gap;
        let highest = messages.iter().map(|message| message.modseq).max().unwrap_or(1);
        IndexTarget {
            uid_validity,
            next_uid,
            first_recent_uid: recent.min(next_uid),
            highest_modseq: highest + raised,
            mirrored: false,
            removed: vec![],
            reuses_uids: false,
            stale_in_cache: Vec::new(),
            extensions: Vec::new(),
            messages: messages.into(),
        }
    })
}

/// Changes the first message.
pub(in crate::index) fn change_first(target: &mut IndexTarget, change: impl FnOnce(&mut TargetMessage)) {
    let mut messages: Vec<_> = target.messages.iter().collect();
    change(&mut messages[0]);
    target.messages = messages.into();
}

fn carry_out(mut view: IndexView, records: &[LogRecord]) -> IndexView {
    records.iter().for_each(|record| view.apply(record, MINOR).unwrap());
    view
}

fn check(view: IndexView, target: &IndexTarget) {
    let builder = Builder::new(view, false);
    assert!(builder.reaches(target), "{:?} is not {target:?}", builder.view);
}

fn whole(target: &IndexTarget) -> Option<IndexView> {
    let (records, initial) = whole_log(7, target, &CachePlaces::default())?;
    Some(carry_out(IndexView::empty(7, initial), &records))
}

#[test]
fn a_change_that_counts_too_far_needs_a_new_log() {
    let message =
        |modseq| TargetMessage { uid: 1, flags: 8, keywords: Keyword::new("k").into_iter().collect(), modseq };
    let mut target = IndexTarget {
        uid_validity: 1,
        next_uid: 2,
        first_recent_uid: 1,
        highest_modseq: 10,
        mirrored: false,
        removed: vec![],
        reuses_uids: false,
        stale_in_cache: Vec::new(),
        extensions: Vec::new(),
        messages: vec![message(3)].into(),
    };
    let present = whole(&target).unwrap();
    change_first(&mut target, |message| message.flags = 0);
    target.highest_modseq = 11;
    let records = transaction(present.clone(), &target, &CachePlaces::default()).unwrap();
    check(carry_out(present.clone(), &records), &target);
    target.highest_modseq = 10;
    assert_eq!(transaction(present.clone(), &target, &CachePlaces::default()), None);
    target.highest_modseq = 11;
    target.reuses_uids = true;
    assert_eq!(transaction(present.clone(), &target, &CachePlaces::default()), None);
}

#[test]
fn nothing_to_do_needs_no_record() {
    let target = IndexTarget {
        uid_validity: 1,
        next_uid: 5,
        first_recent_uid: 1,
        highest_modseq: 9,
        mirrored: false,
        removed: vec![],
        reuses_uids: false,
        stale_in_cache: Vec::new(),
        extensions: Vec::new(),
        messages: TargetMessages::default(),
    };
    let present = whole(&target).unwrap();
    assert_eq!(transaction(present.clone(), &target, &CachePlaces::default()), Some(vec![]));
}

#[test]
fn a_new_log_does_not_claim_history_that_it_lacks() {
    let messages = vec![TargetMessage { uid: 1, flags: 0, keywords: Keywords::none(), modseq: 3 }].into();
    let target = IndexTarget {
        uid_validity: 1,
        next_uid: 2,
        first_recent_uid: 1,
        highest_modseq: 100,
        mirrored: false,
        removed: vec![],
        reuses_uids: false,
        stale_in_cache: Vec::new(),
        extensions: Vec::new(),
        messages,
    };
    let (_, initial) = whole_log(7, &target, &CachePlaces::default()).unwrap();
    assert_eq!(initial, 99);
}

proptest! {
    #[test]
    fn every_way_leads_to_the_target(first in any_target(), second in any_target()) {
        let index = snapshot(7, 2, first.clone(), &CachePlaces::default());
        let bytes = index.encode();
        let read = MainIndex::decode(&bytes).unwrap();
        let present = IndexView::of_snapshot(read, first.highest_modseq);
        check(present.clone(), &first);
        if let Some(view) = whole(&first) {
            check(view, &first);
        }
        if let Some(records) = transaction(present.clone(), &second, &CachePlaces::default()) {
            check(carry_out(present, &records), &second);
        }
    }
}
