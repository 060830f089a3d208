//! One run between the two stores of one user.

use std::io::Write as _;
use std::time::Duration;

use dsync_core::report::{Observer, Report};
use dsync_core::session::remote::Part;
use dsync_core::session::{SessionError, SyncOptions};
use dsync_core::store::MailStore;
use dsync_core::sync;
use dsync_storage::fs::sync_lock::SyncLock;

use crate::arguments::{self, Arguments, Run};
use crate::configuration::{Namespace, UserConfiguration};
use crate::dry_run::{self, Rehearsed};
use crate::exit::{self, Failure};
use crate::interruption::Interruption;
use crate::progress::{About, Progress};
use crate::remote::{self, Peer};
use crate::transport::OtherSide;
use crate::{messages, second_location, stores};

/// Makes two stores equal.
type Synchronisation =
    fn(&mut dyn MailStore, &mut dyn MailStore, &SyncOptions, &mut dyn Observer) -> Result<Report, SessionError>;

/// A way to make two stores equal, and what is to be expected of it.
pub(crate) struct Way {
    run: Synchronisation,
    /// What the first store does in it, unless it is reversed.
    part: Part,
    /// Both stores are changed.
    both_ways: bool,
    /// Afterwards both are the same.
    makes_equal: bool,
}

pub(crate) const BACKUP: Way = Way { run: sync::backup, part: Part::Source, both_ways: false, makes_equal: true };
pub(crate) const MIRROR: Way = Way { run: sync::mirror, part: Part::Both, both_ways: true, makes_equal: true };
pub(crate) const ONE_WAY: Way =
    Way { run: sync::merge_one_way, part: Part::MergeSource, both_ways: false, makes_equal: false };

/// A run that can be begun.
pub(crate) struct Task<'a> {
    run: &'a Run,
    way: &'static Way,
    options: SyncOptions,
    /// The other side, if the second store is behind one.
    peer: Option<Peer>,
}

impl<'a> Task<'a> {
    /// Finds out what is to be done, and reaches the other side of it. The rights are those of the caller.
    ///
    /// # Errors
    /// If it cannot be done; nothing was begun then.
    pub(crate) fn prepare(user: &UserConfiguration, run: &'a Run, way: &'static Way) -> Result<Self, Failure> {
        let options = options(user, run, way)?;
        let part = if run.options.reverse { way.part.other() } else { way.part };
        let peer = Peer::reach(user, run, part, &options)?;
        Ok(Self { run, way, options, peer })
    }
}

/// A run between the two stores of a user, from the lock to the last word. The exit status.
pub(crate) fn synchronise(
    arguments: &Arguments,
    user: &UserConfiguration,
    task: Task<'_>,
    interruption: &Interruption,
) -> Result<u8, Failure> {
    let Task { run, way, options, peer } = task;
    if run.options.running.dry_run {
        return rehearse(arguments, user, run, way, &options);
    }
    let mut progress = Progress::new(arguments.verbosity()).until(interruption);
    // The bars of several processes would run into each other.
    if !arguments.users().is_one_of_several() {
        progress = progress.with_bar();
    }
    let _lock = lock(user, run.options.running.lock)?;
    if let Some(peer) = peer {
        let allow_empty = run.options.running.allow_empty_source;
        let mut store = stores::open_for_part(arguments, user, peer.side(), peer.part(), None, allow_empty)?;
        let peer = peer.with_alternative_character(stores::alternative_character(arguments, user)?);
        let report = peer.synchronise(&mut *store, options, &mut progress, interruption)?;
        progress.summary(&report, About::ThisSide);
        print_state(run, &report)?;
        return status_of(run, &report);
    }
    let (mut first, mut second) = match way.both_ways {
        true => stores::open_both(arguments, user, run)?,
        false => stores::open_source_and_destination(arguments, user, run)?,
    };
    let report = (way.run)(&mut *first, &mut *second, &options, &mut progress)?;
    let makes_equal = options.is_everything() && way.makes_equal;
    progress.summary(&report, if makes_equal { About::EqualStores } else { About::Stores });
    drop((first, second));
    let purged = match run.options.running.purge {
        true => stores::purge_second(arguments, user, run)?.map_or(exit::SUCCESS, |purge| progress.purged(&purge)),
        false => exit::SUCCESS,
    };
    print_state(run, &report)?;
    Ok(status_of(run, &report)?.max(purged))
}

