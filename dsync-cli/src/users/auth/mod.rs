//! A client of Dovecot's auth process, as far as it answers questions about users (the socket `auth-userdb`).
//!
//! ```text
//! S: VERSION 1 1                       fields are separated by TABs, see `fields`
//! S: SPID 30774
//! C: VERSION 1 0
//! C: USER 1 joe service=doveadm        S: USER 1 joe uid=5000 gid=5000 home=/home/joe
//!                                      S: NOTFOUND 1
//!                                      S: FAIL 1 reason=...
//! C: LIST 1 user=* service=doveadm     S: LIST 1 anna    S: LIST 1 joe    S: DONE 1
//!                                                                         S: DONE 1 fail
//! ```
//!
//! Every question has a connection of its own: a server closes those that are idle, and answers nothing else while it
//! lists users.

mod connection;
pub(crate) mod fields;

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use thiserror::Error;

use super::record::{RecordError, UserRecord};
use connection::Connection;

/// How long an answer may take. Dovecot's own programs wait as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(155);

/// Longer names are unknown: a server does not take longer requests than 1024 bytes.
const LONGEST_NAME: usize = 512;

/// So many lines that mean nothing may come before an answer.
const MOST_UNKNOWN_LINES: usize = 100;

/// More users than this are not listed, and no more bytes of names: a server that says more is out of its mind.
const MOST_USERS: usize = 20_000_000;
const MOST_BYTES: usize = 1 << 30;

/// The number of our request on its connection.
const REQUEST: &[u8] = b"1";

/// Why the auth process did not answer a question. None of it means that a user does not exist.
#[derive(Debug, Error)]
pub(crate) enum AuthError {
    /// Nobody listens on the socket.
    #[error("nobody answers there ({0}); start Dovecot, or check auth_socket_path and base_dir")]
    NoServer(Errno),
    /// The system does not let us connect.
    #[error("no permission to connect; run as root or as a user whom the permissions of the socket admit")]
    NotAllowed,
    /// The connection broke.
    #[error("{0}")]
    Connection(#[source] std::io::Error),
    /// The server closed the connection instead of answering.
    #[error("the server hung up without an answer; its log may say why")]
    Closed,
    /// No answer in time.
    #[error("no answer within {0:?}; the server may be overloaded, or its user database out of reach")]
    TimedOut(Duration),
    /// A line without an end.
    #[error("the server sent a line of more than {0} bytes; check that this is the socket of its auth process")]
    LineTooLong(usize),
    /// Too much of everything.
    #[error("the server lists more users than can be; give their names with -F")]
    TooManyUsers,
    /// This is a socket for logins.
    #[error("this is a socket for logins, it does not answer questions about users; use that of auth-userdb")]
    LoginSocket,
    /// This is another protocol, or another version of it.
    #[error("the server does not speak version 1 of the auth protocol, it says {0:?}")]
    Version(String),
    /// The answer makes no sense.
    #[error(
        "the server says {0:?}, which is no answer to the question; check that this is the socket of its auth process"
    )]
    Unexpected(String),
    /// The server could not find out, or is not willing to say.
    #[error("the server could not look the user up{}; its log may say why", reason.as_ref().map(|it| format!(" ({it})")).unwrap_or_default())]
    Refused {
        /// What it says about it.
        reason: Option<String>,
    },
    /// The server cannot list its users, or is not willing to.
    #[error(
        "the server could not list its users: its user database may not know them all, or may not tell them to those \
         who are not root; give their names with -F"
    )]
    CannotList,
    /// What the server says about the user cannot be used.
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// Asks for a user. `None` means that there is none of this name.
///
/// # Errors
/// If there is no answer, or none that can be used.
pub(crate) fn look_up(socket: &Path, name: &str, patience: Duration) -> Result<Option<UserRecord>, AuthError> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(['\t', '\r', '\n']) {
        return Ok(None);
    }
    let mut connection = greet(socket, patience)?;
    let service: [&[u8]; 2] = [b"service=doveadm", b"protocol=doveadm"];
    connection.send(&request(b"USER", [name.as_bytes()].into_iter().chain(service)))?;
    let (word, fields) = answer(&mut connection)?;
    match word.as_slice() {
        b"USER" => Ok(Some(UserRecord::from_fields(fields.into_iter())?)),
        b"NOTFOUND" => Ok(None),
        b"FAIL" => Err(AuthError::Refused { reason: reason(&fields) }),
        _ => Err(AuthError::Unexpected(shown(&word))),
    }
}

