//! SIGINT and SIGTERM: a run that is asked to end does so after the step that it is at.
//!
//! While there is nothing to be finished the process ends at once, and so it does when it is asked a second time. It never
//! ends *by* the signal: the exit status says that the run may be repeated. SIGHUP is nothing to it, so it goes on when the
//! terminal is closed from which it was started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit;

/// Knows whether this process was asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    is_asked: Arc<AtomicBool>,
}

impl Interruption {
    /// From now on the signals are heeded.
    ///
    /// # Errors
    /// If the system refuses that.
    pub(crate) fn watch() -> std::io::Result<Self> {
        // As if it had been asked once: the next time it ends.
        let is_asked = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, i32::from(exit::TEMPORARY), Arc::clone(&is_asked))?;
            flag::register(signal, Arc::clone(&is_asked))?;
        }
        // Programs that are started inherit that a signal is ignored, as nohup(1) wants it, but not that it is caught.
        if !is_ignored(SIGHUP) {
            flag::register(SIGHUP, Arc::default())?;
        }
        Ok(Self { is_asked })
    }

    /// From now on there is something to be finished first.
    pub(crate) fn defer(&self) {
        self.is_asked.store(false, Ordering::SeqCst);
    }

    /// Whether the process was asked to end since then.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }
}

/// Whether whoever started this process made it ignore a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The signals that a process ignores, by what proc(5) says of it: bit 0 is signal 1.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn ignored_signals_are_read() {
        assert_eq!(ignored("Name:\tdsync\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored("SigIgn:\tnonsense\n"), None);
        assert_eq!(ignored(""), None);
    }
}
