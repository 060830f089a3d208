//! What a program says on stderr, passed on line by line as it comes; to those who want to hear only of failures, after one.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::messages;

/// No more bytes of a line are passed on at once.
const LONGEST: u64 = 4096;
/// No more lines are kept in case that they are wanted.
const MOST_HELD: usize = 20;
/// How long to wait for the rest after the program has ended. Something that it has started may hold its stderr open for ever.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something that is being passed on.
pub(super) struct Said {
    heard: Arc<Mutex<Heard>>,
    /// Closed at the end.
    end: Receiver<()>,
}

#[derive(Default)]
struct Heard {
    anything: bool,
    held: VecDeque<String>,
}

impl Said {
    /// Passes on what comes.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub(super) fn pass_on(stderr: impl Read + Send + 'static) -> io::Result<Self> {
        let (running, end) = channel();
        let heard = Arc::<Mutex<Heard>>::default();
        let pass_on = {
            let heard = Arc::clone(&heard);
            move || {
                let _running = running;
                for_each_line(stderr, |line| {
                    let mut heard = lock(&heard);
                    heard.anything = true;
                    if !messages::of_other_side(line) {
                        if heard.held.len() >= MOST_HELD {
                            heard.held.pop_front();
                        }
                        heard.held.push_back(line.to_owned());
                    }
                });
            }
        };
        thread::Builder::new().name("dsync-stderr".to_owned()).spawn(pass_on)?;
        Ok(Self { heard, end })
    }

    /// Waits for the rest. Whether there was anything, and what of it was not passed on.
    pub(super) fn finish(self) -> (bool, Vec<String>) {
        // It is closed, or it takes too long.
        let _ = self.end.recv_timeout(PATIENCE);
        let mut heard = lock(&self.heard);
        (heard.anything, heard.held.drain(..).collect())
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn for_each_line(stderr: impl Read, mut take: impl FnMut(&str)) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    // If it cannot be read any more, that is the end, too.
    while lines.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = line.trim_ascii_end();
        if !text.is_empty() {
            take(&String::from_utf8_lossy(text));
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_last_need_not_end() {
        let long = "x".repeat(5000);
        let mut lines = Vec::new();
        for_each_line(format!("one\r\n\n{long}\ntwo").as_bytes(), |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", &long[..4096], &long[4096..], "two"]);
    }
}
