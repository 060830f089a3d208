//! Running a program of which nothing is known but that it should be done soon and say little.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Why nothing came of it.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error("it cannot be run: {0}")]
    Start(#[from] io::Error),
    #[error("it was not done after {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("it wrote more than {0} bytes")]
    TooMuch(usize),
}

/// How much is waited for and listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// It has to be done by then.
    pub(crate) time: Duration,
    /// To stdout and to stderr, each.
    pub(crate) bytes: usize,
}

/// How often it is looked whether a program whose output has ended is done.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program without input, and kills it as soon as it leaves the bounds.
pub(crate) fn run(command: &mut Command, bounds: Bounds) -> Result<Output, CommandError> {
    let until = Instant::now() + bounds.time;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let outcome = listen(&mut child, bounds, until);
    if outcome.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    outcome
}

fn listen(child: &mut Child, bounds: Bounds, until: Instant) -> Result<Output, CommandError> {
    let stdout = read(child.stdout.take(), bounds.bytes);
    let stderr = read(child.stderr.take(), bounds.bytes);
    let stdout = all_of(&stdout, bounds, until)?;
    let stderr = all_of(&stderr, bounds, until)?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Output { status, stdout, stderr });
        }
        if Instant::now() >= until {
            return Err(CommandError::TooSlow(bounds.time));
        }
        thread::sleep(POLL);
    }
}

/// Reads in a thread of its own up to one byte too many, so that neither stream waits for the other.
fn read(from: Option<impl Read + Send + 'static>, bytes: usize) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let limit = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
        let mut buffer = Vec::new();
        let result = from.map_or(Ok(0), |from| from.take(limit).read_to_end(&mut buffer));
        // Nobody waits any more if it took too long.
        let _ = sender.send(result.map(|_| buffer));
    });
    receiver
}

fn all_of(receiver: &Receiver<io::Result<Vec<u8>>>, bounds: Bounds, until: Instant) -> Result<Vec<u8>, CommandError> {
    match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(Ok(bytes)) if bytes.len() > bounds.bytes => Err(CommandError::TooMuch(bounds.bytes)),
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(CommandError::TooSlow(bounds.time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Result<Output, CommandError> {
        run(Command::new("sh").args(["-c", text]), Bounds { time: Duration::from_millis(500), bytes: 1000 })
    }

    #[test]
    fn output_and_status_are_told() {
        let output = shell("echo out; echo err >&2; exit 7").unwrap();
        assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(output.status.code(), Some(7));
    }

    #[test]
    fn who_says_too_much_or_takes_too_long_is_stopped() {
        assert!(matches!(shell("cat /dev/zero"), Err(CommandError::TooMuch(1000))));
        assert!(matches!(shell("cat /dev/zero >&2"), Err(CommandError::TooMuch(1000))));
        assert!(matches!(shell("sleep 20"), Err(CommandError::TooSlow(_))));
        assert!(matches!(shell("sleep 20 & exit 0"), Err(CommandError::TooSlow(_))));
        assert!(matches!(shell("exec >&- 2>&-; sleep 20"), Err(CommandError::TooSlow(_))));
        assert!(matches!(
            run(&mut Command::new("/nonexistent"), Bounds { time: Duration::ZERO, bytes: 0 }),
            Err(CommandError::Start(_))
        ));
    }
}
