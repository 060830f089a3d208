use dsync_core::model::{Flags, Keyword, MailboxStatus, MessageGuid, MessageList, ModSeq};
use dsync_core::store::NewMessages;

use super::*;

const SIZES: Sizes = Sizes { physical: 10, virtual_size: 12 };

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

fn record(number: u32, guid: &str) -> MessageRecord {
    MessageRecord {
        uid: Uid::new(number),
        guid: MessageGuid::new(guid.as_bytes()).unwrap(),
        flags: Flags::NONE,
        keywords: Keywords::none(),
        modseq: Some(ModSeq(1)),
        received: Timestamp(5),
        saved: None,
        pop3_uidl: None,
        pop3_order: None,
    }
}

fn numbered(records: Vec<MessageRecord>) -> NewMessages {
    let numbered = records.into_iter().enumerate().map(|(number, record)| (SavedBody(number), record));
    numbered.collect::<Vec<_>>().try_into().unwrap()
}

fn changes() -> MailboxChanges {
    MailboxChanges {
        origin: dsync_core::store::Origin::Mirrored,
        identity: MailboxIdentity::UNDECIDED,
        remove: vec![],
        renumber: vec![],
        update: vec![],
        add: NewMessages::default(),
        uid_next: uid(50),
        highest_modseq: ModSeq(9),
        first_recent_uid: uid(20),
    }
}

/// Files with the UIDs that the uidlist gives them; the file of UID n has the base name "m<n>".
fn run(files: &[(u32, &str)], changes: &MailboxChanges) -> Result<CommitPlan, StoreError> {
    let dir = tempfile::tempdir().unwrap();
    for subdirectory in ["new", "cur"] {
        std::fs::create_dir(dir.path().join(subdirectory)).unwrap();
    }
    for (_, file) in files {
        std::fs::write(dir.path().join(file), "").unwrap();
    }
    let scan = super::super::scan::scan(dir.path(), dir.path()).unwrap();
    let mut listed = Vec::new();
    let mut uidlist = UidList::default();
    let mut records = Vec::new();
    for (number, _) in files {
        let base = format!("m{number}").into_bytes();
        let file = scan.get(&base).unwrap();
        let mut record = record(*number, &format!("m{number}"));
        record.flags = FileName::parse(file.name).flags();
        records.push(record);
        listed.push(scan.files[scan.position(&base).unwrap()].at);
        uidlist.entries.push(&UidListEntry::new(uid(*number), &base));
    }
    let status = MailboxStatus {
        identity: MailboxIdentity::UNDECIDED,
        uid_next: uid(50),
        message_count: 0,
        highest_modseq: None,
        first_recent_uid: Some(uid(1)),
    };
    let messages = MessageList::new(records).unwrap();
    let files = MessageFiles { names: scan.names.clone(), listed, doomed: vec![] };
    let joined = Joined {
        status,
        messages,
        files,
        files_digest: [0; 20],
        index_is_behind: false,
        problems: vec![],
        has_dates_of_files: false,
        obstacle: None,
    };
    let slots = KeywordSlots::default();
    let found = Found { joined: &joined, uidlist: &uidlist, slots: &slots };
    plan(Path::new("/m"), found, changes, &|_| Some(SIZES), MailboxIdentity::UNDECIDED, &mut || {
        "generated".to_owned()
    })
}

fn placed(plan: &CommitPlan) -> Vec<String> {
    plan.placed(Path::new("/m")).map(|(_, path)| path.to_str().unwrap().to_owned()).collect()
}

