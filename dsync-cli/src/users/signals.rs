//! Signals while other processes do the work: read one by one instead of interrupting.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that end a run.
const ENDING: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A process that we started may have ended.
    Child,
    /// We are to stop.
    Stop {
        signal: Signal,
        /// It came from the terminal, so that all processes there have got it.
        is_known: bool,
    },
}

/// From now on the signals wait until they are read.
pub(super) struct Signals {
    waiting: SignalFd,
}

impl Signals {
    pub(super) fn hold() -> Result<Self, Errno> {
        let set = ENDING.into_iter().chain([Signal::SIGCHLD]).collect::<SigSet>();
        set.thread_block()?;
        Ok(Self { waiting: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)? })
    }

    /// Waits for the next one.
    pub(super) fn next(&self) -> Result<News, Errno> {
        loop {
            let Some(info) = self.waiting.read_signal()? else { continue };
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match signal {
                Some(Signal::SIGCHLD) => return Ok(News::Child),
                Some(signal) => return Ok(News::Stop { signal, is_known: info.ssi_code == libc::SI_KERNEL }),
                None => {}
            }
        }
    }
}

/// Lets signals through that whoever started this process held back.
pub(crate) fn release() {
    let set = ENDING.into_iter().chain([Signal::SIGCHLD]).collect::<SigSet>();
    // It cannot fail for signals that exist.
    let _ = set.thread_unblock();
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Signals").field(&self.waiting.as_fd()).finish()
    }
}
