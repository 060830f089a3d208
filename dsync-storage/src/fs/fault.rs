//! What tests do to the file system: stop the world before a change, let one fail, or write all of them down.
//!
//! Only with the feature `fault-injection`, which no program should have. A [`Session`] is about the whole process, so there is one
//! at a time; whoever begins another waits.

use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A change of the file system. Files are named by their inode numbers where they have no name of their own, or another by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new, empty file, with a name or still without one.
    Create {
        /// The name.
        path: Option<PathBuf>,
        /// The inode number it got.
        inode: u64,
    },
    /// A new directory.
    CreateDirectory(PathBuf),
    /// A file gets another name.
    Link {
        /// The file.
        inode: u64,
        /// The new name.
        to: PathBuf,
    },
    /// Bytes at a place of a file.
    Write {
        /// The file.
        inode: u64,
        /// The place.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Another length of a file.
    Truncate {
        /// The file.
        inode: u64,
        /// The length.
        length: u64,
    },
    /// Another modification time.
    SetModified,
    /// The bytes of a file are durable from now on.
    SyncFile(u64),
    /// The names in a directory are.
    SyncDirectory(PathBuf),
    /// Everything is.
    SyncFileSystem,
    /// A file or directory gets another name instead of its own.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name; what had it is gone.
        to: PathBuf,
    },
    /// A name of a file, or an empty directory, goes.
    Remove(PathBuf),
}

/// What happens to the changes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// They are carried out, and written down.
    Record,
    /// So many are carried out, then no more: each fails, as if the process were no longer there.
    StopAfter(usize),
    /// So many are carried out, then one fails with this error, after half of its bytes if it writes any. All others are
    /// carried out.
    FailAfter(usize, Errno),
    /// So many are carried out, then the process is killed by a signal that it cannot catch.
    KillAfter(usize),
    /// So many are carried out, then the process finds a mistake in itself.
    PanicAfter(usize),
    /// All are carried out, but every other write is interrupted, and the others write half of what they are to write.
    WriteLittle,
    /// All are carried out, but before any file is made a shell runs this command: somebody else is at work all the time.
    Disturb(&'static str),
}

struct State {
    plan: Plan,
    count: usize,
    /// How often something was to be written to a file, for [`Plan::WriteLittle`].
    writes: usize,
    recorded: Vec<Change>,
}

static TURN: Mutex<()> = Mutex::new(());
static STATE: Mutex<Option<State>> = Mutex::new(None);

/// As long as it is there, all changes of this process go according to its plan.
pub struct Session {
    _turn: MutexGuard<'static, ()>,
}

impl Session {
    /// Begins one.
    #[must_use]
    pub fn begin(plan: Plan) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        *state() = Some(State { plan, count: 0, writes: 0, recorded: Vec::new() });
        Self { _turn: turn }
    }

    /// How many changes there were to be, and which were written down.
    #[must_use]
    pub fn end(self) -> (usize, Vec<Change>) {
        let ended = state().take();
        ended.map(|state| (state.count, state.recorded)).unwrap_or_default()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        *state() = None;
    }
}

fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is about to be done to a file.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Create(&'a Path),
    CreateNameless,
    CreateDirectory(&'a Path),
    Name(&'a File, &'a Path),
    Link(&'a Path, &'a Path),
    Write(&'a File, &'a [u8]),
    WriteAt(&'a File, &'a [u8], u64),
    Truncate(&'a File, u64),
    SetModified,
    SyncFile(&'a File),
    SyncDirectory(&'a Path),
    SyncFileSystem,
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    RemoveTree(&'a Path),
}

/// A step that makes a file.
pub(super) fn making(step: Step<'_>, carry_out: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
    allow(step)?;
    let file = carry_out()?;
    let path = match step {
        Step::Create(path) => Some(path.to_owned()),
        _ => None,
    };
    let inode = file.metadata()?.ino();
    record(|| vec![Change::Create { path, inode }]);
    Ok(file)
}

/// Any other step.
pub(super) fn changing(step: Step<'_>, carry_out: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    allow(step)?;
    let recording = state().as_ref().is_some_and(|state| state.plan == Plan::Record);
    let changes = if recording { changes(step)? } else { Vec::new() };
    carry_out()?;
    record(|| changes);
    Ok(())
}

fn record(changes: impl FnOnce() -> Vec<Change>) {
    if let Some(state) = state().as_mut().filter(|state| state.plan == Plan::Record) {
        state.recorded.extend(changes());
    }
}

/// Whether the step is to be taken.
fn allow(step: Step<'_>) -> io::Result<()> {
    let (plan, number) = {
        let mut state = state();
        let Some(state) = state.as_mut() else { return Ok(()) };
        let number = state.count;
        state.count = number.saturating_add(1);
        (state.plan, number)
    };
    match plan {
        Plan::StopAfter(most) if number >= most => Err(io::Error::other("the world has been stopped by a test")),
        Plan::FailAfter(most, errno) if number == most => {
            fail_half_way(step)?;
            Err(errno.into())
        }
        Plan::KillAfter(most) if number >= most => {
            kill(Pid::this(), Signal::SIGKILL)?;
            Err(io::Error::other("the process is being killed"))
        }
        Plan::PanicAfter(most) if number == most => panic!("a test wants it"),
        Plan::Disturb(command) if matches!(step, Step::Create(_)) => {
            Command::new("/bin/sh").args(["-c", command]).status().map(drop)
        }
        _ => Ok(()),
    }
}

/// How much of what is to be written is written at once.
pub(super) fn at_once(bytes: &[u8]) -> io::Result<&[u8]> {
    let mut state = state();
    let Some(state) = state.as_mut().filter(|state| state.plan == Plan::WriteLittle) else { return Ok(bytes) };
    state.writes = state.writes.wrapping_add(1);
    if state.writes % 2 == 1 {
        return Err(Errno::EINTR.into());
    }
    Ok(bytes.get(..bytes.len().div_ceil(2)).unwrap_or_default())
}

/// Half of what is written may have been written when the error comes.
fn fail_half_way(step: Step<'_>) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    match step {
        Step::Write(mut file, bytes) => file.write_all(half(bytes)),
        Step::WriteAt(file, bytes, offset) => file.write_all_at(half(bytes), offset),
        _ => Ok(()),
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() / 2).unwrap_or_default()
}

/// What a step changes, before it is taken.
fn changes(step: Step<'_>) -> io::Result<Vec<Change>> {
    let inode = |file: &File| file.metadata().map(|metadata| metadata.ino());
    Ok(vec![match step {
        Step::Create(_) | Step::CreateNameless => return Ok(Vec::new()),
        Step::CreateDirectory(path) => Change::CreateDirectory(path.to_owned()),
        Step::Name(file, to) => Change::Link { inode: inode(file)?, to: to.to_owned() },
        Step::Link(from, to) => Change::Link { inode: std::fs::symlink_metadata(from)?.ino(), to: to.to_owned() },
        Step::Write(file, bytes) => {
            Change::Write { inode: inode(file)?, offset: place_of_next(file)?, bytes: bytes.to_vec() }
        }
        Step::WriteAt(file, bytes, offset) => Change::Write { inode: inode(file)?, offset, bytes: bytes.to_vec() },
        Step::Truncate(file, length) => Change::Truncate { inode: inode(file)?, length },
        Step::SetModified => Change::SetModified,
        Step::SyncFile(file) => Change::SyncFile(inode(file)?),
        Step::SyncDirectory(path) => Change::SyncDirectory(path.to_owned()),
        Step::SyncFileSystem => Change::SyncFileSystem,
        Step::Rename(from, to) => Change::Rename { from: from.to_owned(), to: to.to_owned() },
        Step::Remove(path) => Change::Remove(path.to_owned()),
        Step::RemoveTree(path) => {
            let mut removed = Vec::new();
            remove_tree(path, &mut removed)?;
            return Ok(removed);
        }
    }])
}

/// Where the next write to a file goes.
fn place_of_next(mut file: &File) -> io::Result<u64> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_APPEND) { Ok(file.metadata()?.len()) } else { file.stream_position() }
}

/// A tree goes one name at a time.
fn remove_tree(path: &Path, removed: &mut Vec<Change>) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.is_dir() => {
            for entry in std::fs::read_dir(path)? {
                remove_tree(&entry?.path(), removed)?;
            }
        }
        Ok(_) => {}
    }
    removed.push(Change::Remove(path.to_owned()));
    Ok(())
}
