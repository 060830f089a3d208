use proptest::prelude::*;

use super::*;

fn decode(text: &str) -> (UidList, Option<Damage>) {
    UidList::decode(text.as_bytes())
}

fn uids(list: &UidList) -> Vec<u32> {
    list.entries.iter().map(|entry| entry.uid.get()).collect()
}

const SOUND: &str = "3 V1234567890 N1000 G00112233445566778899aabbccddeeff P%08Xu%08Xv Zfuture\n\
    5 :1600000000.M1P77.host.example,S=141,W=149\n\
    9 Gguid-two-xyz PUIDL-2 O3 :1600000001.M1P77.host.example,S=141,W=149\n\
    10 S141 W149 P :1600000002.M1P77.host.example\n";

#[test]
fn a_sound_file_is_read_and_written_the_same() {
    let (list, damage) = decode(SOUND);
    assert_eq!(damage, None);
    assert_eq!(list.uid_validity, UidValidity::new(1_234_567_890));
    assert_eq!(list.effective_uid_next().get(), 1000);
    assert_eq!(list.guid.unwrap().to_string(), "00112233445566778899aabbccddeeff");
    assert_eq!(uids(&list), [5, 9, 10]);
    assert_eq!(list.entries.get(1).unwrap().field(b'G'), Some(&b"guid-two-xyz"[..]));
    assert_eq!(list.entries.get(2).unwrap().field(b'P'), Some(&b""[..]));
    assert_eq!(String::from_utf8(list.encode()).unwrap(), SOUND);
}

#[test]
fn tolerated_oddities() {
    let (list, damage) = decode("3  V7   N1 G00112233445566778899AABBCCDDEEFF\r\n4   G1   :a:2,S\r\n8 x5 :b\n9 :cut");
    assert_eq!(damage, None);
    assert_eq!(uids(&list), [4, 8]);
    assert_eq!(list.entries.get(0).unwrap().base(), b"a");
    assert_eq!(list.effective_uid_next().get(), 9);
    assert!(list.entries.get(1).unwrap().to_entry().fields.is_empty());
}

#[test]
fn reading_stops_at_the_first_broken_line_and_keeps_what_came_before() {
    for line in ["2 :b", "1 :b", "garbage", "", "0 :b", "3 :a/b", "3 b", "3 :", "4294967295 :b", "-3 :b", "+3 :b"] {
        let (list, damage) = decode(&format!("3 V77 N20\n2 :a\n{line}\n30 :c\n"));
        assert_eq!(damage.map(|damage| damage.line), Some(3), "{line}");
        assert_eq!(uids(&list), [2], "{line}");
    }
}

#[test]
fn a_broken_header_leaves_no_messages_but_a_valid_guid() {
    for header in ["3 V0 N1", "3 N1", "3 V7", "3 V7 N0", "4 V7 N1", "2 7 1", "3 V7 N1 Gxyz", "3 V99999999999 N1"] {
        let (list, damage) = decode(&format!("{header}\n2 :a\n"));
        assert_eq!(damage.map(|damage| damage.line), Some(1), "{header}");
        assert!(list.entries.is_empty(), "{header}");
    }
    let (list, _) = decode("3 N1 G00112233445566778899aabbccddeeff\n2 :a\n");
    assert!(list.guid.is_some());
    assert_eq!(decode("").1, None);
    assert!(decode("3 V7 N1").1.is_some());
}

#[test]
fn of_two_lines_for_one_file_the_higher_uid_counts() {
    let (list, damage) = decode("3 V77 N20\n2 :a\n3 :b\n5 :a\n");
    assert_eq!((uids(&list), damage), (vec![3, 5], None));
}

#[test]
fn version_1_is_read() {
    let (list, damage) = decode("1 1234 20\n3 name,S=5:2,S\n7 with space\n25 beyond\n");
    assert_eq!(uids(&list), [3, 7]);
    assert_eq!(list.entries.get(0).unwrap().base(), b"name,S=5");
    assert_eq!(list.entries.get(1).unwrap().base(), b"with space");
    assert_eq!(damage.map(|damage| damage.line), Some(4));
}

#[test]
fn fields_are_set_and_removed() {
    let mut entry = UidListEntry::new(Uid::FIRST, b"a");
    entry.set_field(b'P', Some(b"x"));
    entry.set_field(b'G', Some(b"g"));
    entry.set_field(b'P', Some(b"y"));
    assert_eq!(entry.fields, [(b'G', b"g".to_vec()), (b'P', b"y".to_vec())]);
    entry.set_field(b'G', None);
    assert_eq!(entry.field(b'G'), None);
    assert!(can_be_field(b"a") && !can_be_field(b"a b") && !can_be_field(b""));
}

fn any_list() -> impl Strategy<Value = UidList> {
    let field = (prop::sample::select(b"GPOSWX".to_vec()), prop::collection::vec(0x21u8..0x7f, 0..8));
    let fields = prop::collection::vec(field, 0..3);
    let entries = prop::collection::btree_map("[a-z.,=0-9]{1,9}", fields, 0..8);
    let header = (1..u32::MAX, 1..u32::MAX, prop::option::of(prop::array::uniform16(1u8..)));
    (header, entries, prop::collection::vec("[A-FH-MO-UW-Z][a-z0-9]{0,4}", 0..3)).prop_map(
        |((validity, next, guid), entries, other)| {
            let mut listed = UidListEntries::default();
            for ((base, fields), uid) in entries.into_iter().zip(1..) {
                listed.push(&UidListEntry { uid: Uid::new(uid).unwrap(), base: base.into(), fields });
            }
            let next = next.max(20);
            UidList {
                uid_validity: UidValidity::new(validity),
                uid_next: Uid::new(next),
                guid: guid.and_then(MailboxGuid::new),
                other_items: other.into_iter().map(String::into_bytes).collect(),
                entries: listed,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(list in any_list()) {
        prop_assert_eq!(UidList::decode(&list.encode()), (list, None));
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = UidList::decode(&bytes);
    }

    #[test]
    fn what_was_read_survives_rewriting(text in "3 V[0-9]{1,3} N[0-9]{1,3}( [A-Z]?[a-z0-9]{0,3}){0,3}\n([0-9]{1,2}( [A-Zx][a-z]{0,2}){0,2} :[a-z:]{1,3}\n){0,5}") {
        let (list, _) = UidList::decode(text.as_bytes());
        if list.uid_validity.is_some() {
            let (again, damage) = UidList::decode(&list.encode());
            prop_assert_eq!(damage, None);
            prop_assert_eq!(&again.entries, &list.entries);
            prop_assert_eq!(again.effective_uid_next(), list.effective_uid_next());
        }
    }
}
