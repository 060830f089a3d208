//! The lines of a configuration file: comments, quotes, continuation, and what a line says.

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// `name = value`
    Assign { name: String, value: Text },
    /// `kind {` or `kind name {`
    Open { kind: String, name: Option<String> },
    /// `}`
    Close,
    /// `!include pattern` or `!include_try pattern`
    Include { pattern: String, required: bool },
}

/// A value, and whether it was in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Plain(String),
    Quoted(String),
}

/// The lines of a file that say something, with the number of each: without comments, and joined where the last
/// character is a backslash.
pub(super) fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut joins = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_ascii_start();
        let line = without_comment(line).trim_ascii_end();
        let continued = line.strip_suffix('\\');
        let part = continued.unwrap_or(line);
        match lines.last_mut().filter(|_| joins) {
            Some((_, before)) => {
                before.push(' ');
                before.push_str(part);
            }
            None if line.is_empty() => {}
            None => lines.push((number + 1, part.to_owned())),
        }
        joins = continued.is_some();
    }
    lines
}

/// The line up to the first `#` that is not in quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (position, byte) in line.bytes().enumerate() {
        match (byte, quote) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'#', None) => return line.get(..position).unwrap_or(line),
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => {}
        }
    }
    line
}

impl Statement {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim_ascii();
        for (word, required) in [("!include", true), ("!include_try", false)] {
            match line.strip_prefix(word) {
                Some(rest) if rest.starts_with([' ', '\t']) => {
                    let pattern = Text::parse(rest.trim_ascii()).into_string();
                    return Ok(Self::Include { pattern, required });
                }
                _ => {}
            }
        }
        if line == "}" {
            return Ok(Self::Close);
        }
        let end = line.find([' ', '\t', '=', '{']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if name.is_empty() {
            return Err(format!("{line:?} has no name"));
        }
        let rest = rest.trim_ascii();
        if let Some(value) = rest.strip_prefix('=') {
            return Ok(Self::Assign { name: name.to_owned(), value: Text::parse(value.trim_ascii()) });
        }
        match rest.strip_suffix('{') {
            Some(section) => {
                let section = section.trim_ascii();
                let section = (!section.is_empty()).then(|| Text::parse(section).into_string());
                Ok(Self::Open { kind: name.to_owned(), name: section })
            }
            None if rest.contains('{') => {
                Err("there is something behind \"{\": a section begins on a line of its own".to_owned())
            }
            None => Err(format!("{line:?} is neither a setting (name = value) nor a section (name {{)")),
        }
    }
}

impl Text {
    /// Takes away quotes, and in them the backslash before a character.
    pub(super) fn parse(text: &str) -> Self {
        let inner = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
        let Some(inner) = inner else { return Self::Plain(text.to_owned()) };
        let mut plain = String::with_capacity(inner.len());
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            plain.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
        }
        Self::Quoted(plain)
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Plain(text) | Self::Quoted(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_end_lines_unless_they_are_quoted() {
        let text = "# all\n  a = 1 # one\n\nb = \"x # y\" # z\nc = 'q\\'#'\nd = e#f\nlong = a \\\n  b \\ # no\n c\n";
        let expected = [(2, "a = 1"), (4, "b = \"x # y\""), (5, "c = 'q\\'#'"), (6, "d = e"), (7, "long = a  b  c")];
        assert_eq!(lines(text), expected.map(|(number, line)| (number, line.to_owned())));
    }

    #[test]
    fn statements_are_told_apart() {
        let plain = |name: &str, value: &str| Statement::Assign {
            name: name.to_owned(),
            value: Text::Plain(value.to_owned()),
        };
        let open =
            |kind: &str, name: Option<&str>| Statement::Open { kind: kind.to_owned(), name: name.map(str::to_owned) };
        for (line, expected) in [
            ("a=b", plain("a", "b")),
            ("a = b = c {", plain("a", "b = c {")),
            ("a =", plain("a", "")),
            (
                "a = '\"x\\'y\"'",
                Statement::Assign { name: "a".to_owned(), value: Text::Quoted("\"x'y\"".to_owned()) },
            ),
            ("namespace {", open("namespace", None)),
            ("namespace{", open("namespace", None)),
            ("protocol !imap {", open("protocol", Some("!imap"))),
            ("mailbox \"Sent \\\"Mail\\\"\" {", open("mailbox", Some("Sent \"Mail\""))),
            ("}", Statement::Close),
            ("!include  conf.d/*.conf", Statement::Include { pattern: "conf.d/*.conf".to_owned(), required: true }),
            ("!include_try x", Statement::Include { pattern: "x".to_owned(), required: false }),
        ] {
            assert_eq!(Statement::parse(line), Ok(expected), "{line}");
        }
        for line in ["a", "a b", "= b", "a { b = c }", "{", "!include", "} x"] {
            assert!(Statement::parse(line).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "(a|=|[{}\"'#\\\\ \n]|!include|.){0,40}") {
            for (_, line) in lines(&text) {
                let _ = Statement::parse(&line);
            }
        }
    }
}
