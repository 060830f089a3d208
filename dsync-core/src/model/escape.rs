//! Names from outside in messages to people.

use std::fmt::{self, Write};

/// Writes text with its control characters escaped, so that a name cannot forge lines of output or move the cursor.
pub(super) fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| {
        if character.is_control() { write!(f, "{}", character.escape_default()) } else { f.write_char(character) }
    })
}

#[cfg(test)]
mod tests {
    use crate::model::MailboxName;

    #[test]
    fn a_name_cannot_forge_output() {
        let name = MailboxName::new(["a\nError: \u{1b}[2J"]).unwrap();
        assert_eq!(name.to_string(), "a\\nError: \\u{1b}[2J");
    }
}
