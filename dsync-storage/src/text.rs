//! Names from disk in messages to people.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as text: what is not UTF-8 becomes U+FFFD, control characters are escaped, so that a name cannot forge
/// lines of output.
pub(crate) fn lossy(path: &Path) -> String {
    lossy_bytes(path.as_os_str().as_bytes())
}

/// Bytes as text, in the same way.
pub(crate) fn lossy_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(lossy_bytes(b"a\nb\xff"), "a\\nb\u{fffd}");
    }
}
