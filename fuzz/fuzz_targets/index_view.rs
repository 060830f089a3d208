//! Any records applied to an index: nothing panics, and the state can be printed.
#![no_main]

use dsync_storage::index::log::{Framed, decode_record};
use dsync_storage::index::main_index::MainIndex;
use dsync_storage::index::view::IndexView;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut view = IndexView::empty(1, 1);
    let mut place = 0;
    while let Ok(Framed::Record(record, end)) = decode_record(bytes, place) {
        if view.apply(&record, 3).is_err() {
            return;
        }
        place = end;
    }
    for index in 0..view.messages().len() {
        let _ = (view.modseq(index), view.cache_offset(index), view.keywords(index).count());
    }
    let printed = view.snapshot().encode();
    if let Ok(index) = MainIndex::decode(&printed) {
        assert_eq!(index.messages, view.messages());
    }
});
