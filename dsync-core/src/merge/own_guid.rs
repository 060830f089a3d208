//! GUIDs for messages of stores that keep none.

use sha1::{Digest, Sha1};

use crate::model::{MailboxIdentity, MessageGuid, Uid, UidValidity};

/// A GUID that no other message has: made of where the message is, and of what is in it if it has no UID. `copy` tells those
/// apart of which even that is the same.
pub(crate) fn own_guid(
    mailbox: MailboxIdentity,
    uid: Option<Uid>,
    content: Option<&[u8; 16]>,
    copy: u32,
) -> MessageGuid {
    let mut hash = Sha1::new();
    hash.update(mailbox.guid.map_or([0; 16], |guid| *guid.as_bytes()));
    hash.update(mailbox.uid_validity.map_or(0, UidValidity::get).to_le_bytes());
    hash.update(uid.map_or(0, Uid::get).to_le_bytes());
    hash.update(content.copied().unwrap_or_default());
    if copy > 0 {
        hash.update(copy.to_le_bytes());
    }
    let digest: [u8; 20] = hash.finalize().into();
    MessageGuid::from_128(digest.first_chunk().copied().unwrap_or_default())
}
