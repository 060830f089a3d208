use proptest::prelude::*;

use super::*;

/// As a server wrote it for an sdbox with one message.
fn golden() -> Vec<u8> {
    let text = "
        07037800 e8000000 0c000000 01000000 3d3a046b 00000000 3d3a046b 02000000
        01000000 00000000 00000000 00000000 01000000 00000000 00000000 03000000
        28000000 28000000 00000000 503a046b 3d3a046b 0082036b 01000000 00000000
        00000000 00000000 00000000 00000000 00000000 00000000
        18000000 00000000 00000000 00000800 64626f782d686472
        00000000 43c5341d 3d3a046b 7d420000 83ecc375 00000000
        04000000 00000000 00000000 00000d00 6864722d706f70332d7569646c000000 00000000 00000000
        00000000 3d3a046b 08000400 04000500 6361636865000000
        01000000 00000000 84010000";
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_file_of_a_server_is_read() {
    let index = MainIndex::decode(&golden()).unwrap();
    assert_eq!(index.index_id(), 0x6b04_3a3d);
    assert_eq!(index.messages, [(1, 0)]);
    assert_eq!((index.get(offset::NEXT_UID), index.get(offset::LOG_SEQ)), (2, 3));
    let names: Vec<_> = index.extensions.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()).collect();
    assert_eq!(names, ["dbox-hdr", "hdr-pop3-uidl", "cache"]);
    assert_eq!(index.extension("cache").unwrap().record(0), [0x84, 1, 0, 0]);
    assert_eq!(index.encode(), golden());
}

#[test]
fn contradictions_are_refused() {
    let with = |offset: usize, bytes: &[u8]| {
        let mut file = golden();
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        MainIndex::decode(&file).unwrap_err()
    };
    assert_eq!(with(0, &[6]), MainIndexError::Version(6));
    assert_eq!(with(12, &[0]), MainIndexError::ByteOrder);
    assert_eq!(with(2, &[100]), MainIndexError::Header);
    assert_eq!(with(32, &[2]), MainIndexError::Header);
    assert_eq!(with(8, &[0]), MainIndexError::Extension(2));
    assert_eq!(with(232, &[0]), MainIndexError::Order);
    assert_eq!(MainIndex::decode(&golden()[..200]).unwrap_err(), MainIndexError::Header);
}

fn any_index() -> impl Strategy<Value = MainIndex> {
    let extension = (any::<u32>(), prop::collection::vec(any::<u8>(), 0..20), 0u16..3, 0u32..4);
    let messages = prop::collection::btree_map(1u32..u32::MAX, any::<u8>(), 0..6);
    (prop::collection::btree_map("[a-z]{1,9}", extension, 0..5), messages, any::<u8>()).prop_map(
        |(extensions, messages, fill)| {
            let mut index = MainIndex::new(7);
            index.messages = messages.into_iter().collect();
            index.set(offset::NEXT_UID, index.messages.last().map_or(1, |(uid, _)| uid + 1));
            for (name, (reset_id, header, units, align)) in extensions {
                let record_align = 1 << align;
                let record_size = units * record_align;
                let records = Arc::new(vec![fill; usize::from(record_size) * index.messages.len()]);
                let name = name.into_bytes();
                index.extensions.push(Extension { name, reset_id, header, record_size, record_align, records });
            }
            index
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(index in any_index()) {
        let bytes = index.encode();
        let read = MainIndex::decode(&bytes).unwrap();
        prop_assert_eq!(&read.extensions, &index.extensions);
        prop_assert_eq!(&read.messages, &index.messages);
        prop_assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn any_bytes_can_be_read(offset in 0usize..244, bytes in prop::collection::vec(any::<u8>(), 0..12), length in 0usize..260) {
        let mut file = golden();
        let end = (offset + bytes.len()).min(file.len());
        file[offset..end].copy_from_slice(&bytes[..end - offset]);
        file.truncate(length);
        if let Ok(index) = MainIndex::decode(&file) {
            prop_assert_eq!(MainIndex::decode(&index.encode()).unwrap().messages, index.messages);
        }
    }
}
