//! The rows of a list.

use std::sync::Arc;

use super::row::Row;
use crate::model::Uid;

/// How many rows a block has, but for the last one.
const BLOCK: usize = 2048;

/// Rows in blocks: a list need not be copied to grow, memory that was given back in pieces is enough for it, and of a copy
/// only those blocks take memory that are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    blocks: Vec<Arc<Vec<Row>>>,
}

impl Rows {
    pub(super) fn push(&mut self, row: Row) {
        match self.blocks.last_mut().filter(|last| last.len() < BLOCK) {
            Some(last) => Arc::make_mut(last).push(row),
            None => {
                // Most lists are short.
                let room = if self.blocks.is_empty() { 1 } else { BLOCK };
                let mut block = Vec::with_capacity(room);
                block.push(row);
                self.blocks.push(Arc::new(block));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        let whole = self.blocks.len().saturating_sub(1).saturating_mul(BLOCK);
        self.blocks.last().map_or(0, |last| whole.saturating_add(last.len()))
    }

    pub(super) fn get(&self, place: usize) -> Option<Row> {
        self.blocks.get(place / BLOCK)?.get(place % BLOCK).copied()
    }

    pub(super) fn last(&self) -> Option<Row> {
        self.blocks.last()?.last().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Row> {
        self.blocks.iter().flat_map(|block| block.iter()).copied()
    }

    /// Changes rows; the function is told the place of each. Blocks in which every row stays what it is stay shared.
    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(usize, &mut Row)) {
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let first = number.saturating_mul(BLOCK);
            for place in 0..block.len() {
                let Some(there) = block.get(place).copied() else { break };
                let mut row = there;
                change(first.saturating_add(place), &mut row);
                if row != there
                    && let Some(there) = Arc::make_mut(block).get_mut(place)
                {
                    *there = row;
                }
            }
        }
    }

    /// Puts another row in the place of one.
    pub(super) fn set(&mut self, place: usize, row: Row) {
        if let Some(block) = self.blocks.get_mut(place / BLOCK)
            && let Some(there) = Arc::make_mut(block).get_mut(place % BLOCK)
        {
            *there = row;
        }
    }

    /// The place of the row with a UID, among the first `assigned` ones, which are in the order of their UIDs.
    pub(super) fn position(&self, uid: Uid, assigned: usize) -> Option<usize> {
        let (mut start, mut end) = (0, assigned.min(self.len()));
        while start < end {
            let middle = start + (end - start) / 2;
            let there = self.get(middle)?.uid;
            if there == Some(uid) {
                return Some(middle);
            }
            if there < Some(uid) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        None
    }
}
