//! The From_ line, by which every message of an mbox begins.
//!
//! ```text
//! From user@example.org  Thu Nov  9 22:33:52 2001 +0300
//! ```
//!
//! There is no standard for it. What is read here is what Dovecot's `mbox_from_parse` accepts (`lib-mail/mbox-from.c`),
//! with all its particularities, because what is a valid From_ line decides where messages begin.

use dsync_core::model::Timestamp;
use jiff::Timestamp as Instant;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What every From_ line begins with.
pub const PREFIX: &[u8] = b"From ";

/// How much of a line that begins with [`PREFIX`] is enough to decide whether it is a From_ line: servers do not look
/// at more.
pub const LOOK_AHEAD: usize = 8 * 1024;

/// So many bytes at least follow the sender, counted in the rest of the buffer, not of the line.
const SHORTEST_DATE: usize = 21;

/// What a From_ line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromLine {
    /// When the message was received.
    pub received: Timestamp,
}

/// The From_ line at the beginning of `buffer`, if there is a valid one.
///
/// `buffer` is what is left of the file, or the first [`LOOK_AHEAD`] bytes of that, not only the line: four or five bytes
/// before the date are skipped unseen, and a line end among them is no obstacle. The header of the message begins
/// behind the first LF all the same.
///
/// Without a numeric zone the date is one in the zone of this machine (environment variable `TZ`), and 31 February is
/// 3 March. With one, what is no date makes the line invalid.
#[must_use]
pub fn parse(buffer: &[u8]) -> Option<FromLine> {
    let date = skip_sender(buffer.strip_prefix(PREFIX)?)?;
    if date.len() < SHORTEST_DATE {
        return None;
    }
    let date = DateReader { bytes: date, at: 4 }.date()?;
    Some(FromLine { received: date.timestamp()? })
}

/// What follows the sender and the blanks behind it. None if the line ends before.
pub(super) fn skip_sender(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.iter();
    let mut at = 0;
    if bytes.first() == Some(&b'"') {
        rest.next();
        at += 1;
        let mut escaped = false;
        for byte in rest.by_ref() {
            at += 1;
            match byte {
                b'\r' | b'\n' => return None,
                b'"' if !escaped => break,
                _ => escaped = *byte == b'\\',
            }
        }
    }
    for byte in rest {
        match byte {
            b'\r' | b'\n' => return None,
            b' ' => break,
            _ => at += 1,
        }
    }
    let behind = bytes.get(at..)?;
    let blanks = behind.iter().take_while(|byte| **byte == b' ').count();
    behind.get(blanks..)
}

