//! The storage of an mdbox: its map and its message files.
//!
//! Nothing here changes anything. A file of messages never changes but by growing, so what was read of it stays true; a purge
//! moves messages to other files, and then the map says so.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dsync_core::store::{ErrorKind, FileRange, StoreError};

use super::map::{Map, MapPlace};
use super::message_file::{FileHeader, StoredMessage, read_file_header, read_message, walk};
use super::shared::corrupt;
use crate::fs::marks::Marks;
use crate::fs::{FsError, read};
use crate::index::files::IndexFiles;
use crate::index::reading::read_index;
use crate::index::view::IndexView;
use crate::list::layout::Roots;
use crate::text::lossy;

/// The directory below a root.
const DIRECTORY: &str = "storage";
/// How many files are kept open.
const MOST_OPEN: usize = 32;

/// Where the files are, and what is known of them.
#[derive(Debug)]
pub(super) struct Storage {
    /// Where new files go.
    primary: PathBuf,
    /// Where servers move old files to.
    alt: Option<PathBuf>,
    map_files: IndexFiles,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    map: Option<(Marks, Arc<ReadMap>)>,
    /// The files that were used last, the latest at the end.
    open: Vec<(u32, Arc<MessageFile>)>,
    scattered: Option<Arc<Vec<Scattered>>>,
}

/// A map as it was when it was read.
#[derive(Debug)]
pub(super) struct ReadMap {
    view: IndexView,
}

impl ReadMap {
    pub(super) fn map(&self) -> Map<'_> {
        Map::new(&self.view)
    }
}

/// An open file of messages.
#[derive(Debug)]
pub(super) struct MessageFile {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) header: FileHeader,
    /// Where the first message begins.
    pub(super) first: u64,
}

/// A message that was found without a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scattered {
    /// The 128-bit form of its GUID.
    pub(super) guid: [u8; 16],
    file_id: u32,
    offset: u64,
}

/// A message with the file that it is in.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) file: Arc<MessageFile>,
    pub(super) message: StoredMessage,
}

impl Located {
    /// The stored body.
    pub(super) fn body(&self) -> FileRange {
        FileRange::new(Arc::clone(&self.file.file), self.message.body_offset, self.message.body_size)
    }
}

impl MessageFile {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read; [`ErrorKind::Corrupt`] if it is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let (file, _) = read::open(path)?;
        let (header, first) =
            read_file_header(&file).map_err(|error| corrupt(&format!("{}: {error}", lossy(path))))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), header, first })
    }

    /// Opens the first that there is of `paths`, where the file can be. `name` is for messages if it can be nowhere.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; others if it cannot be read.
    pub(super) fn open_first(paths: impl Iterator<Item = PathBuf>, name: &str) -> Result<Arc<Self>, StoreError> {
        let mut missing = None;
        for path in paths {
            match Self::open(&path) {
                // That of the first choice says where the file should be.
                Err(error) if error.kind() == ErrorKind::NotFound => missing = missing.or(Some(error)),
                result => return result.map(Arc::new),
            }
        }
        Err(missing.unwrap_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no {name}"))))
    }

    /// The message at an offset.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if there is none.
    pub(super) fn message(self: &Arc<Self>, offset: u64, size: Option<u64>) -> Result<Located, StoreError> {
        let message = read_message(&*self.file, &self.header, offset, size)
            .map_err(|error| corrupt(&format!("{}: {error}", lossy(&self.path))))?;
        Ok(Located { file: Arc::clone(self), message })
    }
}

impl Storage {
    pub(super) fn new(roots: &Roots) -> Self {
        let index_root = roots.index.as_ref().unwrap_or(&roots.mails);
        Self {
            primary: roots.mails.join(DIRECTORY),
            alt: roots.alt.as_ref().map(|alt| alt.join(DIRECTORY)),
            map_files: IndexFiles::of_map(&index_root.join(DIRECTORY)),
            cache: Mutex::default(),
        }
    }

    /// Where new files go.
    pub(super) fn primary(&self) -> &Path {
        &self.primary
    }

