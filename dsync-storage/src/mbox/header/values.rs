//! The values of headers that come in pieces of any size.

use super::{ImapBase, LONGEST_LIST, LONGEST_NAME};

/// Digits, then blanks: no blanks before them but the one behind the colon.
#[derive(Debug, Default)]
pub(super) struct Number {
    wrapping: u32,
    saturating: u64,
    behind_digits: bool,
    broken: bool,
}

impl Number {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if byte.is_ascii_digit() && !self.behind_digits {
                let digit = byte - b'0';
                self.wrapping = self.wrapping.wrapping_mul(10).wrapping_add(u32::from(digit));
                self.saturating = self.saturating.saturating_mul(10).saturating_add(u64::from(digit));
            } else {
                self.behind_digits = true;
                self.broken |= !is_space(byte);
            }
        }
    }

    /// As Dovecot computes a UID.
    pub(super) fn wrapping(&self) -> Option<u32> {
        (!self.broken).then_some(self.wrapping)
    }

    pub(super) fn saturating(&self) -> Option<u64> {
        (!self.broken).then_some(self.saturating)
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// Words between blanks. One that is too long is cut.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<Vec<u8>>,
    word: Vec<u8>,
    length: usize,
}

impl Words {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !is_space(byte) {
                if self.word.len() < LONGEST_NAME && self.length < LONGEST_LIST {
                    self.word.push(*byte);
                    self.length += 1;
                }
            } else if !self.word.is_empty() {
                self.words.push(std::mem::take(&mut self.word));
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        self.feed(b" ");
        self.words
    }
}

#[derive(Debug, Default)]
pub(super) struct BaseValue {
    part: BasePart,
    uid_validity: u32,
    last_uid: u32,
    digits: u32,
    digits_at: u64,
    keywords: Words,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BasePart {
    #[default]
    UidValidity,
    LastUid,
    Keywords,
    Broken,
}

impl BaseValue {
    pub(super) fn feed(&mut self, offset: u64, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(offset..) {
            let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
            match (self.part, digit) {
                (BasePart::UidValidity, Some(digit)) => {
                    self.uid_validity = self.uid_validity.wrapping_mul(10).wrapping_add(digit);
                }
                // A tab does not do.
                (BasePart::UidValidity, None) if *byte == b' ' => self.part = BasePart::LastUid,
                (BasePart::LastUid, Some(digit)) => {
                    if self.digits == 0 {
                        self.digits_at = at;
                    }
                    self.digits += 1;
                    self.last_uid = self.last_uid.wrapping_mul(10).wrapping_add(digit);
                }
                (BasePart::LastUid, None) if is_space(byte) => {
                    if self.digits > 0 {
                        self.part = BasePart::Keywords;
                    }
                }
                (BasePart::UidValidity | BasePart::LastUid, None) => self.part = BasePart::Broken,
                (BasePart::Keywords, _) => self.keywords.feed(std::slice::from_ref(byte)),
                (BasePart::Broken, _) => {}
            }
        }
    }

    pub(super) fn finish(self, is_pseudo: bool) -> Option<ImapBase> {
        (self.part != BasePart::Broken && self.uid_validity != 0).then(|| ImapBase {
            uid_validity: self.uid_validity,
            last_uid: self.last_uid,
            last_uid_digits: (self.digits == 10).then_some(self.digits_at),
            keywords: self.keywords.finish(),
            is_pseudo,
        })
    }
}
