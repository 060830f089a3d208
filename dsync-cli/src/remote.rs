//! Runs with another side that speaks the dsync protocol: this program begins them, or serves.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use dsync_core::report::Report;
use dsync_core::session::remote::{
    self, Connection, ConnectionOptions, Part, RemoteSession, in_namespace, master_handshake, slave_handshake,
    with_store,
};
use dsync_core::session::{SessionError, SyncOptions};
use dsync_core::store::MailStore;
use dsync_core::wire::Handshake;
use dsync_storage::fs::sync_lock::SyncLock;
use dsync_storage::names::AlternativeCharacter;

use crate::arguments::Run;
use crate::configuration::{UserConfiguration, WantedNamespaces};
use crate::exit::Failure;
use crate::interruption::Interruption;
use crate::progress::Progress;
use crate::second_location;
use crate::side::Side;
use crate::transport::{Input, Line, OtherSide, Output, Patience, record};

/// How a conversation with another side is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    /// How long nothing may be heard.
    pub(crate) timeout: Duration,
    /// To which file all that is said is written.
    pub(crate) rawlog: Option<PathBuf>,
}

impl Keeping {
    fn open(&self, input: Input, output: Output, own: &Handshake) -> Result<(Connection, remote::Peer), Failure> {
        let (input, output) = match &self.rawlog {
            Some(path) => record(path, input, output)?,
            None => (input, output),
        };
        let mut options = ConnectionOptions::default();
        options.timeout = self.timeout;
        Ok(Connection::open(input, output, own, options)?)
    }
}

/// Whether mailboxes are called between two hosts as clients see them, with the prefixes of their namespaces. If only the namespace
/// of INBOX takes part, they need none.
///
/// # Errors
/// If the namespaces contradict each other.
pub(crate) fn has_full_names(user: &UserConfiguration) -> Result<bool, Failure> {
    let namespaces = user.namespaces()?;
    Ok(namespaces.len() > 1 || namespaces.iter().any(|namespace| !namespace.inbox))
}

/// The other side of a run, reached.
pub(crate) struct Peer {
    line: Line,
    /// What is said to it first.
    handshake: Handshake,
    keeping: Keeping,
    /// What the own store does.
    part: Part,
    /// Where the own store is.
    side: Side,
    /// Where it was reached: it may not say itself which store of its host it has.
    address: String,
}

impl Peer {
    /// Reaches the other side of a run if its second store is behind one; the first store does `part`.
    ///
    /// # Errors
    /// If it cannot be reached, or the run is none that can be done with another side.
    pub(crate) fn reach(
        user: &UserConfiguration,
        run: &Run,
        part: Part,
        options: &SyncOptions,
    ) -> Result<Option<Self>, Failure> {
        let OtherSide::Remote(destination) = second_location::other_side(user, run)? else { return Ok(None) };
        let running = &run.options.running;
        if !running.second_settings.is_empty() {
            return Err(Failure::Usage(
                "-p is about a second store on this machine; another host has settings of its own".to_owned(),
            ));
        }
        if running.dry_run {
            return Err(Failure::Usage("--dry-run cannot be used with another host yet; run it without, or with a copy of the other store on this machine".to_owned()));
        }
        if run.options.restore {
            return Err(Failure::Usage("--restore cannot be used with another host; run it where the mail is to be, with the copy on the same machine".to_owned()));
        }
        let namespaces = user.namespaces()?;
        if namespaces.len() > 1 && !user.chooses_namespaces() {
            let prefixes: Vec<_> = namespaces.iter().map(|namespace| format!("-n {:?}", namespace.prefix)).collect();
            return Err(Failure::Usage(format!(
                "mail of this user is at several places, and the other host cannot know which are meant; choose them with {}, or all \
                 with -N",
                prefixes.join(" and ")
            )));
        }
        let full_names = has_full_names(user)?;
        let side = Side::of_places(user.places()?, full_names);
        let handshake = master_handshake(part, options, &hostname())?;
        let namespace = user.namespace()?;
        let (prefix, separator) =
            if full_names { ("", '/') } else { (&*namespace.prefix, namespace.separator.unwrap_or('/')) };
        let mut handshake = in_namespace(handshake, prefix, separator);
        if let Some(headers) = user.settings().get("dsync_hashed_headers")? {
            handshake.hashed_headers = Some(hashed_headers(&headers));
        }
        match run.options.mailboxes.wanted_namespaces() {
            WantedNamespaces::Usual => {}
            WantedNamespaces::Prefixes(_) => {
                let prefixes = namespaces.into_iter().map(|namespace| namespace.prefix.into_bytes());
                handshake.namespace_prefixes = Some(prefixes.collect());
            }
            WantedNamespaces::Visible => handshake.visible_namespaces = true,
        }
        let mut handshake = with_store(handshake, &side.to_string());
        handshake.purge_remote = running.purge;
        let lock_timeout = running.lock.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
        // The protocol knows no lock that is not waited for.
        handshake.lock_timeout = lock_timeout.map(|seconds| seconds.max(1));
        let keeping = running.keeping();
        let line = Line::reach(&destination, user, keeping.timeout)?;
        Ok(Some(Self { line, handshake, keeping, part, side, address: format!("{destination:?}") }))
    }

    /// Tells the other side what is to take the place of characters that a name cannot have there.
    pub(crate) fn with_alternative_character(mut self, character: AlternativeCharacter) -> Self {
        self.handshake.alternative_character = Some(character.get().to_string().into_bytes());
        self
    }

