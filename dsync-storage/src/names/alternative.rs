//! The character that stands for those that a layout cannot hold.

use std::str::FromStr;

use thiserror::Error;

/// What takes the place of characters that a layout cannot hold (`-C` of dsync(1)): `_` unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlternativeCharacter(char);

/// A character that cannot stand for others: some layout would refuse it in turn.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} cannot replace characters in names of mailboxes: give an ASCII character that is neither / nor . nor ~ nor a \
     control character"
)]
pub struct InvalidAlternative(pub String);

impl AlternativeCharacter {
    /// # Errors
    /// If a layout could not hold it everywhere in a name: a separator, `~`, a control character; or a server would take a part of it, as of all that are not
    /// ASCII.
    pub fn new(character: char) -> Result<Self, InvalidAlternative> {
        if matches!(character, '/' | '.' | '~') || character.is_control() || !character.is_ascii() {
            return Err(InvalidAlternative(character.to_string()));
        }
        Ok(Self(character))
    }

    /// The character.
    #[must_use]
    pub const fn get(self) -> char {
        self.0
    }
}

impl Default for AlternativeCharacter {
    fn default() -> Self {
        Self('_')
    }
}

impl FromStr for AlternativeCharacter {
    type Err = InvalidAlternative;

    /// Takes the first character, as Dovecot does.
    fn from_str(text: &str) -> Result<Self, InvalidAlternative> {
        text.chars().next().map_or_else(|| Err(InvalidAlternative(text.to_owned())), Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_name_may_hold_replaces_nothing() {
        for text in ["_", "-", "+", " "] {
            assert!(text.parse::<AlternativeCharacter>().is_ok(), "{text:?}");
        }
        assert_eq!("abc".parse().map(AlternativeCharacter::get), Ok('a'));
        for text in ["", "/", "/a", ".", "~", "\0", "\n", "\u{7f}"] {
            assert!(text.parse::<AlternativeCharacter>().is_err(), "{text:?}");
        }
    }
}
