//! Names that nobody else makes, in the way Maildir asks for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// The host name as it may stand in file names: `/` and `:` as `\057` and `\072`, control characters left out.
#[must_use]
pub fn host_for_names() -> String {
    let host = host();
    let mut clean = String::new();
    for character in host.chars() {
        match character {
            '/' => clean.push_str("\\057"),
            ':' => clean.push_str("\\072"),
            control if control.is_control() || control.is_whitespace() => {}
            other => clean.push(other),
        }
    }
    // Leaves room in a file name of 255 bytes for everything else.
    clean.chars().take(64).collect()
}

/// The host name as the system tells it; `localhost` if it tells none.
#[must_use]
pub fn host() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// `<seconds>.M<microseconds>P<pid>Q<count>R<random>.<host>`: unique over processes, hosts and restarts. The number
/// after `M` comes first, so that servers which sort by it see the order of creation.
#[must_use]
pub fn file_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(
        "{}.M{}P{}Q{count}R{:08x}.{}",
        now.as_secs(),
        now.subsec_micros(),
        std::process::id(),
        random_u32(),
        host_for_names()
    )
}

/// 16 bytes that nobody else has, never all zero.
#[must_use]
pub fn random_guid() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() || bytes == [0; 16] {
        // Without a random source: time, process and a counter, as servers did before there was one.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        bytes[..8].copy_from_slice(&now.as_nanos().to_le_bytes()[..8]);
        bytes[8..12].copy_from_slice(&std::process::id().to_le_bytes());
        bytes[12..].copy_from_slice(&count.to_le_bytes()[..4]);
    }
    bytes
}

fn random_u32() -> u32 {
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_valid_base_names() {
        let (a, b) = (file_name(), file_name());
        assert_ne!(a, b);
        assert!(a.bytes().all(|byte| byte > b' ' && byte != b'/' && byte != b':'));
        assert!(a.len() < 150);
    }
}
