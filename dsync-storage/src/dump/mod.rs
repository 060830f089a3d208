//! Files of a mail store as text, for people who want to know what is in them.
//!
//! What a file is follows from its first bytes, or from its name where all bytes are possible. A damaged file is shown up to the
//! damage.

mod cache;
mod extension;
mod index;
mod kind;
mod lists;
mod log;
mod message_file;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::dbox::message_file::ReadAt;
use crate::fs::{FsError, read};
use crate::text::{lossy, lossy_bytes};

pub use kind::FileKind;

/// What is in memory as a whole is not larger, so that a hostile file takes only so much.
const LARGEST: u64 = 1 << 30;
/// As much as tells what a file is.
const HEAD: usize = 4096;

/// Why a file is not shown, or not as a whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] FsError),
    /// It is none of those that are known.
    #[error("{}: this is none of the files that can be shown: {}", lossy(path), FileKind::names())]
    Unknown {
        /// Which file.
        path: PathBuf,
    },
    /// It is damaged; what stands before the damage was written.
    #[error("{} ({kind}) is damaged: {reason}", lossy(path))]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
        /// What is wrong with it.
        reason: String,
    },
    /// The text cannot be written.
    #[error("writing what is shown failed: {0}")]
    Output(#[source] io::Error),
}

/// Writes what is in a file as text: first what it is, then one line for each thing in it.
///
/// # Errors
/// If the file cannot be read or understood, or the text cannot be written.
pub fn dump(path: &Path, output: &mut dyn Write) -> Result<(), DumpError> {
    // Whoever names a link means what it leads to.
    let (file, _) = read::open_linked(path)?;
    let head = head(&file).map_err(|error| FsError::new("read", path, error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(kind) = FileKind::recognise(&name, &head) else {
        return Err(DumpError::Unknown { path: path.to_owned() });
    };
    let shown = match kind {
        FileKind::MessageFile => {
            writeln!(output, "{kind}").map_err(DumpError::Output)?;
            message_file::dump(&file, output)
        }
        _ => {
            let bytes = read::contents_of(read::open_linked(path)?, path, LARGEST)?;
            dump_bytes(kind, &bytes, output)
        }
    };
    shown.map_err(|failure| match failure {
        Failure::Damage(reason) => DumpError::Damaged { path: path.to_owned(), kind, reason },
        Failure::Output(error) => DumpError::Output(error),
    })
}

/// Does so with the bytes of a file.
///
/// # Errors
/// What is wrong with them, after everything before that was written; or an error of the output.
#[doc(hidden)]
pub fn dump_bytes(kind: FileKind, bytes: &[u8], output: &mut dyn Write) -> Result<(), Failure> {
    writeln!(output, "{kind}")?;
    match kind {
        FileKind::Index => index::dump(bytes, output),
        FileKind::Log => log::dump(bytes, output),
        FileKind::Cache => cache::dump(bytes, output),
        FileKind::MessageFile => message_file::dump(bytes, output),
        FileKind::UidList => lists::uid_list(bytes, output),
        FileKind::MailboxLog => lists::mailbox_log(bytes, output),
        FileKind::Subscriptions => lists::subscriptions(bytes, output),
        FileKind::Keywords => lists::keywords(bytes, output),
        FileKind::Names => lists::names(bytes, output),
    }
}

/// Why something is not shown as a whole.
#[doc(hidden)]
#[derive(Debug)]
pub enum Failure {
    /// It is damaged.
    Damage(String),
    /// The text cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match ReadAt::read_at(file, rest, length as u64) {
            Ok(0) => break,
            Ok(count) => length = length.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
}

/// Bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A time in seconds since 1970, for people.
fn time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => format!("{seconds} ({time})"),
        Err(_) => seconds.to_string(),
    }
}

/// The system flags in the index files.
fn flags(bits: u8) -> String {
    const NAMES: [(u8, &str); 8] = [
        (0x01, "\\Answered"),
        (0x02, "\\Flagged"),
        (0x04, "\\Deleted"),
        (0x08, "\\Seen"),
        (0x10, "\\Draft"),
        (0x20, "\\Recent"),
        (0x40, "backend"),
        (0x80, "dirty"),
    ];
    let names: Vec<_> = NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Bytes that are a text, without anything that could begin a line or control a terminal.
fn text(bytes: &[u8]) -> String {
    lossy_bytes(bytes)
}
