//! User names from a file: one in each line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use thiserror::Error;

/// The longest line, in bytes. No server takes longer names.
const LONGEST_LINE: usize = 4096;
/// The largest file, in bytes.
const LARGEST: u64 = 1 << 30;

/// Why a list of users cannot be used. Nothing was done for anybody then.
#[derive(Debug, Error)]
pub(crate) enum NamesError {
    /// The system does not let us read it.
    #[error("it cannot be read: {0}; check the path after -F and its permissions")]
    Read(#[from] std::io::Error),
    /// A line is no name.
    #[error("line {line}: {problem}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The names in a file, in its order; `-` is standard input. Empty lines are left out.
///
/// # Errors
/// If it cannot be read as a whole.
pub(crate) fn read(path: &Path) -> Result<Vec<String>, NamesError> {
    if path == Path::new("-") { names(std::io::stdin().lock()) } else { names(BufReader::new(File::open(path)?)) }
}

fn names(reader: impl BufRead) -> Result<Vec<String>, NamesError> {
    let mut reader = reader.take(LARGEST);
    let mut names = Vec::new();
    for line in 1.. {
        let refuse = |problem| NamesError::Line { line, problem };
        let mut bytes = Vec::new();
        reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() == LONGEST_LINE && !bytes.ends_with(b"\n") {
            return Err(refuse("it is too long for the name of a user"));
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8"))?;
        let name = text.trim_end_matches(['\n', '\r']);
        if name.chars().any(char::is_control) {
            return Err(refuse("it has control characters in it"));
        }
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
    if reader.limit() == 0 {
        return Err(NamesError::Line { line: names.len(), problem: "the list is too long" });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &[u8]) -> Option<(usize, &'static str)> {
        match names(text) {
            Err(NamesError::Line { line, problem }) => Some((line, problem)),
            _ => None,
        }
    }

    #[test]
    fn a_line_is_a_name() {
        assert_eq!(
            names(&b"joe\r\n\nanna maria@example.org\nlast"[..]).unwrap(),
            ["joe", "anna maria@example.org", "last"]
        );
        assert!(names(&b""[..]).unwrap().is_empty());
    }

    #[test]
    fn other_files_are_refused_as_a_whole() {
        assert_eq!(problem(b"joe\nan\xffna\n"), Some((2, "it is not UTF-8")));
        assert_eq!(problem(b"joe\n\nan\0na\n"), Some((3, "it has control characters in it")));
        assert_eq!(problem(&vec![b'x'; 1 << 20]), Some((1, "it is too long for the name of a user")));
        assert!(matches!(read(Path::new("/nonexistent")), Err(NamesError::Read(_))));
        assert!(matches!(read(Path::new("/")), Err(NamesError::Read(_))));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(list in prop::collection::vec("[a-z@ é]{1,20}", 0..10)) {
            let text: String = list.iter().map(|name| format!("{name}\n")).collect();
            prop_assert_eq!(names(text.as_bytes()).unwrap(), list);
        }
    }
}
