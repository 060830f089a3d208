//! Reading what a peer says.

use super::value::{shown, unescape};
use super::{BodyDecoder, Item, Layouts, MAJOR_VERSION, WireError, limits};

/// What a peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The version and the headers have come. What the peer can do, by its minor version.
    Greeting(u32),
    /// A row.
    Item(Item),
    /// The list that was being sent is complete.
    EndOfList,
    /// The next bytes of the body that belongs to the last row.
    Body(Vec<u8>),
    /// The body is complete.
    BodyEnd,
}

/// Turns bytes into what they say.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// The beginning of a line that is not complete yet.
    line: Vec<u8>,
    layouts: Layouts,
}

#[derive(Clone, Debug)]
enum State {
    Version,
    Headers { minor_version: u32, lines: usize },
    Rows,
    Body(BodyDecoder),
    BodyEnd,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// For a peer that has not said anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Version, line: Vec::new(), layouts: Layouts::unknown() }
    }

    /// The columns of the peer's rows.
    #[must_use]
    pub fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// Whether nothing is left half said, so that the peer may close the connection.
    #[must_use]
    pub fn is_between_rows(&self) -> bool {
        self.line.is_empty() && matches!(self.state, State::Rows)
    }

    /// Takes bytes from the beginning of `input` until something is complete; `None` if more are needed for that.
    ///
    /// # Errors
    /// If the bytes mean nothing. The decoder cannot go on then.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, WireError> {
        loop {
            match &mut self.state {
                State::Body(decoder) => {
                    let mut content = Vec::new();
                    if decoder.take(input, &mut content) {
                        self.state = State::BodyEnd;
                    }
                    if !content.is_empty() {
                        return Ok(Some(Incoming::Body(content)));
                    }
                    if !matches!(self.state, State::BodyEnd) {
                        return Ok(None);
                    }
                }
                State::BodyEnd => {
                    self.state = State::Rows;
                    return Ok(Some(Incoming::BodyEnd));
                }
                State::Version | State::Headers { .. } | State::Rows => {
                    let Some(line) = self.take_line(input)? else { return Ok(None) };
                    if let Some(incoming) = self.take(&line)? {
                        return Ok(Some(incoming));
                    }
                }
            }
        }
    }

    /// A line without its end, once it is complete.
    fn take_line(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.line.len().saturating_add(part.len()) > limits::ROW {
            return Err(WireError::TooLong(limits::ROW));
        }
        self.line.extend_from_slice(part);
        *input = rest.split_first().map_or(rest, |(_, rest)| rest);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.ends_with(b"\r") {
            line.pop();
        }
        Ok(Some(line))
    }

    fn take(&mut self, line: &[u8]) -> Result<Option<Incoming>, WireError> {
        match &mut self.state {
            State::Version => {
                self.state = State::Headers { minor_version: minor_version(line)?, lines: 0 };
                Ok(None)
            }
            State::Headers { minor_version, .. } if line == b"." => {
                let minor_version = *minor_version;
                self.layouts.check(minor_version)?;
                self.state = State::Rows;
                Ok(Some(Incoming::Greeting(minor_version)))
            }
            State::Headers { lines, .. } => {
                *lines = lines.saturating_add(1);
                if *lines > limits::HEADER_LINES {
                    return Err(WireError::Headers("too many lines"));
                }
                self.layouts.add_header(line)?;
                Ok(None)
            }
            _ if line == b"." => Ok(Some(Incoming::EndOfList)),
            state => {
                let item = Item::parse(line, &self.layouts)?;
                if item.has_body() {
                    *state = State::Body(BodyDecoder::default());
                }
                Ok(Some(Incoming::Item(item)))
            }
        }
    }
}

/// The minor version of the first line.
fn minor_version(line: &[u8]) -> Result<u32, WireError> {
    let words: Vec<_> = line.split(|byte| *byte == b'\t').map(unescape).collect();
    let [version, name, major, minor, ..] = words.as_slice() else { return Err(WireError::NotDsync(shown(line))) };
    if version != b"VERSION" || name != b"dsync" {
        return Err(WireError::NotDsync(shown(line)));
    }
    let minor = super::row::decimal(minor).ok_or_else(|| WireError::NotDsync(shown(line)))?;
    match super::row::decimal::<u32>(major) {
        Some(MAJOR_VERSION) => Ok(minor),
        _ => Err(WireError::Version(shown(major))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encoder;

    fn greeting() -> Vec<u8> {
        let mut greeting = Vec::new();
        Encoder::default().greeting(&mut greeting);
        greeting
    }

    fn all(bytes: &[u8]) -> Result<Vec<Incoming>, WireError> {
        let (mut decoder, mut input, mut all) = (Decoder::new(), bytes, Vec::new());
        while let Some(incoming) = decoder.next(&mut input)? {
            all.push(incoming);
        }
        Ok(all)
    }

    #[test]
    fn a_peer_is_understood_whatever_its_minor_version() {
        let text = String::from_utf8(greeting()).unwrap();
        for minor in [0, 3, 99] {
            let text = text.replace("\t3\t5\n", &format!("\t3\t{minor}\n")) + "Hname\nX\n";
            let said = all(text.as_bytes()).unwrap();
            assert_eq!(said.first(), Some(&Incoming::Greeting(minor)));
            assert_eq!(said.last(), Some(&Incoming::Item(Item::Done)));
        }
        let other = text.replace("\t3\t5\n", "\t4\t0\n");
        assert_eq!(all(other.as_bytes()), Err(WireError::Version("\"4\"".to_owned())));
        assert!(matches!(all(b"Last login: Mon\n"), Err(WireError::NotDsync(_))));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_takes_memory() {
        let mut bytes = greeting();
        bytes.push(b'H');
        bytes.resize(bytes.len() + limits::ROW, b'x');
        assert_eq!(all(&bytes), Err(WireError::TooLong(limits::ROW)));
        let mut bytes = b"VERSION\tdsync\t3\t5\n".to_vec();
        bytes.extend(b"Zx\n".repeat(limits::HEADER_LINES + 1));
        assert!(matches!(all(&bytes), Err(WireError::Headers(_))));
    }

    #[test]
    fn values_are_found_by_name() {
        let mut text = String::from_utf8(greeting()).unwrap();
        text = text.replace("\nRguid\tuid\n", "\nRnew\tuid\tguid\n");
        text.push_str("R\u{2}\t7\tabc\r\nR\t8\n");
        let said = all(text.as_bytes()).unwrap();
        let request = |guid: Option<&[u8]>, uid| {
            let guid = guid.and_then(crate::model::MessageGuid::new);
            Incoming::Item(Item::MailRequest(crate::wire::MailRequest { guid, uid: crate::model::Uid::new(uid) }))
        };
        assert_eq!(said[1..], [request(Some(b"abc"), 7), request(None, 8)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for row in [
            "",
            "Z",
            "c\u{1}",
            "Sx\t1\t1\t1\t1",
            "Cs\t0\tg",
            "Cs\t1",
            "Ce\t1\tg",
            "Cs\t1\tg\t\u{2}\t-1",
            "Cs\t1\tg\t\u{2}\t1\t\u{2}\t100",
            "N\ty",
            "Na\u{1}t\u{1}tb\ty",
            "Na\tq",
            "D/\t%\t00",
            "R\t1\t2\t3\t4",
            "Hh\t\u{2}\t\u{2}\t\u{2}\tz",
        ] {
            let bytes = [greeting(), row.as_bytes().to_vec(), b"\n".to_vec()].concat();
            assert!(all(&bytes).is_err(), "{row:?}");
        }
    }
}
