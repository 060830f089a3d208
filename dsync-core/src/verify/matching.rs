//! Which message of one list is which of the other. A pure function.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use crate::model::MessageList;

/// The places of messages in two lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ByUid {
    /// Messages with one UID.
    pub(super) same: Vec<[usize; 2]>,
    /// Those of each list whose UID the other has not, or that have none.
    pub(super) rest: [Vec<usize>; 2],
}

/// Finds the messages that have one UID.
pub(super) fn by_uid([first, second]: [&MessageList; 2]) -> ByUid {
    let mut matched = ByUid::default();
    let (mut left, mut right) = (0, 0);
    while left < first.assigned() && right < second.assigned() {
        match first.uid_at(left).cmp(&second.uid_at(right)) {
            Ordering::Equal => {
                matched.same.push([left, right]);
                left += 1;
                right += 1;
            }
            Ordering::Less => {
                matched.rest[0].push(left);
                left += 1;
            }
            Ordering::Greater => {
                matched.rest[1].push(right);
                right += 1;
            }
        }
    }
    matched.rest[0].extend(left..first.len());
    matched.rest[1].extend(right..second.len());
    matched
}

/// Of two lists of messages finds those that are the same by `key`, each once, in their order; `None` is like no other. What is
/// left stays in the lists.
pub(super) fn by_key(
    rest: &mut [Vec<usize>; 2],
    key: &mut dyn FnMut(usize, usize) -> Option<[u8; 16]>,
) -> Vec<[usize; 2]> {
    let [first, second] = rest;
    if first.is_empty() || second.is_empty() {
        return Vec::new();
    }
    let mut known: HashMap<[u8; 16], VecDeque<usize>> = HashMap::new();
    for place in &*second {
        if let Some(key) = key(1, *place) {
            known.entry(key).or_default().push_back(*place);
        }
    }
    let mut same = Vec::new();
    first.retain(|place| {
        let found = key(0, *place).and_then(|key| known.get_mut(&key)?.pop_front());
        same.extend(found.map(|found| [*place, found]));
        found.is_none()
    });
    let mut taken: Vec<usize> = same.iter().map(|[_, place]| *place).collect();
    taken.sort_unstable();
    second.retain(|place| taken.binary_search(place).is_err());
    same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_matched_once_and_in_order() {
        let mut rest = [vec![1, 2, 3, 4], vec![5, 6, 7]];
        let keys = [[0, 1, 1, 2, 3, 0, 0, 0], [0, 0, 0, 0, 0, 2, 1, 9]];
        let mut key =
            |side: usize, place: usize| Some(keys[side][place]).filter(|key| *key != 3).map(|key| [key; 16]);
        assert_eq!(by_key(&mut rest, &mut key), [[1, 6], [3, 5]]);
        assert_eq!(rest, [vec![2, 4], vec![7]]);
    }
}
