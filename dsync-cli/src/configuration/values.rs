//! The values of settings, as Dovecot writes them.

use std::time::Duration;

/// `yes` or `no`, in one of their spellings.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        _ if text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("y") => Some(true),
        _ if text.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

/// A number of bytes, with a unit of 1024: `10M`, `2 k`, `4096`, `1GB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).or(unit.strip_suffix('I')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A time with its unit, which may be shortened: `5 mins`, `2h`. Only 0 needs none.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    if unit.is_empty() {
        return (number == 0).then_some(Duration::ZERO);
    }
    let is = |name: &str| name.starts_with(&unit.to_ascii_lowercase());
    // As servers do, the first of these that a shortened unit could be.
    let seconds = match () {
        () if is("seconds") || is("secs") => 1,
        () if is("minutes") || is("mins") => 60,
        () if is("msecs") || is("milliseconds") => return Some(Duration::from_millis(number)),
        () if is("hours") => 3600,
        () if is("days") => 86_400,
        () if is("weeks") => 604_800,
        () => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in
            [("10M", 10 << 20), ("2 k", 2048), ("7", 7), ("1GB", 1 << 30), ("1 KiB", 1024), ("5b", 5), ("3ki", 3072)]
        {
            assert_eq!(super::size(text), Some(size), "{text}");
        }
        for text in ["", "M", "10X", "-1", "99999999999999999999", "20000000T"] {
            assert_eq!(super::size(text), None, "{text}");
        }
    }

    #[test]
    fn times_need_units() {
        for (text, seconds) in
            [("5 mins", 300), ("2h", 7200), ("0", 0), ("30 secs", 30), ("1 weeks", 604_800), ("1m", 60)]
        {
            assert_eq!(time(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(time("250 msecs"), Some(Duration::from_millis(250)));
        for text in ["", "5", "5 moons", "-1 s", "99999999999999999 weeks"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn only_some_words_say_yes_or_no() {
        assert_eq!(
            ["yes", "Y", "1", "no", "No", "true", "0", ""].map(boolean),
            [Some(true), Some(true), Some(true), Some(false), Some(false), None, None, None]
        );
    }
}
