//! What new files and directories look like: as the directory they are made in suggests.
//!
//! The rule is that of a server that shares the store: file mode = (directory mode & 0666) | 0600, directory mode =
//! (directory mode & 0777) | 0700; the group is taken over where the directory gives its group other rights than
//! the world and does not hand it down itself (set-group-ID).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::FsError;

/// Modes and group for new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Mode of new files.
    pub file_mode: u32,
    /// Mode of new directories.
    pub directory_mode: u32,
    /// Group to give new files to, if not the one they get by themselves.
    pub group: Option<u32>,
}

impl Permissions {
    /// For the owner alone: what is used where there is no directory to take after.
    pub const PRIVATE: Self = Self { file_mode: 0o600, directory_mode: 0o700, group: None };

    /// What the directory `path`, or the nearest parent of it that exists, suggests. Parents count only up to `top`;
    /// if not even that exists, the files are private.
    #[must_use]
    pub fn like(path: &Path, top: &Path) -> Self {
        for directory in path.ancestors() {
            if let Ok(metadata) = fs::metadata(directory)
                && metadata.is_dir()
            {
                return Self::from_directory(metadata.permissions().mode(), metadata.gid());
            }
            if directory == top {
                break;
            }
        }
        Self::PRIVATE
    }

    /// What files look like that hold the same as this one: nobody else may read them either.
    ///
    /// # Errors
    /// As the system.
    pub fn of_file(path: &Path) -> Result<Self, FsError> {
        let metadata = fs::metadata(path).map_err(|error| FsError::new("look at", path, error))?;
        let own = nix::unistd::getegid().as_raw() == metadata.gid();
        let readable = metadata.mode() & 0o444;
        Ok(Self {
            file_mode: metadata.mode() & 0o666 | 0o600,
            // Who may read a file may enter its directory.
            directory_mode: metadata.mode() & 0o666 | 0o700 | readable >> 2,
            group: (!own && metadata.mode() & 0o060 != 0).then(|| metadata.gid()),
        })
    }

    /// The mode with which something is made that will have `mode`: not even for a moment may the group of the process do what
    /// the wanted one is to do.
    #[must_use]
    pub(super) fn first_mode(&self, mode: u32) -> u32 {
        if self.group.is_some() { mode & 0o700 } else { mode }
    }

    fn from_directory(mode: u32, group: u32) -> Self {
        let group_rights = mode >> 3 & 0o7;
        let inherited = mode & 0o2000 != 0;
        let own = nix::unistd::getegid().as_raw() == group;
        Self {
            file_mode: mode & 0o666 | 0o600,
            directory_mode: mode & 0o777 | 0o700,
            group: (!inherited && !own && group_rights != mode & 0o7).then_some(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_take_after_their_directory() {
        let permissions = Permissions::from_directory(0o40750, nix::unistd::getegid().as_raw());
        assert_eq!((permissions.file_mode, permissions.directory_mode), (0o640, 0o750));
        assert_eq!(permissions.group, None);
        let other = nix::unistd::getegid().as_raw() + 1;
        assert_eq!(Permissions::from_directory(0o40770, other).group, Some(other));
        assert_eq!(Permissions::from_directory(0o42770, other).group, None);
        assert_eq!(Permissions::from_directory(0o40777, other).group, None);
    }

    #[test]
    fn a_missing_place_is_private() {
        let path = Path::new("/nonexistent-for-this-test/a/b");
        let private = Permissions::like(path, Path::new("/nonexistent-for-this-test"));
        assert_eq!(private, Permissions::PRIVATE);
    }
}
