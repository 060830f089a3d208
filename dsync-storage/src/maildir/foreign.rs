//! What other programs keep in a Maildir in place of a uidlist: Courier and mbsync.
//!
//! Only read, and only where there is no `dovecot-uidlist`.
//!
//! | program | file | says |
//! |---|---|---|
//! | Courier | `courierimapuiddb` | UIDVALIDITY, UIDNEXT and UIDs, as a uidlist of version 1 |
//! | Courier | `courierimapsubscribed` | subscriptions, one `INBOX.name` a line |
//! | Courier | `courierimapkeywords/:list` | keywords by name; then, for each message, their numbers |
//! | mbsync | `.uidvalidity` | UIDVALIDITY and the highest UID, a decimal line each; UIDs are in the file names as `,U=` |
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::Path;

use dsync_core::model::{Keyword, Keywords, MailboxName, MessageList, Uid, UidValidity};
use dsync_core::store::StoreError;

use super::join::Joined;
use super::scan;
use super::uidlist::{UidList, UidListEntries, UidListEntry};
use crate::fs::{FsError, read};
use crate::list::layout::{Layout, MailboxPaths, Naming};

const LARGEST: u64 = 1 << 30;
/// Courier's keywords, below the directory of a mailbox.
pub(super) const KEYWORDS_FILE: &str = "courierimapkeywords/:list";

/// What Courier says about UIDs; `None` if it was never here.
pub(super) fn courier_uidlist(mailbox: &Path) -> Result<Option<UidList>, FsError> {
    let bytes = read::contents(&mailbox.join("courierimapuiddb"), LARGEST)?;
    Ok(bytes.map(|bytes| UidList::decode(&bytes).0))
}

/// What mbsync says about UIDs; `None` if it was never here.
pub(super) fn mbsync_mailbox(paths: &MailboxPaths) -> Result<Option<UidList>, FsError> {
    match read::contents(&paths.mails.join(".uidvalidity"), 4096)? {
        None => Ok(None),
        Some(bytes) => {
            let scan = scan::scan(&paths.mails, &paths.root)?;
            Ok(mbsync_uidlist(&bytes, scan.bases()))
        }
    }
}

/// The uidlist that `.uidvalidity` and the names of the files amount to.
pub fn mbsync_uidlist<'a>(file: &[u8], bases: impl Iterator<Item = &'a [u8]>) -> Option<UidList> {
    let text = std::str::from_utf8(file).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|line| line.parse::<u32>().ok());
    let uid_validity = numbers.next()?.and_then(UidValidity::new)?;
    let highest = numbers.next().flatten().unwrap_or(0);
    let mut by_uid: HashMap<Uid, Option<UidListEntry>> = HashMap::new();
    for base in bases {
        if let Some(uid) = mbsync_uid(base) {
            // Two files with one number: neither can be believed.
            by_uid.entry(uid).and_modify(|entry| *entry = None).or_insert_with(|| Some(UidListEntry::new(uid, base)));
        }
    }
    let mut sorted: Vec<_> = by_uid.into_values().flatten().collect();
    sorted.sort_by_key(|entry| entry.uid);
    let mut entries = UidListEntries::default();
    sorted.iter().for_each(|entry| entries.push(entry));
    let uid_next = Uid::new(highest.saturating_add(1));
    Some(UidList { uid_validity: Some(uid_validity), uid_next, guid: None, other_items: Vec::new(), entries })
}

fn mbsync_uid(base: &[u8]) -> Option<Uid> {
    let start = base.windows(3).position(|window| window == b",U=")?.checked_add(3)?;
    let digits: Vec<u8> = base.get(start..)?.iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok().and_then(Uid::new)
}

/// Courier's subscriptions; none if there is no such file.
pub(super) fn subscriptions(root: &Path) -> Result<Vec<MailboxName>, StoreError> {
    let bytes = read::contents(&root.join("courierimapsubscribed"), LARGEST)?.unwrap_or_default();
    Ok(decode_subscriptions(&bytes))
}

