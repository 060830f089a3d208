//! Bytes of any length and content between rows: dot-stuffed, ended by `CR LF . CR LF`.
//!
//! The CR LF before the last dot is no part of the content. A dot at the very beginning and after each LF is doubled.

/// Turns the content of a body into what is sent.
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder {
    at_line_start: bool,
}

impl Default for BodyEncoder {
    fn default() -> Self {
        Self { at_line_start: true }
    }
}

impl BodyEncoder {
    /// What ends every body.
    pub const END: &'static [u8] = b"\r\n.\r\n";

    /// Takes the next bytes of the content.
    pub fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            if self.at_line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }
}

/// Turns what was sent into the content of a body.
///
/// Senders without the correction for CVE-2026-33606 do not double a dot that is the first byte of all. What ends a body always
/// begins with an end of line, so a first line that begins with one dot is taken as it is: neither the dot is lost nor is what
/// follows taken for rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyDecoder {
    state: State,
}

/// What was read last. What belongs to the content for certain has been given out; the rest is in the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    #[default]
    Start,
    /// A dot that is the first byte.
    StartDot,
    /// Something within a line.
    Text,
    /// A LF without a CR.
    Lf,
    /// A CR.
    Cr,
    CrLf,
    CrLfDot,
    CrLfDotCr,
    End,
}

impl BodyDecoder {
    /// Takes bytes from the beginning of `input`, all of them or up to the end of the body, and gives out content. Whether the
    /// body has ended.
    pub fn take(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> bool {
        while self.state != State::End {
            if self.state == State::Text {
                let length = input.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(input.len());
                let (text, rest) = input.split_at(length);
                out.extend_from_slice(text);
                *input = rest;
            }
            let Some((byte, rest)) = input.split_first() else { return false };
            *input = rest;
            self.state = self.state.after(*byte, out);
        }
        true
    }
}

impl State {
    fn after(self, byte: u8, out: &mut Vec<u8>) -> Self {
        match (self, byte) {
            (Self::Start, b'.') => Self::StartDot,
            (Self::StartDot, b'.') => {
                out.push(b'.');
                Self::Text
            }
            (Self::StartDot, byte) => {
                out.push(b'.');
                Self::Text.after(byte, out)
            }
            // The dot was doubled.
            (Self::Lf, b'.') => Self::Text,
            (Self::Cr, b'\n') => Self::CrLf,
            (Self::Cr, byte) => {
                out.push(b'\r');
                Self::Text.after(byte, out)
            }
            (Self::CrLf, b'.') => Self::CrLfDot,
            (Self::CrLf, byte) => {
                out.extend(b"\r\n");
                Self::Text.after(byte, out)
            }
            (Self::CrLfDot, b'\r') => Self::CrLfDotCr,
            (Self::CrLfDot, byte) => {
                out.extend(b"\r\n");
                Self::Text.after(byte, out)
            }
            (Self::CrLfDotCr, b'\n') => Self::End,
            (Self::CrLfDotCr, byte) => {
                out.extend(b"\r\n");
                Self::Cr.after(byte, out)
            }
            (_, b'\r') => Self::Cr,
            (_, b'\n') => {
                out.push(b'\n');
                Self::Lf
            }
            (_, byte) => {
                out.push(byte);
                Self::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        BodyEncoder::default().push(content, &mut out);
        out.extend(BodyEncoder::END);
        out
    }

    fn decoded(mut wire: &[u8]) -> (Vec<u8>, bool) {
        let mut content = Vec::new();
        let ended = BodyDecoder::default().take(&mut wire, &mut content);
        (content, ended && wire.is_empty())
    }

    #[test]
    fn dots_are_doubled_where_a_line_begins() {
        for (content, wire) in [
            (&b""[..], &b"\r\n.\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"a\n.b\n", b"a\n..b\n\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
            (b"\r\n.\r\n", b"\r\n..\r\n\r\n.\r\n"),
            (b"a.\n..\0", b"a.\n...\0\r\n.\r\n"),
        ] {
            assert_eq!(encoded(content), wire);
            assert_eq!(decoded(wire), (content.to_vec(), true), "{:?}", wire.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_first_dot_that_was_not_doubled_neither_vanishes_nor_ends_the_body() {
        assert_eq!(decoded(b".x\n\r\n.\r\n"), (b".x\n".to_vec(), true));
        assert_eq!(decoded(b".\r\nF\r\n.\r\n"), (b".\r\nF".to_vec(), true));
        assert_eq!(decoded(b".\nF\n\r\n.\r\n"), (b".\nF\n".to_vec(), true));
    }

    proptest! {
        #[test]
        fn any_content_comes_back(
            content in prop::collection::vec(prop::sample::select(b"\r\n.ab\0".to_vec()), 0..40),
            cut in 0usize..40,
        ) {
            let wire = encoded(&content);
            prop_assert_eq!(decoded(&wire), (content.clone(), true));
            // It does not matter how the bytes come in.
            let (first, second) = wire.split_at(cut.min(wire.len()));
            let (mut decoder, mut out) = (BodyDecoder::default(), Vec::new());
            let ended = decoder.take(&mut &*first, &mut out) || decoder.take(&mut &*second, &mut out);
            prop_assert!(ended);
            prop_assert_eq!(out, content);
        }
    }
}
