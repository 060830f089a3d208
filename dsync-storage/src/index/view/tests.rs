use super::*;
use crate::index::log::{Change, ExtensionIntro, ExtensionTarget, FlagUpdate};

fn apply(view: &mut IndexView, changes: &[Change]) {
    for change in changes {
        view.apply(&LogRecord::external(change.clone()), 3).unwrap();
    }
}

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first, last }
}

fn append(uids: &[u32]) -> Change {
    Change::Append(uids.iter().map(|uid| (*uid, 0, [0; 3])).collect())
}

fn flags(first: u32, last: u32, add: u8, remove: u8) -> Change {
    Change::FlagUpdate(vec![FlagUpdate { uids: range(first, last), add, remove, force: false }])
}

fn keyword(name: &str, uids: &[UidRange]) -> Change {
    Change::KeywordUpdate { remove: false, name: name.into(), uids: uids.to_vec() }
}

fn intro(name: &str, reset_id: u32, header_size: u32, record_size: u16) -> Change {
    Change::ExtensionIntro(ExtensionIntro {
        target: ExtensionTarget::Name(name.into()),
        reset_id,
        header_size,
        record_size,
        record_align: if record_size == 0 { 0 } else { 4 },
        flags: 1,
    })
}

fn modseqs(view: &IndexView) -> Vec<u64> {
    (0..view.messages().len()).map(|place| view.modseq(place)).collect()
}

#[test]
fn records_count_once_each_and_messages_without_modseq_have_the_highest() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[1, 2, 3]), flags(1, 2, 8, 0), keyword("a", &[range(1, 1), range(3, 3)])]);
    assert_eq!((view.highest_modseq(), modseqs(&view)), (4, vec![4, 4, 4]));
    apply(&mut view, &[flags(1, 3, 0x40, 0), Change::ModSeqUpdate(vec![(0, 10)])]);
    assert_eq!(view.highest_modseq(), 10);
}

#[test]
fn with_the_extension_each_message_has_its_own_modseq() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[1, 2]), intro(MODSEQ, 0, 16, 8)]);
    apply(&mut view, &[Change::ExtensionHeader(vec![(0, [&2u64.to_le_bytes()[..], &[0; 8]].concat())])]);
    apply(&mut view, &[append(&[5]), flags(2, 5, 8, 0), keyword("a", &[range(1, 1)])]);
    assert_eq!((view.highest_modseq(), modseqs(&view)), (5, vec![5, 4, 4]));
    apply(&mut view, &[Change::ModSeqUpdate(vec![(1, 3), (2, 9)])]);
    assert_eq!(modseqs(&view), [5, 9, 4]);
}

#[test]
fn expunges_count_only_when_they_have_happened() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[1, 2, 3]), keyword("a", &[range(2, 3)])]);
    let request = LogRecord { external: false, sync: false, change: Change::ExpungeGuid(vec![(2, [0; 16])]) };
    view.apply(&request, 3).unwrap();
    view.note_pending(&request);
    assert_eq!((view.highest_modseq(), view.messages().len()), (3, 3));
    assert!(view.pending_expunges().contains(&2));
    apply(&mut view, &[Change::ExpungeGuid(vec![(2, [0; 16]), (9, [0; 16])])]);
    assert_eq!((view.highest_modseq(), view.messages()), (4, &[(1, 0), (3, 0)][..]));
    assert_eq!(view.keywords(1).collect::<Vec<_>>(), [0]);
    assert!(view.pending_expunges().is_empty());
}

#[test]
fn old_logs_count_by_their_own_rules() {
    let internal = LogRecord::external(flags(1, 1, 0x40, 0));
    assert_eq!((counted(5, &internal, 3), counted(5, &internal, 2)), (5, 6));
    assert_eq!(counted(0, &LogRecord::external(append(&[1])), 3), 0);
    assert_eq!(counted(0, &LogRecord::external(intro(MODSEQ, 0, 16, 8)), 3), 1);
}

