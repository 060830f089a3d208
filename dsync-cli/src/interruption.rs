//! SIGINT and SIGTERM: a run that is asked to end does so after the step that it is at.
//!
//! While there is nothing to be finished the process ends at once, and so it does when it is asked a second time. It never
//! ends *by* the signal: the exit status says that the run may be repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
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
