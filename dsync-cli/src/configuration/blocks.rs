//! From nested sections to the flat list that [`Settings`](super::settings::Settings) are.

use std::collections::BTreeMap;

use super::settings::Dialect;

/// As what a synchronisation is known to the configuration.
const SERVICE: &str = "doveadm";

/// Sections inside each other are no deeper.
const DEEPEST: usize = 32;
/// There are no more sections.
const MOST: usize = 2_000;

/// A configuration while it is read.
#[derive(Debug)]
pub(super) struct Blocks {
    dialect: Dialect,
    open: Vec<Block>,
    sections: usize,
    /// Outside of sections for certain programs.
    plain: BTreeMap<String, String>,
    /// Inside of one for this program: they win wherever they are written.
    filtered: BTreeMap<String, String>,
}

/// A section.
#[derive(Clone, Debug)]
struct Block {
    kind: String,
    /// What comes before the names of settings in it.
    prefix: String,
    filtered: bool,
    /// It is for other programs or other clients.
    skipped: bool,
}

impl Blocks {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, open: Vec::new(), sections: 0, plain: BTreeMap::new(), filtered: BTreeMap::new() }
    }

    /// A file says only in its first setting which dialect it has.
    pub(super) fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a section.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(&mut self, kind: &str, name: Option<&str>) -> Result<(), String> {
        self.sections += 1;
        if self.open.len() >= DEEPEST || self.sections > MOST {
            return Err("there are too many sections, or they are nested too deeply".to_owned());
        }
        let outer = self.open.last().cloned();
        let mut block =
            outer.unwrap_or(Block { kind: String::new(), prefix: String::new(), filtered: false, skipped: false });
        block.kind = kind.to_owned();
        match (kind, name) {
            ("protocol", Some(name)) => {
                block.filtered = true;
                block.skipped |= match name.strip_prefix('!') {
                    Some(other) => other == SERVICE,
                    None => name != SERVICE,
                };
            }
            ("local" | "local_name" | "remote", _) => block.skipped = true,
            (_, None) if self.is_map(kind) => block.prefix = format!("{}{kind}/", block.prefix),
            _ if block.skipped => {}
            _ => {
                let id = self.member(&format!("{}{kind}", block.prefix), name);
                block.prefix = format!("{}{kind}/{id}/", block.prefix);
                if let Some(name) = name {
                    self.plain.insert(format!("{}name", block.prefix), name.to_owned());
                }
            }
        }
        self.open.push(block);
        Ok(())
    }

    /// Ends a section.
    ///
    /// # Errors
    /// If none is open.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.open.pop().map(drop).ok_or_else(|| "there is a \"}\" too many".to_owned())
    }

    /// How many sections are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Sets a setting of the section.
    pub(super) fn assign(&mut self, name: &str, value: String) {
        let Some(block) = self.open.last() else {
            self.plain.insert(name.to_owned(), value);
            return;
        };
        if block.skipped {
            return;
        }
        let since24 = self.dialect == Dialect::Since24;
        // Since 2.4 a setting may have the name of its section in front, and is then the same outside of it.
        let short = name.strip_prefix(&*block.kind).and_then(|rest| rest.strip_prefix('_')).filter(|_| since24);
        let name = short.unwrap_or(name);
        let alias = block.prefix.strip_suffix('/').filter(|outer| since24 && **outer == block.kind);
        let alias = alias.map(|outer| format!("{outer}_{name}"));
        let full = format!("{}{name}", block.prefix);
        let settings = if block.filtered { &mut self.filtered } else { &mut self.plain };
        if let Some(alias) = alias {
            settings.insert(alias, value.clone());
        }
        settings.insert(full, value);
    }

    /// What a setting is so far: in this section, else outside of all.
    pub(super) fn current(&self, name: &str) -> Option<&str> {
        let prefix = self.open.last().map_or("", |block| &block.prefix);
        let filtered = self.open.last().is_some_and(|block| block.filtered);
        [format!("{prefix}{name}"), name.to_owned()].iter().find_map(|name| {
            let inside = if filtered { self.filtered.get(name) } else { None };
            inside.or(self.plain.get(name)).map(String::as_str)
        })
    }

    /// All settings.
    pub(super) fn finish(self) -> BTreeMap<String, String> {
        let Self { mut plain, filtered, .. } = self;
        plain.extend(filtered);
        plain
    }

    /// Whether a section without a name holds settings of any name, instead of being one of a list.
    fn is_map(&self, kind: &str) -> bool {
        self.dialect == Dialect::Since24 || matches!(kind, "plugin" | "dict")
    }

    /// The id of a section in the list of its kind; a new one if it has no name or was not there yet.
    fn member(&mut self, list: &str, name: Option<&str>) -> String {
        let members = self.plain.entry(list.to_owned()).or_default();
        let id = match name {
            Some(name) => escaped(name),
            None => members.split_ascii_whitespace().count().to_string(),
        };
        let known = members.split_ascii_whitespace().any(|member| member == id);
        if !known {
            if !members.is_empty() {
                members.push(' ');
            }
            members.push_str(&id);
        }
        id
    }
}

