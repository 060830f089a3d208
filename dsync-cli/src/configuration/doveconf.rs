//! Asking `doveconf`, Dovecot's own reader of its configuration.
//!
//! Dovecot 2.3 prints one `key=value` a line (`-S`), keys as [`Settings`] has them. Dovecot 2.4 does not know that option; it
//! prints a configuration file (`-a`), with quotes only where they are needed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::blocks::Blocks;
use super::bounded_command::{self, Bounds, Output};
use super::error::ConfigurationError;
use super::reader;
use super::settings::{Dialect, Settings};
use super::source::Environment;
use super::statement::{Statement, Text};

/// A configuration is read in milliseconds, and has some thousand lines.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(60), bytes: 8 << 20 };

/// What settings are wanted for: those of a mail process, of the other programs that read mail, of users, and of peers.
const MODULES: [&str; 5] = ["mail", "doveadm", "pop3", "auth", "ssl"];

/// Variables by which Dovecot's programs are told about a configuration that was read already. It is to be read.
const INHERITED: [&str; 5] =
    ["DOVECONF_ENV", "DOVECOT_PRESERVE_ENVS", "DOVECOT_CONFIG_FD", "CONFIG_FILE", "LOG_STDERR_TIMESTAMP"];

/// The settings in `file`, or in the server's usual one, and what was said about them.
pub(crate) fn read(
    program: &Path,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(Settings, Vec<String>), ConfigurationError> {
    let modules = MODULES.iter().flat_map(|module| ["-m", module]);
    let before24: Vec<_> = ["-S", "-s", "-f", "service=doveadm"].into_iter().chain(modules).collect();
    let mut output = run(program, file, &before24)?;
    let mut dialect = Dialect::Before24;
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("invalid option") {
        output = run(program, file, &["-a", "-P", "-f", "protocol=doveadm"])?;
        dialect = Dialect::Since24;
    }
    if !output.status.success() {
        return Err(ConfigurationError::Refused { program: program.to_owned(), said: reason(&output) });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let values = match dialect {
        Dialect::Before24 => parse(&text),
        Dialect::Since24 => parse_since24(&text),
    };
    let values = values.map_err(|line| ConfigurationError::NotUnderstood {
        program: program.to_owned(),
        said: line.chars().take(100).collect(),
    })?;
    let mut said: Vec<_> = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    let mut settings = Settings::new(dialect, values);
    if dialect == Dialect::Since24 {
        said.extend(forget_printed_layout(&mut settings, &text, environment));
    }
    Ok((settings, said))
}

/// A layout that is not written in any file is printed as if it were that of every format. So the file, whose name is in
/// the first line, is looked into. What is to be said if that fails.
fn forget_printed_layout(settings: &mut Settings, printed: &str, environment: &Environment) -> Option<String> {
    const NAME: &str = "mailbox_list_layout";
    let path = printed.lines().next().and_then(|line| line.split_once("): ")).map_or("", |(_, path)| path);
    match reader::read(Path::new(path), environment) {
        Ok(written) if written.is_written(NAME) => None,
        Ok(_) => {
            settings.forget(NAME);
            None
        }
        Err(error) => {
            settings.forget(NAME);
            Some(format!("whether {NAME} is set is not known, the usual one is assumed: {error}"))
        }
    }
}

fn run(program: &Path, file: Option<&Path>, arguments: &[&str]) -> Result<Output, ConfigurationError> {
    let mut command = Command::new(program);
    for name in INHERITED {
        command.env_remove(name);
    }
    if let Some(file) = file {
        command.arg("-c").arg(file);
    }
    bounded_command::run(command.args(arguments), BOUNDS)
        .map_err(|error| ConfigurationError::Doveconf { program: program.to_owned(), error })
}

/// The reason that a program gave for its failure: lines about warnings only if there is nothing else.
fn reason(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let grave: Vec<_> = lines.iter().filter(|line| !line.contains("Warning:")).copied().take(3).collect();
    match (grave.is_empty(), lines.first()) {
        (false, _) => grave.join("; "),
        (true, Some(first)) => (*first).to_owned(),
        (true, None) => format!("{}, without a word", output.status),
    }
}

/// Reads `key=value` lines; the first line that is none is the error.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let split = |line: &str| match line.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(line.to_owned()),
    };
    text.lines().map(split).collect()
}

