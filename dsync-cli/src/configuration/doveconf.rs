//! Asking `doveconf`, Dovecot's own reader of its configuration.
//!
//! Dovecot 2.3 prints one `key=value` a line (`-S`), keys as [`Settings`] has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::bounded_command::{self, Bounds, Output};
use super::error::ConfigurationError;
use super::settings::{Dialect, Settings};

/// A configuration is read in milliseconds, and has some thousand lines.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(60), bytes: 8 << 20 };

/// What settings are wanted for: those of a mail process, of the other programs that read mail, of users, and of peers.
const MODULES: [&str; 5] = ["mail", "doveadm", "pop3", "auth", "ssl"];

/// Variables by which Dovecot's programs are told about a configuration that was read already. It is to be read.
const INHERITED: [&str; 5] =
    ["DOVECONF_ENV", "DOVECOT_PRESERVE_ENVS", "DOVECOT_CONFIG_FD", "CONFIG_FILE", "LOG_STDERR_TIMESTAMP"];

/// The settings in `file`, or in the server's usual one, and what was said about them.
pub(crate) fn read(program: &Path, file: Option<&Path>) -> Result<(Settings, Vec<String>), ConfigurationError> {
    let mut command = command(program, file);
    command.args(["-S", "-s", "-f", "service=doveadm"]);
    command.args(MODULES.iter().flat_map(|module| ["-m", module]));
    let output = run(program, &mut command)?;
    if !output.status.success() {
        return Err(ConfigurationError::Refused { program: program.to_owned(), said: reason(&output) });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let values = parse(&text).map_err(|line| ConfigurationError::NotUnderstood {
        program: program.to_owned(),
        said: line.chars().take(100).collect(),
    })?;
    let said = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    Ok((Settings::new(Dialect::Before24, values), said))
}

fn command(program: &Path, file: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    for name in INHERITED {
        command.env_remove(name);
    }
    if let Some(file) = file {
        command.arg("-c").arg(file);
    }
    command
}

fn run(program: &Path, command: &mut Command) -> Result<Output, ConfigurationError> {
    bounded_command::run(command, BOUNDS)
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

    proptest! {
        #[test]
        fn any_output_can_be_read(text in "([a-z/]{0,3}[= \n]|.){0,20}") {
            let _ = parse(&text);
        }
    }
}
