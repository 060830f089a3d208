//! How the other side of a run is reached: which one is meant ([`other_side`]), the command that reaches a host
//! ([`template`]), that command as a child process ([`process`]), whose stderr is passed on ([`said`]), and the doveadm service of
//! a Dovecot ([`tcp`], `tls`, [`doveadm`]). What goes over the streams can be written down ([`rawlog`]).
//!
//! A side is reached with the rights of who runs the program, before those of the served user are taken on: keys for other
//! hosts belong to the former. What was reached is a [`Line`]: two byte streams, and what is behind them.

mod doveadm;
mod other_side;
mod process;
mod rawlog;
mod said;
mod tcp;
mod template;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod validity;

use std::io::{Read, Write};
use std::time::Duration;

use dsync_core::report::Report;
use dsync_core::session::SessionError;

pub(crate) use other_side::{Destination, Host, OtherSide, RemoteUser};
use process::{PeerProcess, shown};
pub(crate) use rawlog::record;
use template::Filling;
pub(crate) use template::{is_harmless, names_user as template_names_user};

use crate::configuration::UserConfiguration;
use crate::exit::Failure;
use crate::messages;

/// What comes from the other side.
pub(crate) type Input = Box<dyn Read + Send>;
/// What goes to it.
pub(crate) type Output = Box<dyn Write + Send>;

/// How long the other side may take to end after all was said.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// So long.
    For(Duration),
    /// As long as it takes, but only a little longer once this says that the run is to end.
    Until(&'a dyn Fn() -> bool),
}

impl Patience<'_> {
    /// What is enough for one that has nothing left to do.
    pub(crate) const USUAL: Self = Self::For(Duration::from_secs(30));
    /// What is enough for one that has been silent for too long already.
    const LITTLE: Self = Self::For(Duration::from_secs(2));
}

/// The other side, reached. If it is dropped, the streams are closed, which the other side takes for the end.
pub(crate) struct Line {
    input: Input,
    output: Output,
    behind: Behind,
}

/// What is behind the streams.
enum Behind {
    Process {
        process: PeerProcess,
        /// What may be the matter if it ends at once.
        advice: &'static str,
    },
    Service {
        name: String,
        end: tcp::End,
    },
}

impl Line {
    /// Reaches the other side of a run for a user. The rights are those of this process. A service has to answer within the time-out.
    ///
    /// # Errors
    /// If that is not possible, or not advisable.
    pub(crate) fn reach(
        destination: &Destination,
        user: &UserConfiguration,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        match destination {
            Destination::Command(words) => Self::start(&with_server_word(words.clone()), ""),
            Destination::Host(host) => Self::to_host(host, user),
            Destination::Service(address) => {
                let tcp::Connected { input, output, end } = tcp::connect(address, user, timeout)?;
                let name = format!("the doveadm service at {}", address.host);
                Ok(Self { input, output, behind: Behind::Service { name, end } })
            }
        }
    }

    fn to_host(host: &Host, user: &UserConfiguration) -> Result<Self, Failure> {
        let settings = user.settings().raw();
        let template = template::of(settings);
        let served = &user.user().name;
        let name = match &host.user {
            RemoteUser::Named(name) => Some(name),
            RemoteUser::ServedIfNamed => Some(served).filter(|_| user.user().looked_up),
            RemoteUser::Served => Some(served),
        };
        let filling = Filling {
            user: name.map_or("", String::as_str),
            login: host.login.as_deref().unwrap_or_default(),
            host: &host.host,
        };
        let command = template::fill(template, &filling)?;
        let advice = match name {
            Some(_) => "",
            None => {
                "; if it is a Dovecot since 2.4, it has to be told whose mail is meant: write USER@HOST, or use -u"
            }
        };
        let mut line = Self::start(&command, advice)?;
        if host.announces_user {
            let failed = |error| {
                Failure::OtherSide(format!(
                    "{} ended before it took anything: {error}; what it said, if anything, stands above",
                    shown(&command)
                ))
            };
            line.output.write_all(format!("{served}\n").as_bytes()).map_err(failed)?;
        }
        Ok(line)
    }

    fn start(command: &[String], advice: &'static str) -> Result<Self, Failure> {
        let (process, output, input) = PeerProcess::start(command)?;
        Ok(Self { input: Box::new(output), output: Box::new(input), behind: Behind::Process { process, advice } })
    }

    /// Lets `open` begin a conversation on the streams, and `converse` lead it to its end. Then the other side has to end, too. From
    /// here on this process may have threads.
    pub(crate) fn talk<C>(
        self,
        patience: Patience<'_>,
        open: impl FnOnce(Input, Output) -> Result<C, Failure>,
        converse: impl FnOnce(C) -> Result<Report, Failure>,
    ) -> Result<Report, Failure> {
        let Self { input, output, mut behind } = self;
        if let Behind::Process { process, .. } = &mut behind {
            process.pass_on_errors();
        }
        let opened = open(input, output);
        let has_begun = opened.is_ok();
        let outcome = opened.and_then(converse);
        match behind {
            Behind::Process { process, advice } => finish(process, patience, advice, has_begun, outcome),
            Behind::Service { name, end } => {
                end.now();
                match outcome {
                    Err(Failure::Session(SessionError::Closed)) if !has_begun => Err(Failure::OtherSide(format!(
                        "{name} ended the conversation before it began; its log says why"
                    ))),
                    outcome => outcome,
                }
            }
        }
    }
}

/// Lets a program end, and says how it did if that matters.
fn finish(
    process: PeerProcess,
    patience: Patience<'_>,
    advice: &str,
    has_begun: bool,
    outcome: Result<Report, Failure>,
) -> Result<Report, Failure> {
    let patience = match &outcome {
        Ok(_) => patience,
        Err(Failure::Session(SessionError::Silent(_))) => Patience::LITTLE,
        Err(_) => Patience::USUAL,
    };
    let command = process.command().to_owned();
    let ended = process.finish(patience);
    if outcome.is_err() {
        for line in ended.unheard() {
            messages::error(format_args!("other side: {line}"));
        }
    }
    match outcome {
        Err(Failure::Session(SessionError::Closed)) if !has_begun => {
            return Err(Failure::OtherSide(format!(
                "{command} ended the conversation before it began: {ended}{advice}"
            )));
        }
        Err(_) if !ended.is_well() => messages::warning(format_args!("{command}: {ended}")),
        Ok(_) if !ended.is_well() && !ended.explained_itself() => {
            messages::warning(format_args!("{command}: {ended}"));
        }
        _ => {}
    }
    outcome
}

/// The command line with the word that makes a server of the program, unless it is there.
fn with_server_word(mut words: Vec<String>) -> Vec<String> {
    let is_there = words.last().is_some_and(|last| ["server", "dsync-server"].contains(&last.as_str()));
    if !is_there {
        // doveadm knows it by that name only.
        words.push("dsync-server".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_made_a_server_once() {
        let words = |words: &[&str]| with_server_word(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words(&["a", "b"]), ["a", "b", "dsync-server"]);
        assert_eq!(words(&["a", "server"]), ["a", "server"]);
        assert_eq!(words(&["a", "dsync-server"]), ["a", "dsync-server"]);
    }
}
