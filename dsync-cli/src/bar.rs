//! The progress bar: how many messages and bytes have come of those that are known to come.
//!
//! It is on a terminal only. Which messages come is known mailbox by mailbox, so the end moves away as mailboxes are compared.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::messages;
use crate::quantities::bytes;

/// How often it is drawn, at most.
const EACH: Duration = Duration::from_millis(100);

/// A progress bar, or none.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    bytes: u64,
    started: Option<Instant>,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar if stderr is a terminal and `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        let bar = (wanted && std::io::stderr().is_terminal()).then(bar);
        Self { bar, bytes: 0, started: None, drawn: None }
    }

    /// So many more messages will come, into this mailbox.
    pub(crate) fn expect(&mut self, mailbox: &str, messages: usize) {
        let Some(bar) = &self.bar else { return };
        if messages > 0 {
            if self.started.is_none() {
                self.started = Some(Instant::now());
                messages::keep_above(bar.clone());
            }
            bar.inc_length(messages as u64);
            bar.set_prefix(messages::harmless(mailbox));
        }
    }

    /// A message has come.
    pub(crate) fn saved(&mut self, size: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
        bar.inc(1);
        let now = Instant::now();
        if self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= EACH) {
            let elapsed = self.started.map_or(Duration::ZERO, |started| now.duration_since(started));
            bar.set_message(amount(self.bytes, elapsed));
            self.drawn = Some(now);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            messages::keep_nothing_above();
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{wide_bar} {pos}/{len} messages, {msg}, {eta} left, {prefix}";
    // The template is a constant, and right.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `1.5 MiB, 3.0 MiB/s`
fn amount(count: u64, elapsed: Duration) -> String {
    match u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) {
        0 => bytes(count),
        milliseconds => {
            let rate = count.saturating_mul(1000).checked_div(milliseconds).unwrap_or_default();
            format!("{}, {}/s", bytes(count), bytes(rate))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_with_a_rate() {
        assert_eq!(amount(2048, Duration::ZERO), "2.0 KiB");
        assert_eq!(amount(3 << 20, Duration::from_millis(1500)), "3.0 MiB, 2.0 MiB/s");
        assert_eq!(amount(u64::MAX, Duration::from_secs(1)).split(',').count(), 2);
    }

    #[test]
    fn without_a_terminal_there_is_none() {
        let mut bar = Bar { bar: None, bytes: 0, started: None, drawn: None };
        bar.expect("INBOX", 3);
        bar.saved(Some(5));
        assert_eq!(bar.bytes, 0);
    }
}
