//! What an mbox file is made of after a commit: parts of the present file, parts of new messages, and new headers.
//!
//! A message whose flags changed keeps its length if there is room in its headers, so that nothing behind it moves.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_core::model::{Keywords, MessageRecord, Timestamp, Uid};
use dsync_core::store::StoreError;

use super::commit_plan::{CommitPlan, Source};
use super::encode::{BaseLine, Head, metadata, pseudo_message};
use super::from_line;
use super::head::{self, StoredHead};
use super::header::is_keyword_name;
use super::marks::Marks;
use super::scan::ScannedMessage;
use super::snapshot::Snapshot;
use super::staging::Staging;

/// Room for later changes in the headers of a message.
const PADDING: usize = 60;
/// And in those of the first one, which declares all keywords.
const FIRST_PADDING: usize = 300;
/// How many digits servers give the last UID.
const LAST_UID_DIGITS: usize = 10;

/// A part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the file as it is.
    Old(Range<u64>),
    /// Bytes of the messages that wait.
    Staged(Range<u64>),
    /// These bytes.
    New(Vec<u8>),
    /// The new message at this place of the plan, which takes so many bytes. There may be millions, so what it is made of is
    /// found out when it is written.
    Added(usize, u64),
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Old(range) | Self::Staged(range) => range.end.saturating_sub(range.start),
            Self::New(bytes) => bytes.len() as u64,
            Self::Added(_, length) => *length,
        }
    }
}

/// The file after a commit.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) pieces: Vec<Piece>,
    pub(super) length: u64,
    /// Where each message is, as the index has it.
    pub(super) places: Vec<u64>,
}

impl Contents {
    fn push(&mut self, piece: Piece) {
        let length = piece.length();
        if length == 0 {
            return;
        }
        self.length = self.length.saturating_add(length);
        if let (Some(Piece::Old(last)), Piece::Old(next)) = (self.pieces.last_mut(), &piece)
            && last.end == next.start
        {
            last.end = next.end;
            return;
        }
        self.pieces.push(piece);
    }

    /// What lies elsewhere than before, or is new: runs of pieces, each with its place in the file.
    pub(super) fn changes(&self) -> Vec<(u64, &[Piece])> {
        let mut runs: Vec<(u64, Range<usize>)> = Vec::new();
        let mut place = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            let stays = matches!(piece, Piece::Old(range) if range.start == place);
            match runs.last_mut() {
                _ if stays => {}
                Some((_, run)) if run.end == index => run.end = index.saturating_add(1),
                _ => runs.push((place, index..index.saturating_add(1))),
            }
            place = place.saturating_add(piece.length());
        }
        runs.into_iter().filter_map(|(place, run)| Some((place, self.pieces.get(run)?))).collect()
    }
}

/// What the first message, or the pseudo message, says about the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) uid_validity: u32,
    pub(super) last_uid: u32,
    pub(super) keywords: Vec<String>,
}

impl Base {
    fn line(&self) -> (BaseLine<'_>, Vec<&str>) {
        let keywords: Vec<&str> = self.keywords.iter().map(String::as_str).collect();
        (BaseLine { uid_validity: self.uid_validity, last_uid: self.last_uid, keywords: &[] }, keywords)
    }
}

/// Everything that goes into the file.
pub(super) struct Assembly<'a> {
    pub(super) file: Option<&'a File>,
    pub(super) path: &'a Path,
    pub(super) before: &'a Snapshot,
    pub(super) plan: &'a CommitPlan,
    pub(super) staging: &'a Staging,
    pub(super) uid_validity: u32,
    pub(super) first_recent_uid: Uid,
    pub(super) now: Timestamp,
}