    /// Where files can be, the first choice first.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.primary), self.alt.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The files of the map.
    pub(super) fn map_files(&self) -> &IndexFiles {
        &self.map_files
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The map as it was when it was last read, if it knows a message. The message may have moved since.
    pub(super) fn last_map_with(&self, map_uid: u32) -> Option<Arc<ReadMap>> {
        let cache = self.cache();
        let (_, map) = cache.map.as_ref()?;
        map.map().get(map_uid).is_some().then(|| Arc::clone(map))
    }

    /// The map as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is missing or cannot be understood.
    pub(super) fn map(&self) -> Result<Arc<ReadMap>, StoreError> {
        let before = Marks::of(&[self.map_files.main(), self.map_files.log()]);
        if let Some((marks, map)) = &self.cache().map
            && *marks == before
        {
            return Ok(Arc::clone(map));
        }
        let state = read_index(&self.map_files)?;
        let state = state.ok_or_else(|| corrupt(&format!("{} is missing", lossy(&self.map_files.log()))))?;
        Map::of_view(&state.view).map_err(|error| corrupt(&format!("{}: {error}", lossy(&self.map_files.main()))))?;
        let mut view = state.view;
        view.shrink_to_fit();
        let map = Arc::new(ReadMap { view });
        // If it changed meanwhile the marks are those of before, so that it is read again next time.
        self.cache().map = Some((before, Arc::clone(&map)));
        Ok(map)
    }

    /// The places where a file of this number can be, the first choice first.
    pub(super) fn paths(&self, file_id: u32) -> impl Iterator<Item = PathBuf> {
        let name = format!("m.{file_id}");
        self.directories().map(move |directory| directory.join(&name))
    }

    /// Opens a file by its number.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; others if it cannot be read.
    pub(super) fn file(&self, file_id: u32) -> Result<Arc<MessageFile>, StoreError> {
        {
            let mut cache = self.cache();
            if let Some(place) = cache.open.iter().position(|(id, _)| *id == file_id) {
                let found = cache.open.remove(place);
                let file = Arc::clone(&found.1);
                cache.open.push(found);
                return Ok(file);
            }
        }
        let file = MessageFile::open_first(self.paths(file_id), &format!("m.{file_id}"))?;
        let mut cache = self.cache();
        if cache.open.len() >= MOST_OPEN {
            cache.open.remove(0);
        }
        cache.open.push((file_id, Arc::clone(&file)));
        Ok(file)
    }

    /// Forgets open files, because they may have been removed.
    pub(super) fn forget_files(&self) {
        self.cache().open.clear();
    }

    /// The message at a place that the map says.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn locate(&self, place: MapPlace) -> Result<Located, StoreError> {
        let size = (place.size != 0).then_some(u64::from(place.size));
        self.file(place.file_id)?.message(place.offset.into(), size)
    }

    /// The message with this GUID, found without the map: for a map that is lost.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is in no file that can be read.
    pub(super) fn locate_by_guid(&self, guid: [u8; 16]) -> Result<Located, StoreError> {
        let all = self.scattered()?;
        let first = all.partition_point(|message| message.guid < guid);
        let found = all.get(first).filter(|message| message.guid == guid && guid != [0; 16]);
        let found = found.ok_or_else(|| {
            let text = format!("the message is in no file in {}", lossy(&self.primary));
            StoreError::new(ErrorKind::NotFound, text)
        })?;
        self.file(found.file_id)?.message(found.offset, None)
    }

    /// All messages in all files, by ascending GUID. A file is read up to the first damage.
    fn scattered(&self) -> Result<Arc<Vec<Scattered>>, StoreError> {
        if let Some(known) = &self.cache().scattered {
            return Ok(Arc::clone(known));
        }
        let mut all = Vec::new();
        for file_id in self.file_ids()? {
            let Ok(file) = self.file(file_id) else { continue };
            let messages = walk(&*file.file, file.header, file.first).map_while(Result::ok);
            all.extend(messages.filter_map(|message| {
                let guid = message.metadata.guid()?.to_128();
                Some(Scattered { guid, file_id, offset: message.offset })
            }));
        }
        all.sort_unstable();
        let all = Arc::new(all);
        self.cache().scattered = Some(Arc::clone(&all));
        Ok(all)
    }

    /// The numbers of all files, ascending.
    ///
    /// # Errors
    /// As the system.
    pub(super) fn file_ids(&self) -> Result<Vec<u32>, FsError> {
        let mut ids = Vec::new();
        for directory in self.directories() {
            for entry in read::directory(directory)?.unwrap_or_default() {
                ids.extend(number_after(entry.name.as_bytes(), b"m."));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// The number in a name such as `m.7`: decimal, without leading zeros, not 0.
pub(super) fn number_after(name: &[u8], prefix: &[u8]) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let plain = digits.iter().all(u8::is_ascii_digit) && digits.first().is_some_and(|first| *first != b'0');
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_files_of_messages() {
        for (name, number) in
            [("m.7", Some(7)), ("m.4294967295", Some(u32::MAX)), ("m.07", None), ("m.0", None), ("m.", None)]
        {
            assert_eq!(number_after(name.as_bytes(), b"m."), number, "{name}");
        }
        for name in ["m.3.broken", "m.3.lock", ".temp.3", "u.3", "m.4294967296", "m.+3"] {
            assert_eq!(number_after(name.as_bytes(), b"m."), None, "{name}");
        }
    }
}
