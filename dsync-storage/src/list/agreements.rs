//! The file with the agreements that a store keeps: what mailboxes looked like, here and at another store, when there was
//! nothing left to do about them.
//!
//! ```text
//! agreements 1 <version of dsync> LF
//! store <label of the other store> LF
//! <own glance> TAB <other glance> TAB <counters> TAB <levels of the name> LF
//! sha1 <checksum over everything before> LF
//! ```
//!
//! Labels, glances (32 digits, or 64 with what only a close one shows) and the checksum are hexadecimal digits. The
//! counters are GUID, UIDVALIDITY, UIDNEXT, number of messages, HIGHESTMODSEQ and first recent UID, separated by commas,
//! `-` for what is undecided. Levels are hexadecimal digits of their UTF-8, separated by `/`. The last store that was
//! written comes last.
//!
//! It only saves work, so it is not made durable, and a file that is damaged or of another version counts as none. One
//! that cannot even be read is replaced.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::{Display, Write};
use std::path::Path;

use dsync_core::model::{
    Agreement, Agreements, Glance, MailboxGuid, MailboxIdentity, MailboxName, MailboxStatus, ModSeq, Uid, UidValidity,
};
use sha1::{Digest, Sha1};

use crate::fs::permissions::Permissions;
use crate::fs::replace::{Durability, replace};
use crate::fs::{FsError, read};

const FILE_NAME: &str = "dovecot.dsync-agreements";
/// Room for some hundred thousand mailboxes.
const LARGEST: usize = 64 << 20;
/// How many other stores are kept in mind.
const MOST_STORES: usize = 8;
const HEADER: &str = concat!("agreements 1 ", env!("CARGO_PKG_VERSION"), "\n");

/// What is known about each other store, the last one last.
type Stores = Vec<([u8; 8], Agreements)>;

/// The agreements with the store that is called `peer`, as the file in `directory` says.
///
/// # Errors
/// If it is there and cannot be read.
pub(crate) fn read(directory: &Path, peer: [u8; 8]) -> Result<Agreements, FsError> {
    let found = stores(directory)?.into_iter().find(|(store, _)| *store == peer);
    Ok(found.map(|(_, agreements)| agreements).unwrap_or_default())
}

/// Replaces them.
///
/// # Errors
/// As the system.
pub(crate) fn write(
    directory: &Path,
    peer: [u8; 8],
    agreements: &Agreements,
    permissions: &Permissions,
) -> Result<(), FsError> {
    let mut stores = stores(directory).unwrap_or_default();
    stores.retain(|(store, _)| *store != peer);
    stores.push((peer, agreements.clone()));
    stores.drain(..stores.len().saturating_sub(MOST_STORES));
    let text = encode_at_most(LARGEST, stores);
    // Two runs may be at work; what one of them loses is nothing but time.
    let temporary = directory.join(format!("{FILE_NAME}.new"));
    replace(&directory.join(FILE_NAME), &temporary, text.as_bytes(), permissions, Durability::Later)
}

fn stores(directory: &Path) -> Result<Stores, FsError> {
    let bytes = read::contents(&directory.join(FILE_NAME), LARGEST as u64)?;
    Ok(bytes.and_then(|bytes| decode(&bytes)).unwrap_or_default())
}

/// The text of the stores, without the first of them as long as it is larger: what would not be read is not written, and
/// what a run found out must not be forgotten in favour of an older file.
fn encode_at_most(largest: usize, mut stores: Stores) -> String {
    loop {
        let text = encode(&stores);
        if text.len() <= largest || stores.is_empty() {
            return text;
        }
        stores.remove(0);
    }
}

fn encode(stores: &Stores) -> String {
    let mut text = HEADER.to_owned();
    for (store, agreements) in stores {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "store {}", hexadecimal(store));
        for (name, Agreement { own, other, status }) in agreements {
            let levels: Vec<String> = name.parts().iter().map(|part| hexadecimal(part.as_bytes())).collect();
            let (own, other) = (glance(*own), glance(*other));
            let _ = writeln!(text, "{own}\t{other}\t{}\t{}", counters(status), levels.join("/"));
        }
    }
    let checksum = hexadecimal(&Sha1::digest(&text));
    let _ = writeln!(text, "sha1 {checksum}");
    text
}

fn glance(glance: Glance) -> String {
    let inside = glance.inside.map(|inside| hexadecimal(&inside)).unwrap_or_default();
    hexadecimal(&glance.outside) + &inside
}

fn decode_glance(field: &str) -> Option<Glance> {
    let bytes = bytes_of(field)?;
    let (outside, inside) = bytes.split_first_chunk()?;
    let inside = if inside.is_empty() { None } else { Some(inside.try_into().ok()?) };
    Some(Glance { outside: *outside, inside })
}

