//! Which columns the rows of a side have, and in which order.

use super::{ItemKind, WireError, limits};

/// The columns of every item that a side sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layouts {
    /// By [`ItemKind::index`]; `None` until a header has come.
    columns: [Option<Vec<Vec<u8>>>; ItemKind::COUNT],
}

impl Layouts {
    /// What this program sends: the columns of Dovecot 2.3 in its order, and behind them what only this program knows.
    #[must_use]
    pub fn standard() -> Self {
        let mut layouts = Self::unknown();
        for kind in ItemKind::ALL {
            let columns = kind.columns().iter().map(|column| column.name.as_bytes().to_vec());
            if let Some(place) = layouts.columns.get_mut(kind.index()) {
                *place = Some(columns.collect());
            }
        }
        layouts
    }

    /// Of a side that has not said anything yet.
    #[must_use]
    pub(super) fn unknown() -> Self {
        Self { columns: Default::default() }
    }

    /// Takes a line of a peer's headers. Items that nobody knows are no error.
    pub(super) fn add_header(&mut self, line: &[u8]) -> Result<(), WireError> {
        let Some((character, names)) = line.split_first() else { return Err(WireError::Headers("an empty line")) };
        let names: Vec<_> = names.split(|byte| *byte == b'\t').map(super::value::unescape).collect();
        if names.len() > limits::COLUMNS {
            return Err(WireError::Headers("too many columns"));
        }
        if let Some(kind) = ItemKind::of(*character)
            && let Some(place) = self.columns.get_mut(kind.index())
        {
            *place = Some(names);
        }
        Ok(())
    }

    /// Whether everything is there that a peer of a minor version must have said.
    pub(super) fn check(&self, minor_version: u32) -> Result<(), WireError> {
        for kind in ItemKind::ALL.into_iter().filter(|kind| minor_version >= kind.since()) {
            let Some(columns) = self.columns(kind) else { return Err(WireError::NoHeader(kind)) };
            let missing = kind.columns().iter().find(|column| {
                column.required && !columns.iter().any(|name| name.as_slice() == column.name.as_bytes())
            });
            if let Some(column) = missing {
                return Err(WireError::NoColumn { item: kind, column: column.name });
            }
        }
        Ok(())
    }

    /// The columns of an item.
    pub(super) fn columns(&self, kind: ItemKind) -> Option<&[Vec<u8>]> {
        self.columns.get(kind.index())?.as_deref()
    }

    /// The lines of the headers.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for kind in ItemKind::ALL {
            let Some(columns) = self.columns(kind) else { continue };
            out.push(kind.character());
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b'\t');
                }
                super::value::escape(column, out);
            }
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_by_name_and_checked() {
        let mut text = Vec::new();
        Layouts::standard().write(&mut text);
        let mut layouts = Layouts::unknown();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            layouts.add_header(line.strip_suffix(b"\n").unwrap()).unwrap();
        }
        layouts.add_header(b"Zwhatever\tnobody knows").unwrap();
        assert_eq!(layouts, Layouts::standard());
        layouts.check(5).unwrap();
        layouts.add_header(b"Rguid").unwrap();
        let missing = WireError::NoColumn { item: ItemKind::MailRequest, column: "uid" };
        assert_eq!(layouts.check(5), Err(missing));
    }

    #[test]
    fn old_peers_need_not_know_of_what_is_new() {
        let mut layouts = Layouts::standard();
        layouts.columns[ItemKind::Finish.index()] = None;
        assert_eq!(layouts.check(3), Err(WireError::NoHeader(ItemKind::Finish)));
        layouts.check(2).unwrap();
    }
}
