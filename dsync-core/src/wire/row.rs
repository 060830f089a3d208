//! The values of one row, by the names of their columns.

use super::value::{self, shown};
use super::{ItemKind, Layouts, WireError};
use crate::model::{MailboxGuid, MessageGuid};

/// The values of a row that was received.
pub(super) struct Fields<'a> {
    item: ItemKind,
    columns: &'a [Vec<u8>],
    values: Vec<Option<Vec<u8>>>,
}

impl<'a> Fields<'a> {
    /// Reads a row without its character and its end.
    pub(super) fn parse(item: ItemKind, layouts: &'a Layouts, line: &[u8]) -> Result<Self, WireError> {
        let columns = layouts.columns(item).ok_or(WireError::NoHeader(item))?;
        let mut values = Vec::with_capacity(columns.len());
        // A row without any value and one whose only value is empty look the same; servers take it for the former.
        if !line.is_empty() {
            for field in line.split(|byte| *byte == b'\t') {
                if values.len() == columns.len() {
                    return Err(WireError::TooManyValues(item));
                }
                values.push(value::decode(field));
            }
        }
        Ok(Self { item, columns, values })
    }

    /// The value of a column, if it is there.
    pub(super) fn get(&self, column: &str) -> Option<&[u8]> {
        let place = self.columns.iter().position(|name| name.as_slice() == column.as_bytes())?;
        self.values.get(place)?.as_deref()
    }

    pub(super) fn required(&self, column: &'static str) -> Result<&[u8], WireError> {
        self.get(column).ok_or(WireError::Missing { item: self.item, column })
    }

    /// Whether there is a value; what it is does not matter.
    pub(super) fn is_set(&self, column: &str) -> bool {
        self.get(column).is_some()
    }

    pub(super) fn bytes(&self, column: &str) -> Option<Vec<u8>> {
        self.get(column).map(<[u8]>::to_vec)
    }

    /// A decimal number.
    pub(super) fn number<T: TryFrom<u64>>(&self, column: &'static str) -> Result<Option<T>, WireError> {
        self.get(column).map(|text| decimal(text).ok_or_else(|| self.invalid(column, text))).transpose()
    }

    /// A decimal number that must be there.
    pub(super) fn required_number<T: TryFrom<u64>>(&self, column: &'static str) -> Result<T, WireError> {
        let text = self.required(column)?;
        decimal(text).ok_or_else(|| self.invalid(column, text))
    }

    /// A hexadecimal number.
    pub(super) fn hex<T: TryFrom<u64>>(&self, column: &'static str) -> Result<Option<T>, WireError> {
        self.get(column).map(|text| hexadecimal(text).ok_or_else(|| self.invalid(column, text))).transpose()
    }

    pub(super) fn mailbox_guid(&self, column: &'static str) -> Result<Option<MailboxGuid>, WireError> {
        let read = |text| MailboxGuid::from_hex(text).ok_or_else(|| self.invalid(column, text));
        self.get(column).map(read).transpose()
    }

    pub(super) fn required_mailbox_guid(&self, column: &'static str) -> Result<MailboxGuid, WireError> {
        self.mailbox_guid(column)?.ok_or(WireError::Missing { item: self.item, column })
    }

    /// The GUID of a message; an empty value is none.
    pub(super) fn message_guid(&self, column: &'static str) -> Result<Option<MessageGuid>, WireError> {
        let text = self.get(column).filter(|text| !text.is_empty());
        text.map(|text| MessageGuid::new(text).ok_or_else(|| self.invalid(column, text))).transpose()
    }

    /// The value is none that this column can have.
    pub(super) fn invalid(&self, column: &'static str, value: &[u8]) -> WireError {
        WireError::Invalid { item: self.item, column, value: shown(value) }
    }

    pub(super) fn too_many(&self, column: &'static str, limit: usize) -> WireError {
        WireError::TooMany { item: self.item, column, limit }
    }

    /// The elements of a list within a value.
    pub(super) fn list(&self, column: &'static str, limit: usize) -> Result<Option<Vec<Vec<u8>>>, WireError> {
        let Some(value) = self.get(column) else { return Ok(None) };
        let mut elements: Vec<_> = value::split_list(value).take(limit.saturating_add(1)).collect();
        // It would be written as a list of nothing, so it is one.
        if elements == [b""] {
            elements.clear();
        }
        if elements.len() > limit { Err(self.too_many(column, limit)) } else { Ok(Some(elements)) }
    }
}

/// The values of a row that is about to be sent.
pub(super) struct RowWriter<'a> {
    columns: &'a [Vec<u8>],
    values: Vec<Option<Vec<u8>>>,
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(columns: &'a [Vec<u8>]) -> Self {
        Self { columns, values: vec![None; columns.len()] }
    }

    /// Sets a column. What has none in this layout is not said.
    pub(super) fn set(&mut self, column: &str, value: impl Into<Vec<u8>>) {
        let place = self.columns.iter().position(|name| name.as_slice() == column.as_bytes());
        if let Some(place) = place.and_then(|place| self.values.get_mut(place)) {
            *place = Some(value.into());
        }
    }

    pub(super) fn set_if_some(&mut self, column: &str, value: Option<impl Into<Vec<u8>>>) {
        if let Some(value) = value {
            self.set(column, value);
        }
    }

    pub(super) fn set_flag(&mut self, column: &str, is_set: bool) {
        if is_set {
            self.set(column, "");
        }
    }

    pub(super) fn set_number(&mut self, column: &str, number: impl Into<u64>) {
        self.set(column, number.into().to_string());
    }

    /// 0 is not said.
    pub(super) fn set_positive(&mut self, column: &str, number: impl Into<u64>) {
        let number = number.into();
        if number > 0 {
            self.set(column, number.to_string());
        }
    }

    /// 0 is not said.
    pub(super) fn set_positive_hex(&mut self, column: &str, number: impl Into<u64>) {
        let number = number.into();
        if number > 0 {
            self.set(column, format!("{number:x}"));
        }
    }

    /// The row without its character and its end.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        let end = self.values.iter().rposition(Option::is_some).map_or(0, |last| last.saturating_add(1));
        for (index, value) in self.values.iter().take(end).enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            value::encode(value.as_deref(), out);
        }
    }
}

/// A decimal number without sign.
pub(super) fn decimal<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok().and_then(|number: u64| number.try_into().ok())
}

/// A hexadecimal number without sign or prefix.
fn hexadecimal<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    u64::from_str_radix(text, 16).ok().and_then(|number| number.try_into().ok())
}

/// 16 bytes as 32 hexadecimal digits.
pub(super) fn hex_digits(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 32 hexadecimal digits as 16 bytes.
pub(super) fn from_hex_digits(text: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if text.len() != 32 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hexadecimal(digits)?;
    }
    Some(bytes)
}
