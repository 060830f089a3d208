//! Symbolic links in a store: which of them are followed.
//!
//! Whoever can make links in a store must not get files of others into it or out of it. So a link is followed if it leads to
//! something below the same root. One that leads out of it is followed only where servers document that mailboxes are shared
//! in that way, at a directory or an mbox, and only if root or the owner of what is at its other end made it.
//! The root itself, and whatever is above it, is the administrator's.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::FsError;

/// The first link between `root` and `path` that is not to be followed. What is not below `root` has a place of its own.
#[must_use]
pub fn distrusted(path: &Path, root: &Path) -> Option<PathBuf> {
    let mut place = root.to_owned();
    for part in path.strip_prefix(root).ok()? {
        place.push(part);
        let link = fs::symlink_metadata(&place).ok()?;
        if link.is_symlink() && !leads_inside(&place, root) && !is_made_by_right(&place, link.uid()) {
            return Some(place);
        }
    }
    None
}

/// # Errors
/// [`io::ErrorKind::InvalidInput`] if there is a [distrusted] link on the way.
pub fn refuse_distrusted(path: &Path, root: &Path) -> Result<(), FsError> {
    match distrusted(path, root) {
        Some(link) => Err(refusal("follow", &link)),
        None => Ok(()),
    }
}

/// Whether everything on the way from `root` to `path`, as far as it is there, is really below `root`: so that nothing that is
/// made at `path` will be elsewhere.
#[must_use]
pub fn stays_inside(path: &Path, root: &Path) -> bool {
    let Ok(root) = root.canonicalize() else { return true };
    let there = path.ancestors().find(|place| place.symlink_metadata().is_ok());
    // A link that leads nowhere may lead somewhere in a moment.
    there.is_none_or(|there| there.canonicalize().is_ok_and(|there| there.starts_with(root)))
}

/// Whether a link leads to something below `root`.
#[must_use]
pub fn leads_inside(link: &Path, root: &Path) -> bool {
    match (link.canonicalize(), root.canonicalize()) {
        (Ok(target), Ok(root)) => target.starts_with(root),
        _ => false,
    }
}

/// Why a link is not followed.
pub(super) fn refusal(doing: &'static str, link: &Path) -> FsError {
    let text = "it is a symbolic link that is not followed: it leads out of the store, or where no server makes one";
    FsError::new(doing, link, io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Where nothing is, nothing can be taken from.
fn is_made_by_right(link: &Path, maker: u32) -> bool {
    maker == 0 || fs::metadata(link).map_or(true, |target| target.uid() == maker)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn links_are_followed_inside_and_where_their_maker_may() {
        let directory = tempfile::tempdir().unwrap();
        let [root, outside] = ["root", "outside"].map(|name| directory.path().join(name));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(outside.join("x")).unwrap();
        symlink("../a/b", root.join("a/inside")).unwrap();
        symlink("/etc", root.join("a/etc")).unwrap();
        symlink("nowhere", root.join("a/nowhere")).unwrap();
        symlink(&outside, root.join("out")).unwrap();
        let distrusted = |path: &str| distrusted(&root.join(path), &root);
        // Whoever runs this test made the directory outside, too.
        for path in ["", "a/b", "a/inside", "a/nowhere", "missing/x", "out/x"] {
            assert_eq!(distrusted(path), None, "{path}");
        }
        assert_eq!(super::distrusted(&outside.join("x"), &root), None);
        if nix::unistd::geteuid().is_root() {
            lchown(root.join("a/etc"), Some(1234), None).unwrap();
            lchown(root.join("out"), Some(1234), None).unwrap();
            assert_eq!(distrusted("out/x"), Some(root.join("out")));
        }
        if !nix::unistd::geteuid().is_root() || fs::metadata("/etc").unwrap().uid() == 0 {
            assert_eq!(distrusted("a/etc/ssl"), Some(root.join("a/etc")));
        }
    }

    #[test]
    fn what_would_be_made_elsewhere_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("a")).unwrap();
        symlink("/nonexistent", root.join("a/nowhere")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(directory.path(), root.join("out")).unwrap();
        for (path, stays) in
            [("a/new/x", true), ("up/new", false), ("out/new", false), ("a/nowhere/x", false), ("", true)]
        {
            assert_eq!(stays_inside(&root.join(path), &root), stays, "{path}");
        }
        assert!(stays_inside(&directory.path().join("none/x"), &directory.path().join("none")));
    }
}
