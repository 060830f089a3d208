//! `dovecot-uidlist`: which message has which UID.
//!
//! ```text
//! 3 V1234567890 N1000 G00112233445566778899aabbccddeeff      version, UIDVALIDITY, UIDNEXT, mailbox GUID
//! 5 :1600000000.M1P77.host.example,S=141,W=149               UID, base name of the file
//! 9 Gguid-two PUIDL-2 O3 :1600000001.M1P77.host.example      message GUID, POP3 UIDL and order
//! ```
//!
//! Lines end with LF; one without is not there yet. UIDs ascend. `N` may be too low: appending does not raise it. A line
//! without a file is normal. Version 1 (also Courier's `courierimapuiddb`) is `1 <validity> <next>`, then
//! `<uid> <file name>`. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod entries;

use std::convert::Infallible;

use dsync_core::model::{MailboxGuid, Uid, UidValidity};
use sha1::{Digest, Sha1};

use super::file_name::base_of;

pub use entries::{ListedEntry, UidListEntries, UidListEntry, can_be_field};

/// Name of the file.
pub const FILE_NAME: &str = "dovecot-uidlist";

/// So much is written at a time, or a little more.
const PIECE: usize = 64 * 1024;

/// The greatest UID that a server can still handle.
const LAST_USABLE: u32 = 4_294_967_293;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidList {
    /// `V`; `None` if the file has no valid one.
    pub uid_validity: Option<UidValidity>,
    /// `N`; see [`UidList::effective_uid_next`].
    pub uid_next: Option<Uid>,
    /// `G`; `None` if the file has no valid one.
    pub guid: Option<MailboxGuid>,
    /// Items of the header that we do not know, each with its letter, in their order.
    pub other_items: Vec<Vec<u8>>,
    /// The messages, by ascending UID; no base name occurs twice.
    pub entries: UidListEntries,
}

