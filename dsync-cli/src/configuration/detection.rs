//! Finding the mail store of a user about which nothing is configured.

use std::path::{Path, PathBuf};

use dsync_storage::location::{Driver, Location};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

/// Where stores are looked for in a home directory, in this order.
const CANDIDATES: [(&str, Driver); 5] = [
    ("sdbox", Driver::Sdbox),
    ("mdbox", Driver::Mdbox),
    ("Maildir", Driver::Maildir),
    ("mail", Driver::Mbox),
    ("Mail", Driver::Mbox),
];

/// Where programs that deliver mail put it.
const SPOOLS: [&str; 2] = ["/var/mail", "/var/spool/mail"];

/// The store in a home directory that the effective user can use.
pub(super) fn in_home(home: &Path, user: &str) -> Option<Location> {
    CANDIDATES.into_iter().find_map(|(name, driver)| {
        let root = home.join(name);
        let found = may(&root, AccessFlags::X_OK) && is(driver, &root);
        found.then(|| of_driver(driver, root, user))
    })
}

/// The store at a path whose format is not told.
pub(super) fn at(root: PathBuf, user: &str) -> Option<Location> {
    let driver = Driver::detect(&root).or(is(Driver::Mbox, &root).then_some(Driver::Mbox))?;
    Some(of_driver(driver, root, user))
}

fn is(driver: Driver, root: &Path) -> bool {
    match driver {
        Driver::Mbox => root.join(".imap").is_dir() || root.join("inbox").is_file() || root.join("mbox").is_file(),
        _ => Driver::detect(root) == Some(driver),
    }
}

fn of_driver(driver: Driver, root: PathBuf, user: &str) -> Location {
    let mut location = Location::new(driver, root);
    if driver == Driver::Mbox {
        location.inbox = SPOOLS
            .iter()
            .map(|spool| Path::new(spool).join(user))
            .find(|path| path.is_file() && may(path, AccessFlags::empty()));
    }
    location
}

/// Whether the effective user may read and write, and `besides`.
fn may(path: &Path, besides: AccessFlags) -> bool {
    let wanted = AccessFlags::R_OK | AccessFlags::W_OK | besides;
    faccessat(AT_FDCWD, path, wanted, AtFlags::AT_EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn stores_are_found_in_their_order() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(in_home(home.path(), "nobody at all"), None);
        for (path, driver) in [
            ("Mail/.imap", Driver::Mbox),
            ("mail/.imap", Driver::Mbox),
            ("Maildir/cur", Driver::Maildir),
            ("mdbox/storage", Driver::Mdbox),
            ("sdbox/mailboxes", Driver::Sdbox),
        ] {
            fs::create_dir_all(home.path().join(path)).unwrap();
            let root = home.path().join(path.split_once('/').unwrap().0);
            let expected = Location::new(driver, root.clone());
            assert_eq!(in_home(home.path(), "nobody at all"), Some(expected.clone()));
            assert_eq!(at(root, "nobody at all"), Some(expected));
        }
    }

    #[test]
    fn a_name_alone_is_no_store() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("Maildir/storage")).unwrap();
        fs::create_dir_all(home.path().join("mail/cur")).unwrap();
        assert_eq!(in_home(home.path(), "u"), None);
        assert_eq!(at(home.path().join("none"), "u"), None);
    }
}
