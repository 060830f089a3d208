//! What is known after a run, as a text that the caller keeps until the next one.
//!
//! ```text
//!     base64( 01 00 00 00  *( mailbox )  CRC-32 of everything before it )
//!
//!     mailbox   16  GUID
//!                4  UIDVALIDITY
//!                4  the last UID that both sides know
//!                8  HIGHESTMODSEQ
//!                8  the same of flags that are private to a user; 0
//!                4  number of messages
//! ```
//!
//! All numbers are little-endian. The form is that of Dovecot 2.2 and later (`doveadm sync -s`), so either program can go on where
//! the other one stopped.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{MailboxGuid, MailboxStatus};

const HEADER: [u8; 4] = [1, 0, 0, 0];
const RECORD: usize = 44;
/// As early versions wrote it, without the header and the number of messages. It does not say enough.
const OLD_RECORD: usize = 40;

/// The mailboxes that were the same on both sides at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncState {
    mailboxes: BTreeMap<MailboxGuid, MailboxState>,
}

/// A mailbox at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxState {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The last UID that was given; 0 if there was none.
    pub last_uid: u32,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// The same of flags that are private to a user of a shared mailbox.
    pub private_modseq: u64,
    /// How many messages there were.
    pub message_count: u32,
}

/// A text is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no state of a synchronisation, or it was damaged")]
pub struct InvalidState;

impl SyncState {
    /// Whether no mailbox is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mailboxes.is_empty()
    }

    /// The mailboxes.
    pub fn mailboxes(&self) -> impl Iterator<Item = (MailboxGuid, MailboxState)> {
        self.mailboxes.iter().map(|(guid, state)| (*guid, *state))
    }

    /// Notes that a mailbox is the same on both sides. One in which something is undecided is left out: nothing can be said
    /// of it later.
    pub fn note(&mut self, status: &MailboxStatus) {
        let identity = status.identity;
        let decided = (identity.guid, identity.uid_validity, status.highest_modseq);
        if let (Some(guid), Some(uid_validity), Some(highest_modseq)) = decided {
            self.insert(
                guid,
                MailboxState {
                    uid_validity: uid_validity.get(),
                    last_uid: status.uid_next.get().saturating_sub(1),
                    highest_modseq: highest_modseq.get(),
                    private_modseq: 0,
                    message_count: status.message_count,
                },
            );
        }
    }

    /// Adds a mailbox, or replaces what was known of it.
    pub fn insert(&mut self, guid: MailboxGuid, state: MailboxState) {
        self.mailboxes.insert(guid, state);
    }

    /// Adds all mailboxes of another one.
    pub fn extend(&mut self, other: Self) {
        self.mailboxes.extend(other.mailboxes);
    }

    /// Reads a state. An empty text is an empty state.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidState> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bytes = STANDARD.decode(text).map_err(|_| InvalidState)?;
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or(InvalidState)?;
        if content.is_empty() && *checksum == [0; 4] {
            return Ok(Self::default());
        }
        if crc32fast::hash(content).to_le_bytes() != *checksum {
            return Err(InvalidState);
        }
        match content.strip_prefix(&HEADER) {
            Some(records) if records.len() % RECORD == 0 => {
                records.chunks_exact(RECORD).map(record).collect::<Option<_>>().ok_or(InvalidState)
            }
            _ if content.len() % OLD_RECORD == 0 => Ok(Self::default()),
            _ => Err(InvalidState),
        }
    }
}

impl FromIterator<(MailboxGuid, MailboxState)> for SyncState {
    fn from_iter<I: IntoIterator<Item = (MailboxGuid, MailboxState)>>(mailboxes: I) -> Self {
        Self { mailboxes: mailboxes.into_iter().collect() }
    }
}