#[test]
fn keywords_compare_without_case_and_keep_their_first_spelling() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[1]), keyword("$Junk", &[range(1, 1)])]);
    let remove = Change::KeywordUpdate { remove: true, name: b"$JUNK".to_vec(), uids: vec![range(1, 1)] };
    apply(&mut view, &[remove]);
    assert_eq!(view.keyword_names(), [b"$Junk".to_vec()]);
    assert_eq!(view.keywords(0).count(), 0);
    for number in 0..20 {
        apply(&mut view, &[keyword(&format!("k{number}"), &[range(1, 1)])]);
    }
    assert_eq!(view.keywords(0).count(), 20);
    let again = IndexView::of_snapshot(MainIndex::decode(&view.snapshot().encode()).unwrap(), 30);
    assert_eq!(again.keyword_names(), view.keyword_names());
    assert_eq!(again.keywords(0).count(), 20);
    apply(&mut view, &[Change::KeywordReset(vec![range(1, 1)])]);
    assert_eq!(view.keywords(0).count(), 0);
}

#[test]
fn data_for_another_state_of_an_extension_are_ignored() {
    let mut view = IndexView::empty(1, 1);
    let data = |value: u32| Change::ExtensionRecords([1u32, value].into_iter().flat_map(u32::to_le_bytes).collect());
    apply(&mut view, &[append(&[1]), intro(CACHE, 0, 0, 4), Change::ExtensionReset(7, false)]);
    apply(&mut view, &[intro(CACHE, 7, 0, 4), data(64)]);
    assert_eq!(view.cache_offset(0), 64);
    apply(&mut view, &[intro(CACHE, 6, 0, 4), data(99)]);
    assert_eq!(view.cache_offset(0), 64);
    apply(&mut view, &[intro(CACHE, 7, 0, 4), Change::ExtensionReset(8, false)]);
    assert_eq!(view.cache_offset(0), 0);
}

#[test]
fn what_contradicts_is_refused() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[5])]);
    for change in [
        append(&[5]),
        Change::ExtensionRecords(vec![0; 8]),
        Change::HeaderUpdate(vec![(118, vec![0; 4])]),
        Change::ModSeqUpdate(vec![(5, 9)]),
        Change::ExtensionIntro(ExtensionIntro {
            target: ExtensionTarget::Number(3),
            reset_id: 0,
            header_size: 0,
            record_size: 4,
            record_align: 4,
            flags: 0,
        }),
        intro(KEYWORDS, 0, 4, 4),
        intro("bad/name", 0, 4, 4),
    ] {
        assert!(view.clone().apply(&LogRecord::external(change.clone()), 3).is_err(), "{change:?}");
    }
}

#[test]
fn counters_of_an_extension_stay_in_their_range() {
    let mut view = IndexView::empty(1, 1);
    apply(&mut view, &[append(&[1])]);
    let mut reference = ExtensionIntro {
        target: ExtensionTarget::Name(b"ref".to_vec()),
        reset_id: 0,
        header_size: 0,
        record_size: 2,
        record_align: 2,
        flags: 0,
    };
    apply(
        &mut view,
        &[Change::ExtensionIntro(reference.clone()), Change::ExtensionIncrement(vec![(1, 5), (1, -2), (9, 1)])],
    );
    assert_eq!(view.extension("ref").unwrap().record(0), [3, 0]);
    let below = LogRecord::external(Change::ExtensionIncrement(vec![(1, -4)]));
    assert!(view.apply(&below, 3).is_err());
    reference.record_size = 4;
    reference.record_align = 4;
    apply(&mut view, &[Change::ExtensionIntro(reference)]);
    assert_eq!(view.extension("ref").unwrap().record(0), [3, 0, 0, 0]);
}

#[test]
fn a_hostile_log_cannot_claim_much_memory() {
    let mut view = IndexView::empty(1, 1);
    let mut refused = false;
    for number in 0..40 {
        let record = LogRecord::external(intro(&format!("x{number}"), 0, 0, 32_764));
        refused |= view.apply(&record, 3).is_err();
    }
    assert!(refused);
    let mut view = IndexView::empty(1, 1);
    let headers = (0..100).map(|number| LogRecord::external(intro(&format!("x{number}"), 0, (16 << 20) - 4, 0)));
    let refused = headers.into_iter().any(|record| view.apply(&record, 3).is_err());
    assert!(refused);
}

#[test]
fn the_next_uid_only_grows() {
    let mut view = IndexView::empty(1, 1);
    let next = |value: u32| Change::HeaderUpdate(vec![(offset::NEXT_UID, value.to_le_bytes().to_vec())]);
    apply(&mut view, &[next(50), next(20)]);
    assert_eq!(view.next_uid(), 50);
}
