//! What a layout can hold, and what a part of a name becomes that it cannot.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt::Write;

use dsync_core::model::MailboxName;
use sha1::{Digest, Sha1};

use super::AlternativeCharacter;
use crate::list::layout::{DOTLOCK_SUFFIX, LONGEST_MBOX_PART, Layout, Naming};
use crate::list::listing::DEEPEST;
use crate::list::mutf7;

/// The rules of one layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRules {
    naming: Naming,
    /// The name of the subscriptions file, where it lies beside mailboxes that are files.
    subscriptions: Option<String>,
}

/// How long a nested name may be as it is stored: the paths of all files of the mailbox stay below the 4096 bytes of the
/// system.
const LONGEST_NESTED: usize = 3000;

impl NameRules {
    /// Those of a layout. `subscriptions` is the name of the subscriptions file.
    #[must_use]
    pub fn of(naming: Naming, subscriptions: &str) -> Self {
        let is_beside = naming.layout == Layout::Mbox;
        Self { naming, subscriptions: is_beside.then(|| subscriptions.to_owned()) }
    }

    /// Whether a mailbox can have others below it.
    #[must_use]
    pub const fn mailboxes_have_children(&self) -> bool {
        !matches!(self.naming.layout, Layout::Mbox)
    }

    /// Whether the layout can hold a mailbox of this name, if nothing else is there.
    #[must_use]
    pub fn holds(&self, name: &MailboxName) -> bool {
        let parts = name.parts();
        parts.len() <= self.most_levels()
            && self.stored_length(parts) <= self.longest_name()
            && self.naming.directory(name).is_ok()
            && !(self.is_nested_directory() && parts.iter().any(|part| is_trash(part)))
            && (self.subscriptions.is_none() || parts.first() != self.subscriptions.as_ref())
    }

    /// Whether each level of a name is a directory of its own.
    fn is_nested_directory(&self) -> bool {
        matches!(self.naming.layout, Layout::Fs | Layout::Dbox)
    }

    /// How many bytes a part takes up as it is stored.
    pub(super) fn spelled_length(&self, part: &str) -> usize {
        if self.naming.utf8 { part.len() } else { mutf7::encode(part).len() }
    }

    /// How many bytes a name takes up as it is stored, with its separators.
    pub(super) fn stored_length(&self, parts: &[String]) -> usize {
        parts.iter().map(|part| self.spelled_length(part).saturating_add(1)).sum::<usize>().saturating_sub(1)
    }

    pub(super) const fn longest_part(&self) -> usize {
        match self.naming.layout {
            Layout::MaildirPlusPlus => 254,
            Layout::Fs | Layout::Dbox => 255,
            Layout::Mbox => LONGEST_MBOX_PART,
        }
    }

    pub(super) const fn longest_name(&self) -> usize {
        match self.naming.layout {
            Layout::MaildirPlusPlus => 254,
            Layout::Fs | Layout::Dbox | Layout::Mbox => LONGEST_NESTED,
        }
    }

    pub(super) const fn most_levels(&self) -> usize {
        match self.naming.layout {
            Layout::MaildirPlusPlus => MailboxName::MOST_LEVELS,
            Layout::Fs | Layout::Dbox | Layout::Mbox => DEEPEST,
        }
    }

    /// The levels of a name, each made one that can be held.
    pub(super) fn repaired(&self, name: &MailboxName, alternative: AlternativeCharacter) -> Vec<String> {
        let parts = name.parts();
        let levels = parts.iter().enumerate().map(|(level, part)| {
            let above = parts.get(..=level).unwrap_or_default();
            let replaced = self.replaced(part, alternative);
            let fitted = self.fitted(&replaced, "", self.longest_part(), above, alternative);
            if self.holds_level(level, part, &fitted) {
                return fitted;
            }
            // Reserved as a whole, or by how it begins.
            let marked = format!("{}{fitted}", alternative.get());
            self.fitted(&marked, "", self.longest_part(), above, alternative)
        });
        levels.collect()
    }

    fn holds_level(&self, level: usize, original: &str, part: &str) -> bool {
        let name = if level == 0 { MailboxName::new([part]) } else { MailboxName::new(["a", part]) };
        let becomes_inbox = level == 0 && part != original && part.eq_ignore_ascii_case("INBOX");
        !becomes_inbox && name.is_some_and(|name| self.holds(&name))
    }

    fn replaced(&self, part: &str, alternative: AlternativeCharacter) -> String {
        let invalid = |character: char| match self.naming.layout {
            Layout::MaildirPlusPlus => matches!(character, '/' | '.'),
            Layout::Fs | Layout::Dbox => character == '/',
            Layout::Mbox => character == '/' || character.is_control(),
        };
        let replaced: String =
            part.chars().map(|character| if invalid(character) { alternative.get() } else { character }).collect();
        match replaced.strip_suffix(DOTLOCK_SUFFIX) {
            Some(rest) if self.naming.layout == Layout::Mbox => format!("{rest}{}lock", alternative.get()),
            _ => replaced,
        }
    }