/// Asks for the names of all users that match a mask. Servers may list others, too.
///
/// # Errors
/// If the list is not complete.
pub(crate) fn list(socket: &Path, mask: &str, patience: Duration) -> Result<Vec<String>, AuthError> {
    let mut connection = greet(socket, patience)?;
    // A mask that cannot be asked for is only a hint that is not given.
    let mask = if mask.len() > LONGEST_NAME || mask.contains(['\t', '\r', '\n']) { "*" } else { mask };
    let mask = format!("user={mask}");
    connection.send(&request(b"LIST", [mask.as_bytes(), b"service=doveadm"].into_iter()))?;
    let mut names = Vec::new();
    let mut bytes = 0_usize;
    loop {
        let (word, fields) = answer(&mut connection)?;
        match word.as_slice() {
            b"LIST" => {
                let name = fields.into_iter().next().unwrap_or_default();
                bytes = bytes.saturating_add(name.len());
                if names.len() >= MOST_USERS || bytes > MOST_BYTES {
                    return Err(AuthError::TooManyUsers);
                }
                names.push(String::from_utf8(name).map_err(|error| AuthError::Unexpected(shown(error.as_bytes())))?);
                connection.extend_deadline();
            }
            b"DONE" if fields.is_empty() => return Ok(names),
            b"DONE" | b"FAIL" => return Err(AuthError::CannotList),
            _ => return Err(AuthError::Unexpected(shown(&word))),
        }
    }
}

/// Connects and agrees on a version.
fn greet(socket: &Path, patience: Duration) -> Result<Connection, AuthError> {
    let mut connection = Connection::open(socket, patience)?;
    let greeting = connection.line()?;
    let mut fields = fields::split(&greeting);
    let is_ours = fields.next().is_some_and(|word| word == b"VERSION") && fields.next().is_some_and(|it| it == b"1");
    if !is_ours {
        return Err(AuthError::Version(shown(&greeting)));
    }
    connection.send(b"VERSION\t1\t0\n")?;
    Ok(connection)
}

fn request<'a>(word: &[u8], fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = word.to_vec();
    fields::push(&mut line, REQUEST);
    for field in fields {
        fields::push(&mut line, field);
    }
    line.push(b'\n');
    line
}

/// The word and the fields of the next line that belongs to our request.
fn answer(connection: &mut Connection) -> Result<(Vec<u8>, Vec<Vec<u8>>), AuthError> {
    for _ in 0..MOST_UNKNOWN_LINES {
        let line = connection.line()?;
        let mut fields = fields::split(&line);
        let word = fields.next().unwrap_or_default();
        match word.as_slice() {
            b"MECH" | b"CUID" | b"COOKIE" => return Err(AuthError::LoginSocket),
            b"USER" | b"NOTFOUND" | b"FAIL" | b"LIST" | b"DONE" => {
                if fields.next().is_none_or(|number| number != REQUEST) {
                    return Err(AuthError::Unexpected(format!("{} for another question", shown(&word))));
                }
                return Ok((word, fields.collect()));
            }
            // The process number of the server, and whatever later versions have to say.
            _ => {}
        }
    }
    Err(AuthError::Unexpected("nothing but unknown words".to_owned()))
}

fn reason(fields: &[Vec<u8>]) -> Option<String> {
    let text = fields.iter().find_map(|field| field.strip_prefix(b"reason="))?;
    Some(shown(text)).filter(|text| !text.is_empty())
}

/// The beginning of what a server sent, to be shown. It may hold secrets further on.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests;
