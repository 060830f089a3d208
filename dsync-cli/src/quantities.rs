//! Counts and sizes for people.

/// A count of things.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A count of messages.
pub(crate) fn messages(count: u64) -> String {
    counted(count, "message", "messages")
}

/// A count of mailboxes.
pub(crate) fn mailboxes(count: u64) -> String {
    counted(count, "mailbox", "mailboxes")
}

/// A number of bytes for people, in units of 1024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut whole = count;
    let mut tenths = 0;
    let mut unit = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { counted(whole, "byte", name) } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(mailboxes(0), "0 mailboxes");
        assert_eq!((messages(1), bytes(1)), ("1 message".to_owned(), "1 byte".to_owned()));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(335_544_320), "320.0 MiB");
    }
}