    /// `part` with `suffix` behind it in at most `room` bytes. If it has to be cut, a hash of `whole` says what it was.
    pub(super) fn fitted(
        &self,
        part: &str,
        suffix: &str,
        room: usize,
        whole: &[String],
        alternative: AlternativeCharacter,
    ) -> String {
        let complete = format!("{part}{suffix}");
        if self.spelled_length(&complete) <= room {
            return complete;
        }
        let tail = format!("{}{}{suffix}", alternative.get(), short_hash(whole, 0));
        // No character takes up less than a byte.
        let mut kept: String = part.chars().take(room).collect();
        while !kept.is_empty() && self.spelled_length(&format!("{kept}{tail}")) > room {
            kept.pop();
        }
        kept + &tail
    }
}

/// Directories of Dovecot's that are no mailboxes.
fn is_trash(part: &str) -> bool {
    part.eq_ignore_ascii_case("..DOVECOT-TRASHED") || part == "..DOVECOT-TrasH"
}

/// Eight digits that differ for different names and numbers.
pub(super) fn short_hash(parts: &[String], number: u32) -> String {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(number.to_be_bytes());
    hash.finalize().iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(layout: Layout) -> NameRules {
        NameRules::of(Naming { layout, utf8: false }, "subscriptions")
    }

    #[track_caller]
    fn assert_becomes(rules: &NameRules, name: &str, expected: &str) {
        let name = MailboxName::parse(name, '/').unwrap();
        assert_eq!(rules.holds(&name), name.join('/') == expected, "{name}");
        assert_eq!(rules.repaired(&name, AlternativeCharacter::default()).join("/"), expected);
    }

    #[test]
    fn names_become_what_dovecot_makes_of_them() {
        for (name, expected) in [
            ("dot.name", "dot_name"),
            ("a..b", "a__b"),
            ("sub/x.y", "sub/x_y"),
            (".imap", "_imap"),
            ("..", "__"),
            ("~x", "_~x"),
            ("a/~y", "a/~y"),
            ("cur", "cur"),
        ] {
            assert_becomes(&rules(Layout::MaildirPlusPlus), name, expected);
        }
        for (name, expected) in [
            ("cur", "_cur"),
            ("a/cur", "a/_cur"),
            ("q/..", "q/_.."),
            ("~", "_~"),
            ("dovecot.index", "_dovecot.index"),
        ] {
            assert_becomes(&rules(Layout::Fs), name, expected);
        }
        for (name, expected) in [
            ("dbox-Mails", "_dbox-Mails"),
            ("a/dbox-Mails", "a/_dbox-Mails"),
            ("dot.name", "dot.name"),
            ("..DOVECOT-Trashed", "_..DOVECOT-Trashed"),
        ] {
            assert_becomes(&rules(Layout::Dbox), name, expected);
        }
    }

    #[test]
    fn an_mbox_has_names_of_its_own() {
        let mbox = NameRules::of(Naming { layout: Layout::Mbox, utf8: false }, ".subscriptions");
        for (name, expected) in [
            ("x.lock", "x_lock"),
            ("a/.lock/b", "a/_lock/b"),
            ("x.Lock", "x.Lock"),
            (".imap", "_.imap"),
            ("a/.imap", "a/_.imap"),
            (".subscriptions", "_.subscriptions"),
            ("a/.subscriptions", "a/.subscriptions"),
            ("dovecot-uidvalidity.1", "_dovecot-uidvalidity.1"),
            ("dovecot.list.index", "_dovecot.list.index"),
            ("dovecot.dsync-names", "_dovecot.dsync-names"),
            ("dovecot", "dovecot"),
            ("tab\there", "tab_here"),
            ("~", "_~"),
            ("..", "_.."),
            ("INBOX/sub", "INBOX/sub"),
        ] {
            assert_becomes(&mbox, name, expected);
        }
        let long = MailboxName::new(["x".repeat(251)]).unwrap();
        assert!(!mbox.holds(&long) && mbox.repaired(&long, AlternativeCharacter::default())[0].len() == 250);
    }

    #[test]
    fn what_is_too_long_is_cut_as_it_is_stored() {
        let name = MailboxName::new(["é".repeat(100), "é".repeat(101)]).unwrap();
        let levels = rules(Layout::Fs).repaired(&name, AlternativeCharacter::default());
        assert!(levels.iter().all(|level| (250..=255).contains(&mutf7::encode(level).len())), "{levels:?}");
        assert_ne!(levels[0], levels[1]);
        let utf8 = NameRules::of(Naming { layout: Layout::Fs, utf8: true }, "subscriptions");
        assert!(utf8.holds(&name));
    }
}
