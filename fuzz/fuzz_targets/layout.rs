//! Names of mailboxes: no name leaves the root, what is placed is found again.
#![no_main]

use dsync_core::model::MailboxName;
use dsync_storage::list::layout::{Layout, Naming};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for layout in [Layout::MaildirPlusPlus, Layout::Fs] {
        let naming = Naming { layout, utf8: false };
        let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').collect();
        let _ = naming.name_of_directory(&parts);
        let name = std::str::from_utf8(bytes).ok().and_then(|text| MailboxName::parse(text, '/'));
        if let Some(name) = name
            && let Ok(directory) = naming.directory(&name)
        {
            assert!(directory.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            assert_eq!(naming.name_of_directory(&naming.stored_parts(&name)), Ok(name));
        }
    }
});