/// Reads a configuration file as it is printed; the first line that is none of one is the error. Comments fill lines.
fn parse_since24(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut blocks = Blocks::new(Dialect::Since24);
    for line in text.lines().map(str::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let understood = match Statement::parse(line) {
            Ok(Statement::Open { kind, name }) => blocks.open(&kind, name.as_deref()).is_ok(),
            Ok(Statement::Close) => blocks.close().is_ok(),
            Ok(Statement::Assign { name, value: Text::Plain(value) | Text::Quoted(value) }) => {
                blocks.assign(&name, value);
                true
            }
            Ok(Statement::Include { .. }) | Err(_) => false,
        };
        if !understood {
            return Err(line.to_owned());
        }
    }
    if blocks.depth() > 0 { Err("a section is not closed".to_owned()) } else { Ok(blocks.finish()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::settings::Value;
    use super::*;

    #[test]
    fn lines_are_taken_as_they_are() {
        let text = "mail_location=mdbox:~/mdbox\nplugin=\nplugin/quota_rule=*:storage=1G\nnamespace=inbox 1\n\
                    namespace/inbox/mailbox/Sent\\_Mail/special_use=\\Sent\nnamespace/1/prefix=shared/%%u/ \n";
        let settings = Settings::new(Dialect::Before24, parse(text).unwrap());
        assert_eq!(settings.get("plugin/quota_rule"), Some(Value::Template("*:storage=1G")));
        assert_eq!(settings.sections("namespace"), ["inbox", "1"]);
        assert_eq!(settings.get("namespace/1/prefix").map(Value::text), Some("shared/%%u/ "));
        assert_eq!(parse("a=b\nnonsense\n"), Err("nonsense".to_owned()));
        assert_eq!(parse("=b\n"), Err("=b".to_owned()));
    }

    #[test]
    fn what_24_prints_is_read_without_its_quotes() {
        let text = "# 2.4.1-4 (7d8c0e5759): /tmp/a.conf\ndovecot_config_version = 2.4.1\nmail_ext_attachment_path = \n\
                    mail_index_path = /i x/%{user}\nmail_plugins {\n  quota = yes\n  zlib = no\n}\nnamespace inbox {\n  \
                    inbox = yes\n  mailbox \"Sent Mail\" {\n    special_use = \"\\\\Sent\"\n  }\n}\nuserdb passwd-file {\n  \
                    passwd_file_path = /etc/pw\n  fields {\n    home = \"/h#/%{user}\"\n  }\n}\nmail_ext_attachment {\n  \
                    path = /att\n}\n";
        let settings = Settings::new(Dialect::Since24, parse_since24(text).unwrap());
        for (name, expected) in [
            ("mail_index_path", "/i x/%{user}"),
            ("mail_plugins/quota", "yes"),
            ("namespace", "inbox"),
            ("namespace/inbox/mailbox/Sent\\_Mail/special_use", "\\Sent"),
            ("userdb", "passwd-file"),
            ("userdb/passwd-file/fields/home", "/h#/%{user}"),
            ("mail_ext_attachment_path", "/att"),
        ] {
            assert_eq!(settings.get(name).map(Value::text), Some(expected), "{name}");
        }
        for text in ["nonsense", "}", "a {\n", "!include x"] {
            assert!(parse_since24(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_output_can_be_read(text in "([a-z/]{0,3}[= \n]|[{}\"]|.){0,20}") {
            let _ = parse(&text);
            let _ = parse_since24(&text);
        }
    }
}
