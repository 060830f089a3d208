use super::*;

const TIMES: FileTimes = FileTimes { modified: Timestamp(100), changed: Timestamp(200) };

struct Mailbox {
    uidlist: &'static str,
    keywords: &'static str,
    files: &'static [&'static str],
    index: Option<IndexedMailbox>,
}

impl Mailbox {
    fn join(&self) -> Joined {
        let (uidlist, damage) = UidList::decode(self.uidlist.as_bytes());
        assert_eq!(damage, None);
        let slots = KeywordSlots::decode(self.keywords.as_bytes());
        let dir = tempfile::tempdir().unwrap();
        for subdirectory in ["new", "cur"] {
            std::fs::create_dir(dir.path().join(subdirectory)).unwrap();
        }
        for file in self.files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let scan = super::super::scan::scan(dir.path(), dir.path()).unwrap();
        let sources =
            Sources { uidlist: &uidlist, uidlist_is_whole: true, slots: &slots, index: self.index.as_ref() };
        join(sources, scan, &mut |_| Ok(TIMES))
    }
}

fn keywords(names: &[&str]) -> Keywords {
    names.iter().filter_map(|name| Keyword::new(name)).collect()
}

fn indexed(flags: Flags, names: &[&str], modseq: u64) -> IndexedMessage {
    IndexedMessage {
        flags,
        keywords: keywords(names),
        dirty: false,
        modseq: ModSeq(modseq),
        received: None,
        saved: None,
    }
}

fn index(next: u32, messages: &[(u32, IndexedMessage)]) -> Option<IndexedMailbox> {
    Some(IndexedMailbox {
        uid_validity: UidValidity::new(7),
        uid_next: Uid::new(next),
        first_recent_uid: Uid::new(2),
        highest_modseq: ModSeq(50),
        messages: messages.iter().map(|(uid, message)| (Uid::new(*uid).unwrap(), message.clone())).collect(),
        ..IndexedMailbox::default()
    })
}

#[test]
fn without_any_record_files_have_no_uid_and_come_in_the_order_of_their_names() {
    let joined =
        Mailbox { uidlist: "", keywords: "", files: &["cur/2.M1:2,S", "new/1.M5", "new/1.M10"], index: None }.join();
    let guids: Vec<_> = joined.messages.records().map(|record| record.guid.to_string()).collect();
    assert_eq!(guids, ["1.M5", "1.M10", "2.M1"]);
    assert_eq!(joined.status.identity, MailboxIdentity::UNDECIDED);
    assert_eq!((joined.status.uid_next, joined.status.highest_modseq), (Uid::FIRST, None));
    let last = joined.messages.at(2).unwrap();
    assert_eq!((last.uid, last.flags, last.modseq), (None, Flags::SEEN, None));
    assert_eq!((last.received, last.saved), (Timestamp(100), Some(Timestamp(200))));
}

#[test]
fn the_uidlist_says_uid_guid_and_pop3_data() {
    let joined = Mailbox {
        uidlist: "3 V7 N20 G00112233445566778899aabbccddeeff\n2 Gother PU O5 :a\n3 P :b\n9 :gone\n",
        keywords: "",
        files: &["cur/a:2,", "new/b", "new/c"],
        index: None,
    }
    .join();
    let [a, b, c] = &joined.messages.records().collect::<Vec<_>>()[..] else { panic!("{joined:?}") };
    assert_eq!((a.uid, &*a.guid.text()), (Uid::new(2), &b"other"[..]));
    assert_eq!((a.pop3_uidl.as_deref(), a.pop3_order), (Some("U"), Some(5)));
    assert_eq!((b.uid, b.pop3_uidl.as_deref()), (Uid::new(3), Some("b")));
    assert_eq!((c.uid, &*c.guid.text()), (None, &b"c"[..]));
    assert_eq!((joined.status.uid_next.get(), joined.status.first_recent_uid), (20, Uid::new(3)));
}

#[test]
fn the_file_name_wins_over_the_index_and_then_the_modseq_is_open() {
    let joined = Mailbox {
        uidlist: "3 V7 N3\n1 :a\n2 :b\n",
        keywords: "0 kw\n",
        files: &["cur/a:2,Sa", "cur/b:2,S"],
        index: index(3, &[(1, indexed(Flags::SEEN, &["extra", "kw"], 40)), (2, indexed(Flags::NONE, &[], 41))]),
    }
    .join();
    let [a, b] = &joined.messages.records().collect::<Vec<_>>()[..] else { panic!("{joined:?}") };
    assert_eq!((&a.keywords, a.modseq), (&keywords(&["extra", "kw"]), Some(ModSeq(40))));
    assert_eq!((b.flags, b.modseq), (Flags::SEEN, None));
    assert_eq!(joined.status.highest_modseq, Some(ModSeq(50)));
}

