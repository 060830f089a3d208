//! A checksum over some headers, by which servers recognise messages whose GUIDs prove nothing.
//!
//! As Dovecot computes it for peers of minor version 4 and later: MD5 over the lines of the wanted headers in the order of the
//! message, with LF line ends and an empty line behind them; spaces are left out, and control characters, bytes beyond ASCII and
//! `?` become `?`, several in a row only one. Older peers take the lines as they are.

use std::io::{ErrorKind, Read};

use md5::{Digest, Md5};

use super::Part;
use crate::model::Uid;
use crate::session::content;
use crate::store::MessageBody;

/// The minor version of the protocol from which on what is hashed is made the same for all stores.
const NORMALISED_SINCE: u32 = 4;
/// How messages are hashed that are recognised without GUIDs.
#[derive(Clone, Debug)]
pub(super) enum Hashing {
    /// All of their bytes.
    Contents,
    /// These headers, for a peer of this minor version.
    Headers { wanted: Vec<Vec<u8>>, minor_version: u32 },
}

impl Hashing {
    /// Whether both sides are programs of this kind.
    pub(super) fn is_by_contents(&self) -> bool {
        matches!(self, Self::Contents)
    }

    /// The hash of a message as the other side is told it; `None` if it cannot be read.
    pub(super) fn of(&self, body: MessageBody) -> Option<[u8; 16]> {
        match self {
            Self::Contents => content(body),
            Self::Headers { wanted, minor_version } => header_hash(body, wanted, *minor_version),
        }
    }

    /// What a message with this hash is compared by at this side. Messages with none of the headers have the same hash whatever they
    /// are, and a draft that was saved again has that of the one before: such are the same only under the same UID. A copy can get
    /// any message again, so it need not believe more.
    pub(super) fn content(&self, hash: [u8; 16], uid: Uid, part: Part) -> [u8; 16] {
        match self {
            Self::Headers { .. } if part.is_copying() || hash == hash_of(b"", &[], true) => {
                let mut place = Md5::new();
                place.update(hash);
                place.update(uid.get().to_le_bytes());
                place.finalize().into()
            }
            _ => hash,
        }
    }
}

/// Longer headers are not read to their end.
const MOST: usize = 1 << 20;

/// The checksum of a message, for a peer of a minor version; `None` if it cannot be read.
pub(super) fn header_hash(body: MessageBody, wanted: &[Vec<u8>], minor_version: u32) -> Option<[u8; 16]> {
    let mut header = Vec::new();
    let mut body = body;
    let mut buffer = [0; 4096];
    loop {
        let length = match body.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            length => length.ok()?,
        };
        let before = header.len().saturating_sub(3);
        header.extend_from_slice(buffer.get(..length)?);
        let is_complete = header.get(before..)?.windows(2).any(|pair| pair == b"\n\n")
            || header.get(before..)?.windows(3).any(|three| three == b"\n\r\n");
        if length == 0 || is_complete || header.len() > MOST {
            break;
        }
    }
    Some(hash_of(&header, wanted, minor_version >= NORMALISED_SINCE))
}

fn hash_of(message: &[u8], wanted: &[Vec<u8>], is_normalised: bool) -> [u8; 16] {
    let mut text = Vec::new();
    let mut is_wanted = false;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii_end();
            is_wanted = wanted.iter().any(|wanted| !wanted.is_empty() && wanted.eq_ignore_ascii_case(name));
        }
        if is_wanted {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    text.push(b'\n');
    let mut hash = Md5::new();
    hash.update(if is_normalised { normalised(&text) } else { text });
    hash.finalize().into()
}

fn normalised(text: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(text.len());
    let mut after_replaced = false;
    for byte in text {
        let is_replaced = match byte {
            b'\t' | b'\n' | b' ' => false,
            byte => *byte < 0x20 || *byte >= 0x7f || *byte == b'?',
        };
        match (is_replaced, byte) {
            (true, _) if after_replaced => {}
            (true, _) => normal.push(b'?'),
            (false, b' ') => {}
            (false, byte) => normal.push(*byte),
        }
        after_replaced = is_replaced;
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(message: &[u8]) -> String {
        hash_for(message, 5)
    }

    fn hash_for(message: &[u8], minor_version: u32) -> String {
        let wanted = [b"Date".to_vec(), b"Message-ID".to_vec(), Vec::new()];
        let hash = header_hash(MessageBody::from_bytes(message.to_vec()), &wanted, minor_version).unwrap();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn headers_prove_little() {
        let hashing = Hashing::Headers { wanted: vec![b"Message-ID".to_vec()], minor_version: 5 };
        let hash = |text: &[u8]| hashing.of(MessageBody::from_bytes(text.to_vec())).unwrap();
        let (named, unnamed) = (hash(b"Message-ID: <1>\n\n"), hash(b"Subject: x\n\n"));
        let [first, second] = [1, 2].map(|uid| Uid::new(uid).unwrap());
        let is_same = |hash, part| hashing.content(hash, first, part) == hashing.content(hash, second, part);
        assert!(is_same(named, Part::Both));
        assert!(!is_same(named, Part::Copy));
        assert!(!is_same(unnamed, Part::Both));
    }

    #[test]
    fn hashes_are_those_of_a_server() {
        let expected = "6e9d0d415986022b8fda16a7088c2969";
        let message = b"Subject: x\nDate: Mon, 1 Jan 2024 00:00:01 +0000\nMessage-ID: <m1@example.org>\n\nDate: y\n";
        assert_eq!(hash(message), expected);
        assert_eq!(hash(&String::from_utf8_lossy(message).replace('\n', "\r\n").into_bytes()), expected);
        let message = b"Date: Thu, 01 Jan 2026 00:00:01 +0000\nMessage-ID: <h1@x>\n\n";
        assert_eq!(hash(message), "b13293da0abd131ffd5a14a03597d3db");
        assert_eq!(hash(b"Subject: none\n\nbody"), "68b329da9893e34099c7d8ad5cb9c940");
        assert_eq!(hash(b""), "68b329da9893e34099c7d8ad5cb9c940");
        // Older peers keep the blank.
        assert_eq!(hash_for(b"Date: x\n\n", 3), "4e4f88fb0d0f0d7feb6633b188ba1f40");
    }
}
