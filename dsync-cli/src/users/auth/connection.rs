//! A connection to an auth process: lines that are bounded in length and in time.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

use super::AuthError;

/// The longest line that is read, in bytes. Dovecot's own programs take 8 KiB.
const LONGEST_LINE: usize = 64 * 1024;

/// A connection on which nothing waits longer than until a deadline.
pub(super) struct Connection {
    stream: UnixStream,
    /// What was read and not yet asked for.
    buffer: Vec<u8>,
    patience: Duration,
    deadline: Instant,
}

impl Connection {
    /// Connects to a socket. All that follows may take as long as `patience` says, together.
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, AuthError> {
        let stream = connect_within(path, patience).map_err(|error| match error {
            Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR => AuthError::NoServer(error),
            Errno::EACCES | Errno::EPERM => AuthError::NotAllowed,
            // So says Linux if the queue of those who wait to be connected stays full.
            Errno::EAGAIN => AuthError::TimedOut(patience),
            error => AuthError::Connection(error.into()),
        })?;
        Ok(Self { stream, buffer: Vec::new(), patience, deadline: Instant::now() + patience })
    }

    /// What follows may take all the time again.
    pub(super) fn extend_deadline(&mut self) {
        self.deadline = Instant::now() + self.patience;
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), AuthError> {
        let left = self.time_left()?;
        self.stream.set_write_timeout(Some(left)).map_err(AuthError::Connection)?;
        self.stream.write_all(bytes).map_err(|error| self.explain(error))
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, AuthError> {
        let mut searched = 0;
        loop {
            let new = self.buffer.get(searched..).unwrap_or_default();
            if let Some(length) = new.iter().position(|byte| *byte == b'\n').map(|at| searched + at) {
                let rest = self.buffer.split_off(length + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(length);
                return Ok(line);
            }
            searched = self.buffer.len();
            if searched > LONGEST_LINE {
                return Err(AuthError::LineTooLong(LONGEST_LINE));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), AuthError> {
        let mut chunk = [0; 4096];
        let left = self.time_left()?;
        self.stream.set_read_timeout(Some(left)).map_err(AuthError::Connection)?;
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(AuthError::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn time_left(&self) -> Result<Duration, AuthError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // The system takes a time-out of 0 for none at all.
        if left < Duration::from_millis(1) { Err(AuthError::TimedOut(self.patience)) } else { Ok(left) }
    }

    fn explain(&self, error: std::io::Error) -> AuthError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => AuthError::TimedOut(self.patience),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => AuthError::Closed,
            _ => AuthError::Connection(error),
        }
    }
}

/// Connecting waits while a server is too busy to take connections, but not for ever.
fn connect_within(path: &Path, patience: Duration) -> Result<UnixStream, Errno> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(seconds, i64::from(patience.subsec_micros())))?;
    connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}
