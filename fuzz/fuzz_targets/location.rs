//! Locations: what is shown is read back.
#![no_main]

use std::path::Path;

use dsync_storage::location::Location;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(location) = Location::parse(text, Some(Path::new("/home/u"))) {
        assert_eq!(Location::parse(&location.to_string(), None), Ok(location));
    }
});
