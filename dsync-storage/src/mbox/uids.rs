//! Which UID each message of an mbox has: the rules by which servers believe the file, its index, or neither. A pure function.
//!
//! Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

/// A message of the file, as far as its UID depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    /// The UID that stands in its header.
    pub(super) uid: Option<u32>,
    /// Others that stand there too, with anything in front. The first that is believed counts.
    pub(super) further: &'a [(usize, u32)],
    /// Checksum over its header.
    pub(super) md5: [u8; 16],
}

/// What an index of the same UIDVALIDITY says.
pub(super) struct KnownUids<'a> {
    /// Ascending.
    pub(super) uids: &'a dyn Fn(usize) -> Option<u32>,
    /// The checksum over the header of the message at a place, if known.
    pub(super) md5: &'a dyn Fn(usize) -> Option<[u8; 16]>,
    /// How many messages there are.
    pub(super) count: usize,
    /// UIDNEXT.
    pub(super) next_uid: u32,
}

/// Says the UID of each message, in their order; `None` from the first message on that a server would give a new one,
/// because it then does so to all behind.
pub(super) struct UidWalk<'a> {
    /// The UID that the next new message gets.
    next: u32,
    previous: u32,
    /// The first message of the index that has not been passed.
    place: usize,
    known: Option<&'a KnownUids<'a>>,
    /// All messages from here on get new UIDs.
    ended: bool,
}

impl<'a> UidWalk<'a> {
    /// `last_uid` is the greatest that was ever given, as the file says.
    pub(super) fn new(last_uid: Option<u32>, known: Option<&'a KnownUids<'a>>) -> Self {
        let known_next = known.map_or(1, |known| known.next_uid);
        let next = known_next.max(last_uid.map_or(1, |last| last.saturating_add(1)));
        Self { next, previous: 0, place: 0, known, ended: false }
    }

    /// That of the next message.
    pub(super) fn uid_of(&mut self, message: Candidate<'_>) -> Option<u32> {
        if self.ended {
            return None;
        }
        let mut written = message.uid.into_iter().chain(message.further.iter().map(|(_, uid)| *uid));
        let uid = written.find(|uid| self.is_believed(*uid)).or_else(|| self.by_checksum(message.md5));
        match uid {
            Some(uid) => {
                self.previous = uid;
                if uid == self.next {
                    self.next = self.next.saturating_add(1);
                }
                self.pass(uid);
            }
            None => self.ended = true,
        }
        uid
    }

    fn is_believed(&self, uid: u32) -> bool {
        // Mail from outside must not push UIDs up.
        if uid <= self.previous || uid > self.next || uid == 0 {
            return false;
        }
        match self.known {
            // It was expunged, or somebody has put it in between.
            Some(known) if uid < known.next_uid => self.place_of(known, uid).is_some(),
            _ => true,
        }
    }

    fn place_of(&self, known: &KnownUids<'_>, uid: u32) -> Option<usize> {
        let (mut low, mut high) = (self.place, known.count);
        while low < high {
            let middle = low.saturating_add(high) / 2;
            match (known.uids)(middle)? {
                there if there == uid => return Some(middle),
                there if there < uid => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        None
    }

    fn by_checksum(&self, md5: [u8; 16]) -> Option<u32> {
        let known = self.known?;
        let place = (self.place..known.count).find(|place| (known.md5)(*place) == Some(md5))?;
        (known.uids)(place)
    }

    /// What lies before a message in the index lies before it in the file.
    fn pass(&mut self, uid: u32) {
        let Some(known) = self.known else { return };
        while self.place < known.count && (known.uids)(self.place).is_some_and(|there| there <= uid) {
            self.place = self.place.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(uid: impl Into<Option<u32>>) -> Candidate<'static> {
        Candidate { uid: uid.into(), further: &[], md5: [0; 16] }
    }

    fn assign<'a>(
        messages: impl Iterator<Item = Candidate<'a>>,
        last_uid: Option<u32>,
        known: Option<&KnownUids<'_>>,
    ) -> Vec<Option<u32>> {
        let mut walk = UidWalk::new(last_uid, known);
        messages.map(|message| walk.uid_of(message)).collect()
    }

    fn without_index(uids: &[Option<u32>], last_uid: Option<u32>) -> Vec<Option<u32>> {
        assign(uids.iter().map(|uid| candidate(*uid)), last_uid, None)
    }

    fn with_index(messages: &[Candidate<'_>], last_uid: u32, index: &[(u32, u8)], next_uid: u32) -> Vec<Option<u32>> {
        let known = KnownUids {
            uids: &|place| index.get(place).map(|(uid, _)| *uid),
            md5: &|place| index.get(place).map(|(_, md5)| [*md5; 16]).filter(|md5| *md5 != [0; 16]),
            count: index.len(),
            next_uid,
        };
        assign(messages.iter().copied(), Some(last_uid), Some(&known))
    }

    #[test]
    fn the_file_is_believed_as_far_as_uids_ascend_and_were_given() {
        for (uids, last, expected) in [
            (vec![Some(3), None, Some(7)], Some(7), vec![Some(3), None, None]),
            (vec![Some(3), Some(50), Some(60)], Some(7), vec![Some(3), None, None]),
            (vec![Some(5), Some(3), Some(7)], Some(7), vec![Some(5), None, None]),
            (vec![Some(8), Some(9)], Some(7), vec![Some(8), Some(9)]),
            (vec![Some(1), Some(2)], None, vec![Some(1), Some(2)]),
            (vec![Some(2), Some(3)], None, vec![None, None]),
        ] {
            assert_eq!(without_index(&uids, last), expected, "{uids:?}, last {last:?}");
        }
    }

    #[test]
    fn a_uid_below_uidnext_must_be_in_the_index() {
        let index = [(3, 0), (5, 0), (10, 0)];
        let uids = |uids: &[u32]| uids.iter().map(|uid| candidate(*uid)).collect::<Vec<_>>();
        assert_eq!(with_index(&uids(&[3, 5, 10]), 10, &index, 11), [Some(3), Some(5), Some(10)]);
        assert_eq!(with_index(&uids(&[5, 10, 11]), 10, &index, 11), [Some(5), Some(10), Some(11)], "3 was expunged");
        assert_eq!(with_index(&uids(&[3, 4, 5]), 10, &index, 11), [Some(3), None, None], "inserted");
        assert_eq!(with_index(&uids(&[3, 9]), 10, &index, 12), [Some(3), None], "reappeared");
    }

    #[test]
    fn messages_without_uids_are_recognised_by_their_headers() {
        let index = [(3, 1), (5, 2), (10, 3)];
        let messages = [3, 2, 9].map(|md5| Candidate { uid: None, further: &[], md5: [md5; 16] });
        assert_eq!(with_index(&messages[1..], 10, &index, 11), [Some(5), None]);
        assert_eq!(with_index(&messages, 10, &index, 11), [Some(10), None, None], "only behind the last one");
    }

    #[test]
    fn of_several_uids_the_first_that_is_believed_counts() {
        let message = Candidate { uid: Some(50), further: &[(0, 0), (0, 4), (0, 5)], md5: [0; 16] };
        assert_eq!(assign([message].into_iter(), Some(7), None), [Some(4)]);
    }

    #[test]
    fn hostile_numbers_do_no_harm() {
        assert_eq!(without_index(&[Some(u32::MAX), Some(0)], Some(u32::MAX)), [Some(u32::MAX), None]);
    }
}
