//! The transaction log: header and records, parsed, printed and parsed again.
#![no_main]

use dsync_storage::index::log::{Framed, LogHeader, decode_record};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = LogHeader::decode(bytes) {
        assert_eq!(LogHeader::decode(&header.encode()).as_ref(), Ok(&header));
    }
    let mut place = 0;
    while let Ok(Framed::Record(record, end)) = decode_record(bytes, place) {
        let printed = record.encode();
        assert_eq!(decode_record(&printed, 0), Ok(Framed::Record(record, printed.len())));
        assert!(end > place);
        place = end;
    }
});
