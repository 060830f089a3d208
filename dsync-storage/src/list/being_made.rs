//! Mailboxes that somebody is just making.
//!
//! Servers make a mailbox in several steps. Whoever completes one that is half made before them makes their next step fail, and
//! they tell their client that it was there already.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// How long ago the last step may have been.
const RECENTLY: Duration = Duration::from_secs(1);
/// How often it is looked at, at most.
const LOOKS: u32 = 100;
/// How long after the last look.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits while somebody may still be making what is in `directory`: until it `is_made`, or nothing has come into the directory for
/// a second. What is incomplete then was left so.
pub(crate) fn wait_until_made(directory: &Path, mut is_made: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_made() || !has_just_changed(directory) {
            return;
        }
        sleep(PAUSE);
    }
}

fn has_just_changed(directory: &Path) -> bool {
    let modified = fs::metadata(directory).and_then(|metadata| metadata.modified());
    // A time to come is that of another clock, and tells nothing.
    modified.ok().and_then(|then| then.elapsed().ok()).is_some_and(|age| age < RECENTLY)
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;

    #[test]
    fn only_what_is_new_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let made = place.path().join("cur");
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_millis(50));
                fs::create_dir(&made).unwrap();
            });
            wait_until_made(place.path(), || made.is_dir());
        });
        assert!(made.is_dir());
        let old = SystemTime::now() - Duration::from_secs(5);
        fs::File::open(place.path()).unwrap().set_modified(old).unwrap();
        wait_until_made(place.path(), || false);
        fs::File::open(place.path()).unwrap().set_modified(SystemTime::now() + Duration::from_secs(600)).unwrap();
        wait_until_made(place.path(), || false);
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
