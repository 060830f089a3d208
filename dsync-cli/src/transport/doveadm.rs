//! The beginning of a conversation with the doveadm service of a Dovecot, before the dsync protocol:
//!
//! ```text
//! C: VERSION doveadm-server 1 0
//! S: -                                           a password is wanted ("+": it is not)
//! C: PLAIN base64(NUL "doveadm" NUL password)
//! S: +                                           it is right ("-": it is wrong)
//! C: FLAGS USER dsync-server -uUSER
//! S: (an empty line)
//! S: +                                           the dsync protocol follows ("-CODE": refused, and why)
//! ```
//!
//! Words are separated by TABs, lines end with LF. With the minor version 0 nothing is put into packets afterwards. (Observed with
//! Dovecot 2.3.19.)

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// No line of the service is longer.
const LONGEST: usize = 1024;

/// Why there is no conversation.
#[derive(Debug, Error)]
pub(super) enum DoveadmError {
    /// The connection failed.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// It wants a password that is not known.
    #[error("it asks for a password: set doveadm_password to the one that is set there")]
    NoPassword,
    /// It was told another one.
    #[error("it does not accept the password in doveadm_password; the one that is set there is needed")]
    WrongPassword,
    /// It does not do it.
    #[error("it refuses to serve the user: {0}")]
    Refused(String),
    /// It is something else.
    #[error(
        "it does not speak the doveadm protocol: it says {0:?}; is there another service at this port, or is it one for TLS?"
    )]
    Foreign(String),
}

/// Lets the service begin to serve a user. What comes then is the dsync protocol.
///
/// # Errors
/// If it does not.
pub(super) fn introduce(
    stream: &mut (impl Read + Write),
    password: Option<&str>,
    user: &str,
) -> Result<(), DoveadmError> {
    stream.write_all(b"VERSION\tdoveadm-server\t1\t0\n")?;
    match read_line(stream)?.as_str() {
        "+" => {}
        "-" => {
            let password = password.ok_or(DoveadmError::NoPassword)?;
            let secret = STANDARD.encode(format!("\0doveadm\0{password}"));
            stream.write_all(format!("PLAIN\t{secret}\n").as_bytes())?;
            match read_line(stream) {
                Ok(answer) if answer == "+" => {}
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
                Ok(answer) if answer != "-" => return Err(DoveadmError::Foreign(answer)),
                _ => return Err(DoveadmError::WrongPassword),
            }
        }
        other => return Err(DoveadmError::Foreign(other.to_owned())),
    }
    let user = escaped(user);
    stream.write_all(format!("\t{user}\tdsync-server\t-u{user}\n").as_bytes())?;
    let first = read_line(stream)?;
    let answer = if first.is_empty() { read_line(stream)? } else { first };
    match answer.strip_prefix('-') {
        _ if answer == "+" => Ok(()),
        Some(code) => Err(DoveadmError::Refused(meaning(code))),
        None => Err(DoveadmError::Foreign(answer)),
    }
}

/// Reads a line, and nothing of what follows.
fn read_line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST {
        stream.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn meaning(code: &str) -> String {
    match code {
        "NOUSER" => "there is no such user (NOUSER)".to_owned(),
        "NOPERM" => "it is not permitted (NOPERM)".to_owned(),
        "" => "it does not know dsync-server, or does not permit it (doveadm_allowed_commands)".to_owned(),
        code => format!("{code}; its log says more"),
    }
}

/// As the protocol writes characters that would end a word.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\u{1}' => escaped.push_str("\u{1}1"),
            '\t' => escaped.push_str("\u{1}t"),
            '\r' => escaped.push_str("\u{1}r"),
            '\n' => escaped.push_str("\u{1}n"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a service says, and what it hears.
    struct Service<'a> {
        says: &'a [u8],
        hears: Vec<u8>,
    }

    impl Read for Service<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Service<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.hears.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn introduced(says: &[u8], password: Option<&str>) -> (Result<(), DoveadmError>, String, usize) {
        let mut service = Service { says, hears: Vec::new() };
        let outcome = introduce(&mut service, password, "anna@x");
        (outcome, String::from_utf8(service.hears).unwrap(), service.says.len())
    }

    #[test]
    fn nothing_is_read_of_what_follows() {
        let command = "\tanna@x\tdsync-server\t-uanna@x\n";
        let (outcome, heard, left) = introduced(b"-\n+\n\n+\nVERSION", Some("secret"));
        assert!(outcome.is_ok());
        assert_eq!(heard, format!("VERSION\tdoveadm-server\t1\t0\nPLAIN\tAGRvdmVhZG0Ac2VjcmV0\n{command}"));
        assert_eq!(left, 7);
        let (outcome, heard, _) = introduced(b"+\n\n+\n", None);
        assert!(outcome.is_ok());
        assert_eq!(heard, format!("VERSION\tdoveadm-server\t1\t0\n{command}"));
    }

    #[test]
    fn refusals_are_understood() {
        use DoveadmError::{Connection, Foreign, NoPassword, Refused, WrongPassword};
        let outcome = |says: &[u8], password| introduced(says, password).0.unwrap_err();
        assert!(matches!(outcome(b"-\n", None), NoPassword));
        assert!(matches!(outcome(b"-\n-\n", Some("x")), WrongPassword));
        assert!(matches!(outcome(b"-\n", Some("x")), WrongPassword));
        assert!(matches!(outcome(b"+\n\n-NOUSER\n", None), Refused(_)));
        assert!(matches!(outcome(b"+\n\n-\n", None), Refused(_)));
        assert!(matches!(outcome(b"* OK IMAP ready\n", None), Foreign(_)));
        assert!(matches!(outcome(b"", None), Connection(_)));
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_survived(says in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = introduced(&says, Some("x"));
        }
    }
}