/// What the next run is to be told of this one, if that is asked for. An empty line is where to begin anew.
fn print_state(run: &Run, report: &Report) -> Result<(), Failure> {
    let text = match report.state.is_empty() {
        true => String::new(),
        false => report.state.to_string(),
    };
    match run.options.running.state.is_some() {
        true => writeln!(std::io::stdout(), "{text}").map_err(Failure::Output),
        false => Ok(()),
    }
}

/// The exit status of a run that came to its end, if what was asked for was there or need not be.
fn status_of(run: &Run, report: &Report) -> Result<u8, Failure> {
    match run.options.mailboxes.wanted().filter(|_| run.options.mailboxes.strict && report.found_nothing()) {
        Some(wanted) => Err(Failure::NotFound(format!(
            "there is no {wanted} on either side; check the name, or leave --strict out"
        ))),
        None => Ok(report.exit_status()),
    }
}

/// Says what the run would do.
fn rehearse(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
    way: &Way,
    options: &SyncOptions,
) -> Result<u8, Failure> {
    let [mut first, mut second] = stores::open_to_rehearse(arguments, user, run, way.both_ways)?;
    let mut progress = Progress::new(arguments.verbosity());
    let report = (way.run)(&mut first, &mut second, options, &mut progress)?;
    let rehearsed = [first, second].map(|store| Rehearsed { location: store.location(), changes: store.changes() });
    // Processes for several users write to the same place, so each says all of it at once.
    let mut output = Vec::new();
    match run.options.running.json {
        true => dry_run::write_json(&mut output, &rehearsed, &report),
        false => dry_run::write_text(&mut output, &rehearsed, &report),
    }
    .and_then(|()| std::io::stdout().lock().write_all(&output))
    .map_err(Failure::Output)?;
    status_of(run, &report)
}

/// The lock of the user, if it is asked for.
pub(crate) fn lock(user: &UserConfiguration, timeout: Option<Duration>) -> Result<Option<SyncLock>, Failure> {
    let Some(timeout) = timeout else { return Ok(None) };
    let Some(home) = user.home() else {
        return Err(Failure::Configuration(
            "-l: the home directory, where the lock has its place, is not known; set HOME or mail_home, or leave -l out".to_owned(),
        ));
    };
    SyncLock::take(home, timeout).map(Some).map_err(Failure::Locked)
}

/// What the run is asked to do.
fn options(user: &UserConfiguration, run: &Run, way: &Way) -> Result<SyncOptions, Failure> {
    if run.options.reverse && way.both_ways {
        messages::warning("-R has no effect: a mirror without -1 goes in both directions");
    }
    if run.options.running.has_broken_state() {
        messages::error("the state given with -s is none, or it was damaged; everything is compared as without it");
    }
    sync_options(user, run)
}

/// By which namespace the names of mailboxes are understood.
pub(crate) fn namespace(user: &UserConfiguration, run: &Run) -> Result<Namespace, Failure> {
    let namespace = user.namespace()?;
    let is_remote = match run.location.is_empty() && !run.options.running.default_destination {
        true => false,
        // What is wrong with it is said where it is needed.
        false => matches!(second_location::other_side(user, run), Ok(OtherSide::Remote(_))),
    };
    Ok(if is_remote && remote::has_full_names(user)? { namespace.with_full_names() } else { namespace })
}

/// What a run or a comparison is asked to do, as far as the mailboxes that it is about say.
pub(crate) fn sync_options(user: &UserConfiguration, run: &Run) -> Result<SyncOptions, Failure> {
    let settings = user.settings().raw();
    let namespace = namespace(user, run)?;
    let uses = arguments::special_uses(&namespace, settings.all());
    let mut options = run.options.sync_options(&namespace, &uses, &mut |special| {
        messages::warning(format_args!("no mailbox is known to be {special}; no setting special_use says so"));
    });
    options.full |= run.options.running.has_broken_state();
    Ok(options)
}
