//! The values of settings, as Dovecot writes them.

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
    fn only_some_words_say_yes_or_no() {
        assert_eq!(
            ["yes", "Y", "1", "no", "No", "true", "0", ""].map(boolean),
            [Some(true), Some(true), Some(true), Some(false), Some(false), None, None, None]
        );
    }
}