impl Assembly<'_> {
    /// Puts the file together.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn contents(&self) -> Result<Contents, StoreError> {
        let base = self.base();
        let mut contents = Contents::default();
        self.put_pseudo_message(&base, &mut contents);
        let has_pseudo = contents.length > 0;
        for (number, (record, source)) in self.plan.messages.records().zip(&self.plan.sources).enumerate() {
            let base = Some(&base).filter(|_| number == 0 && !has_pseudo);
            contents.places.push(contents.length.saturating_sub(1));
            match *source {
                Source::Kept(place) => {
                    if let Some(found) = self.before.found(place) {
                        self.put_kept(&found, &record, base, &mut contents)?;
                    }
                }
                Source::Saved(saved) => {
                    let pieces = self.saved(saved, &record, base)?;
                    if base.is_some() {
                        pieces.into_iter().for_each(|piece| contents.push(piece));
                    } else {
                        contents.push(Piece::Added(number, pieces.iter().map(Piece::length).sum()));
                    }
                }
            }
        }
        Ok(contents)
    }

    /// What the new message at a place of the plan is made of. It is not the first of the file.
    fn added(&self, place: usize) -> Result<Vec<Piece>, StoreError> {
        match (self.plan.messages.at(place), self.plan.sources.get(place)) {
            (Some(record), Some(Source::Saved(saved))) => self.saved(*saved, &record, None),
            _ => Ok(Vec::new()),
        }
    }

    /// What the file is to say about the mailbox. Keywords that are declared stay so.
    fn base(&self) -> Base {
        let declared = self.before.file.base.iter().flat_map(|base| &base.keywords);
        let declared =
            declared.filter_map(|name| std::str::from_utf8(name).ok()).filter(|name| can_be_declared(name));
        let mut keywords: Vec<String> = Vec::new();
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut declare = |name: &str| {
            if known.insert(name.to_ascii_lowercase()) {
                keywords.push(name.to_owned());
            }
        };
        declared.for_each(&mut declare);
        let mut last: Option<Keywords> = None;
        for record in self.plan.messages.records() {
            if record.keywords.is_empty() || last.as_ref() == Some(&record.keywords) {
                continue;
            }
            record
                .keywords
                .iter()
                .map(|keyword| keyword.as_str())
                .filter(|name| can_be_declared(name))
                .for_each(&mut declare);
            last = Some(record.keywords);
        }
        Base { uid_validity: self.uid_validity, last_uid: self.plan.uid_next.get().saturating_sub(1), keywords }
    }

    fn put_pseudo_message(&self, base: &Base, contents: &mut Contents) {
        let (line, keywords) = base.line();
        let line = BaseLine { keywords: &keywords, ..line };
        match &self.before.file.pseudo {
            Some(pseudo) => match self.patched_base(base) {
                Some((digits, piece)) => {
                    contents.push(Piece::Old(pseudo.from..digits));
                    contents.push(piece);
                    contents.push(Piece::Old(digits.saturating_add(LAST_UID_DIGITS as u64)..pseudo.next));
                }
                None => contents.push(Piece::New(pseudo_message(line, self.now))),
            },
            None if self.plan.messages.is_empty() => contents.push(Piece::New(pseudo_message(line, self.now))),
            None => {}
        }
    }

    /// Where the last UID stands and what is to be there, if all else that is said about the mailbox stays.
    fn patched_base(&self, base: &Base) -> Option<(u64, Piece)> {
        let old = self.before.file.base.as_ref()?;
        let digits = old.last_uid_digits?;
        let same_keywords = old.keywords.iter().map(Vec::as_slice).eq(base.keywords.iter().map(String::as_bytes));
        let same = old.uid_validity == base.uid_validity && same_keywords;
        let piece = match old.last_uid == base.last_uid {
            true => Piece::Old(digits..digits.saturating_add(LAST_UID_DIGITS as u64)),
            false => Piece::New(format!("{:0LAST_UID_DIGITS$}", base.last_uid).into_bytes()),
        };
        same.then_some((digits, piece))
    }

    fn put_kept(
        &self,
        found: &ScannedMessage,
        record: &MessageRecord,
        base: Option<&Base>,
        contents: &mut Contents,
    ) -> Result<(), StoreError> {
        let same = found.uid == record.uid.map(Uid::get)
            && found.seen_by_session != self.is_recent(record)
            && found.flags == record.flags
            && found.keywords == record.keywords
            && found.received == record.received;
        let had_base = found.offset == 0 && self.before.file.base.is_some() && self.before.file.pseudo.is_none();
        // The last message may have no line end of its own.
        let end = found.end.saturating_add(1);
        let tail = |contents: &mut Contents, start: u64| {
            contents.push(Piece::Old(start..found.end));
            let has_line_feed = found.next == end;
            contents.push(if has_line_feed { Piece::Old(found.end..end) } else { Piece::New(b"\n".to_vec()) });
        };
        match (same, base) {
            (true, None) if !had_base => {
                tail(contents, found.from);
                return Ok(());
            }
            (true, Some(base)) if had_base => {
                if let Some((digits, piece)) = self.patched_base(base) {
                    contents.push(Piece::Old(found.from..digits));
                    contents.push(piece);
                    tail(contents, digits.saturating_add(LAST_UID_DIGITS as u64));
                    return Ok(());
                }
            }
            _ => {}
        }
        let stored = match self.file {
            Some(file) => head::read(file, self.path, found)?,
            None => StoredHead::default(),
        };
        if found.received == record.received {
            contents.push(Piece::Old(found.from..found.header));
        } else {
            contents.push(Piece::New(from_line::encode(record.received)));
        }
        stored.visible.iter().for_each(|range| contents.push(Piece::Old(range.clone())));
        if stored.is_cut_off {
            contents.push(Piece::New(b"\n".to_vec()));
        }
        let body_length = found.body.map(|body| found.end.saturating_sub(body));
        let write = |padding| self.metadata(record, base, body_length, found.marks, padding);
        let room = stored.metadata_at_end.and_then(|room| {
            let shortest = write(0).len();
            usize::try_from(room).ok()?.checked_sub(shortest)
        });
        contents.push(Piece::New(write(room.unwrap_or_else(|| padding(base)))));
        tail(contents, stored.end);
        Ok(())
    }

    fn saved(&self, number: usize, record: &MessageRecord, base: Option<&Base>) -> Result<Vec<Piece>, StoreError> {
        let staged = self.staging.get(number)?;
        let header_end = staged.offset.saturating_add(staged.header_length);
        let mut pieces =
            vec![Piece::New(from_line::encode(record.received)), Piece::Staged(staged.offset..header_end)];
        let body_length = staged.body_length;
        let mut metadata = self.metadata(record, base, body_length, staged.marks, padding(base));
        if let Some(length) = body_length {
            metadata.push(b'\n');
            pieces.push(Piece::New(metadata));
            pieces.push(Piece::Staged(header_end..header_end.saturating_add(length)));
        } else {
            pieces.push(Piece::New(metadata));
        }
        pieces.push(Piece::New(b"\n".to_vec()));
        Ok(pieces)
    }

    fn is_recent(&self, record: &MessageRecord) -> bool {
        record.uid.is_some_and(|uid| uid >= self.first_recent_uid)
    }

    fn metadata(
        &self,
        record: &MessageRecord,
        base: Option<&Base>,
        body_length: Option<u64>,
        marks: Marks,
        padding: usize,
    ) -> Vec<u8> {
        let declared = base.map(Base::line);
        let base = declared.as_ref().map(|(line, keywords)| BaseLine { keywords, ..*line });
        let keywords: Vec<&str> =
            record.keywords.iter().map(|keyword| keyword.as_str()).filter(|name| can_be_declared(name)).collect();
        metadata(&Head {
            base,
            uid: record.uid.map_or(0, Uid::get),
            flags: record.flags,
            recent: self.is_recent(record),
            keywords: &keywords,
            body_length,
            marks,
            padding,
        })
    }
}

