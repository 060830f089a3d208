//! What each side of a run with a peer does, and what it was asked to do.

use super::names::pattern_here;
use crate::model::{MailboxName, MailboxSelection, MessageSelection, Timestamp, TreeHistory};
use crate::session::{SessionError, SyncOptions, peer_label};
use crate::wire::{Handshake, SyncType};

/// What a side does in a run with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is copied, and not changed.
    Source,
    /// It becomes a copy.
    Copy,
    /// The other side takes over what was done here; nothing is changed here.
    MergeSource,
    /// It takes over what was done at the other side, and keeps what was done here.
    MergeDestination,
    /// Each side takes over what was done at the other.
    Both,
}

impl Part {
    /// Whether the side tells what it has.
    #[must_use]
    pub const fn exports(self) -> bool {
        matches!(self, Self::Source | Self::MergeSource | Self::Both)
    }

    /// Whether the side is changed.
    #[must_use]
    pub const fn imports(self) -> bool {
        matches!(self, Self::Copy | Self::MergeDestination | Self::Both)
    }

    /// Whether one side becomes a copy of the other.
    #[must_use]
    pub const fn is_copying(self) -> bool {
        matches!(self, Self::Source | Self::Copy)
    }

    /// What the other side does.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Copy,
            Self::Copy => Self::Source,
            Self::MergeSource => Self::MergeDestination,
            Self::MergeDestination => Self::MergeSource,
            Self::Both => Self::Both,
        }
    }

    /// What the master's handshake wants its receiver to do.
    ///
    /// # Errors
    /// If it contradicts itself.
    pub fn wanted_by(master: &Handshake) -> Result<Self, SessionError> {
        match (master.backup_send, master.backup_recv, master.no_backup_overwrite) {
            (true, true, _) => {
                Err(SessionError::InvalidData("a handshake that makes this side source and copy".into()))
            }
            (true, false, false) => Ok(Self::Source),
            (true, false, true) => Ok(Self::MergeSource),
            (false, true, false) => Ok(Self::Copy),
            (false, true, true) => Ok(Self::MergeDestination),
            (false, false, _) => Ok(Self::Both),
        }
    }
}

/// The headers by which messages are recognised that have no GUIDs.
const HASHED_HEADERS: [&[u8]; 2] = [b"Date", b"Message-ID"];

/// The handshake of a master that does `part` itself.
///
/// # Errors
/// If the options cannot be told to a peer.
pub fn master_handshake(part: Part, options: &SyncOptions, hostname: &str) -> Result<Handshake, SessionError> {
    let inexpressible =
        "a selection of several mailboxes by a special use cannot be told to the other side; name them";
    let chosen = ChosenMessages::told(&options.messages)?;
    let words = options.mailboxes.words().ok_or_else(|| SessionError::Inexpressible(inexpressible.to_owned()))?;
    let excluded: Vec<_> = words.excluded.into_iter().map(String::into_bytes).collect();
    let other = part.other();
    Ok(Handshake {
        hostname: hostname.as_bytes().to_vec(),
        mailbox: words.pattern.map(String::into_bytes),
        mailbox_guid: words.guid.map(|guid| guid.to_string().into_bytes()),
        sync_type: Some(match options.full {
            true => SyncType::Full,
            false if options.state.is_empty() => SyncType::Changed,
            false => SyncType::State,
        }),
        exclude_mailboxes: Some(excluded).filter(|excluded| !excluded.is_empty()),
        send_mail_requests: true,
        backup_send: matches!(other, Part::Source | Part::MergeSource),
        backup_recv: matches!(other, Part::Copy | Part::MergeDestination),
        no_backup_overwrite: matches!(other, Part::MergeSource | Part::MergeDestination),
        no_mail_sync: options.tree_only,
        since: chosen.since,
        until: chosen.until,
        max_size: options.messages.max_size,
        flags: chosen.flags,
        hashed_headers: Some(HASHED_HEADERS.map(<[u8]>::to_vec).to_vec()),
        alternative_character: Some(b"_".to_vec()),
        waits_for_deletions: true,
        relative_to: Some(b"/".to_vec()),
        allow_empty_source: options.allow_empty_source,
        hashes_contents: true,
        commits_in_turn: true,
        takes_partial_mailboxes: true,
        ..Handshake::default()
    })
}

