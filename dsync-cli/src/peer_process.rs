//! The program that is the other side of a run, as a child process.

use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::exit::Failure;
use crate::messages;

/// How long it may take to end after all was said.
const PATIENCE: Duration = Duration::from_secs(30);
/// By these variables Dovecot hands its configuration to the programs that it starts. A server that is started by this program has
/// one of its own.
const SETTINGS: [&str; 2] = ["DOVECONF_ENV", "DOVECOT_CONFIG_FD"];

/// A running program, which may say on stderr what it likes.
pub(crate) struct PeerProcess {
    child: Child,
    program: String,
}

impl PeerProcess {
    /// Starts a command line with the rights of this process, and gives the streams from and to it.
    ///
    /// # Errors
    /// If that is not possible.
    pub(crate) fn start(words: &[String]) -> Result<(Self, ChildStdout, ChildStdin), Failure> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| Failure::Usage("the command is empty".to_owned()))?;
        let failure = |error: io::Error| Failure::OtherSide(format!("{program:?} cannot be started: {error}"));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        for variable in SETTINGS {
            command.env_remove(variable);
        }
        let mut child = command.spawn().map_err(failure)?;
        let (output, input) = (child.stdout.take(), child.stdin.take());
        let (output, input) = output.zip(input).ok_or_else(|| failure(io::ErrorKind::BrokenPipe.into()))?;
        Ok((Self { child, program: program.clone() }, output, input))
    }

    /// Waits until the program has ended, but not for ever. All streams to it have been closed before. Says how it ended if that
    /// was not well.
    pub(crate) fn finish(mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => return messages::warning(format_args!("{:?} ended with {status}", self.program)),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
                Ok(None) => {
                    messages::warning(format_args!("{:?} does not end, and is killed", self.program));
                    // It may have ended by itself just now. If it runs as somebody else by now, it is not waited for.
                    if self.child.kill().is_ok() {
                        let _ = self.child.wait();
                    }
                    return;
                }
                Err(error) => return messages::warning(format_args!("waiting for {:?}: {error}", self.program)),
            }
        }
    }
}
