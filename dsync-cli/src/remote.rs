//! Runs with another side that speaks the dsync protocol: this program begins them, or serves.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use dsync_core::report::Report;
use dsync_core::session::SyncOptions;
use dsync_core::session::remote::{
    Connection, ConnectionOptions, Part, RemoteSession, master_handshake, slave_handshake,
};
use dsync_core::store::MailStore;
use dsync_storage::fs::sync_lock::SyncLock;

use crate::arguments::Run;
use crate::configuration::UserConfiguration;
use crate::exit::Failure;
use crate::other_side::{OtherSide, with_server_word};
use crate::peer_process::PeerProcess;
use crate::progress::Progress;
use crate::stores;

/// The other side of a run: a program that was started, and the streams from and to it. If it is dropped, they are closed, which the
/// program takes for the end.
pub(crate) struct Peer {
    process: PeerProcess,
    output: ChildStdout,
    input: ChildStdin,
}

impl Peer {
    /// Starts the program behind which the second store of a run is, if it is behind one. It has the rights of this process: keys
    /// for other hosts belong to who runs the program, not to the user who is served.
    ///
    /// # Errors
    /// If it cannot be started, or the run is none that can be done with another side.
    pub(crate) fn start(user: &UserConfiguration, run: &Run) -> Result<Option<Self>, Failure> {
        let OtherSide::Command(command) = stores::other_side(user, run)? else { return Ok(None) };
        let running = &run.options.running;
        if running.dry_run {
            return Err(Failure::Usage("--dry-run cannot be used with another host yet".to_owned()));
        }
        if running.state.is_some() {
            return Err(Failure::Usage("-s cannot be used with another host yet".to_owned()));
        }
        let (process, output, input) = PeerProcess::start(&with_server_word(command))?;
        Ok(Some(Self { process, output, input }))
    }

    /// Synchronises a store with the one of the peer. The store does `part`.
    pub(crate) fn synchronise(
        self,
        store: &mut dyn MailStore,
        part: Part,
        (options, run): (SyncOptions, &Run),
        progress: &mut Progress,
    ) -> Result<Report, Failure> {
        let Self { process, output, input } = self;
        let mut own = master_handshake(part, &options, &hostname())?;
        own.purge_remote = run.options.running.purge;
        let connection = ConnectionOptions { timeout: run.options.running.timeout };
        let talk = || -> Result<Report, Failure> {
            let (mut connection, peer) = Connection::open(output, input, &own, connection)?;
            let mut session = match RemoteSession::master(store, part, options, &own, &peer, progress) {
                Ok(session) => session,
                Err(error) => {
                    connection.give_up(&error);
                    return Err(error.into());
                }
            };
            connection.run(&mut session)?;
            Ok(session.into_report())
        };
        let outcome = talk();
        process.finish();
        outcome
    }
}

/// What the side that begins a run wants of this one before anything is done.
pub(crate) struct Wanted<'a> {
    pub(crate) part: Part,
    /// What takes the place of characters that names cannot have.
    pub(crate) alternative: Option<&'a str>,
    /// How long to wait for the lock of the user, if this side has to take it: the one with the smaller host name does.
    pub(crate) lock: Option<Duration>,
}

/// Is the other side of a run that begins elsewhere, on stdin and stdout. `open` gives the store, and the lock if there is to be one.
pub(crate) fn serve(
    open: impl FnOnce(&Wanted<'_>) -> Result<(Box<dyn MailStore>, Option<SyncLock>), Failure>,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let failure = |error: io::Error| Failure::OtherSide(format!("stdin and stdout cannot be used: {error}"));
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failure)?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failure)?);
    let own = slave_handshake(&hostname());
    let (mut connection, peer) = Connection::open(input, output, &own, ConnectionOptions::default())?;
    let handshake = &peer.handshake;
    let locks = own.hostname < handshake.hostname;
    let wanted = Wanted {
        part: Part::wanted_by(handshake)?,
        alternative: handshake.alternative_character.as_deref().and_then(|it| std::str::from_utf8(it).ok()),
        lock: handshake.lock_timeout.filter(|_| locks).map(|seconds| Duration::from_secs(seconds.into())),
    };
    let (mut store, _lock) = match open(&wanted) {
        Ok(opened) => opened,
        Err(failure) => {
            connection.refuse();
            return Err(failure);
        }
    };
    let mut session = match RemoteSession::slave(&mut *store, &peer, progress) {
        Ok(session) => session,
        Err(error) => {
            connection.give_up(&error);
            return Err(error.into());
        }
    };
    connection.run(&mut session)?;
    Ok(session.into_report())
}

/// The name of this host. By it the two sides tell themselves apart in logs and in what they remember of each other.
fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
