//! What mdbox and sdbox read out of an index, and the map that an index is.
#![no_main]

use dsync_storage::dbox::header::{DboxHeader, MDBOX_HEADER, MdboxColumns, MdboxRecord, SDBOX_HEADER};
use dsync_storage::dbox::map::Map;
use dsync_storage::index::main_index::MainIndex;
use dsync_storage::index::view::IndexView;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(index) = MainIndex::decode(bytes) else { return };
    let view = IndexView::of_snapshot(index, 1);
    if let Ok(map) = Map::of_view(&view) {
        for entry in map.entries() {
            assert_eq!(map.get(entry.map_uid), Some(entry));
        }
    }
    for name in [MDBOX_HEADER, SDBOX_HEADER] {
        if let Some(header) = DboxHeader::of_view(&view, name) {
            let _ = header.extensions(name);
        }
    }
    let mut columns = MdboxColumns::default();
    (0..view.messages().len()).for_each(|place| columns.push(MdboxRecord::of_view(&view, place)));
    let _ = columns.into_extensions();
});
