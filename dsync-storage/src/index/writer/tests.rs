use dsync_core::model::Keyword;
use proptest::prelude::*;

use super::create::WAIT_FOR_COMPLETE;
use super::*;
use crate::index::cache::{self, Cache};
use crate::index::reading::read_index;
use crate::index::target::tests::change_first;
use crate::index::target::{TargetMessage, TargetMessages};

fn messages(view: &IndexView) -> TargetMessages {
    let names = view.keyword_names();
    let message = |(place, (uid, flags)): (usize, &(u32, u8))| TargetMessage {
        uid: *uid,
        flags: *flags,
        keywords: view
            .keywords(place)
            .filter_map(|number| Keyword::new(std::str::from_utf8(&names[number]).unwrap()))
            .collect(),
        modseq: view.modseq(place),
    };
    view.messages().iter().enumerate().map(message).collect()
}

fn at(directory: &Path) -> IndexFiles {
    IndexFiles::of_mailbox(directory)
}

fn expect(directory: &Path, target: &IndexTarget, dates: &[(u32, u32)]) {
    let state = read_index(&at(directory)).unwrap().unwrap();
    let view = &state.view;
    let counters = (view.uid_validity(), view.next_uid(), view.first_recent_uid(), view.highest_modseq());
    assert_eq!(counters, (target.uid_validity, target.next_uid, target.first_recent_uid, target.highest_modseq));
    assert_eq!(messages(view), target.messages);
    assert!(!state.unfinished);
    let bytes = std::fs::read(at(directory).cache()).unwrap_or_default();
    let extension = view.extension(CACHE);
    let cache = extension.and_then(|e| Cache::decode(&bytes, view.snapshot().index_id(), e.reset_id));
    for (uid, date) in dates {
        let place = view.index_of(*uid).unwrap();
        let found = cache.as_ref().and_then(|cache| cache.date(view.cache_offset(place), cache::SAVE_DATE));
        assert_eq!(found, Some(*date), "saved date of {uid}");
    }
}

fn dates_of(target: &IndexTarget, offset: u32) -> Vec<(u32, u32)> {
    target.messages.iter().map(|message| (message.uid, offset + message.uid)).collect()
}

fn one_message(highest_modseq: u64) -> IndexTarget {
    IndexTarget {
        uid_validity: 5,
        next_uid: 4,
        first_recent_uid: 2,
        highest_modseq,
        mirrored: false,
        removed: vec![],
        reuses_uids: false,
        stale_in_cache: Vec::new(),
        extensions: Vec::new(),
        messages: vec![TargetMessage {
            uid: 3,
            flags: 8,
            keywords: Keyword::new("k").into_iter().collect(),
            modseq: 2,
        }]
        .into(),
    }
}

#[test]
fn an_index_without_log_gets_one_and_goes_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = one_message(40);
    create(&at(dir.path()), target.clone(), &dates_of(&target, 100), &Permissions::PRIVATE, Durability::Now).unwrap();
    expect(dir.path(), &target, &dates_of(&target, 100));
    std::fs::remove_file(at(dir.path()).log()).unwrap();
    expect(dir.path(), &target, &dates_of(&target, 100));
    target.highest_modseq = 41;
    change_first(&mut target, |message| message.flags = 0);
    change_first(&mut target, |message| message.modseq = 41);
    let locked = LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap();
    locked.change_to(target.clone(), &dates_of(&target, 200)).unwrap();
    assert!(at(dir.path()).main().exists());
    expect(dir.path(), &target, &dates_of(&target, 200));
}

