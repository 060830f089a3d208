//! Where the messages of a planned mailbox come from.

use std::sync::Arc;

use dsync_core::model::{MessageList, Uid};
use dsync_core::store::{SavedBodies, SavedBody, StoreError};

use super::snapshot::Stored;

/// Where the bytes of a message come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The message that has this UID now, stored like this.
    Kept(Uid, Stored),
    /// The message that was saved under this number. There are less than 2^32 in a mailbox.
    Saved(u32),
}

impl From<SavedBody> for Source {
    fn from(SavedBody(number): SavedBody) -> Self {
        // Nothing was saved under the greatest.
        Self::Saved(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

/// Where each message comes from, in the order of the messages. There may be millions, and mostly they have all been there, or
/// are all new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// All have been there under the UIDs of this list, stored like this.
    Kept(MessageList, Arc<Vec<Stored>>),
    /// All are new.
    Saved(SavedBodies),
    /// Each by itself.
    Each(Vec<Source>),
}

impl Default for Sources {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

impl Sources {
    /// All of them.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = Source> + '_> {
        match self {
            Self::Kept(messages, stored) => {
                let uids = (0..messages.len()).filter_map(|place| messages.uid_at(place));
                Box::new(uids.zip(stored.iter()).map(|(uid, stored)| Source::Kept(uid, *stored)))
            }
            Self::Saved(bodies) => Box::new(bodies.iter().map(Source::from)),
            Self::Each(sources) => Box::new(sources.iter().copied()),
        }
    }

    /// How each message is stored; `of_new` says it of those that were saved under a number.
    pub(super) fn stored(
        &self,
        of_new: impl Fn(u32) -> Result<Stored, StoreError>,
    ) -> Result<Arc<Vec<Stored>>, StoreError> {
        if let Self::Kept(_, stored) = self {
            return Ok(Arc::clone(stored));
        }
        let stored = self.iter().map(|source| match source {
            Source::Kept(_, kept) => Ok(kept),
            Source::Saved(saved) => of_new(saved),
        });
        Ok(Arc::new(stored.collect::<Result<_, _>>()?))
    }

    /// The UID that the message at a place has now, if it has been there.
    pub(super) fn uid_before(&self, place: usize) -> Option<Uid> {
        match self {
            Self::Kept(messages, _) => messages.uid_at(place),
            Self::Saved(_) => None,
            Self::Each(sources) => match sources.get(place)? {
                Source::Kept(uid, _) => Some(*uid),
                Source::Saved(_) => None,
            },
        }
    }

    /// Whether the message at a place is new.
    pub(super) fn is_saved(&self, place: usize) -> bool {
        match self {
            Self::Kept(..) => false,
            Self::Saved(bodies) => place < bodies.len(),
            Self::Each(sources) => matches!(sources.get(place), Some(Source::Saved(_))),
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, count: usize) {
        self.each().reserve_exact(count);
    }

    /// Adds one at the end.
    pub(super) fn push(&mut self, source: Source) {
        self.each().push(source);
    }

    /// Lets the message at a place come from somewhere else.
    pub(super) fn set(&mut self, place: usize, source: Source) {
        if let Some(there) = self.each().get_mut(place) {
            *there = source;
        }
    }

    fn each(&mut self) -> &mut Vec<Source> {
        if !matches!(self, Self::Each(_)) {
            *self = Self::Each(self.iter().collect());
        }
        match self {
            Self::Each(sources) => sources,
            Self::Kept(..) | Self::Saved(_) => unreachable!("it was just made"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(sources: &Sources) -> Vec<Source> {
        let all: Vec<_> = sources.iter().collect();
        for (place, source) in all.iter().enumerate() {
            assert_eq!(sources.is_saved(place), matches!(source, Source::Saved(_)));
            assert_eq!(sources.uid_before(place).is_some(), matches!(source, Source::Kept(..)));
        }
        assert!(!sources.is_saved(all.len()) && sources.uid_before(all.len()).is_none());
        all
    }

    #[test]
    fn every_form_tells_the_same() {
        let stored = |map_uid| Stored { map_uid, ..Stored::default() };
        let records = [4, 7].map(|uid| crate::dbox::commit_plan::tests::record(uid, "guid"));
        let list = MessageList::new(records.into()).unwrap();
        let [four, seven] = [4, 7].map(|uid| Uid::new(uid).unwrap());
        let mut kept = Sources::Kept(list, Arc::new(vec![stored(1), stored(2)]));
        assert_eq!(all(&kept), [Source::Kept(four, stored(1)), Source::Kept(seven, stored(2))]);
        assert_eq!(*kept.stored(|_| Ok(stored(9))).unwrap(), [stored(1), stored(2)]);
        kept.set(1, Source::Saved(0));
        assert_eq!(all(&kept), [Source::Kept(four, stored(1)), Source::Saved(0)]);
        let known = kept.stored(|saved| Ok(stored(saved + 5))).unwrap();
        assert_eq!(*known, [stored(1), stored(5)]);
        let mut bodies = SavedBodies::default();
        [3, 4, 9].iter().for_each(|number| bodies.push(SavedBody(*number)));
        let mut saved = Sources::Saved(bodies);
        assert_eq!(all(&saved), [3, 4, 9].map(Source::Saved));
        saved.push(Source::Kept(four, stored(1)));
        assert_eq!(all(&saved)[3], Source::Kept(four, stored(1)));
        saved.set(4, Source::Saved(0));
        assert_eq!(all(&saved).len(), 4);
    }
}