fn counters(status: &MailboxStatus) -> String {
    fn or_dash(value: Option<impl Display>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    [
        or_dash(status.identity.guid),
        or_dash(status.identity.uid_validity.map(UidValidity::get)),
        status.uid_next.get().to_string(),
        status.message_count.to_string(),
        or_dash(status.highest_modseq.map(ModSeq::get)),
        or_dash(status.first_recent_uid.map(Uid::get)),
    ]
    .join(",")
}

/// What the file says; `None` if it is damaged or of another version.
fn decode(bytes: &[u8]) -> Option<Stores> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (start, checksum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = text.get(..start.len().checked_add(1)?)?;
    if checksum.strip_prefix("sha1 ")? != hexadecimal(&Sha1::digest(body)) {
        return None;
    }
    let mut stores = Stores::new();
    for line in body.strip_prefix(HEADER)?.lines() {
        match line.strip_prefix("store ") {
            Some(store) => stores.push((bytes_of(store)?.try_into().ok()?, Agreements::new())),
            None => {
                let (name, agreement) = decode_line(line)?;
                stores.last_mut()?.1.insert(name, agreement);
            }
        }
    }
    Some(stores)
}

fn decode_line(line: &str) -> Option<(MailboxName, Agreement)> {
    let mut fields = line.split('\t');
    let (own, other) = (decode_glance(fields.next()?)?, decode_glance(fields.next()?)?);
    let status = decode_counters(fields.next()?)?;
    let levels = fields.next()?.split('/').map(|part| String::from_utf8(bytes_of(part)?).ok());
    let name = MailboxName::new(levels.collect::<Option<Vec<_>>>()?)?;
    Some((name, Agreement { own, other, status }))
}

fn decode_counters(field: &str) -> Option<MailboxStatus> {
    let [guid, uid_validity, uid_next, message_count, highest_modseq, first_recent_uid] =
        field.split(',').collect::<Vec<_>>().try_into().ok()?;
    /// What is undecided stays so, what makes no sense is refused.
    fn decided<T>(text: &str, value: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
        if text == "-" { Some(None) } else { value(text).map(Some) }
    }
    Some(MailboxStatus {
        identity: MailboxIdentity {
            guid: decided(guid, |text| MailboxGuid::from_hex(text.as_bytes()))?,
            uid_validity: decided(uid_validity, |text| UidValidity::new(text.parse().ok()?))?,
        },
        uid_next: Uid::new(uid_next.parse().ok()?)?,
        message_count: message_count.parse().ok()?,
        highest_modseq: decided(highest_modseq, |text| Some(ModSeq(text.parse().ok()?)))?,
        first_recent_uid: decided(first_recent_uid, |text| Uid::new(text.parse().ok()?))?,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreements(number: u8) -> Agreements {
        let status = |guid| MailboxStatus {
            identity: MailboxIdentity { guid, uid_validity: UidValidity::new(7) },
            uid_next: Uid::FIRST,
            message_count: 3,
            highest_modseq: guid.map(|_| ModSeq(1 << 40)),
            first_recent_uid: None,
        };
        let agreement = |guid| Agreement {
            own: Glance { outside: [number; 16], inside: None },
            other: Glance { outside: [9; 16], inside: Some([number; 16]) },
            status: status(guid),
        };
        let name = |parts: &[&str]| MailboxName::new(parts.iter().copied()).unwrap();
        Agreements::from([
            (name(&["INBOX"]), agreement(MailboxGuid::new([5; 16]))),
            (name(&["a/b", "tab\t and\nline", "é"]), agreement(None)),
        ])
    }

    #[test]
    fn each_store_has_its_own_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let permissions = Permissions::like(directory.path(), directory.path());
        for number in 0..10 {
            write(directory.path(), [number; 8], &agreements(number), &permissions).unwrap();
        }
        assert_eq!(read(directory.path(), [1; 8]).unwrap(), Agreements::new());
        assert_eq!(read(directory.path(), [2; 8]).unwrap(), agreements(2));
        assert_eq!(read(directory.path(), [9; 8]).unwrap(), agreements(9));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let permissions = Permissions::like(directory.path(), directory.path());
        let file = std::fs::File::create(directory.path().join(FILE_NAME)).unwrap();
        file.set_len(LARGEST as u64 + 1).unwrap();
        assert!(read(directory.path(), [1; 8]).is_err());
        write(directory.path(), [1; 8], &agreements(1), &permissions).unwrap();
        assert_eq!(read(directory.path(), [1; 8]).unwrap(), agreements(1));
    }

    #[test]
    fn what_would_not_be_read_is_not_written() {
        let stores = |numbers: &[u8]| numbers.iter().map(|number| ([*number; 8], agreements(*number))).collect();
        let two: Stores = stores(&[2, 3]);
        let largest = encode(&two).len();
        assert_eq!(decode(encode_at_most(largest, stores(&[1, 2, 3])).as_bytes()), Some(two));
        assert_eq!(decode(encode_at_most(100, stores(&[1])).as_bytes()), Some(Stores::new()));
    }

    #[test]
    fn what_is_damaged_counts_as_nothing() {
        let whole = encode(&vec![([1; 8], agreements(1))]);
        assert_eq!(decode(whole.as_bytes()), Some(vec![([1; 8], agreements(1))]));
        for end in 0..whole.len() {
            assert_eq!(decode(&whole.as_bytes()[..end]), None);
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone().into_bytes();
            damaged[place] ^= 1;
            assert_eq!(decode(&damaged), None);
        }
    }
}
