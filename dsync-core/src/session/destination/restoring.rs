//! Which UIDVALIDITY a mailbox has when the store that clients use becomes what its copy is.
//!
//! Clients remember a mailbox by UIDs and modseqs, as long as its UIDVALIDITY stays. If the mailbox has gone on since the copy was
//! made, they have seen UIDs that will be given again to other messages, and changes with modseqs that will be counted again. Only another
//! UIDVALIDITY makes them forget (RFC 3501, 2.3.1.1), and they never get an earlier one again.

use crate::model::{MailboxStatus, UidValidity};

/// Where the UIDVALIDITY comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Copy,
    Mailbox,
    New,
}

/// The UIDVALIDITY that a mailbox gets instead of that of its `copy`, if it gets another one. `fresh` makes one that no mailbox has had.
pub(super) fn uid_validity<E>(
    mailbox: &MailboxStatus,
    copy: &MailboxStatus,
    fresh: impl FnOnce() -> Result<Option<UidValidity>, E>,
) -> Result<Option<UidValidity>, E> {
    Ok(match origin(mailbox, copy) {
        Origin::Copy => None,
        Origin::Mailbox => mailbox.identity.uid_validity,
        Origin::New => {
            let later = mailbox.identity.uid_validity.and_then(|old| UidValidity::new(old.get().saturating_add(1)));
            fresh()?.max(later)
        }
    })
}

fn origin(mailbox: &MailboxStatus, copy: &MailboxStatus) -> Origin {
    let (Some(own), Some(other)) = (mailbox.identity.uid_validity, copy.identity.uid_validity) else {
        return Origin::Copy;
    };
    let has_gone_on = mailbox.uid_next > copy.uid_next
        || copy.highest_modseq.is_some_and(|counted| mailbox.highest_modseq > Some(counted));
    match own.cmp(&other) {
        std::cmp::Ordering::Less => Origin::Copy,
        _ if has_gone_on => Origin::New,
        std::cmp::Ordering::Equal => Origin::Copy,
        std::cmp::Ordering::Greater => Origin::Mailbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MailboxGuid, MailboxIdentity, ModSeq, Uid};

    fn status(uid_validity: u32, uid_next: u32, modseq: u64) -> MailboxStatus {
        let identity =
            MailboxIdentity { guid: MailboxGuid::new([1; 16]), uid_validity: UidValidity::new(uid_validity) };
        MailboxStatus {
            identity,
            uid_next: Uid::new(uid_next).unwrap(),
            message_count: 0,
            highest_modseq: Some(ModSeq(modseq)),
            first_recent_uid: None,
        }
    }

    #[test]
    fn what_clients_have_seen_is_not_given_again() {
        for (mailbox, expected) in [
            (status(5, 3, 3), None),
            (status(5, 2, 3), None),
            (status(5, 4, 3), Some(9)),
            (status(5, 3, 4), Some(9)),
            (status(10, 4, 3), Some(11)),
            (status(7, 3, 3), Some(7)),
            (status(4, 9, 9), None),
            (status(0, 9, 9), None),
        ] {
            let given = uid_validity(&mailbox, &status(5, 3, 3), || Ok::<_, ()>(UidValidity::new(9)));
            assert_eq!(given, Ok(expected.and_then(UidValidity::new)), "{mailbox:?}");
        }
    }
}
