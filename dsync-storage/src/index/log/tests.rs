use proptest::prelude::*;

use super::*;
use crate::index::bytes::{pad, padded};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn decode(text: &str) -> LogRecord {
    let bytes = hex(text);
    let Ok(Framed::Record(record, end)) = decode_record(&bytes, 0) else { panic!("{text} is no record") };
    assert_eq!((end, record.encode()), (bytes.len(), bytes), "{text}");
    record
}

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first, last }
}

#[test]
fn records_as_a_server_writes_them() {
    let flag = decode("80808085 04000000 01000000 02000000 08000000");
    let seen = FlagUpdate { uids: range(1, 2), add: 8, remove: 0, force: false };
    assert_eq!((flag.external, flag.change), (false, Change::FlagUpdate(vec![seen])));

    let tail = decode("80808084 20000010 40000400 4c000000");
    assert_eq!(tail, LogRecord::external(Change::HeaderUpdate(vec![(64, vec![0x4c, 0, 0, 0])])));

    let two = decode("80808086 20000010 18000400 c339046b 4c000400 ffffffff");
    assert!(matches!(two.change, Change::HeaderUpdate(patches) if patches.len() == 2));

    let keyword = decode("80808087 00040010 00000500 244a756e6b000000 01000000 01000000");
    let expected = Change::KeywordUpdate { remove: false, name: b"$Junk".to_vec(), uids: vec![range(1, 1)] };
    assert_eq!(keyword.change, expected);

    let highest = decode("80808085 00800010 00000000 32000000 00000000");
    assert_eq!(highest.change, Change::ModSeqUpdate(vec![(0, 50)]));

    let append = decode("80808084 02000010 01000000 08000000");
    assert_eq!(append.change, Change::Append(vec![(1, 8, [0; 3])]));

    let intro = decode("80808089 40000010 ffffffff 00000000 18000000 00000000 01000800 64626f782d686472");
    assert!(matches!(intro.change, Change::ExtensionIntro(intro) if intro.header_size == 24 && intro.flags == 1));
}

#[test]
fn size_words() {
    for (size, word) in
        [(12, [0x80, 0x80, 0x80, 0x83]), (48, [0x80, 0x80, 0x80, 0x8c]), (1024, [0x80, 0x80, 0x82, 0x80])]
    {
        assert_eq!(encode_size(size), word);
        assert_eq!(decode_size(word), size);
    }
    assert_eq!(decode_size([0, 0x80, 0x80, 0x83]), 0);
}

#[test]
fn headers_survive_and_old_ones_are_shorter() {
    let header = LogHeader::new(7, 2, 9, 5);
    let bytes = header.encode();
    assert_eq!(bytes.len(), 40);
    assert_eq!(LogHeader::decode(&bytes), Ok(header.clone()));
    let mut old = bytes[..24].to_vec();
    old[1] = 1;
    old[2] = 24;
    assert_eq!(LogHeader::decode(&old).unwrap().initial_modseq, 0);
    let mut cut = bytes[..30].to_vec();
    cut[2] = 30;
    cut.extend([1; 10]);
    assert_eq!(LogHeader::decode(&cut), Err(LogError::ByteOrder), "half a field is none");
    let mut marked = bytes.clone();
    marked[4] = 0;
    assert_eq!(LogHeader::decode(&marked), Err(LogError::Marked));
    let mut swapped = bytes.clone();
    swapped[32] = 0;
    assert_eq!(LogHeader::decode(&swapped), Err(LogError::ByteOrder));
    assert_eq!(LogHeader::decode(&bytes[..39]), Err(LogError::Header));
    assert_eq!(LogHeader::decode(&[2; 40]), Err(LogError::Version(2)));
}

