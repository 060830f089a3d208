//! The uidlist, parsed, printed and parsed again.
#![no_main]

use dsync_storage::maildir::uidlist::UidList;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (list, _) = UidList::decode(bytes);
    if list.uid_validity.is_some() && list.guid.is_some() {
        let (again, damage) = UidList::decode(&list.encode());
        assert_eq!((again.entries, damage), (list.entries, None));
    }
});
