//! What a log knows about the time since a modseq, and the moments of agreement that an index holds.
#![no_main]

use dsync_storage::index::history::{LogBytes, read};
use dsync_storage::index::log::{LogHeader, next_record};
use dsync_storage::index::points;
use dsync_storage::index::view::IndexView;

libfuzzer_sys::fuzz_target!(|input: (u8, u8, &[u8])| {
    let (since, mirrored_until, bytes) = input;
    let known = points::decode(bytes);
    assert_eq!(points::decode(&points::encode(&known)), known.into_iter().take(8).collect::<Vec<_>>());
    let Ok(header) = LogHeader::decode(bytes) else { return };
    let mut view = IndexView::empty(header.index_id, header.initial_modseq);
    let mut place = usize::from(header.header_size);
    while let Ok(Some((record, end))) = next_record(bytes, place) {
        if view.apply(&record, header.minor).is_err() {
            return;
        }
        place = end;
    }
    let logs = [LogBytes { header, bytes: bytes.to_vec() }];
    let all = read(&logs, None, 0, &view);
    let since = read(&logs, Some(since.into()), mirrored_until.into(), &view);
    assert_eq!(all.is_ok(), since.is_ok());
});
