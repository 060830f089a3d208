use super::*;
use crate::index::log::{FlagUpdate, encode_transaction};

const RANGE: UidRange = UidRange { first: 1, last: 2 };

fn external(change: Change) -> LogRecord {
    LogRecord::external(change)
}

fn flags(add: u8, remove: u8) -> LogRecord {
    external(Change::FlagUpdate(vec![FlagUpdate { uids: RANGE, add, remove, force: false }]))
}

fn keyword(name: &str, remove: bool) -> LogRecord {
    external(Change::KeywordUpdate { remove, name: name.into(), uids: vec![RANGE] })
}

/// A log with messages 1 to 4 at modseq 2, the records after it, and the state at its end.
fn log(records: &[LogRecord]) -> (LogBytes, IndexView) {
    let append = external(Change::Append((1..=4).map(|uid| (uid, 0, [0; 3])).collect()));
    let header = LogHeader::new(7, 2, 0, 1);
    let records = [&[append], records].concat();
    let mut view = IndexView::empty(7, 1);
    records.iter().for_each(|record| view.apply(record, 3).unwrap());
    let bytes = records.iter().flat_map(|record| encode_transaction(std::slice::from_ref(record)));
    let bytes = header.encode().into_iter().chain(bytes).collect();
    (LogBytes { header, bytes }, view)
}

fn history(records: &[LogRecord], since: Option<u64>) -> IndexHistory {
    let (log, view) = log(records);
    read(&[log], since, 0, &view).unwrap()
}

#[test]
fn later_changes_of_flags_and_keywords_count() {
    let records = [flags(8, 0), flags(1, 9), keyword("red", false), keyword("Red", true), keyword("blue", false)];
    let history = history(&records, None);
    let keywords = vec![(b"Red".to_vec(), false), (b"blue".to_vec(), true)];
    let expected = MessageChanges { added: 0, removed: 9, keywords, cleared_keywords: false };
    assert_eq!(history.changes, BTreeMap::from([(1, expected.clone()), (2, expected)]));
    assert!(!history.complete, "nobody knows what was before the log");
}

#[test]
fn only_what_came_after_the_moment_is_seen() {
    let records = [flags(8, 0), flags(1, 0)];
    let since = history(&records, Some(3));
    assert!(since.complete);
    assert_eq!(since.changes.get(&1).map(|changes| changes.added), Some(1));
    assert!(history(&records, Some(4)).changes.is_empty());
    assert!(!history(&records, Some(5)).complete, "a moment that has not been is not known");
    assert!(!history(&records, Some(0)).complete, "nor one before the log");
}

#[test]
fn what_other_replicas_did_is_left_out_but_for_their_expunges() {
    let mirrored = |record: LogRecord| LogRecord { sync: true, ..record };
    let gone = external(Change::ExpungeGuid(vec![(3, [9; 16])]));
    let records = [mirrored(flags(8, 0)), mirrored(keyword("red", false)), mirrored(gone)];
    let (log, view) = log(&records);
    let told = read(&[log], Some(2), 4, &view).unwrap();
    assert_eq!(told.changes.get(&1).map(|changes| changes.added), Some(8), "but for those that are news elsewhere");
    let history = history(&records, None);
    assert_eq!(history.changes, BTreeMap::new());
    assert_eq!(history.expunged, BTreeMap::from([(3, [9; 16])]));
}

#[test]
fn messages_that_runs_brought_are_told_from_those_of_clients() {
    let mirrored = |change: Change| LogRecord { sync: true, ..external(change) };
    let append = |uids: [u32; 2]| Change::Append(uids.map(|uid| (uid, 0, [0; 3])).to_vec());
    let gone = |uid: u32, name: u8| Change::ExpungeGuid(vec![(uid, [name; 16])]);
    let records = [
        mirrored(append([5, 6])),
        external(append([7, 8])),
        mirrored(append([9, 10])),
        mirrored(gone(7, 77)),
        external(gone(2, 22)),
        // A request, which says nothing as long as the message is there.
        LogRecord { external: false, ..external(gone(3, 33)) },
    ];
    let history = history(&records, None);
    assert_eq!(history.given, [(5, 6), (9, 10)]);
    assert_eq!(history.removed_by_runs, BTreeMap::from([([77; 16], 7)]));
    assert_eq!(history.expunged_by_clients, BTreeSet::from([[22; 16]]));
}

#[test]
fn an_expunge_is_known_by_the_deed_and_its_guid_perhaps_by_the_request() {
    let request = LogRecord { external: false, ..external(Change::ExpungeGuid(vec![(2, [5; 16]), (4, [6; 16])])) };
    let deed = external(Change::Expunge(vec![UidRange { first: 2, last: 3 }]));
    let history = history(&[flags(8, 0), request, deed], None);
    assert_eq!(history.expunged, BTreeMap::from([(2, [5; 16]), (3, [0; 16])]), "a request alone is none");
    assert_eq!(history.changes.keys().collect::<Vec<_>>(), [&1], "what is gone was not changed");
}

#[test]
fn without_a_log_nothing_happened_since_the_last_moment() {
    let (_, view) = log(&[]);
    let history = |since| read(&[], Some(since), 0, &view).unwrap();
    assert!(history(2).complete && !history(1).complete);
}