impl fmt::Display for SyncState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = HEADER.to_vec();
        for (guid, state) in &self.mailboxes {
            bytes.extend_from_slice(guid.as_bytes());
            bytes.extend_from_slice(&state.uid_validity.to_le_bytes());
            bytes.extend_from_slice(&state.last_uid.to_le_bytes());
            bytes.extend_from_slice(&state.highest_modseq.to_le_bytes());
            bytes.extend_from_slice(&state.private_modseq.to_le_bytes());
            bytes.extend_from_slice(&state.message_count.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        f.write_str(&STANDARD.encode(bytes))
    }
}

/// One mailbox; `None` if it has no GUID.
fn record(bytes: &[u8]) -> Option<(MailboxGuid, MailboxState)> {
    let (guid, rest) = bytes.split_first_chunk::<16>()?;
    let (uid_validity, rest) = rest.split_first_chunk::<4>()?;
    let (last_uid, rest) = rest.split_first_chunk::<4>()?;
    let (highest_modseq, rest) = rest.split_first_chunk::<8>()?;
    let (private_modseq, rest) = rest.split_first_chunk::<8>()?;
    let message_count = rest.first_chunk::<4>()?;
    let state = MailboxState {
        uid_validity: u32::from_le_bytes(*uid_validity),
        last_uid: u32::from_le_bytes(*last_uid),
        highest_modseq: u64::from_le_bytes(*highest_modseq),
        private_modseq: u64::from_le_bytes(*private_modseq),
        message_count: u32::from_le_bytes(*message_count),
    };
    Some((MailboxGuid::new(*guid)?, state))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let checksum = crc32fast::hash(bytes).to_le_bytes();
        STANDARD.encode([bytes, &checksum].concat())
    }

    fn states() -> impl Strategy<Value = SyncState> {
        let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>());
        let state = numbers.prop_map(|(uid_validity, last_uid, highest_modseq, private_modseq, message_count)| {
            MailboxState { uid_validity, last_uid, highest_modseq, private_modseq, message_count }
        });
        let guid = any::<[u8; 16]>().prop_filter_map("no GUID", MailboxGuid::new);
        prop::collection::vec((guid, state), 0..5).prop_map(|mailboxes| mailboxes.into_iter().collect())
    }

    #[test]
    fn a_state_that_dovecot_made_is_understood_and_made_again() {
        let text = encoded(
            &[
                &HEADER[..],
                &[0; 15],
                &[0xa0],
                &1000_u32.to_le_bytes(),
                &3_u32.to_le_bytes(),
                &4_u64.to_le_bytes(),
                &0_u64.to_le_bytes(),
                &3_u32.to_le_bytes(),
            ]
            .concat(),
        );
        let state = SyncState::parse(&text).unwrap();
        let (guid, mailbox) = state.mailboxes().next().unwrap();
        assert_eq!(guid.to_string(), "000000000000000000000000000000a0");
        let expected =
            MailboxState { uid_validity: 1000, last_uid: 3, highest_modseq: 4, private_modseq: 0, message_count: 3 };
        assert_eq!(mailbox, expected);
        assert_eq!(state.to_string(), text);
    }

    #[test]
    fn empty_and_old_states_say_nothing_and_others_are_refused() {
        let old = encoded(&[7; 80]);
        for text in ["", "AAAAAA==", &encoded(&HEADER), &old] {
            assert_eq!(SyncState::parse(text), Ok(SyncState::default()), "{text}");
        }
        assert_eq!(SyncState::default().to_string(), encoded(&HEADER));
        let without_guid = encoded(&[&HEADER[..], &[0; RECORD]].concat());
        let cut = encoded(&[&HEADER[..], &[9; RECORD - 1]].concat());
        for text in ["AAAA", "AAAAAAA=", "nonsense", "\u{e4}", "AQAAAAAAAAA=", &without_guid, &cut] {
            assert_eq!(SyncState::parse(text), Err(InvalidState), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in states()) {
            prop_assert_eq!(SyncState::parse(&state.to_string()), Ok(state));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SyncState::parse(&text);
            let _ = SyncState::parse(&encoded(&bytes));
        }
    }
}