/// Reads a date. Behind the end of its bytes are NULs.
struct DateReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl DateReader<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn digits(&self, count: usize) -> Option<i64> {
        (0..count).try_fold(0, |value, ahead| {
            let byte = self.peek(ahead);
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })
    }

    fn take_digits(&mut self, count: usize) -> Option<i64> {
        let value = self.digits(count)?;
        self.at += count;
        Some(value)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let fits = self.peek(0) == byte;
        self.at += usize::from(fits);
        fits.then_some(())
    }

    /// Three letters and a blank. `???` is January: somebody at Dovecot had such an mbox.
    fn take_month(&mut self) -> Option<i8> {
        const MONTHS: [&[u8; 3]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let name = [self.peek(0), self.peek(1), self.peek(2)];
        let month = MONTHS.into_iter().zip(1..).find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let month = month.map(|(_, month)| month).or_else(|| (name == *b"???").then_some(1))?;
        if self.peek(3) != b' ' {
            return None;
        }
        self.at += 4;
        Some(month)
    }

    fn date(mut self) -> Option<WrittenDate> {
        let start = self.at;
        let (year, month, day);
        let other_form = match self.take_month() {
            // "Thu Nov  9 22:33:52 2001"
            Some(name) => {
                month = name;
                let _ = self.take(b' ');
                let digits = if self.peek(1) == b' ' { 1 } else { 2 };
                day = self.take_digits(digits)?;
                self.take(b' ')?;
                year = 0;
                false
            }
            // "Thu, 9 Nov 2001 22:33:52"
            None => {
                self.at = start + 1;
                let digits = if self.peek(1).is_ascii_digit() { 2 } else { 1 };
                day = self.take_digits(digits)?;
                self.take(b' ')?;
                month = self.take_month()?;
                year = self.take_digits(4)?;
                self.at += 1;
                true
            }
        };
        let hour = self.take_digits(2)?;
        self.take(b':')?;
        let minute = self.take_digits(2)?;
        let second = if self.take(b':').is_some() { self.take_digits(2)? } else { 0 };
        let year = if other_form {
            year
        } else {
            self.take(b' ')?;
            self.skip_zone_name()?;
            self.take_digits(4)?
        };
        Some(WrittenDate { year, month, day: day.max(1), hour, minute, second, zone: self.zone() })
    }

    /// What stands between the time and the year, whatever it is.
    fn skip_zone_name(&mut self) -> Option<()> {
        if self.digits(4).is_some() {
            return Some(());
        }
        loop {
            match self.bytes.get(self.at)? {
                b'\r' | b'\n' => return None,
                b' ' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A numeric zone, in seconds. Its minutes count as seconds, as they do in Dovecot.
    fn zone(mut self) -> Option<i64> {
        self.take(b' ')?;
        let sign = match self.peek(0) {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.at += 1;
        let digits = self.take_digits(4)?;
        Some(sign * (digits / 100 * 3600 + digits % 100))
    }
}

/// A date as it is written, which may be none that exists.
struct WrittenDate {
    year: i64,
    month: i8,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    zone: Option<i64>,
}

impl WrittenDate {
    /// The moment. None if Dovecot takes the line for invalid because of it; 0 if it cannot convert the date.
    fn timestamp(&self) -> Option<Timestamp> {
        let first = Date::new(i16::try_from(self.year).ok()?, self.month, 1).ok()?;
        let days = i64::from(first.days_in_month());
        let first = first.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().as_second();
        let written = first + (self.day - 1) * 86400 + self.hour * 3600 + self.minute * 60 + self.second;
        match self.zone {
            Some(zone) => {
                let exists = self.day <= days && self.hour < 24 && self.minute < 60 && self.second <= 60;
                // There are no leap seconds.
                let moment = written - i64::from(self.second == 60);
                (exists && moment != -1).then_some(Timestamp(moment - zone))
            }
            None => Some(Timestamp(local(written, &TimeZone::system()).unwrap_or(0))),
        }
    }
}

/// The moment at which clocks in `zone` show what clocks in UTC show at `written`. In the two hours of a year that occur twice
/// or never it is the later of the possible ones; to the C library of GNU, and so to Dovecot, it depends there on what was
/// converted before.
fn local(written: i64, zone: &TimeZone) -> Option<i64> {
    let written = TimeZone::UTC.to_datetime(Instant::from_second(written).ok()?);
    let moment = zone.to_ambiguous_timestamp(written);
    moment.later().ok().map(Instant::as_second)
}

/// The From_ line of a message, with its line end. It says the same to every server, wherever that is.
///
/// Moments before the year 0 or after 9999 become the nearest that can be said.
#[must_use]
pub fn encode(received: Timestamp) -> Vec<u8> {
    format!("From MAILER-DAEMON  {} +0000\n", utc(received, "%a %b %d %H:%M:%S %Y")).into_bytes()
}

/// A moment in UTC, in the form of `strftime`.
pub(super) fn utc(moment: Timestamp, form: &str) -> String {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_207_200;
    let instant = Instant::from_second(moment.seconds().clamp(FIRST, LAST)).unwrap_or(Instant::UNIX_EPOCH);
    instant.to_zoned_datetime(TimeZone::UTC).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn received(line: &str) -> Option<i64> {
        parse(line.as_bytes()).map(|line| line.received.seconds())
    }

    // How a real Dovecot reads these and many others is in `dsync-cli/tests/mbox_files_are_read_as_dovecot_does.rs`.
    #[test]
    fn with_a_zone_the_moment_is_the_same_everywhere() {
        for (line, wanted) in [
            ("From a@b Thu Nov  9 22:33:52 2001 +0300\n", Some(1_005_334_432)),
            ("From a@b Thu Nov  9 22:33:52 2001 +0000\n", Some(1_005_345_232)),
            ("From a@b Thu, 9 Nov 2001 22:33:52 +0300\n", Some(1_005_334_432)),
            ("From \"a b\"@c Thu Nov  9 22:33:52 EST 2001 +0300 (MSK)", Some(1_005_334_432)),
            ("From x ab\n Nov  9 22:33:52 2001 +0000\n", Some(1_005_345_232)),
            // Minutes of a zone count as seconds.
            ("From a@b Thu Nov  9 22:33:52 2001 +0330\n", Some(1_005_334_402)),
            // No leap seconds.
            ("From a@b Thu Nov  9 22:33:60 2001 +0000\n", Some(1_005_345_239)),
            ("From a@b Thu Feb 30 22:33:52 2001 +0000\n", None),
            ("From a@b Thu Nov  9 24:33:52 2001 +0000\n", None),
            ("From a@b Wed Dec 31 23:59:59 1969 +0000\n", None),
            ("From - \n", None),
            ("From a@b\n", None),
            ("From a@b Thu Nov 9 22:33 2001", None),
        ] {
            assert_eq!(received(line), wanted, "{line}");
        }
        assert!(received("From a@b Thu Nov 9 22:33 2001\n").is_some());
        assert!(received("From a@b Thu Nov 99 99:99:99 2001\n").is_some());
    }

    #[test]
    fn without_a_zone_it_is_what_clocks_here_show() {
        let new_york = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let utc = |text: &str| text.parse::<Instant>().unwrap().as_second();
        for (written, moment) in [
            ("2001-11-09T22:33:52Z", "2001-11-10T03:33:52Z"),
            ("2021-07-01T12:00:00Z", "2021-07-01T16:00:00Z"),
            // Twice on that day.
            ("2021-11-07T01:30:00Z", "2021-11-07T06:30:00Z"),
            // Never on that day.
            ("2021-03-14T02:30:00Z", "2021-03-14T07:30:00Z"),
        ] {
            assert_eq!(local(utc(written), &new_york), Some(utc(moment)), "{written}");
        }
        assert_eq!(local(i64::MAX, &new_york), None);
    }

    #[test]
    fn what_is_written_is_what_servers_read() {
        assert_eq!(encode(Timestamp(1_700_000_000)), b"From MAILER-DAEMON  Tue Nov 14 22:13:20 2023 +0000\n");
        assert_eq!(encode(Timestamp(i64::MIN)), b"From MAILER-DAEMON  Sat Jan 01 00:00:00 0000 +0000\n");
        assert!(parse(&encode(Timestamp(i64::MAX))).is_some());
    }

    proptest! {
        #[test]
        fn moments_come_out_as_they_went_in(seconds in 0..250_000_000_000i64) {
            let line = encode(Timestamp(seconds));
            prop_assert_eq!(parse(&line), Some(FromLine { received: Timestamp(seconds) }));
        }

        #[test]
        fn anything_can_be_parsed(pieces in prop::collection::vec(prop::sample::select(vec![
            "From ", "a", " ", "\"", "\\", "Thu", "Thu ", "Nov ", "???", " 9 ", "9 ", "22:33", ":52", " 2001", " +0330", "\n", "\r", ",",
        ]), 0..12)) {
            let text = format!("From {}", pieces.concat());
            let _ = parse(text.as_bytes());
        }
    }
}