/// A name as an id in a list of sections.
fn escaped(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '=' => id.push_str("\\e"),
            '/' => id.push_str("\\s"),
            '\\' => id.push_str("\\\\"),
            ' ' => id.push_str("\\_"),
            ',' => id.push_str("\\+"),
            other => id.push(other),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_become_lists() {
        let mut blocks = Blocks::new(Dialect::Before24);
        for name in [Some("inbox"), None, Some("inbox"), None] {
            blocks.open("namespace", name).unwrap();
            blocks.assign("prefix", format!("{name:?}"));
            blocks.open("mailbox", Some("Sent Mail/a")).unwrap();
            blocks.assign("special_use", "\\Sent".to_owned());
            blocks.close().unwrap();
            blocks.close().unwrap();
        }
        blocks.open("plugin", None).unwrap();
        blocks.assign("zlib_save", "gz".to_owned());
        blocks.close().unwrap();
        assert!(blocks.close().is_err());
        let settings = blocks.finish();
        assert_eq!(settings["namespace"], "inbox 1 2");
        assert_eq!(settings["namespace/inbox/name"], "inbox");
        assert_eq!(settings["namespace/1/prefix"], "None");
        assert_eq!(settings["namespace/2/mailbox/Sent\\_Mail\\sa/special_use"], "\\Sent");
        assert_eq!(settings["plugin/zlib_save"], "gz");
    }

    #[test]
    fn what_is_for_this_program_wins() {
        let mut blocks = Blocks::new(Dialect::Before24);
        for (kind, name, value) in [
            ("protocol", "doveadm", "a"),
            ("protocol", "imap", "b"),
            ("protocol", "!doveadm", "c"),
            ("remote", "::1", "d"),
        ] {
            blocks.open(kind, Some(name)).unwrap();
            blocks.assign("x", value.to_owned());
            blocks.open("namespace", Some(value)).unwrap();
            blocks.assign("prefix", value.to_owned());
            blocks.close().unwrap();
            blocks.close().unwrap();
        }
        blocks.assign("x", "z".to_owned());
        assert_eq!(blocks.current("x"), Some("z"));
        let settings = blocks.finish();
        assert_eq!(
            (&*settings["x"], &*settings["namespace"], settings.contains_key("namespace/b/prefix")),
            ("a", "a", false)
        );
    }

    #[test]
    fn names_of_sections_may_be_repeated_since_24() {
        let mut blocks = Blocks::new(Dialect::Since24);
        blocks.assign("mail_ext_attachment_path", String::new());
        for (kind, name, setting) in [
            ("mail_ext_attachment", None, "path"),
            ("namespace", Some("inbox"), "namespace_prefix"),
            ("mail_plugins", None, "zlib"),
            ("mdbox", None, "mail_path"),
            ("mdbox", None, "mdbox_rotate_size"),
        ] {
            blocks.open(kind, name).unwrap();
            blocks.assign(setting, "x".to_owned());
            blocks.close().unwrap();
        }
        let settings = blocks.finish();
        for name in [
            "mail_ext_attachment_path",
            "namespace/inbox/prefix",
            "mail_plugins/zlib",
            "mdbox/mail_path",
            "mdbox_rotate_size",
        ] {
            assert_eq!(settings.get(name).map(String::as_str), Some("x"), "{name}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let mut blocks = Blocks::new(Dialect::Before24);
        assert!((0..100).any(|_| blocks.open("a", Some("b")).is_err()));
        let mut blocks = Blocks::new(Dialect::Before24);
        assert!((0..10_000).any(|_| blocks.open("a", None).and_then(|()| blocks.close()).is_err()));
    }
}