    /// Where the own store of the run is.
    pub(crate) fn side(&self) -> &Side {
        &self.side
    }

    /// What the own store does in the run.
    pub(crate) fn part(&self) -> Part {
        self.part
    }

    /// Synchronises a store with the one of the peer.
    pub(crate) fn synchronise(
        self,
        store: &mut dyn MailStore,
        options: SyncOptions,
        progress: &mut Progress,
        interruption: &Interruption,
    ) -> Result<Report, Failure> {
        let Self { line, handshake, keeping, part, address, .. } = self;
        let open = |input, output| keeping.open(input, output, &handshake);
        let is_asked = || interruption.is_asked();
        // A purge is done after all was said, and may take hours.
        let patience = if handshake.purge_remote { Patience::Until(&is_asked) } else { Patience::USUAL };
        line.talk(patience, open, |(connection, mut peer)| {
            peer.handshake.store.get_or_insert(address.into_bytes());
            let session = RemoteSession::master(store, part, options, &handshake, &peer, progress);
            converse(connection, session)
        })
    }
}

/// The headers by which messages without GUIDs are recognised, as the setting has them.
fn hashed_headers(text: &str) -> Vec<Vec<u8>> {
    text.split([' ', ',']).filter(|header| !header.is_empty()).map(|header| header.as_bytes().to_vec()).collect()
}

/// Carries a session on until it is over; if there is none, the other side hears why.
fn converse(mut connection: Connection, session: Result<RemoteSession<'_>, SessionError>) -> Result<Report, Failure> {
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            connection.give_up(&error);
            return Err(error.into());
        }
    };
    connection.run(&mut session)?;
    Ok(session.into_report())
}

/// What the side that begins a run wants of this one before anything is done.
pub(crate) struct Wanted<'a> {
    pub(crate) part: Part,
    /// What takes the place of characters that names cannot have.
    pub(crate) alternative: Option<&'a str>,
    /// Which namespaces are to take part.
    pub(crate) namespaces: WantedNamespaces,
    /// How long to wait for the lock of the user, if this side has to take it: the one with the smaller host name does.
    pub(crate) lock: Option<Duration>,
}

/// What came of a run that began elsewhere.
pub(crate) struct Served {
    pub(crate) report: Report,
    /// Whether the store is to be purged now.
    pub(crate) purge: bool,
}

/// Is the other side of a run that begins elsewhere, on stdin and stdout. `open` gives the store, and the lock if there is to be one.
/// `location` is where the store is.
pub(crate) fn serve(
    open: impl FnOnce(Wanted<'_>) -> Result<(Box<dyn MailStore>, Option<SyncLock>), Failure>,
    location: &str,
    keeping: &Keeping,
    progress: &mut Progress,
) -> Result<Served, Failure> {
    let failure = |error: io::Error| {
        Failure::OtherSide(format!(
            "stdin and stdout cannot be used: {error}; they have to be connected to the side that begins the run"
        ))
    };
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failure)?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failure)?);
    let own = with_store(slave_handshake(&hostname()), location);
    let (mut connection, mut peer) = keeping.open(Box::new(input), Box::new(output), &own)?;
    let namespaces = namespaces_of(&mut peer.handshake);
    let handshake = &peer.handshake;
    let locks = own.hostname < handshake.hostname;
    let wanted = Wanted {
        part: Part::wanted_by(handshake)?,
        namespaces,
        alternative: handshake.alternative_character.as_deref().and_then(|it| std::str::from_utf8(it).ok()),
        lock: handshake.lock_timeout.filter(|_| locks).map(|seconds| Duration::from_secs(seconds.into())),
    };
    let (mut store, _lock) = match open(wanted) {
        Ok(opened) => opened,
        Err(failure) => {
            connection.refuse();
            return Err(failure);
        }
    };
    let report = converse(connection, RemoteSession::slave(&mut *store, &peer, progress))?;
    Ok(Served { report, purge: peer.handshake.purge_remote })
}

/// Which namespaces a master wants. The store that is opened holds just these, so the session need not care.
fn namespaces_of(master: &mut Handshake) -> WantedNamespaces {
    if std::mem::take(&mut master.visible_namespaces) {
        return WantedNamespaces::Visible;
    }
    let prefixes = master.namespace_prefixes.take().unwrap_or_default();
    match prefixes.is_empty() {
        true => WantedNamespaces::Usual,
        false => {
            let text = |prefix: Vec<u8>| String::from_utf8_lossy(&prefix).into_owned();
            WantedNamespaces::Prefixes(prefixes.into_iter().map(text).collect())
        }
    }
}

/// The name of this host. By it the two sides tell themselves apart in logs and in what they remember of each other.
fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stand_between_blanks_or_commas() {
        assert_eq!(hashed_headers("Date, Message-ID  X"), [&b"Date"[..], b"Message-ID", b"X"]);
    }

    #[test]
    fn a_master_says_which_namespaces_it_wants() {
        let mut master = Handshake { visible_namespaces: true, ..Handshake::default() };
        assert_eq!(namespaces_of(&mut master), WantedNamespaces::Visible);
        assert!(!master.visible_namespaces, "the session need not care");
        assert_eq!(namespaces_of(&mut master), WantedNamespaces::Usual);
        master.namespace_prefixes = Some(vec![Vec::new(), b"Public/".to_vec()]);
        let wanted = WantedNamespaces::Prefixes(vec![String::new(), "Public/".to_owned()]);
        assert_eq!(namespaces_of(&mut master), wanted);
        assert_eq!(master.namespace_prefixes, None);
    }
}