#[test]
fn what_the_index_has_not_written_to_the_name_yet_counts() {
    let mut dirty = indexed(Flags::FLAGGED, &[], 40);
    dirty.dirty = true;
    let mut known = index(4, &[(1, dirty), (2, indexed(Flags::DRAFT, &[], 41)), (3, indexed(Flags::NONE, &[], 42))]);
    known.as_mut().unwrap().pending_changes = BTreeSet::from([Uid::new(2).unwrap()]);
    known.as_mut().unwrap().pending_expunges = BTreeSet::from([Uid::new(3).unwrap()]);
    let joined = Mailbox {
        uidlist: "3 V7 N4\n1 :a\n2 :b\n3 :c\n",
        keywords: "",
        files: &["cur/a:2,S", "cur/b:2,S", "cur/c:2,"],
        index: known,
    }
    .join();
    let flags: Vec<_> = joined.messages.records().map(|record| (record.flags, record.modseq)).collect();
    assert_eq!(flags, [(Flags::FLAGGED, Some(ModSeq(40))), (Flags::DRAFT, Some(ModSeq(41)))]);
    assert_eq!(joined.files.doomed.len(), 1);
    assert_eq!(joined.status.highest_modseq, Some(ModSeq(51)), "the server will count the removal");
}

#[test]
fn cached_dates_win_over_those_of_the_file() {
    let mut cached = indexed(Flags::NONE, &[], 40);
    cached.saved = Some(9);
    let mailbox =
        Mailbox { uidlist: "3 V7 N2\n1 :a\n", keywords: "", files: &["cur/a:2,"], index: index(2, &[(1, cached)]) };
    let record = &mailbox.join().messages.at(0).unwrap();
    assert_eq!((record.received, record.saved), (Timestamp(100), Some(Timestamp(9))));
}

#[test]
fn an_index_of_another_validity_only_goes_on_counting() {
    let mut other = index(30, &[(1, indexed(Flags::SEEN, &[], 40))]);
    other.as_mut().unwrap().uid_validity = UidValidity::new(8);
    let joined = Mailbox { uidlist: "3 V7 N3\n1 :a\n", keywords: "", files: &["cur/a:2,S"], index: other }.join();
    assert_eq!(joined.messages.at(0).unwrap().modseq, None);
    assert_eq!((joined.status.uid_next.get(), joined.status.highest_modseq), (3, Some(ModSeq(50))));
    assert_eq!(joined.status.identity.uid_validity, UidValidity::new(7));
}

#[test]
fn a_message_that_the_index_has_expunged_gets_a_new_uid() {
    let joined = Mailbox {
        uidlist: "3 V7 N3\n1 :a\n2 :b\n",
        keywords: "",
        files: &["cur/a:2,", "cur/b:2,"],
        index: index(3, &[(1, indexed(Flags::NONE, &[], 40))]),
    }
    .join();
    let uids: Vec<_> = joined.messages.records().map(|record| record.uid).collect();
    assert_eq!(uids, [Uid::new(1), None]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_left_out() {
    let (uidlist, _) = UidList::decode(b"");
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cur")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("cur/a:2,")).unwrap();
    let scan = super::super::scan::scan(dir.path(), dir.path()).unwrap();
    let slots = KeywordSlots::default();
    let sources = Sources { uidlist: &uidlist, uidlist_is_whole: true, slots: &slots, index: None };
    let joined = join(sources, scan, &mut |_| Err("broken".to_owned()));
    assert_eq!((joined.messages.len(), joined.problems, joined.obstacle), (0, vec!["broken".to_owned()], None));
}

#[test]
fn something_else_in_the_place_of_a_message_is_an_obstacle() {
    let (uidlist, _) = UidList::decode(b"3 V1 N3 G00112233445566778899aabbccddeeff\n1 :a\n2 :b\n");
    let slots = KeywordSlots::default();
    let sources = Sources { uidlist: &uidlist, uidlist_is_whole: true, slots: &slots, index: None };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("cur/a:2,S")).unwrap();
    std::fs::create_dir_all(dir.path().join("cur/c:2,")).unwrap();
    let scan = super::super::scan::scan(dir.path(), dir.path()).unwrap();
    let joined = join(sources, scan, &mut |_| Ok(TIMES));
    assert!(joined.obstacle.is_some_and(|obstacle| obstacle.contains("cur/a:2,S")), "{:?}", joined.problems);
    std::fs::remove_dir(dir.path().join("cur/a:2,S")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("cur/b:2,")).unwrap();
    let scan = super::super::scan::scan(dir.path(), dir.path()).unwrap();
    let joined = join(sources, scan, &mut |_| Err("broken".to_owned()));
    assert_eq!(joined.obstacle, Some("broken".to_owned()));
}