/// The handshake of a master in the names that clients see: with the prefix of the namespace in which its store is, and what separates
/// their levels there.
#[must_use]
pub fn in_namespace(master: Handshake, prefix: &str, separator: char) -> Handshake {
    let named = |pattern: Vec<u8>| match String::from_utf8(pattern) {
        Ok(text) if text.eq_ignore_ascii_case("INBOX") => text.into_bytes(),
        Ok(text) => format!("{prefix}{}", text.replace('/', &separator.to_string())).into_bytes(),
        Err(error) => error.into_bytes(),
    };
    Handshake {
        mailbox: master.mailbox.map(named),
        exclude_mailboxes: master.exclude_mailboxes.map(|masks| masks.into_iter().map(named).collect()),
        relative_to: Some(format!("{separator}{prefix}").into_bytes()),
        ..master
    }
}

/// The handshake of a side that says which store of its host it has. `location` is always the same for the same store, and is not
/// told as it is.
#[must_use]
pub fn with_store(handshake: Handshake, location: &str) -> Handshake {
    let label = peer_label(location).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Handshake { store: Some(label.into_bytes()), ..handshake }
}

/// The handshake of a slave.
#[must_use]
pub fn slave_handshake(hostname: &str) -> Handshake {
    Handshake {
        hostname: hostname.as_bytes().to_vec(),
        hashed_headers: Some(Vec::new()),
        hashes_contents: true,
        takes_early_offers: true,
        commits_in_turn: true,
        takes_partial_mailboxes: true,
        relative_to: Some(b"/".to_vec()),
        ..Handshake::default()
    }
}

/// What the master wants to be done. What is not understood is refused: to do without it could cost mail.
///
/// # Errors
/// If this side cannot do it.
pub(super) fn wanted_options(master: &Handshake, own: &TreeHistory) -> Result<SyncOptions, SessionError> {
    let refuse = |what: &str| Err(SessionError::Unsupported(what.to_owned()));
    if master.visible_namespaces && Part::wanted_by(master)? == Part::Source {
        // The master would delete what it has in namespaces that are not here.
        return refuse("all its namespaces (-N)");
    }
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(SessionError::InvalidData("the name of a mailbox that is no UTF-8".to_owned())),
    };
    let relative_to = master.relative_to.as_deref().map(text).transpose()?;
    let here = |bytes: &[u8]| Ok::<_, SessionError>(pattern_here(&text(bytes)?, own, relative_to.as_deref()));
    let mut mailboxes = match (&master.mailbox, &master.mailbox_guid) {
        (Some(name), _) if name.starts_with(b"\\") => return refuse("mailboxes of a special use (-m)"),
        (Some(name), _) if !name.is_empty() => match here(name)? {
            Some(name) => named(&name),
            None => MailboxSelection::named([]),
        },
        (_, Some(guid)) if !guid.is_empty() => {
            let guid = crate::model::MailboxGuid::from_hex(guid);
            let guid =
                guid.ok_or_else(|| SessionError::InvalidData("a GUID of a mailbox that is none".to_owned()))?;
            MailboxSelection::with_guid(guid)
        }
        _ => MailboxSelection::all(),
    };
    for mask in master.exclude_mailboxes.iter().flatten() {
        if mask.starts_with(b"\\") {
            return refuse("mailboxes to be left out by their special use (-x)");
        }
        mailboxes = match here(mask)? {
            Some(mask) => mailboxes.excluding(mask),
            None if mask.iter().any(|byte| b"*?".contains(byte)) => {
                return refuse(
                    "mailboxes to be left out (-x) whose names need not begin with the prefix of this side",
                );
            }
            None => mailboxes,
        };
    }
    Ok(SyncOptions {
        full: master.sync_type != Some(SyncType::Changed),
        mailboxes,
        messages: ChosenMessages::wanted_by(master)?,
        tree_only: master.no_mail_sync,
        allow_empty_source: master.allow_empty_source,
        ..SyncOptions::default()
    })
}

/// A choice of messages in the words of a handshake.
struct ChosenMessages {
    since: Option<u64>,
    until: Option<u64>,
    flags: Option<Vec<u8>>,
}