fn padding(base: Option<&Base>) -> usize {
    if base.is_some() { FIRST_PADDING } else { PADDING }
}

/// The longest keyword that servers take unless told otherwise.
const LONGEST_KEYWORD: usize = 50;

/// Whether servers take the keyword from a file. Others live in the index alone.
pub(super) fn can_be_declared(name: &str) -> bool {
    name.len() <= LONGEST_KEYWORD && is_keyword_name(name.as_bytes())
}

/// Reads pieces one after the other.
pub(super) struct PieceReader<'a> {
    pieces: &'a [Piece],
    /// What the first of them is made of, as far as it is still to be read, if it is a new message.
    parts: Vec<Piece>,
    /// How much of the first part, or else of the first piece, was read.
    done: u64,
    assembly: &'a Assembly<'a>,
}

impl<'a> PieceReader<'a> {
    pub(super) fn new(pieces: &'a [Piece], assembly: &'a Assembly<'a>) -> Self {
        Self { pieces, parts: Vec::new(), done: 0, assembly }
    }

    /// Fills a part of the buffer from behind what was read of a piece.
    fn read_piece(&self, piece: &Piece, buffer: &mut [u8]) -> io::Result<usize> {
        let read_at = |file: Option<&File>, buffer: &mut [u8], start: u64| match file {
            Some(file) => file.read_at(buffer, start.saturating_add(self.done)),
            None => Ok(0),
        };
        match piece {
            Piece::Old(range) => read_at(self.assembly.file, buffer, range.start),
            Piece::Staged(range) => read_at(Some(self.assembly.staging.file()), buffer, range.start),
            Piece::New(bytes) => {
                let start = usize::try_from(self.done).unwrap_or(usize::MAX);
                bytes.get(start..).unwrap_or_default().read(buffer)
            }
            // It was taken apart.
            Piece::Added(..) => Ok(0),
        }
    }
}

impl Read for PieceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some((first, rest)) = self.pieces.split_first() else { return Ok(0) };
            if let (Piece::Added(place, _), true) = (first, self.parts.is_empty()) {
                self.parts = self.assembly.added(*place).map_err(io::Error::other)?;
            }
            let piece = self.parts.first().unwrap_or(first);
            let left = piece.length().saturating_sub(self.done);
            if left == 0 {
                self.done = 0;
                if !self.parts.is_empty() {
                    self.parts.remove(0);
                }
                if self.parts.is_empty() {
                    self.pieces = rest;
                }
                continue;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let buffer = buffer.get_mut(..most).unwrap_or_default();
            let count = self.read_piece(piece, buffer)?;
            if count == 0 && !buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.done = self.done.saturating_add(count as u64);
            return Ok(count);
        }
    }
}