#[test]
fn what_is_unfinished_is_no_error_and_what_makes_no_sense_is() {
    for bytes in ["", "808080", "80808083 00000810 0c0000", "00808083 00000810 0c000000"] {
        assert_eq!(decode_record(&hex(bytes), 0), Ok(Framed::Unfinished), "{bytes}");
    }
    for bytes in [
        // an expunge without its protection bits, an unknown type, no body, ranges out of order, an empty keyword
        "80808084 01000010 01000000 01000000",
        "80808083 00004000 01000000",
        "80808082 04000000",
        "80808086 91cd0010 05000000 05000000 04000000 04000000",
        "80808085 00040010 00000000 01000000 01000000",
    ] {
        assert_eq!(decode_record(&hex(bytes), 0), Err(LogError::Record(0)), "{bytes}");
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    let ranges = prop::collection::vec((1u32..50, 0u32..9), 1..4).prop_map(|steps| {
        let mut last = 0;
        let mut next = |(gap, length): (u32, u32)| {
            let first = last + gap;
            last = first + length;
            range(first, last)
        };
        steps.into_iter().map(&mut next).collect::<Vec<_>>()
    });
    let bytes = || prop::collection::vec(any::<u8>(), 0..9);
    let padded = prop::collection::vec(any::<u32>(), 1..5)
        .prop_map(|words| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    let intro =
        (any::<bool>(), any::<u32>(), any::<u32>(), any::<[u16; 3]>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(named, number, header_size, [record_size, record_align, flags], name)| ExtensionIntro {
                target: if named { ExtensionTarget::Name(name) } else { ExtensionTarget::Number(number / 2) },
                reset_id: number,
                header_size,
                record_size,
                record_align,
                flags,
            });
    prop_oneof![
        ranges.clone().prop_map(Change::Expunge),
        ranges.clone().prop_map(Change::KeywordReset),
        (ranges.clone(), any::<[u8; 2]>(), any::<bool>()).prop_map(|(ranges, [add, remove], force)| {
            Change::FlagUpdate(ranges.into_iter().map(|uids| FlagUpdate { uids, add, remove, force }).collect())
        }),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 1..9), ranges)
            .prop_map(|(remove, name, uids)| Change::KeywordUpdate { remove, name, uids }),
        prop::collection::vec((1u32.., any::<[u8; 16]>()), 1..4).prop_map(Change::ExpungeGuid),
        prop::collection::vec((any::<u32>(), any::<u8>(), any::<[u8; 3]>()), 1..4).prop_map(Change::Append),
        prop::collection::vec((any::<u16>(), bytes()), 1..4).prop_map(Change::HeaderUpdate),
        intro.prop_map(Change::ExtensionIntro),
        (any::<u32>(), any::<bool>()).prop_map(|(id, preserve)| Change::ExtensionReset(id, preserve)),
        prop::collection::vec((any::<u32>(), bytes()), 1..4).prop_map(Change::ExtensionHeader),
        padded.clone().prop_map(Change::ExtensionRecords),
        padded.prop_map(Change::AttributeUpdate),
        prop::collection::vec(any::<(u32, i32)>(), 1..4).prop_map(Change::ExtensionIncrement),
        prop::collection::vec(any::<(u32, u64)>(), 1..4).prop_map(Change::ModSeqUpdate),
        Just(Change::IndexDeleted),
        Just(Change::IndexUndeleted),
        any::<u32>().prop_map(Change::Boundary),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(change in any_change(), external: bool, sync: bool) {
        let record = LogRecord { external, sync, change };
        let bytes = record.encode();
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(decode_record(&bytes, 0), Ok(Framed::Record(record, bytes.len())));
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0u32..21, marks in 0u8..4) {
        let _ = LogHeader::decode(&bytes);
        let _ = decode_record(&bytes, 0);
        // The same behind a valid head of each type.
        let type_word = 1 << kind | u32::from(marks) << 28 | if kind == 0 || kind == 13 { 0xcd90 } else { 0 };
        let mut framed = encode_size(padded(bytes.len(), 4) + 8).to_vec();
        framed.extend(type_word.to_le_bytes());
        framed.extend(&bytes);
        pad(&mut framed, 4);
        if let Ok(Framed::Record(record, _)) = decode_record(&framed, 0) {
            let again = record.encode();
            prop_assert_eq!(decode_record(&again, 0), Ok(Framed::Record(record, again.len())));
        }
    }
}
