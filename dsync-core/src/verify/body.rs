//! The comparison of two bodies, a few kilobytes at a time.

use std::io::{self, Read};

use crate::store::MessageBody;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// How much of what is different is shown.
const EXCERPT: usize = 24;

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BodyComparison {
    /// The sizes with CRLF at the end of each line.
    pub(super) sizes: [u64; 2],
    /// Where the first different byte is, and what follows there on each side.
    pub(super) different: Option<(u64, [Vec<u8>; 2])>,
}

/// Which of two bodies cannot be read, and why.
pub(super) type Failure = (usize, io::Error);

/// Reads both bodies to their ends.
///
/// # Errors
/// Which one cannot be read as a whole.
pub(super) fn compare([first, second]: [MessageBody; 2]) -> Result<BodyComparison, Failure> {
    let mut sides = [Lines::new(first), Lines::new(second)];
    let mut different = None;
    loop {
        let [left, right] = &mut sides;
        left.fill().map_err(|error| (0, error))?;
        right.fill().map_err(|error| (1, error))?;
        let (a, b) = (left.rest(), right.rest());
        let common = a.len().min(b.len());
        if common == 0 {
            if different.is_none() && (!a.is_empty() || !b.is_empty()) {
                different = Some((left.passed, [excerpt(a), excerpt(b)]));
            }
            break;
        }
        if different.is_none()
            && let Some(place) = a.iter().zip(b).position(|(a, b)| a != b)
        {
            let offset = left.passed.saturating_add(place as u64);
            different = Some((offset, [a, b].map(|rest| excerpt(rest.get(place..).unwrap_or_default()))));
        }
        left.pass(common);
        right.pass(common);
    }
    let mut sizes = [0; 2];
    for (side, (lines, size)) in sides.iter_mut().zip(&mut sizes).enumerate() {
        *size = lines.finish().map_err(|error| (side, error))?;
    }
    Ok(BodyComparison { sizes, different })
}

fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..EXCERPT).unwrap_or(bytes).to_vec()
}

/// The bytes of a body with CRLF at the end of each line.
struct Lines {
    body: MessageBody,
    raw: Vec<u8>,
    /// How many bytes came from the body.
    taken: u64,
    after_cr: bool,
    ready: Vec<u8>,
    /// How many of the ready bytes are done with.
    used: usize,
    /// How many bytes are done with in all.
    passed: u64,
}

impl Lines {
    fn new(body: MessageBody) -> Self {
        Self { body, raw: vec![0; CHUNK], taken: 0, after_cr: false, ready: Vec::new(), used: 0, passed: 0 }
    }

    fn rest(&self) -> &[u8] {
        self.ready.get(self.used..).unwrap_or_default()
    }

    fn pass(&mut self, count: usize) {
        self.used += count;
        self.passed = self.passed.saturating_add(count as u64);
    }

    /// Sees to it that something is ready, unless that was all.
    fn fill(&mut self) -> io::Result<()> {
        if !self.rest().is_empty() {
            return Ok(());
        }
        let count = loop {
            match self.body.read(&mut self.raw) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        self.ready.clear();
        self.used = 0;
        self.taken = self.taken.saturating_add(count as u64);
        for byte in self.raw.iter().take(count) {
            if *byte == b'\n' && !self.after_cr {
                self.ready.push(b'\r');
            }
            self.after_cr = *byte == b'\r';
            self.ready.push(*byte);
        }
        if count == 0 && self.body.size.is_some_and(|size| size != self.taken) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message has not the announced length"));
        }
        Ok(())
    }

    /// Reads what is left. The whole size.
    fn finish(&mut self) -> io::Result<u64> {
        loop {
            self.fill()?;
            let count = self.rest().len();
            if count == 0 {
                return Ok(self.passed);
            }
            self.pass(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(first: &[u8], second: &[u8]) -> BodyComparison {
        compare([first, second].map(|bytes| MessageBody::from_bytes(bytes.to_vec()))).unwrap()
    }

    #[test]
    fn line_ends_are_those_that_clients_get() {
        assert_eq!(compared(b"a\nb\n", b"a\r\nb\n"), BodyComparison { sizes: [6, 6], different: None });
        assert_eq!(compared(b"", b""), BodyComparison { sizes: [0, 0], different: None });
        let lone = compared(b"a\rb\n", b"a\nb\n");
        assert_eq!((lone.sizes, lone.different.unwrap().0), ([5, 6], 2));
    }

    #[test]
    fn the_first_difference_is_shown() {
        let (offset, excerpts) =
            compared(b"one\ntwo\n", b"one\ntwa and more than is shown of it\n").different.unwrap();
        assert_eq!((offset, &*excerpts[0], excerpts[1].len()), (7, &b"o\r\n"[..], EXCERPT));
        let (offset, excerpts) = compared(b"one\n", b"one\nx").different.unwrap();
        assert_eq!((offset, &excerpts), (5, &[vec![], b"x".to_vec()]));
        let mut long = vec![b'a'; 3 * CHUNK];
        let same = long.clone();
        *long.last_mut().unwrap() = b'b';
        assert_eq!(compared(&long, &same).different.unwrap().0, 3 * CHUNK as u64 - 1);
        assert_eq!(compared(&long[1..], &same).sizes, [3 * CHUNK as u64 - 1, 3 * CHUNK as u64]);
    }

    #[test]
    fn a_body_of_another_length_than_announced_cannot_be_read() {
        let mut short = MessageBody::from_bytes(b"abc".to_vec());
        short.size = Some(4);
        let failure = compare([MessageBody::from_bytes(b"abc".to_vec()), short]).unwrap_err();
        assert_eq!((failure.0, failure.1.kind()), (1, io::ErrorKind::InvalidData));
    }
}