impl ChosenMessages {
    fn told(selection: &MessageSelection) -> Result<Self, SessionError> {
        let seconds = |time: Option<Timestamp>, option: &str| match time.map(|time| u64::try_from(time.seconds())) {
            None => Ok(None),
            Some(Ok(seconds)) if seconds > 0 => Ok(Some(seconds)),
            Some(_) => Err(SessionError::Inexpressible(format!(
                "{option}: the other side cannot be told of times before 1970; do without {option}"
            ))),
        };
        if selection.max_size == Some(0) {
            let text = "-I: the other side cannot be told of a greatest size of 0; messages are never that small";
            return Err(SessionError::Inexpressible(text.to_owned()));
        }
        // Every message was received later than this.
        let since = selection.since.filter(|since| since.seconds() > 0);
        Ok(Self {
            since: seconds(since, "-t")?,
            until: seconds(selection.until, "-e")?,
            flags: selection.mark.as_ref().map(|mark| mark.to_string().into_bytes()),
        })
    }

    fn wanted_by(master: &Handshake) -> Result<MessageSelection, SessionError> {
        let refuse = |what: &str| Err(SessionError::Unsupported(what.to_owned()));
        // Dovecot's program says the time of -t, or 0, when it means that of -e (2.3, and 2.4 up to 2.4.2).
        if master.until == Some(0) || master.until.is_some() && master.until == master.since {
            return refuse("messages until a time that it does not say, which is an error of its version (-e)");
        }
        let time =
            |seconds: Option<u64>| seconds.map(|seconds| Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let mark = match master.flags.as_deref().map(|flags| (flags, std::str::from_utf8(flags).map(str::parse))) {
            None => None,
            Some((_, Ok(Ok(mark)))) => Some(mark),
            Some((flags, _)) => {
                return refuse(&format!("messages with the flag {:?} (-O)", String::from_utf8_lossy(flags)));
            }
        };
        Ok(MessageSelection { since: time(master.since), until: time(master.until), max_size: master.max_size, mark })
    }
}

/// The mailbox of that name, whose separator the other side does not say: `/` or `.`.
fn named(name: &str) -> MailboxSelection {
    if name.contains(['*', '%']) {
        return MailboxSelection::matching(name);
    }
    MailboxSelection::named(['/', '.'].into_iter().filter_map(|separator| MailboxName::parse(name, separator)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_does_what_the_master_does_not() {
        for part in [Part::Source, Part::Copy, Part::MergeSource, Part::MergeDestination, Part::Both] {
            let master = master_handshake(part, &SyncOptions::default(), "host").unwrap();
            assert_eq!(Part::wanted_by(&master).unwrap(), part.other());
            assert_eq!(part.other().other(), part);
        }
        let both = Handshake { backup_send: true, backup_recv: true, ..Handshake::default() };
        assert!(Part::wanted_by(&both).is_err());
    }

    #[test]
    fn options_arrive_and_unknown_ones_are_refused() {
        let mailboxes = MailboxSelection::matching("Lists/*").excluding("*/old");
        let messages = MessageSelection {
            since: Some(Timestamp(10)),
            until: Some(Timestamp(20)),
            max_size: Some(30),
            mark: Some("-\\Deleted".parse().unwrap()),
        };
        let options = SyncOptions { full: true, mailboxes, messages, ..SyncOptions::default() };
        let master = master_handshake(Part::Both, &options, "host").unwrap();
        assert_eq!(wanted_options(&master, &TreeHistory::default()).unwrap(), options);
        let refused = |change: fn(&mut Handshake)| {
            let mut handshake = master.clone();
            change(&mut handshake);
            assert!(
                matches!(wanted_options(&handshake, &TreeHistory::default()), Err(SessionError::Unsupported(_))),
                "{handshake:?}"
            );
        };
        refused(|master| master.until = Some(0));
        refused(|master| master.until = master.since);
        refused(|master| master.flags = Some(b"\\Nonsense".to_vec()));
        refused(|master| master.mailbox = Some(b"\\Trash".to_vec()));
        refused(|master| master.exclude_mailboxes = Some(vec![b"\\Trash".to_vec()]));
        refused(|master| (master.visible_namespaces, master.backup_send) = (true, true));
        let prefixed = in_namespace(master, "Mail.", '.');
        assert_eq!(prefixed.mailbox.as_deref(), Some(&b"Mail.Lists.*"[..]));
        let wanted = wanted_options(&prefixed, &TreeHistory { separators: vec!['.'], ..TreeHistory::default() });
        let name = |text| MailboxName::parse(text, '/').unwrap();
        assert!(wanted.unwrap().mailboxes.contains(&name("Lists/x"), None));
    }
}
