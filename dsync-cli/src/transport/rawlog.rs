//! Everything that comes from the other side and goes to it, written to a file as Dovecot's programs do with `-r`:
//!
//! ```text
//! 1795439098.536475 O: what goes out
//! 1795439098.541112 I: what comes in
//! ```
//!
//! Each line has the time in seconds since 1970, whether it is input or output, and the line as it is, with its CR if it has one. A
//! line that is long and has not ended yet has `>` instead of the colon, and what follows of it follows at once, with time and
//! direction in front. (Observed with Dovecot 2.3.19.)

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Input, Output};
use crate::exit::Failure;
use crate::messages;

/// So much of a line that has not ended is kept until it does.
const LONGEST: usize = 8192;

/// Gives streams of which everything is written to the file at a path, behind what is there.
///
/// # Errors
/// If the file cannot be opened.
pub(crate) fn record(path: &Path, input: Input, output: Output) -> Result<(Input, Output), Failure> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        Failure::Configuration(format!(
            "-r {}: cannot be opened: {error}; give the path of a file that this user may write",
            path.display()
        ))
    })?;
    let shared = Arc::new(Mutex::new(Writer { file, has_failed: false }));
    let log = |mark| Log { mark, unfinished: Vec::new(), writer: Arc::clone(&shared) };
    Ok((Box::new(Recorded { stream: input, log: log('I') }), Box::new(Recorded { stream: output, log: log('O') })))
}

/// A stream of which everything is written down.
struct Recorded<S> {
    stream: S,
    log: Log,
}

impl Read for Recorded<Input> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.log.add(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Write for Recorded<Output> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.stream.write(bytes)?;
        self.log.add(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What goes in one direction.
struct Log {
    mark: char,
    unfinished: Vec<u8>,
    writer: Arc<Mutex<Writer>>,
}

struct Writer {
    file: File,
    has_failed: bool,
}

impl Log {
    fn add(&mut self, bytes: &[u8]) {
        let lines = take_lines(&mut self.unfinished, bytes, self.mark, now());
        self.write(&lines);
    }

    /// A run does not fail because it cannot be watched.
    fn write(&self, lines: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.has_failed || lines.is_empty() {
            return;
        }
        if let Err(error) = writer.file.write_all(lines) {
            writer.has_failed = true;
            messages::warning(format_args!("-r: nothing more is recorded, the file cannot be written to: {error}"));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            let unfinished = std::mem::take(&mut self.unfinished);
            self.write(&[prefix(self.mark, '>', now()).as_bytes(), &unfinished].concat());
        }
    }
}

fn now() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_micros())
}

fn prefix(mark: char, end: char, (seconds, micros): (u64, u32)) -> String {
    format!("{seconds}.{micros:06} {mark}{end} ")
}

/// What is to be written of bytes that follow unfinished ones, which are replaced by what is unfinished now.
fn take_lines(unfinished: &mut Vec<u8>, bytes: &[u8], mark: char, now: (u64, u32)) -> Vec<u8> {
    let mut lines = Vec::new();
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        unfinished.extend_from_slice(piece);
        let is_whole = piece.ends_with(b"\n");
        if is_whole || unfinished.len() > LONGEST {
            lines.extend_from_slice(prefix(mark, if is_whole { ':' } else { '>' }, now).as_bytes());
            lines.append(unfinished);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_when_they_end_or_are_too_long() {
        let mut unfinished = Vec::new();
        let mut take =
            |bytes: &[u8]| String::from_utf8(take_lines(&mut unfinished, bytes, 'O', (1_795_439_098, 475))).unwrap();
        assert_eq!(take(b"a\r\n\nb"), "1795439098.000475 O: a\r\n1795439098.000475 O: \n");
        assert_eq!(take(b"c"), "");
        assert_eq!(take(b"\nd"), "1795439098.000475 O: bc\n");
        let long = "x".repeat(8192);
        assert_eq!(take(long.as_bytes()), format!("1795439098.000475 O> d{long}"));
        assert_eq!(take(b"e\n"), "1795439098.000475 O: e\n");
    }
}
