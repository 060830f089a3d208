//! Reading a configuration file of Dovecot where `doveconf` is not there to do it.
//!
//! Unlike `doveconf` it does not know which settings there are: what nobody asks for is ignored.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::blocks::Blocks;
use super::settings::{Dialect, Settings};
use super::source::Environment;
use super::statement::{self, Statement, Text};

/// No file, and not all of them together, are longer.
const LONGEST: usize = 4 << 20;
/// Files include others no more deeply.
const DEEPEST: usize = 16;
/// No value grows beyond this by references to others.
const LONGEST_VALUE: usize = 64 << 10;

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// It cannot be opened.
    #[error("{path} cannot be read: {error}; check the path and its permissions", path = .path.display())]
    Open { path: PathBuf, error: std::io::Error },
    /// A line is not understood.
    #[error("{path}, line {line}: {problem}", path = .path.display())]
    Line { path: PathBuf, line: usize, problem: String },
}

/// The settings in a file and in those that it includes.
pub(crate) fn read(path: &Path, environment: &Environment) -> Result<Settings, ReadError> {
    let mut reader =
        Reader { blocks: Blocks::new(Dialect::Before24), environment, files: Vec::new(), left: LONGEST, first: true };
    reader.file(path)?;
    Ok(Settings::new(reader.blocks.dialect(), reader.blocks.finish()))
}

struct Reader<'a> {
    blocks: Blocks,
    environment: &'a Environment,
    /// Those that are being read, the innermost last.
    files: Vec<PathBuf>,
    /// How many bytes may still come.
    left: usize,
    /// No setting was read yet.
    first: bool,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path) -> Result<(), ReadError> {
        let text = self.contents(path).map_err(|error| ReadError::Open { path: path.to_owned(), error })?;
        let depth = self.blocks.depth();
        self.files.push(path.to_owned());
        let mut last = 0;
        for (line, text) in statement::lines(&text) {
            last = line;
            let wrong = |problem| ReadError::Line { path: path.to_owned(), line, problem };
            match Statement::parse(&text).map_err(wrong)? {
                Statement::Assign { name, value } => self.assign(&name, value).map_err(wrong)?,
                Statement::Open { kind, name } => self.blocks.open(&kind, name.as_deref()).map_err(wrong)?,
                Statement::Close if self.blocks.depth() == depth => {
                    return Err(wrong("there is a \"}\" too many".to_owned()));
                }
                Statement::Close => self.blocks.close().map_err(wrong)?,
                Statement::Include { pattern, required } => {
                    let paths = included(path, &pattern).map_err(wrong)?;
                    if paths.is_empty() && required {
                        return Err(wrong(format!("no file matches {pattern:?}")));
                    }
                    for path in paths {
                        if self.files.contains(&path) || self.files.len() >= DEEPEST {
                            return Err(wrong(format!("{} is included by itself, or too deeply", path.display())));
                        }
                        self.file(&path)?;
                    }
                }
            }
        }
        if self.blocks.depth() != depth {
            let problem = "a section is not closed".to_owned();
            return Err(ReadError::Line { path: path.to_owned(), line: last, problem });
        }
        self.files.pop();
        Ok(())
    }

    fn contents(&mut self, path: &Path) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(self.left).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the configuration is longer than 4 MiB")
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn assign(&mut self, name: &str, value: Text) -> Result<(), String> {
        if std::mem::take(&mut self.first) && name == "dovecot_config_version" {
            self.blocks.set_dialect(Dialect::Since24);
        }
        let value = match value {
            Text::Quoted(value) => value,
            Text::Plain(value) => self.resolved(&value)?,
        };
        self.blocks.assign(name, value);
        Ok(())
    }

    /// The value with references to others replaced: words that begin with `$`. What is not known stays.
    fn resolved(&self, value: &str) -> Result<String, String> {
        let mut resolved = String::new();
        for word in value.split_inclusive([' ', '\t']) {
            let name = word.trim_ascii_end();
            let referred = match (self.blocks.dialect(), name.strip_prefix('$')) {
                (_, None) => None,
                (_, Some(name)) if name.starts_with("ENV:") => {
                    Some(self.environment.variable(name.trim_start_matches("ENV:")).unwrap_or_default())
                }
                (Dialect::Before24, Some(name)) => self.blocks.current(name),
                (Dialect::Since24, Some(name)) => {
                    name.strip_prefix("SET:").and_then(|name| self.blocks.current(name))
                }
            };
            match referred {
                Some(text) => resolved.extend([text, word.get(name.len()..).unwrap_or_default()]),
                None => resolved.push_str(word),
            }
            if resolved.len() > LONGEST_VALUE {
                return Err("the value is too long".to_owned());
            }
        }
        Ok(resolved)
    }
}