/// Where reading stopped, and why. What comes after is lost to a server: it gives those messages new UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl UidList {
    /// Reads a file of version 1 or 3, as far as it is sound.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> (Self, Option<Damage>) {
        let mut list = Self::default();
        let mut lines = complete_lines(bytes).enumerate();
        let Some((_, header)) = lines.next() else {
            let damage = (!bytes.is_empty()).then_some(Damage { line: 1, reason: "the header is incomplete" });
            return (list, damage);
        };
        let version = match list.decode_header(header) {
            Ok(version) => version,
            Err(reason) => return (list, Some(Damage { line: 1, reason })),
        };
        let count = bytes.iter().filter(|byte| **byte == b'\n').count();
        list.entries.uids.reserve_exact(count);
        list.entries.ends.reserve_exact(count);
        list.entries.text.reserve_exact(bytes.len());
        let mut damage = None;
        for (index, line) in lines {
            let entry = match version {
                Version::One => decode_entry_1(line),
                Version::Three => decode_entry_3(line),
            };
            let reason = match entry {
                Ok(entry) if list.entries.last_uid().is_some_and(|last| last >= entry.uid) => {
                    "its UID is not greater than the one before"
                }
                Ok(entry) if version == Version::One && list.uid_next.is_some_and(|next| entry.uid >= next) => {
                    "its UID is not below the next UID of the header"
                }
                Ok(entry) => {
                    list.entries.push(&entry);
                    continue;
                }
                Err(reason) => reason,
            };
            damage = Some(Damage { line: index.saturating_add(1), reason });
            break;
        }
        list.entries.text.shrink_to_fit();
        list.keep_last_of_equal_bases();
        (list, damage)
    }

    /// The file in version 3.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut file = Vec::new();
        file.reserve_exact(self.entries.text.len().saturating_add(self.entries.len().saturating_mul(12)));
        let written: Result<(), Infallible> = self.encode_in_pieces(&mut |piece| {
            file.extend_from_slice(piece);
            Ok(())
        });
        let Ok(()) = written;
        file
    }

    /// The same in pieces of moderate size, one after the other.
    ///
    /// # Errors
    /// The first that `write` returns.
    pub fn encode_in_pieces<E>(&self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut piece = self.encode_header();
        for entry in self.entries.iter() {
            if piece.len() >= PIECE {
                write(&piece)?;
                piece.clear();
            }
            piece.extend_from_slice(entry.uid.to_string().as_bytes());
            piece.push(b' ');
            piece.extend_from_slice(entry.text);
            piece.push(b'\n');
        }
        write(&piece)
    }

    fn encode_header(&self) -> Vec<u8> {
        let mut file = b"3".to_vec();
        if let Some(uid_validity) = self.uid_validity {
            file.extend_from_slice(format!(" V{uid_validity}").as_bytes());
        }
        file.extend_from_slice(format!(" N{}", self.effective_uid_next()).as_bytes());
        if let Some(guid) = self.guid {
            file.extend_from_slice(format!(" G{guid}").as_bytes());
        }
        for item in &self.other_items {
            file.push(b' ');
            file.extend_from_slice(item);
        }
        file.push(b'\n');
        file
    }

    /// A checksum over all of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 20] {
        let mut hash = Sha1::new();
        hash.update(format!("{:?}", (self.uid_validity, self.uid_next, self.guid, &self.other_items)));
        for entry in self.entries.iter() {
            hash.update(entry.uid.get().to_le_bytes());
            hash.update((entry.text.len() as u64).to_le_bytes());
            hash.update(entry.text);
        }
        hash.finalize().into()
    }

    /// UIDNEXT as far as this file knows: `N`, or one more than the last UID if that is greater.
    #[must_use]
    pub fn effective_uid_next(&self) -> Uid {
        let after_last = self.entries.last_uid().map(Uid::next);
        self.uid_next.max(after_last).unwrap_or(Uid::FIRST)
    }

    fn decode_header(&mut self, line: &[u8]) -> Result<Version, &'static str> {
        let mut words = words(line);
        match words.next() {
            Some(b"1") => {
                self.uid_validity = words.next().and_then(decode_number).and_then(UidValidity::new);
                self.uid_next = words.next().and_then(decode_number).and_then(Uid::new);
                self.check_header(Version::One)
            }
            Some(b"3") => {
                let mut valid_guid = true;
                for item in words {
                    match item.split_first() {
                        Some((b'V', value)) => self.uid_validity = decode_number(value).and_then(UidValidity::new),
                        Some((b'N', value)) => self.uid_next = decode_number(value).and_then(Uid::new),
                        Some((b'G', value)) => {
                            self.guid = MailboxGuid::from_hex(value);
                            valid_guid = self.guid.is_some();
                        }
                        _ => self.other_items.push(item.to_vec()),
                    }
                }
                self.check_header(Version::Three).and_then(|version| {
                    if valid_guid { Ok(version) } else { Err("the mailbox GUID is not 32 hexadecimal digits") }
                })
            }
            _ => Err("the version is neither 1 nor 3"),
        }
    }

    fn check_header(&self, version: Version) -> Result<Version, &'static str> {
        match (self.uid_validity, self.uid_next) {
            (None, _) => Err("there is no valid UIDVALIDITY"),
            (_, None) => Err("there is no valid next UID"),
            _ => Ok(version),
        }
    }

    fn keep_last_of_equal_bases(&mut self) {
        let base = |index: usize| self.entries.get(index).map(|entry| entry.base());
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_unstable_by_key(|index| (base(*index), *index));
        let mut keep = vec![true; order.len()];
        let mut any = false;
        for pair in order.windows(2) {
            if let [first, second] = *pair
                && base(first) == base(second)
                && let Some(keep) = keep.get_mut(first)
            {
                *keep = false;
                any = true;
            }
        }
        if any {
            self.entries.retain(&keep);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Three,
}

/// The lines that end with LF, without it; CRLF is accepted.
fn complete_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn decode_number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn decode_uid(text: &[u8]) -> Result<Uid, &'static str> {
    let number = decode_number(text).filter(|number| *number <= LAST_USABLE);
    number.and_then(Uid::new).ok_or("it does not begin with a valid UID")
}

fn decode_base(name: &[u8]) -> Result<Vec<u8>, &'static str> {
    let base = base_of(name);
    if base.is_empty() {
        return Err("the file name is empty");
    }
    if base.contains(&b'/') {
        return Err("the file name holds a slash");
    }
    Ok(base.to_vec())
}

fn decode_entry_1(line: &[u8]) -> Result<UidListEntry, &'static str> {
    let space = line.iter().position(|byte| *byte == b' ').ok_or("there is no file name")?;
    let (uid, name) = line.split_at(space);
    let name = name.strip_prefix(b" ").unwrap_or(name);
    Ok(UidListEntry { uid: decode_uid(uid)?, base: decode_base(name)?, fields: Vec::new() })
}

fn decode_entry_3(line: &[u8]) -> Result<UidListEntry, &'static str> {
    let space = line.iter().position(|byte| *byte == b' ').ok_or("there is no file name")?;
    let (uid, mut rest) = line.split_at(space);
    let uid = decode_uid(uid)?;
    let mut fields = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if let Some(name) = rest.strip_prefix(b":") {
            return Ok(UidListEntry { uid, base: decode_base(name)?, fields });
        }
        let end = rest.iter().position(|byte| *byte == b' ').ok_or("there is no file name")?;
        let (field, after) = rest.split_at(end);
        // A field with another first character is dropped by servers too; the rest of the line is fine.
        if let Some((key @ b'A'..=b'Z', value)) = field.split_first() {
            fields.push((*key, value.to_vec()));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;