#[test]
fn a_log_that_was_not_replaced_in_time_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let files = at(dir.path());
    let mut target = one_message(40);
    create(&files, target.clone(), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    target.highest_modseq = 50;
    change_first(&mut target, |message| message.modseq = 50);
    LockedIndex::lock(&files, &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[]).unwrap();
    let old = std::fs::read(files.log()).unwrap();
    // A lower HIGHESTMODSEQ than the records of a log alone count: the index gets a new log that is empty.
    target.highest_modseq = 2;
    change_first(&mut target, |message| message.modseq = 2);
    LockedIndex::lock(&files, &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[]).unwrap();
    assert_eq!(std::fs::read(files.log()).unwrap().len(), 40);
    std::fs::write(files.log(), old).unwrap();
    expect(dir.path(), &target, &[]);
    change_first(&mut target, |message| message.flags = 0);
    target.highest_modseq = 3;
    change_first(&mut target, |message| message.modseq = 3);
    LockedIndex::lock(&files, &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[]).unwrap();
    expect(dir.path(), &target, &[]);
}

#[test]
fn the_remains_of_a_crashed_writer_are_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let target = one_message(40);
    create(&at(dir.path()), target.clone(), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    drop(LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap());
    let path = at(dir.path()).log();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0x80, 0x80, 0x80, 0x84, 2, 0]);
    std::fs::write(&path, bytes).unwrap();
    let locked = LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap();
    locked.change_to(target.clone(), &[]).unwrap();
    expect(dir.path(), &target, &[]);
}

#[test]
fn requests_that_were_carried_out_are_marked_as_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = one_message(40);
    create(&at(dir.path()), target.clone(), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    drop(LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap());
    let path = at(dir.path()).log();
    let mut bytes = std::fs::read(&path).unwrap();
    let uids = crate::index::log::UidRange { first: 3, last: 3 };
    let update = crate::index::log::FlagUpdate { uids, add: 1, remove: 0, force: false };
    let request = LogRecord { external: false, sync: false, change: Change::FlagUpdate(vec![update]) };
    bytes.extend(request.encode());
    std::fs::write(&path, bytes).unwrap();
    assert!(!read_index(&at(dir.path())).unwrap().unwrap().view.pending_changes().is_empty());
    target.highest_modseq = 45;
    LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[]).unwrap();
    expect(dir.path(), &target, &[]);
    assert!(read_index(&at(dir.path())).unwrap().unwrap().view.pending_changes().is_empty());
}

#[test]
fn the_remains_of_a_crashed_replacement_are_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = one_message(40);
    create(&at(dir.path()), target.clone(), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    drop(LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap());
    std::fs::write(dir.path().join("dovecot.index.log.newlock"), "half").unwrap();
    target.highest_modseq = 30;
    LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[]).unwrap();
    expect(dir.path(), &target, &[]);
}

#[test]
fn a_state_that_no_counting_leads_to_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = one_message(40);
    create(&at(dir.path()), target.clone(), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    target.highest_modseq = 2;
    LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap().change_to(target.clone(), &[(3, 9)]).unwrap();
    expect(dir.path(), &target, &[(3, 9)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_history_ends_in_the_wanted_state(
        targets in prop::collection::vec((crate::index::target::tests::any_target(), 0u32..3), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = &targets[0];
        create(&at(dir.path()), first.clone(), &[], &Permissions::PRIVATE, Durability::Later).unwrap();
        expect(dir.path(), first, &[]);
        for (target, offset) in &targets {
            let dates = dates_of(target, offset * 1000);
            let locked = LockedIndex::lock(&at(dir.path()), &Permissions::PRIVATE).unwrap();
            locked.change_to(target.clone(), &dates).unwrap();
            expect(dir.path(), target, &dates);
        }
    }
}

#[test]
fn a_new_log_that_a_crash_left_without_its_name_does_not_stand_in_the_way_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let files = at(dir.path());
    create(&files, one_message(40), &[], &Permissions::PRIVATE, Durability::Now).unwrap();
    std::fs::remove_file(files.log()).unwrap();
    let left = files.with(".log.newlock");
    std::fs::write(&left, LogHeader::new(7, 3, 0, 1).encode()).unwrap();
    let old = std::time::SystemTime::now() - WAIT_FOR_COMPLETE - Duration::from_secs(1);
    File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    let locked = LockedIndex::lock(&files, &Permissions::PRIVATE).unwrap();
    assert_eq!(locked.view().highest_modseq(), 40);
    assert!(!left.exists());
}
