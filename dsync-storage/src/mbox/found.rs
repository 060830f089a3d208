//! Where the messages of an open mailbox are in its file. There may be millions in memory, so what the list of messages says too
//! is left out.

use dsync_core::model::{MessageList, MessageRecord};

use super::marks::Marks;
use super::scan::ScannedMessage;

/// What stands in the file, in the order of a list of messages.
#[derive(Debug, Default)]
pub(super) struct FoundMessages {
    rows: Vec<Row>,
    /// By ascending place, the messages of which a row cannot say everything: the file says something else than the list, because
    /// a change was not written to it yet, or they are larger than any mail.
    whole: Vec<(usize, ScannedMessage)>,
}

/// What the file alone says about a message, as far as the numbers are small enough.
#[derive(Clone, Copy, Debug)]
struct Row {
    from: u64,
    /// From the From_ line to the header.
    from_length: u32,
    /// From the header to the body. 0: there is none.
    header_length: u32,
    /// From the From_ line to the end.
    length: u32,
    visible_size: u32,
    /// From the separator to the From_ line.
    before: u8,
    /// From the end to the next From_ line.
    behind: u8,
    header_quotes: u8,
    bits: u8,
}

const SEEN_BY_SESSION: u8 = 1;
const BODY_LINE_FEED: u8 = 2;
const BODY_QUOTE: u8 = 4;
const HEADER_LINE_FEED: u8 = 8;
const ORIGINAL_NAMES: u8 = 16;
const ORIGINAL_LINES: u8 = 32;
const HAS_UID: u8 = 64;

impl Row {
    /// What fits.
    fn of(message: &ScannedMessage) -> Self {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let tiny = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        let marks = message.marks;
        let bits = [
            (SEEN_BY_SESSION, message.seen_by_session),
            (BODY_LINE_FEED, marks.body_line_feed),
            (BODY_QUOTE, marks.body_quote),
            (HEADER_LINE_FEED, marks.header_line_feed),
            (ORIGINAL_NAMES, marks.original_names),
            (ORIGINAL_LINES, marks.original_lines),
            (HAS_UID, message.uid.is_some()),
        ];
        Self {
            from: message.from,
            from_length: small(message.header.saturating_sub(message.from)),
            header_length: message.body.map_or(0, |body| small(body.saturating_sub(message.header))),
            length: small(message.end.saturating_sub(message.from)),
            visible_size: small(message.visible_size),
            before: tiny(message.from.saturating_sub(message.offset)),
            behind: tiny(message.next.saturating_sub(message.end)),
            header_quotes: marks.header_quotes,
            bits: bits.iter().filter(|(_, is_set)| *is_set).map(|(bit, _)| bit).sum(),
        }
    }

    /// The message, if the list says of it what the file says.
    fn message(&self, record: &MessageRecord) -> ScannedMessage {
        let has = |bit| self.bits & bit != 0;
        let header = self.from.saturating_add(self.from_length.into());
        let end = self.from.saturating_add(self.length.into());
        ScannedMessage {
            offset: self.from.saturating_sub(self.before.into()),
            from: self.from,
            header,
            body: Some(header.saturating_add(self.header_length.into())).filter(|_| self.header_length > 0),
            end,
            next: end.saturating_add(self.behind.into()),
            received: record.received,
            uid: record.uid.map(dsync_core::model::Uid::get).filter(|_| has(HAS_UID)),
            flags: record.flags,
            seen_by_session: has(SEEN_BY_SESSION),
            keywords: record.keywords.clone(),
            md5: record.guid.to_128(),
            marks: Marks {
                body_line_feed: has(BODY_LINE_FEED),
                body_quote: has(BODY_QUOTE),
                header_line_feed: has(HEADER_LINE_FEED),
                original_names: has(ORIGINAL_NAMES),
                original_lines: has(ORIGINAL_LINES),
                header_quotes: self.header_quotes,
            },
            visible_size: self.visible_size.into(),
        }
    }
}

impl FoundMessages {
    /// None yet, and room for so many.
    pub(super) fn with_capacity(messages: usize) -> Self {
        Self { rows: Vec::with_capacity(messages), whole: Vec::new() }
    }

    /// Adds a message at the end. `record` is what the list has at this place.
    pub(super) fn push(&mut self, message: ScannedMessage, record: &MessageRecord) {
        let row = Row::of(&message);
        if row.message(record) != message {
            self.whole.push((self.rows.len(), message));
        }
        self.rows.push(row);
    }

    /// Gives back memory that was reserved for more messages than have come.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
        self.whole.shrink_to_fit();
    }

    /// The message at a place of the list.
    pub(super) fn get(&self, place: usize, messages: &MessageList) -> Option<ScannedMessage> {
        if let Ok(found) = self.whole.binary_search_by_key(&place, |(at, _)| *at) {
            return self.whole.get(found).map(|(_, message)| message.clone());
        }
        Some(self.rows.get(place)?.message(&messages.at(place)?))
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::{Flags, Keyword, Keywords, MessageGuid, ModSeq, Timestamp, Uid};

    use super::*;

    fn plain() -> ScannedMessage {
        ScannedMessage {
            offset: 98,
            from: 100,
            header: 150,
            body: Some(300),
            end: 400,
            next: 401,
            received: Timestamp(1_700_000_000),
            uid: Some(5),
            flags: Flags::SEEN,
            seen_by_session: true,
            keywords: Keywords::none(),
            md5: [7; 16],
            marks: Marks::NONE,
            visible_size: 200,
        }
    }

    #[test]
    fn a_message_takes_little_memory() {
        assert!(size_of::<Row>() <= 32);
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let plain = plain();
        let marks = Marks { body_quote: true, original_lines: true, header_quotes: 200, ..Marks::NONE };
        let huge = 1 << 40;
        let messages = [
            ScannedMessage { offset: 0, from: 0, body: None, seen_by_session: false, ..plain.clone() },
            ScannedMessage { marks, ..plain.clone() },
            ScannedMessage {
                uid: None,
                from: huge,
                offset: huge,
                header: huge + 50,
                body: Some(huge + 51),
                ..plain.clone()
            },
            ScannedMessage { end: huge, next: huge + 1000, visible_size: huge, ..plain.clone() },
            ScannedMessage { header: huge, body: Some(2 * huge), end: 3 * huge, next: 3 * huge, ..plain.clone() },
            ScannedMessage { uid: Some(900), flags: Flags::NONE, ..plain.clone() },
            ScannedMessage { keywords: Keyword::new("a").into_iter().collect(), md5: [8; 16], ..plain.clone() },
            plain,
        ];
        let (mut found, mut list) = (FoundMessages::default(), MessageList::default());
        for (message, uid) in messages.iter().zip([5, 6, 7, 8, 9, 10, 11, 12]) {
            let record = MessageRecord {
                uid: Uid::new(uid),
                guid: MessageGuid::from_128([7; 16]),
                flags: Flags::SEEN,
                keywords: Keywords::none(),
                modseq: Some(ModSeq(1)),
                received: message.received,
                saved: None,
                pop3_uidl: None,
                pop3_order: None,
            };
            list.push(&record).unwrap();
            found.push(message.clone(), &record);
        }
        let all: Vec<_> = (0..list.len()).filter_map(|place| found.get(place, &list)).collect();
        assert_eq!(all, messages);
        assert_eq!(found.get(messages.len(), &list), None);
    }
}
