//! Names of message files: flags survive, any set can be sorted.
#![no_main]

use dsync_storage::maildir::file_name::{FileName, sort_for_uid_assignment};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = FileName::parse(bytes);
    let _ = (name.base(), name.physical_size(), name.virtual_size());
    let printed = name.with_flags(name.flags(), name.slots());
    let again = FileName::parse(&printed);
    assert_eq!((again.flags(), again.slots()), (name.flags(), name.slots()));
    let mut names: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let count = names.len();
    sort_for_uid_assignment(&mut names);
    assert_eq!(names.len(), count);
});
