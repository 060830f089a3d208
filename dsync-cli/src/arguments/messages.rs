//! Options that say which messages are copied.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use dsync_core::model::{MarkSelection, MessageSelection, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Which messages are copied to a side that does not have them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageOptions {
    /// Copy only messages that were received at this time or later: 2026-01-31, 31-Jan-2026 (midnight, local time), seconds
    /// since 1970, or how long ago: "2 weeks", 5d
    #[arg(short = 't', long = "sync-since-time", value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,

    /// Copy only messages that were received at this time or before
    #[arg(short = 'e', long = "sync-until-time", value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,

    /// Copy only messages of this size or smaller: 10M, 5k, 4096
    #[arg(short = 'I', long = "sync-max-size", value_name = "SIZE", value_parser = parse_max_size)]
    max_size: Option<u64>,

    /// Copy only messages with this flag or keyword, or, with a - in front, without it: \Flagged, -\Deleted, Work
    #[arg(short = 'O', long = "sync-flags", value_name = "[-]FLAG", allow_hyphen_values = true)]
    mark: Option<MarkSelection>,
}

impl MessageOptions {
    pub(crate) fn selection(&self) -> MessageSelection {
        let Self { since, until, max_size, mark } = self.clone();
        MessageSelection { since, until, max_size, mark }
    }

    /// Whether nothing was chosen.
    pub(crate) fn is_everything(&self) -> bool {
        self.selection().is_all()
    }

    /// Whether no message can have been received when it should.
    pub(crate) fn is_contradictory(&self) -> bool {
        self.since.zip(self.until).is_some_and(|(since, until)| since > until)
    }
}

fn parse_max_size(text: &str) -> Result<u64, String> {
    crate::configuration::values::size(text).ok_or_else(|| "write a size like 10M, 5k or 4096".to_owned())
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let time = time(text, now, &TimeZone::system());
    time.ok_or_else(|| "write a time like 2026-01-31, 31-Jan-2026, 1769814000, \"2 weeks\" or 5d".to_owned())
}

/// The time that a text means, `now` and in this time zone.
fn time(text: &str, now: i64, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(date) = date(text) {
        return Some(Timestamp(zone.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second()));
    }
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: i64 = digits.parse().ok()?;
    match unit.trim_start() {
        "" => Some(Timestamp(number)),
        unit => Some(Timestamp(now.saturating_sub(number.saturating_mul(seconds_of(unit)?)))),
    }
}

/// How long a unit of time is. It may be abbreviated.
fn seconds_of(unit: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 8] = [
        ("secs", 1),
        ("seconds", 1),
        ("mins", 60),
        ("minutes", 60),
        ("hours", 60 * 60),
        ("days", 24 * 60 * 60),
        ("weeks", 7 * 24 * 60 * 60),
        ("second", 1),
    ];
    let unit = unit.to_ascii_lowercase();
    UNITS.iter().find(|(name, _)| name.starts_with(&unit)).map(|(_, seconds)| *seconds)
}

/// `2026-01-31`, or `31-Jan-2026` as in IMAP.
fn date(text: &str) -> Option<Date> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let parts: Vec<_> = text.split('-').collect();
    let [first, month, last] = parts[..] else { return None };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i16>().ok().filter(|_| is_number)
    };
    let (year, month, day) = match MONTHS.iter().zip(1..).find(|(name, _)| month.eq_ignore_ascii_case(name)) {
        Some((_, month)) => (number(last, 4..=4)?, month, number(first, 1..=2)?),
        None => (number(first, 4..=4)?, number(month, 2..=2)?, number(last, 2..=2)?),
    };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: MessageOptions,
    }

    #[test]
    fn times_are_dates_seconds_or_how_long_ago() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = 1_800_000_000;
        for (text, expected) in [
            ("1970-01-02", Some(86_400 - 3600)),
            ("2-Jan-1970", Some(86_400 - 3600)),
            ("02-jan-1970", Some(86_400 - 3600)),
            ("1700000000", Some(1_700_000_000)),
            ("0", Some(0)),
            ("5d", Some(now - 5 * 86_400)),
            ("2 weeks", Some(now - 14 * 86_400)),
            ("1w", Some(now - 7 * 86_400)),
            ("90 mins", Some(now - 5400)),
            ("10secs", Some(now - 10)),
            ("3 h", Some(now - 10_800)),
            ("today", None),
            ("now", None),
            ("", None),
            ("2026-1-2", None),
            ("2026-02-30", None),
            ("2026-13-01", None),
            ("5 months", None),
            ("1h30m", None),
            ("-5d", None),
            ("+1-01-01", None),
            ("2026-01-02T10:00", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(time(text, now, &zone), expected.map(Timestamp), "{text:?}");
        }
        assert_eq!(time("9223372036854775807 weeks", now, &zone).map(|time| time < Timestamp(0)), Some(true));
    }

    #[test]
    fn options_become_a_selection() {
        let parse = |words: &str| Line::try_parse_from(words.split(' ')).map(|line| line.options);
        let options = parse("dsync -t 100 -e 200 -I 1k -O -\\Deleted").unwrap();
        let expected = MessageSelection {
            since: Some(Timestamp(100)),
            until: Some(Timestamp(200)),
            max_size: Some(1024),
            mark: Some("-\\Deleted".parse().unwrap()),
        };
        assert_eq!(options.selection(), expected);
        assert!(!options.is_contradictory() && parse("dsync -t 200 -e 100").unwrap().is_contradictory());
        assert!(parse("dsync").unwrap().selection().is_all());
        for words in ["dsync -t today", "dsync -I -1", "dsync -I x", "dsync -O \\Nonsense", "dsync -O "] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