fn uidlist(plan: &CommitPlan) -> String {
    let text = String::from_utf8(plan.uidlist.encode()).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_new_message_is_named_by_its_guid_if_that_is_possible() {
    let mut changes = changes();
    changes.add = numbered(vec![
        record(1, "plain"),
        record(2, "sized,S=10,W=12"),
        record(3, "wrong,S=11"),
        record(4, "plain"),
        record(5, "with/slash"),
        record(6, "with space"),
    ]);
    let plan = run(&[], &changes).unwrap();
    assert_eq!(
        placed(&plan),
        [
            "/m/cur/plain:2,",
            "/m/cur/sized,S=10,W=12:2,",
            "/m/cur/generated,S=10,W=12:2,",
            "/m/cur/generated,S=10,W=12:2,",
            "/m/cur/generated,S=10,W=12:2,",
            "/m/cur/with space:2,",
        ]
    );
    assert_eq!(
        uidlist(&plan),
        "1 S10 W12 :plain\n2 :sized,S=10,W=12\n3 Gwrong,S=11 :generated,S=10,W=12\n\
         4 Gplain :generated,S=10,W=12\n5 Gwith/slash :generated,S=10,W=12\n6 S10 W12 :with space\n"
    );
}

#[test]
fn a_guid_that_fits_nowhere_is_refused() {
    let mut changes = changes();
    changes.add = numbered(vec![record(1, "slash/and space")]);
    assert_eq!(run(&[], &changes).unwrap_err().kind(), ErrorKind::Impossible);
}

#[test]
fn only_a_recent_message_without_flags_lies_in_new() {
    let mut changes = changes();
    let mut seen = record(21, "seen");
    seen.flags = Flags::SEEN;
    let mut tagged = record(22, "tagged");
    tagged.keywords = [Keyword::new("x").unwrap()].into_iter().collect();
    changes.add = numbered(vec![record(19, "old"), record(20, "recent"), seen, tagged]);
    let plan = run(&[], &changes).unwrap();
    assert_eq!(placed(&plan), ["/m/cur/old:2,", "/m/new/recent", "/m/cur/seen:2,S", "/m/cur/tagged:2,a"]);
    assert_eq!(plan.slots.encode(), b"0 x\n");
}

#[test]
fn existing_files_move_only_if_their_flags_change() {
    let mut changes = changes();
    let mut flagged = record(2, "m2");
    flagged.flags = Flags::FLAGGED;
    let mut dated = record(3, "m3");
    dated.received = Timestamp(6);
    changes.update = vec![flagged, dated];
    changes.remove = vec![MessageKey::Uid(uid(4))];
    let files = [(1, "cur/m1:2,S"), (2, "cur/m2:2,ZS,x"), (3, "cur/m3:2,"), (4, "cur/m4:2,"), (30, "new/m30")];
    let plan = run(&files, &changes).unwrap();
    assert_eq!(plan.rename, [(PathBuf::from("/m/cur/m2:2,ZS,x"), PathBuf::from("/m/cur/m2:2,FZ,x"))]);
    assert_eq!(plan.date, [(PathBuf::from("/m/cur/m3:2,"), Timestamp(6))]);
    assert_eq!(plan.remove, [PathBuf::from("/m/cur/m4:2,")]);
    assert_eq!(uidlist(&plan), "1 :m1\n2 :m2\n3 :m3\n30 :m30\n");
}

#[test]
fn a_message_that_is_no_longer_recent_leaves_new() {
    let plan = run(&[(5, "new/m5")], &changes()).unwrap();
    assert_eq!(plan.rename, [(PathBuf::from("/m/new/m5"), PathBuf::from("/m/cur/m5:2,"))]);
}

#[test]
fn renumbered_messages_keep_their_files() {
    let mut changes = changes();
    changes.renumber = vec![(MessageKey::Uid(uid(1)), record(2, "m1")), (MessageKey::Uid(uid(2)), record(1, "m2"))];
    let plan = run(&[(1, "cur/m1:2,"), (2, "cur/m2:2,")], &changes).unwrap();
    assert!(plan.rename.is_empty());
    assert_eq!(uidlist(&plan), "1 :m2\n2 :m1\n");
}

#[test]
fn a_plan_for_other_messages_is_refused() {
    let mut missing = changes();
    missing.remove = vec![MessageKey::Uid(uid(9))];
    assert_eq!(run(&[(1, "cur/m1:2,")], &missing).unwrap_err().kind(), ErrorKind::NotFound);
    let mut taken = changes();
    taken.add = numbered(vec![record(1, "other")]);
    assert_eq!(run(&[(1, "cur/m1:2,")], &taken).unwrap_err().kind(), ErrorKind::Changed);
}
