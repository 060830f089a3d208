//! A disk of which only what was synced is sure to be there after a power cut.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dsync_storage::fs::fault::Change;

use super::history::Random;

type ObjectId = usize;

/// The root directory, which is synced.
const ROOT: ObjectId = 0;

#[derive(Clone, Debug)]
enum Object {
    Directory(BTreeMap<String, ObjectId>),
    File(Vec<u8>),
}

/// One change as it is on its way to the disk.
#[derive(Clone, Debug)]
struct Pending {
    effect: Effect,
    /// It is sure to be there.
    is_synced: bool,
}

#[derive(Clone, Debug)]
enum Effect {
    Write {
        file: ObjectId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: ObjectId,
        length: usize,
    },
    /// Names that appear, disappear or change hands, all of them or none: directory, name, and what has it then.
    Names(Vec<(ObjectId, String, Option<ObjectId>)>),
}

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All are lost.
    Lost,
    /// All had reached the disk.
    Kept,
    /// Each has its own, and some writes were half done.
    Mixed(u64),
}

/// The tree below a directory, first as it was found, then with all that was done to it since.
#[derive(Clone)]
pub struct Disk {
    root: PathBuf,
    /// As at the beginning.
    before: Vec<Object>,
    /// With everything done.
    now: Vec<Object>,
    inodes: BTreeMap<u64, ObjectId>,
    pending: Vec<Pending>,
}

impl Disk {
    /// Looks at a tree, all of which is on the disk.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            before: vec![Object::Directory(BTreeMap::new())],
            now: Vec::new(),
            inodes: BTreeMap::new(),
            pending: Vec::new(),
        };
        disk.load(root, ROOT);
        disk.now = disk.before.clone();
        disk
    }

    fn load(&mut self, path: &Path, id: ObjectId) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let child = match self.inodes.get(&metadata.ino()) {
                Some(known) if metadata.is_file() => *known,
                _ => {
                    self.before.push(match metadata.is_dir() {
                        true => Object::Directory(BTreeMap::new()),
                        false => Object::File(fs::read(entry.path()).unwrap()),
                    });
                    self.before.len() - 1
                }
            };
            if metadata.is_file() {
                self.inodes.insert(metadata.ino(), child);
            } else {
                self.load(&entry.path(), child);
            }
            let Object::Directory(entries) = &mut self.before[id] else { unreachable!() };
            entries.insert(entry.file_name().into_string().unwrap(), child);
        }
    }

    /// Takes note of a change. One somewhere else is none here.
    pub fn take(&mut self, change: &Change) {
        match change {
            Change::Create { path, inode } => {
                let id = self.add(Object::File(Vec::new()));
                self.inodes.insert(*inode, id);
                if let Some(path) = path {
                    self.name(vec![(path, Some(id))]);
                }
            }
            Change::CreateDirectory(path) => {
                let id = self.add(Object::Directory(BTreeMap::new()));
                self.name(vec![(path, Some(id))]);
            }
            Change::Link { inode, to } => {
                if let Some(id) = self.inodes.get(inode).copied() {
                    self.name(vec![(to, Some(id))]);
                }
            }
            Change::Rename { from, to } => {
                if let Some(id) = self.find(from) {
                    self.name(vec![(from, None), (to, Some(id))]);
                }
            }
            Change::Remove(path) => {
                if self.find(path).is_some() {
                    self.name(vec![(path, None)]);
                }
            }
            Change::Write { inode, offset, bytes } => {
                if let Some(file) = self.inodes.get(inode).copied() {
                    let offset = usize::try_from(*offset).unwrap();
                    self.add_pending(Effect::Write { file, offset, bytes: bytes.clone() });
                }
            }
            Change::Truncate { inode, length } => {
                if let Some(file) = self.inodes.get(inode).copied() {
                    self.add_pending(Effect::Truncate { file, length: usize::try_from(*length).unwrap() });
                }
            }
            Change::SyncFile(inode) => {
                if let Some(synced) = self.inodes.get(inode).copied() {
                    self.sync(|effect| match effect {
                        Effect::Write { file, .. } | Effect::Truncate { file, .. } => *file == synced,
                        Effect::Names(_) => false,
                    });
                }
            }
            Change::SyncDirectory(path) => {
                if let Some(synced) = self.find(path) {
                    self.sync(|effect| match effect {
                        Effect::Names(names) => names.iter().any(|(directory, ..)| *directory == synced),
                        _ => false,
                    });
                }
            }
            Change::SyncFileSystem => self.sync(|_| true),
            Change::SetModified => {}
        }
    }

    fn add(&mut self, object: Object) -> ObjectId {
        self.before.push(match object {
            Object::Directory(_) => Object::Directory(BTreeMap::new()),
            Object::File(_) => Object::File(Vec::new()),
        });
        self.now.push(object);
        self.now.len() - 1
    }

    fn find(&self, path: &Path) -> Option<ObjectId> {
        path.strip_prefix(&self.root).ok()?.iter().try_fold(ROOT, |id, name| match &self.now[id] {
            Object::Directory(entries) => entries.get(name.to_str().unwrap()).copied(),
            Object::File(_) => None,
        })
    }

    fn name(&mut self, names: Vec<(&PathBuf, Option<ObjectId>)>) {
        let place = |path: &PathBuf| {
            let directory = self.find(path.parent()?)?;
            Some((directory, path.file_name()?.to_str().unwrap().to_owned()))
        };
        let places = names.into_iter().filter_map(|(path, id)| place(path).map(|(at, name)| (at, name, id)));
        let places: Vec<_> = places.collect();
        if !places.is_empty() {
            self.add_pending(Effect::Names(places));
        }
    }

    fn add_pending(&mut self, effect: Effect) {
        apply(&mut self.now, &effect, None);
        self.pending.push(Pending { effect, is_synced: false });
    }

    fn sync(&mut self, is_meant: impl Fn(&Effect) -> bool) {
        for pending in &mut self.pending {
            pending.is_synced |= is_meant(&pending.effect);
        }
    }

    /// What would be there after a power cut now, put into an empty directory.
    pub fn write_what_is_left(&self, fate: Fate, place: &Path) {
        let mut left = self.before.clone();
        let mut random = match fate {
            Fate::Mixed(seed) => Random::from_seed(seed),
            Fate::Lost | Fate::Kept => Random::from_seed(0),
        };
        for Pending { effect, is_synced } in &self.pending {
            let (is_kept, is_half) = match fate {
                Fate::Kept => (true, false),
                Fate::Lost => (false, false),
                Fate::Mixed(_) => (random.one_in(2), random.one_in(4)),
            };
            if *is_synced || is_kept {
                let half = is_half && !is_synced;
                apply(&mut left, effect, half.then_some(2));
            }
        }
        write(&left, ROOT, place, &mut BTreeMap::new());
    }
}