/// The names in `courierimapsubscribed`: `INBOX.Work` is `Work`.
#[must_use]
pub fn decode_subscriptions(bytes: &[u8]) -> Vec<MailboxName> {
    let naming = Naming { layout: Layout::MaildirPlusPlus, utf8: false };
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .filter_map(|line| {
            let parts: Vec<&[u8]> = line.split(|byte| *byte == b'.').collect();
            match parts.as_slice() {
                [inbox, below @ ..] if inbox.eq_ignore_ascii_case(b"INBOX") && !below.is_empty() => {
                    naming.name_of_stored(below)
                }
                parts => naming.name_of_stored(parts),
            }
        })
        .collect()
}

/// Adds the keywords that Courier keeps beside the messages.
pub(super) fn add_keywords(mailbox: &Path, joined: &mut Joined) {
    let path = mailbox.join(KEYWORDS_FILE);
    let Ok(Some(bytes)) = read::contents(&path, LARGEST) else { return };
    let by_base = decode_keywords(&bytes);
    let mut records = joined.messages.records().collect::<Vec<_>>();
    for (record, file) in records.iter_mut().zip(joined.files.iter()) {
        if let Some(keywords) = by_base.get(file.base()) {
            record.keywords = record.keywords.iter().chain(keywords).cloned().collect();
            record.modseq = None;
        }
    }
    if let Some(messages) = MessageList::new(records) {
        joined.messages = messages;
    }
}

/// `courierimapkeywords/:list`: names, an empty line, then `<base name>:<number> <number>...`.
#[must_use]
pub fn decode_keywords(bytes: &[u8]) -> HashMap<Vec<u8>, Keywords> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let names = lines.by_ref().take_while(|line| !line.is_empty());
    let names: Vec<Option<Keyword>> =
        names.map(|name| std::str::from_utf8(name).ok().and_then(Keyword::new)).collect();
    lines
        .filter_map(|line| {
            let colon = line.iter().rposition(|byte| *byte == b':')?;
            let (base, numbers) = line.split_at(colon);
            let numbers = std::str::from_utf8(numbers.strip_prefix(b":")?).ok()?.split(' ');
            let keywords = numbers.filter_map(|number| names.get(number.parse::<usize>().ok()?)?.clone());
            Some((base.to_vec(), keywords.collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mbsync_keeps_uids_in_the_names() {
        let bases: [&[u8]; 5] = [b"a,U=7", b"b,U=3,FMD5=x", b"c", b"d,U=9", b"e,U=9"];
        let list = mbsync_uidlist(b"1234\n20\n", bases.into_iter()).unwrap();
        let uids: Vec<_> = list.entries.iter().map(|entry| entry.uid.get()).collect();
        assert_eq!((uids, list.effective_uid_next().get()), (vec![3, 7], 21));
        assert_eq!(list.uid_validity, UidValidity::new(1234));
        assert!(mbsync_uidlist(b"nonsense", bases.into_iter()).is_none());
    }

    #[test]
    fn courier_subscriptions_lose_their_prefix() {
        let names: Vec<_> = decode_subscriptions(b"INBOX\nINBOX.Work.Reports\r\nINBOX.&AOQ-\n\n")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["INBOX", "Work/Reports", "ä"]);
    }

    #[test]
    fn courier_keywords_are_numbered() {
        let keywords = decode_keywords(b"work\n$Label1\n\n123.M4.host:0 1\n125.host:1\nbroken\n126:9 x\n");
        let names = |base: &[u8]| keywords[base].iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(b"123.M4.host"), ["$Label1", "work"]);
        assert_eq!(names(b"125.host"), ["$Label1"]);
        assert!(names(b"126").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = mbsync_uidlist(&bytes, [bytes.as_slice()].into_iter());
            let _ = decode_subscriptions(&bytes);
            let _ = decode_keywords(&bytes);
        }
    }
}
