//! Which messages are given to the other side.

use std::fmt;
use std::str::FromStr;

use super::{Flags, Keyword, MessageRecord, Timestamp};

/// A choice of messages by what is known of them at the side that has them.
///
/// The default is all: no field says anything.
///
/// It is about messages that the other side does not have: those that are not chosen stay where they are, on one side only. What
/// happens to messages that both sides have is carried over whatever is chosen, and a message is never removed for not being
/// chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageSelection {
    /// Only messages that were received then or later.
    pub since: Option<Timestamp>,
    /// Only messages that were received then or before.
    pub until: Option<Timestamp>,
    /// Only messages with no more bytes than this, as clients see them: with CRLF at the ends of lines.
    pub max_size: Option<u64>,
    /// Only messages that have, or do not have, a flag or keyword.
    pub mark: Option<MarkSelection>,
}

/// A flag or keyword that messages have to have, or not to have: `\Seen`, `-\Deleted`, `Work`, `-Work`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkSelection {
    /// The flag or keyword.
    pub mark: Mark,
    /// Whether messages must have it.
    pub present: bool,
}

/// A system flag or a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// One flag.
    Flag(Flags),
    /// A keyword, in any case.
    Keyword(Keyword),
}

/// A text does not name one flag or keyword.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no flag or keyword; write for example \\Seen, -\\Deleted, Work or -Work")]
pub struct InvalidMark(String);

impl MessageSelection {
    /// Whether it is all messages.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a message is chosen whatever its size is.
    #[must_use]
    pub fn contains_apart_from_size(&self, message: &MessageRecord) -> bool {
        self.since.is_none_or(|since| message.received >= since)
            && self.until.is_none_or(|until| message.received <= until)
            && self.mark.as_ref().is_none_or(|mark| mark.fits(message))
    }
}

impl MarkSelection {
    fn fits(&self, message: &MessageRecord) -> bool {
        let has = match &self.mark {
            Mark::Flag(flag) => message.flags.contains(*flag),
            Mark::Keyword(keyword) => message.keywords.spelling_of(keyword.as_str()).is_some(),
        };
        has == self.present
    }
}

/// As it is read again.
impl fmt::Display for MarkSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.present { "" } else { "-" };
        match &self.mark {
            Mark::Flag(flag) => write!(f, "{sign}{flag}"),
            Mark::Keyword(keyword) => write!(f, "{sign}{}", keyword.as_str()),
        }
    }
}

impl FromStr for MarkSelection {
    type Err = InvalidMark;

    fn from_str(text: &str) -> Result<Self, InvalidMark> {
        let (name, present) = text.strip_prefix('-').map_or((text, true), |name| (name, false));
        let mark = match name.starts_with('\\') {
            true => Flags::EACH.into_iter().find(|flag| flag.to_string().eq_ignore_ascii_case(name)).map(Mark::Flag),
            false => Keyword::new(name).filter(|_| !name.contains(' ')).map(Mark::Keyword),
        };
        mark.map(|mark| Self { mark, present }).ok_or_else(|| InvalidMark(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageGuid, Uid};

    fn message(received: i64, flags: Flags, keyword: &str) -> MessageRecord {
        MessageRecord {
            uid: Some(Uid::FIRST),
            guid: MessageGuid::new(b"a").unwrap(),
            flags,
            keywords: Keyword::new(keyword).into_iter().collect(),
            modseq: None,
            received: Timestamp(received),
            saved: None,
            pop3_uidl: None,
            pop3_order: None,
        }
    }

    #[test]
    fn bounds_of_time_belong_to_what_is_chosen() {
        let selection = MessageSelection {
            since: Some(Timestamp(10)),
            until: Some(Timestamp(20)),
            ..MessageSelection::default()
        };
        let chosen = (8..23).filter(|time| selection.contains_apart_from_size(&message(*time, Flags::NONE, "")));
        assert_eq!(chosen.collect::<Vec<_>>(), (10..21).collect::<Vec<_>>());
        assert!(MessageSelection::default().is_all() && !selection.is_all());
    }

    #[test]
    fn marks_are_there_or_are_not() {
        for (text, flags, keyword, expected) in [
            ("\\Seen", Flags::SEEN | Flags::DRAFT, "", true),
            ("\\seen", Flags::DRAFT, "", false),
            ("-\\Deleted", Flags::DELETED, "", false),
            ("-\\Deleted", Flags::NONE, "", true),
            ("work", Flags::NONE, "Work", true),
            ("work", Flags::NONE, "Works", false),
            ("-$Label1", Flags::NONE, "$label1", false),
        ] {
            let mark: MarkSelection = text.parse().unwrap();
            assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
            let mark = Some(mark);
            let selection = MessageSelection { mark, ..MessageSelection::default() };
            let message = message(0, flags, keyword);
            assert_eq!(selection.contains_apart_from_size(&message), expected, "{text} {message:?}");
        }
    }

    #[test]
    fn what_names_no_mark_is_refused() {
        for text in ["", "-", "\\Recent", "\\Nonsense", "\\Seen \\Draft", "two words", "-\\", "a\tb"] {
            assert!(text.parse::<MarkSelection>().is_err(), "{text:?}");
        }
    }
}
