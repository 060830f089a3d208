//! The program that reaches the other side of a run, as a child process.

use std::fmt;
use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Patience;
use super::said::Said;
use crate::exit::{self, Failure};

/// By these variables Dovecot hands its configuration to the programs that it starts. A server that is started by this program has
/// one of its own.
const SETTINGS: [&str; 2] = ["DOVECONF_ENV", "DOVECOT_CONFIG_FD"];

/// A running program.
pub(super) struct PeerProcess {
    child: Child,
    command: String,
    said: Option<Said>,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    how: How,
    said_something: bool,
    /// What it said and nobody has heard yet.
    unheard: Vec<String>,
}

#[derive(Debug)]
enum How {
    Ended(ExitStatus),
    Killed(Duration),
    Lost(io::Error),
}

impl PeerProcess {
    /// Starts a command line with the rights of this process, and gives the streams from and to it.
    ///
    /// # Errors
    /// If that is not possible.
    pub(super) fn start(words: &[String]) -> Result<(Self, ChildStdout, ChildStdin), Failure> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| Failure::Usage("the command is empty".to_owned()))?;
        let failure = |error: io::Error| {
            Failure::OtherSide(format!(
                "{program:?} cannot be started: {error}; check that it is installed and in PATH (the command is: {})",
                shown(words)
            ))
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for variable in SETTINGS {
            command.env_remove(variable);
        }
        let mut child = command.spawn().map_err(failure)?;
        let (output, input) = (child.stdout.take(), child.stdin.take());
        let (output, input) = output.zip(input).ok_or_else(|| failure(io::ErrorKind::BrokenPipe.into()))?;
        Ok((Self { child, command: shown(words), said: None }, output, input))
    }

    /// The command line, for messages.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// From now on what the program says on stderr is passed on. That takes a thread.
    pub(super) fn pass_on_errors(&mut self) {
        self.said = self.child.stderr.take().and_then(|stderr| Said::pass_on(stderr).ok());
    }

    /// Waits until the program has ended, but not longer than there is patience. All streams to it have been closed before.
    pub(super) fn finish(mut self, patience: Patience<'_>) -> Ended {
        let how = self.wait(patience);
        let (said_something, unheard) = self.said.map(Said::finish).unwrap_or_default();
        Ended { how, said_something, unheard }
    }

    fn wait(&mut self, patience: Patience<'_>) -> How {
        let (mut begin, mut patience) = (Instant::now(), patience);
        loop {
            let status = self.child.try_wait();
            if let Patience::Until(is_over) = patience
                && is_over()
            {
                (begin, patience) = (Instant::now(), Patience::LITTLE);
            }
            let time = match patience {
                Patience::For(time) => time,
                Patience::Until(_) => Duration::MAX,
            };
            match status {
                Ok(Some(status)) => return How::Ended(status),
                Ok(None) if begin.elapsed() < time => thread::sleep(Duration::from_millis(10)),
                Ok(None) => {
                    // It may have ended by itself just now. If it runs as somebody else by now, it is not waited for.
                    if self.child.kill().is_ok() {
                        let _ = self.child.wait();
                    }
                    return How::Killed(time);
                }
                Err(error) => return How::Lost(error),
            }
        }
    }
}

impl Ended {
    /// Whether it ended by itself, with success.
    pub(super) fn is_well(&self) -> bool {
        matches!(&self.how, How::Ended(status) if status.success())
    }

    /// What it said and nobody has heard yet.
    pub(super) fn unheard(&self) -> &[String] {
        &self.unheard
    }

    /// Whether it said what was the matter, and that it was nothing that would last.
    pub(super) fn explained_itself(&self) -> bool {
        let is_temporary = matches!(&self.how, How::Ended(status) if status.code() == Some(exit::TEMPORARY.into()));
        is_temporary && self.said_something
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.how {
            How::Ended(status) => write!(formatter, "it ended with {status}")?,
            How::Killed(patience) => {
                write!(formatter, "it did not end within {} s, and was killed", patience.as_secs())?
            }
            How::Lost(error) => write!(formatter, "how it ended is not known: {error}")?,
        }
        match self.said_something {
            true => write!(formatter, "; what it said stands above"),
            false => write!(formatter, ", without a word"),
        }
    }
}

/// A command line as somebody would write it.
pub(super) fn shown(words: &[String]) -> String {
    let quoted = |word: &String| match word.is_empty() || word.contains(|it: char| it.is_whitespace() || it == '"') {
        true => format!("{word:?}"),
        false => word.clone(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_has_work_left_is_waited_for() {
        let start = |seconds: &str| PeerProcess::start(&["sleep".to_owned(), seconds.to_owned()]).unwrap().0;
        let short = Patience::For(Duration::from_millis(50));
        let killed = start("60").finish(short);
        assert!(matches!(killed.how, How::Killed(_)) && !killed.is_well(), "{killed}");
        assert!(start("0.3").finish(Patience::Until(&|| false)).is_well());
        // Who asks the run to end does not wait for an hour.
        let begin = Instant::now();
        assert!(!start("60").finish(Patience::Until(&|| begin.elapsed() > Duration::from_millis(50))).is_well());
    }
}
