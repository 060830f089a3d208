use std::fs;

use super::*;
use crate::index::log::{Change, FlagUpdate, LogRecord, UidRange, encode_transaction};
use crate::index::main_index::{MainIndex, offset};

fn append(uids: &[u32]) -> LogRecord {
    LogRecord::external(Change::Append(uids.iter().map(|uid| (*uid, 0, [0; 3])).collect()))
}

fn log(seq: u32, prev: (u32, u32), initial: u64, records: &[LogRecord]) -> Vec<u8> {
    let mut header = LogHeader::new(7, seq, 1, initial);
    (header.prev_file_seq, header.prev_file_offset) = prev;
    let mut bytes = header.encode();
    records.iter().for_each(|record| bytes.extend(record.encode()));
    bytes
}

fn main_index(log_seq: u32, head: u32, uids: &[u32]) -> Vec<u8> {
    let mut index = MainIndex::new(7);
    index.set(offset::LOG_SEQ, log_seq);
    index.set(offset::LOG_TAIL, head);
    index.set(offset::LOG_HEAD, head);
    index.set(offset::NEXT_UID, uids.last().map_or(1, |uid| uid + 1));
    index.messages = uids.iter().map(|uid| (*uid, 0)).collect();
    index.encode()
}

const MAIN: &str = "dovecot.index";
const LOG: &str = "dovecot.index.log";
const OLD_LOG: &str = "dovecot.index.log.2";

fn read(files: &[(&str, &[u8])]) -> Result<Option<IndexState>, IndexError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let result = read_index(&IndexFiles::of_mailbox(dir.path()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), files.len(), "reading makes no file");
    result
}

fn uids(state: &IndexState) -> Vec<u32> {
    state.view.messages().iter().map(|(uid, _)| *uid).collect()
}

#[test]
fn nothing_there_is_no_error() {
    assert!(read(&[]).unwrap().is_none());
}

#[test]
fn a_log_alone_is_an_index_if_it_starts_one() {
    let state = read(&[(LOG, &log(2, (0, 0), 1, &[append(&[1, 2])]))]).unwrap().unwrap();
    assert_eq!((uids(&state), state.view.highest_modseq()), (vec![1, 2], 2));
    let lost = read(&[(LOG, &log(2, (1, 40), 1, &[]))]).unwrap_err();
    assert!(matches!(lost, IndexError::Lost { .. }));
}

#[test]
fn a_snapshot_is_continued_from_its_place_in_the_log() {
    let records = [append(&[1]), append(&[2])];
    let head = 40 + 16;
    let files: [(&str, &[u8]); 2] = [(MAIN, &main_index(2, head, &[1])), (LOG, &log(2, (0, 0), 1, &records))];
    let state = read(&files).unwrap().unwrap();
    assert_eq!((uids(&state), state.view.highest_modseq(), state.log_end), (vec![1, 2], 3, 72));
}

#[test]
fn a_snapshot_before_the_rotation_is_continued_through_both_logs() {
    let old = log(2, (0, 0), 1, &[append(&[1]), append(&[2])]);
    let end = u32::try_from(old.len()).unwrap();
    let new = log(3, (2, end), 3, &[append(&[3])]);
    let index = main_index(2, 56, &[1]);
    let state = read(&[(MAIN, &index), (OLD_LOG, &old), (LOG, &new)]).unwrap().unwrap();
    assert_eq!((uids(&state), state.view.highest_modseq()), (vec![1, 2, 3], 4));
    assert!(matches!(read(&[(MAIN, &index), (LOG, &new)]), Err(IndexError::Lost { .. })));
    let at_end = main_index(2, end, &[1, 2]);
    assert_eq!(uids(&read(&[(MAIN, &at_end), (LOG, &new)]).unwrap().unwrap()), [1, 2, 3]);
}

#[test]
fn a_log_that_starts_anew_wins_over_an_older_snapshot() {
    let new = log(5, (0, 0), 9, &[append(&[7])]);
    for (seq, head) in [(2, 56), (5, 40)] {
        let state = read(&[(MAIN, &main_index(seq, head, &[1])), (LOG, &new)]).unwrap().unwrap();
        assert_eq!((uids(&state), state.view.highest_modseq()), (vec![7], 10));
    }
}

#[test]
fn an_unfinished_end_is_left_out() {
    let mut bytes = log(2, (0, 0), 1, &[append(&[1])]);
    let end = bytes.len();
    let group = encode_transaction(&[append(&[2]), append(&[3])]);
    for cut in 0..group.len() {
        bytes.truncate(end);
        bytes.extend(&group[..cut]);
        let state = read(&[(LOG, &bytes)]).unwrap().unwrap();
        assert_eq!((uids(&state), state.log_end, state.unfinished), (vec![1], end, cut > 0), "{cut}");
    }
    bytes.truncate(end);
    bytes.extend(&group);
    assert_eq!(uids(&read(&[(LOG, &bytes)]).unwrap().unwrap()), [1, 2, 3]);
}

#[test]
fn requests_are_pending_until_the_tail_has_passed_them() {
    let seen = FlagUpdate { uids: UidRange { first: 1, last: 1 }, add: 8, remove: 0, force: false };
    let request = LogRecord { external: false, sync: false, change: Change::FlagUpdate(vec![seen]) };
    let mut records = vec![append(&[1, 2]), request];
    let state = read(&[(LOG, &log(2, (0, 0), 1, &records))]).unwrap().unwrap();
    assert!(state.view.pending_changes().contains(&1));
    assert_eq!(state.view.messages()[0], (1, 8));
    let end = u32::try_from(log(2, (0, 0), 1, &records).len()).unwrap() + 16;
    records.push(LogRecord::external(Change::HeaderUpdate(vec![(offset::LOG_TAIL, end.to_le_bytes().to_vec())])));
    let state = read(&[(LOG, &log(2, (0, 0), 1, &records))]).unwrap().unwrap();
    assert!(state.view.pending_changes().is_empty());
}

#[test]
fn corruption_is_told_with_its_path() {
    let mut bad = log(2, (0, 0), 1, &[append(&[1]), append(&[1])]);
    let error = read(&[(LOG, &bad)]).unwrap_err().to_string();
    assert!(error.contains("dovecot.index.log is corrupt at offset 56"), "{error}");
    bad[0] = 9;
    assert!(read(&[(LOG, &bad)]).unwrap_err().to_string().contains("version 9"));
    let error = read(&[(MAIN, b"garbage"), (LOG, &log(2, (0, 0), 1, &[]))]).unwrap_err().to_string();
    assert!(error.contains("dovecot.index is corrupt"), "{error}");
}
