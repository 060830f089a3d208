//! A process for each of several users, some of them at the same time.
//!
//! Each is this program again, with the same arguments and the name of one user before them. So what one user does to
//! its process, and with which rights, is nothing to the next one. This process keeps its rights, opens no mail, and does
//! nothing but wait.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::options;
use super::outcome::{Ending, Outcome};
use super::signals::{News, Signals};

/// A user's process.
struct Running {
    name: String,
    child: Child,
}

/// Serves all users, in the order of their names in the list as far as `jobs` are free. `ended` hears of every one that
/// is through.
///
/// # Errors
/// If the system does not let us wait for processes; nothing was begun then.
pub(super) fn serve_all(
    names: Vec<String>,
    jobs: NonZeroUsize,
    may_be_unknown: bool,
    mut ended: impl FnMut(&Outcome),
) -> Result<Outcome, Errno> {
    let signals = Signals::hold()?;
    let mut outcome = Outcome::default();
    let mut waiting = names.into_iter();
    let mut running: Vec<Running> = Vec::new();
    loop {
        while outcome.stopped.is_none() && running.len() < jobs.get() {
            let Some(name) = waiting.next() else { break };
            match start(&name) {
                Ok(child) => running.push(Running { name, child }),
                Err(error) => {
                    outcome.add(name, Ending::Lost(format!("it could not be started: {error}")), may_be_unknown);
                }
            }
        }
        if running.is_empty() {
            break;
        }
        match signals.next()? {
            News::Child => {}
            News::Stop { signal, is_known } => {
                if !is_known {
                    pass_on(signal, &running);
                }
                outcome.stopped = Some((signal, waiting.len()));
            }
        }
        // Several endings may be one signal.
        for (name, ending) in take_ended(&mut running) {
            outcome.add(name, ending, may_be_unknown);
            ended(&outcome);
        }
    }
    Ok(outcome)
}

fn start(name: &str) -> std::io::Result<Child> {
    let mut command = Command::new(this_program()?);
    // Signals are held back in it until it lets them through.
    command.arg(options::one_of_several(name)).args(std::env::args_os().skip(1)).stdin(Stdio::null()).spawn()
}

/// This program, also if its file was replaced by a newer version meanwhile.
fn this_program() -> std::io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe() }
}

fn pass_on(signal: Signal, running: &[Running]) {
    for process in running {
        if let Ok(id) = i32::try_from(process.child.id()) {
            // It was not waited for, so the number is still its own; if it has ended, it needs no signal.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

fn take_ended(running: &mut Vec<Running>) -> Vec<(String, Ending)> {
    let mut ended = Vec::new();
    let mut at = 0;
    while let Some(process) = running.get_mut(at) {
        let ending = match process.child.try_wait() {
            Ok(None) => {
                at += 1;
                continue;
            }
            Ok(Some(status)) => Ending::from(status),
            Err(error) => Ending::Lost(format!("it was lost: {error}")),
        };
        ended.push((running.remove(at).name, ending));
    }
    ended
}
