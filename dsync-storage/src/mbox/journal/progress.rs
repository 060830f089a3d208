//! How far a rewriting that was cut off got.
//!
//! A file grows first, by its new bytes in their order, and only then changes what it had. So whatever is behind the old end
//! begins with bytes of ours, as many as were written; what follows them, somebody has appended.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dsync_core::store::{FileRange, StoreError};

use super::plan::Plan;
use super::{BUFFER, Journal, checksum, length_of, part, read_full};
use crate::fs::FsError;

/// So far before the place where the file has other bytes than ours the first line of an appended message may begin, since it
/// may begin like one of ours.
const LONGEST_ALIKE: u64 = 4 << 10;
const FROM: &[u8] = b"From ";

/// How far a rewriting got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing is changed, or everything.
    None,
    /// The file has not got its new length. From `appended` on there is what somebody else has appended.
    Growing {
        /// A place in the file; its end if nothing was appended.
        appended: u64,
    },
    /// It has its new length, if that is greater, but what it had before has not changed everywhere.
    Grown,
    /// Somebody else has changed the file.
    Foreign,
}

/// What is in the places that are to change.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Nothing but what was there.
    all_before: bool,
    /// Nothing but what comes.
    all_after: bool,
    /// Nothing else than the one or the other.
    only_ours: bool,
}

/// What is behind the old end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// None of our bytes.
    None,
    /// Not all of them. From `appended` on, a place in the file, there are others.
    Partial { appended: u64 },
    /// All of them.
    Complete,
}

impl Journal<'_> {
    pub(super) fn progress(&self, mbox: &File, path: &Path) -> Result<Progress, StoreError> {
        let Plan { old_length, new_length, tail, .. } = self.plan;
        let length = length_of(mbox, path)?;
        let found = self.found(mbox, path)?;
        if new_length <= old_length {
            let cut_off = old_length.saturating_sub(new_length);
            // Not yet cut off.
            let is_uncut = length >= old_length && checksum(mbox, path, new_length, cut_off)? == tail;
            return Ok(match () {
                () if found.all_before && is_uncut => Progress::None,
                () if found.all_after && length >= new_length && (cut_off == 0 || !is_uncut) => Progress::None,
                () if found.only_ours && is_uncut && length > old_length => {
                    Progress::Growing { appended: old_length }
                }
                () if found.only_ours && is_uncut => Progress::Grown,
                () => Progress::Foreign,
            });
        }
        if length < old_length {
            return Ok(Progress::Foreign);
        }
        Ok(match self.growth(mbox, path, length)? {
            Growth::Complete if found.all_after => Progress::None,
            Growth::Complete if found.only_ours => Progress::Grown,
            Growth::None if found.all_before => Progress::None,
            Growth::Partial { appended } if found.all_before => Progress::Growing { appended },
            _ => Progress::Foreign,
        })
    }

    /// Compares what the file had with what was there and with what comes.
    fn found(&self, mbox: &File, path: &Path) -> Result<Found, StoreError> {
        let mut found = Found { all_before: true, all_after: true, only_ours: true };
        let mut buffers = [vec![0; BUFFER], vec![0; BUFFER], vec![0; BUFFER]];
        for (write, start) in self.plan.placed() {
            let mut left = write.before(self.plan.old_length);
            let mut there = part(mbox, path, write.offset, left)?;
            let mut new = FileRange::new(Arc::clone(&self.file), start, left);
            let mut old = FileRange::new(Arc::clone(&self.file), start.saturating_add(write.length), left);
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                let [have, next, past] = buffers.each_mut().map(|buffer| buffer.get_mut(..most).unwrap_or_default());
                let count = read_full(&mut there, have).map_err(|error| FsError::new("read", path, error))?;
                let failed = |error| FsError::new("read", self.path, error);
                new.read_exact(next).map_err(failed)?;
                old.read_exact(past).map_err(failed)?;
                if count < most {
                    return Ok(Found { all_before: false, all_after: false, only_ours: false });
                }
                for ((have, next), past) in have.iter().zip(&*next).zip(&*past) {
                    let (is_new, is_old) = (have == next, have == past);
                    found.all_after &= is_new;
                    found.all_before &= is_old;
                    found.only_ours &= is_new || is_old;
                }
                left = left.saturating_sub(most as u64);
            }
        }
        Ok(found)
    }

    fn growth(&self, mbox: &File, path: &Path, length: u64) -> Result<Growth, StoreError> {
        let Plan { old_length, new_length, .. } = self.plan;
        let alike = self.alike(mbox, path)?;
        if alike >= new_length {
            return Ok(Growth::Complete);
        }
        let appended = match length {
            length if length == alike => length,
            _ => match appended_message(mbox, path, old_length, alike)? {
                Some(place) => place,
                // Nobody delivers like that.
                None => return Ok(Growth::None),
            },
        };
        let first_is_theirs = appended <= old_length || alike <= old_length;
        Ok(if first_is_theirs { Growth::None } else { Growth::Partial { appended } })
    }

    /// Up to which place the file has our bytes behind its old end.
    fn alike(&self, mbox: &File, path: &Path) -> Result<u64, StoreError> {
        let mut alike = self.plan.old_length;
        let [mut have, mut next] = [vec![0; BUFFER], vec![0; BUFFER]];
        for (place, start) in self.plan.beyond() {
            let mut there = part(mbox, path, place.offset, place.length)?;
            let mut new = FileRange::new(Arc::clone(&self.file), start, place.length);
            loop {
                let expected =
                    read_full(&mut new, &mut next).map_err(|error| FsError::new("read", self.path, error))?;
                let count = read_full(&mut there, &mut have).map_err(|error| FsError::new("read", path, error))?;
                if expected == 0 {
                    break;
                }
                let same =
                    have.iter().take(count).zip(next.iter().take(expected)).take_while(|(a, b)| a == b).count();
                alike = alike.saturating_add(same as u64);
                if same < expected {
                    return Ok(alike);
                }
            }
        }
        Ok(alike)
    }
}

/// Where the first line of a message begins that somebody has appended, if at `alike` the file begins to differ from what would
/// be there without it.
fn appended_message(mbox: &File, path: &Path, old_length: u64, alike: u64) -> Result<Option<u64>, StoreError> {
    // With the end of the line before.
    let start = alike.saturating_sub(LONGEST_ALIKE).max(old_length).saturating_sub(1);
    let mut bytes = Vec::new();
    let length = alike.saturating_sub(start).saturating_add(FROM.len() as u64 + 1);
    part(mbox, path, start, length)?.read_to_end(&mut bytes).map_err(|error| FsError::new("read", path, error))?;
    let places = (0..bytes.len()).rev().filter(|at| {
        let is_line = match at.checked_sub(1) {
            Some(before) => bytes.get(before) == Some(&b'\n'),
            None => start == 0,
        };
        is_line && bytes.get(*at..).is_some_and(|rest| rest.starts_with(FROM))
    });
    Ok(places.map(|at| start.saturating_add(at as u64)).find(|place| *place >= old_length))
}