/// The files that a pattern means, seen from the file that includes them, in sorted order.
fn included(from: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let directory = from.parent().unwrap_or(Path::new(""));
    let directory = glob::Pattern::escape(&directory.to_string_lossy());
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut paths = Vec::new();
    for pattern in without_braces(pattern)? {
        let pattern = if pattern.starts_with('/') { pattern } else { format!("{directory}/{pattern}") };
        let pattern = if pattern.starts_with('/') { pattern } else { format!("./{pattern}") };
        let found =
            glob::glob_with(&pattern, options).map_err(|error| format!("{pattern:?} is no pattern: {error}"))?;
        for path in found {
            paths.push(path.map_err(|error| error.to_string())?);
        }
    }
    paths.retain(|path| !path.is_dir());
    paths.sort();
    Ok(paths)
}

/// The patterns that one with `{a,b}` stands for.
fn without_braces(pattern: &str) -> Result<Vec<String>, String> {
    const MOST: usize = 100;
    let mut done = Vec::new();
    let mut waiting = vec![pattern.to_owned()];
    while let Some(pattern) = waiting.pop() {
        let parts = pattern.split_once('}').and_then(|(left, after)| Some((left.rsplit_once('{')?, after)));
        match parts {
            None => done.push(pattern),
            Some(((before, choices), after)) => {
                waiting.extend(choices.split(',').rev().map(|choice| format!("{before}{choice}{after}")));
            }
        }
        if done.len().saturating_add(waiting.len()) > MOST {
            return Err(format!("the pattern has more than {MOST} alternatives"));
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use proptest::prelude::*;

    use super::super::settings::Value;
    use super::*;

    fn read_all(files: &[(&str, &str)]) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let variables = BTreeMap::from([("X".to_owned(), "from outside".to_owned())]);
        let environment = Environment { variables, program_directories: Vec::new(), configuration_files: Vec::new() };
        read(&directory.path().join(files[0].0), &environment).map_err(|error| error.to_string())
    }

    fn value(settings: &Settings, name: &str) -> Option<String> {
        settings.get(name).map(Value::text).map(str::to_owned)
    }

    #[test]
    fn files_are_read_as_doveconf_reads_them() {
        let settings = read_all(&[
            (
                "dovecot.conf",
                "!include conf.d/{10,20}-*.conf\n!include_try none/*.conf\nmail_plugins = $mail_plugins quota\n\
                 protocol imap {\n  mail_plugins = $mail_plugins imap_quota\n}\nprotocol !imap {\n  mail_plugins = $mail_plugins acl\n}\n\
                 key = $ENV:X x$mail_plugins $unknown '$mail_plugins'\nquoted = '$mail_plugins # all'\nssl_key = <key.pem\n",
            ),
            ("conf.d/20-b.conf", "mail_location = mdbox:~/b\nnamespace inbox {\n  separator = /\n}\n"),
            ("conf.d/10-a.conf", "mail_location = maildir:~/a\nmail_plugins = zlib\nnamespace inbox {\n  inbox = yes\n}\n"),
            ("conf.d/10-dir.conf/x", ""),
        ])
        .unwrap();
        assert_eq!(settings.dialect(), Dialect::Before24);
        for (name, expected) in [
            ("mail_location", "mdbox:~/b"),
            ("mail_plugins", "zlib quota acl"),
            ("key", "from outside x$mail_plugins $unknown '$mail_plugins'"),
            ("quoted", "$mail_plugins # all"),
            ("ssl_key", "<key.pem"),
            ("namespace", "inbox"),
            ("namespace/inbox/inbox", "yes"),
            ("namespace/inbox/separator", "/"),
        ] {
            assert_eq!(value(&settings, name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn doveconf_reads_the_same() {
        let text = "mail_location = maildir:~/Maildir:INDEX=/i#x\nmail_plugins = zlib\nprotocol imap {\n  mail_plugins = $mail_plugins \
                    imap_zlib\n}\nprotocol !imap {\n  mail_plugins = $mail_plugins acl\n  plugin {\n    quota = count:x\n  }\n}\n\
                    protocol doveadm {\n  mail_fsync = always\n}\nmail_fsync = never\nmail_home=\"/h/#%u \\\"q\\\" $mail_plugins\" # c\n\
                    postmaster_address = 'a\\'b@x'\nmail_attachment_fs =   sis \\\n  posix\nnamespace inbox {\n  inbox = yes\n  mailbox \
                    \"Sent Mail/x=y, z\" {\n    special_use = \\Sent\n  }\n}\nnamespace {\n  prefix = old/\n  hidden=yes\n}\nnamespace \
                    inbox {\n  separator = /\n}\nplugin {\n  quota_rule = *:storage=1G\n}\nlocal 10.0.0.0/8 {\n  \
                    mail_max_userip_connections = 3\n}\nremote 10.0.0.1 {\n  protocol doveadm {\n    mail_debug = yes\n  }\n}\n\
                    userdb {\n  driver = passwd-file\n  args = username_format=%n /etc/%d\n}\nuserdb {\n  driver = static\n  args = \
                    uid=5000 home=/x\n}\nservice auth {\n  unix_listener auth-userdb {\n    mode = 0600\n  }\n}\n";
        let directory = tempfile::tempdir().unwrap();
        let ours = directory.path().join("dovecot.conf");
        fs::write(&ours, text).unwrap();
        let usual = Path::new("/etc/dovecot/dovecot.conf");
        for path in [&*ours, usual].into_iter().filter(|path| path.exists()) {
            let environment = Environment::of_process();
            let doveconf = Path::new("/usr/bin/doveconf");
            let (expected, _) = super::super::doveconf::read(doveconf, Some(path), &environment).unwrap();
            let read = read(path, &environment).unwrap();
            let mut compared = 0;
            for (name, value) in read.all() {
                if let Some(expected) = expected.get(name).map(Value::text) {
                    // It prints numbers with a blank before their unit.
                    assert_eq!(value.replace(' ', ""), expected.replace(' ', ""), "{name} in {}", path.display());
                    compared += 1;
                }
            }
            assert!(compared > 5, "{}", path.display());
            let written: Vec<_> =
                expected.all().map(|(name, _)| name).filter(|name| name.starts_with("userdb/")).collect();
            assert!(written.iter().any(|name| name.ends_with("/driver")));
        }
    }

    #[test]
    fn the_first_setting_says_which_dialect_it_is() {
        let text = "dovecot_config_version = 2.4.1\nmail_plugins {\n  zlib = yes\n}\nmail_path = /x/$SET:mail_path\na = y\nb = $SET:a z\n";
        let settings = read_all(&[("a", text)]).unwrap();
        assert_eq!(settings.dialect(), Dialect::Since24);
        assert_eq!(value(&settings, "mail_plugins/zlib").as_deref(), Some("yes"));
        assert_eq!(value(&settings, "b").as_deref(), Some("y z"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (files, part) in [
            (&[("a", "x = y\nnonsense\n")][..], "a, line 2: \"nonsense\""),
            (&[("a", "namespace {\nx = y\n")], "a, line 2: a section is not closed"),
            (&[("a", "x = y\n}\n")], "a, line 2: there is a \"}\""),
            (&[("a", "namespace {\n!include b\n"), ("b", "}\n")], "b, line 1"),
            (&[("a", "!include b\n"), ("b", "!include a\n")], "included by itself"),
            (&[("a", "!include missing\n")], "no file matches"),
            (&[("a", "!include {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\n")], "alternatives"),
            (&[("a", "namespace { x = y }\n")], "a line of its own"),
        ] {
            let error = read_all(files).unwrap_err();
            assert!(error.contains(part), "{files:?}: {error}");
        }
        let doubling = (0..40).fold("x = xx\n".to_owned(), |text, _| text + "x = $x $x\n");
        assert!(read_all(&[("a", &doubling)]).unwrap_err().contains("too long"));
        assert!(read_all(&[("a", &"#\n".repeat(3 << 20))]).unwrap_err().contains("4 MiB"));
    }

    proptest! {
        #[test]
        fn any_file_can_be_read(text in "(!include |[a-c$={}\"'\n \\\\#*]|.){0,60}") {
            let _ = read_all(&[("a", &text)]);
        }
    }
}