/// `part`: only the first of so many parts of what is written.
fn apply(objects: &mut [Object], effect: &Effect, part: Option<usize>) {
    match effect {
        Effect::Write { file, offset, bytes } => {
            let Object::File(content) = &mut objects[*file] else { unreachable!() };
            let bytes = &bytes[..bytes.len() / part.unwrap_or(1)];
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
        Effect::Truncate { file, length } => {
            let Object::File(content) = &mut objects[*file] else { unreachable!() };
            content.resize(*length, 0);
        }
        Effect::Names(names) => {
            for (directory, name, id) in names {
                let Object::Directory(entries) = &mut objects[*directory] else { unreachable!() };
                match id {
                    Some(id) => entries.insert(name.clone(), *id),
                    None => entries.remove(name),
                };
            }
        }
    }
}

fn write(objects: &[Object], id: ObjectId, place: &Path, written: &mut BTreeMap<ObjectId, PathBuf>) {
    match &objects[id] {
        Object::Directory(entries) => {
            if !place.exists() {
                fs::create_dir(place).unwrap();
            }
            for (name, child) in entries {
                // A directory that was moved while its old name stayed would be there twice.
                let is_again = matches!(objects[*child], Object::Directory(_)) && written.contains_key(child);
                if !is_again {
                    write(objects, *child, &place.join(name), written);
                }
            }
            written.insert(id, place.to_owned());
        }
        Object::File(content) => match written.get(&id) {
            Some(first) => fs::hard_link(first, place).unwrap(),
            None => {
                fs::write(place, content).unwrap();
                // Starting the machine again takes longer than anybody waits for locks.
                let modified = SystemTime::now() - Duration::from_secs(3600);
                fs::File::options().write(true).open(place).unwrap().set_modified(modified).unwrap();
                written.insert(id, place.to_owned());
            }
        },
    }
}
