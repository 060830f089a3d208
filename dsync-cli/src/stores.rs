//! Finding and opening the two stores of a run.

use dsync_core::rehearsal::Rehearsal;
use dsync_core::session::remote::Part;
use dsync_core::store::{ErrorKind, MailStore, StoreError};
use dsync_storage::dbox::{DboxStore, PurgeReport};
use dsync_storage::location::{Driver, Location};
use dsync_storage::names::AlternativeCharacter;
use dsync_storage::settings::Settings;

use crate::arguments::{Arguments, Run};
use crate::configuration::{Configuration, Environment, UserConfiguration};
use crate::exit::{self, Failure};
use crate::messages;
use crate::second_location;
use crate::second_settings;
use crate::side::{self, Side};
use crate::transport::OtherSide;

/// The two stores of a run.
pub(crate) type Pair = (Box<dyn MailStore>, Box<dyn MailStore>);

/// Opens source and destination. Nothing is written yet.
pub(crate) fn open_source_and_destination(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
) -> Result<Pair, Failure> {
    let (source, destination) = source_and_destination(user, run)?;
    let settings = settings(arguments, user)?;
    let mut stores = (
        open_source(&source, run.options.running.allow_empty_source, &settings)?,
        side::open(&destination, &settings)?,
    );
    refuse_to_lose_all_but_inbox(&source, run, &mut *stores.1)?;
    Ok(stores)
}

/// Of a source that has nothing but the file of its INBOX it cannot be told whether the rest is not there yet, or not there any
/// more.
fn refuse_to_lose_all_but_inbox(source: &Side, run: &Run, destination: &mut dyn MailStore) -> Result<(), Failure> {
    let Some(source) = source.first() else { return Ok(()) };
    if source.root.is_dir() || run.options.running.allow_empty_source {
        return Ok(());
    }
    let tree = destination.tree()?;
    match tree.iter().find(|(name, node)| !name.is_inbox() && node.is_mailbox()) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::Configuration(format!(
            "there is no {}, only the INBOX of {source}, but {} has {name}, which would be deleted; check whether the source is \
             mounted, and make the directory, or give --allow-empty-source, if it is right (the destination was not touched)",
            source.root.display(),
            destination.location()
        ))),
    }
}

/// Opens two stores that both may be changed. Nothing is written yet.
pub(crate) fn open_both(arguments: &Arguments, user: &UserConfiguration, run: &Run) -> Result<Pair, Failure> {
    let (first, second) = locations(user, run)?;
    let settings = settings(arguments, user)?;
    Ok((side::open(&first, &settings)?, side::open(&second, &settings)?))
}

/// Opens the own side of a run with a peer, in which it does `part`. `alternative` is what the peer wants to take the place of
/// characters that names cannot have.
pub(crate) fn open_for_part(
    arguments: &Arguments,
    user: &UserConfiguration,
    side: &Side,
    part: Part,
    alternative: Option<&str>,
    allow_empty: bool,
) -> Result<Box<dyn MailStore>, Failure> {
    let mut settings = settings(arguments, user)?;
    // One that no name can have is none of this side's concern.
    let alternative = alternative.and_then(|text| text.parse().ok());
    if let Some(character) = alternative.filter(|_| arguments.alternative_character().is_none()) {
        settings.alternative_character = character;
    }
    let missing = side.locations().find(|location| !location.root.is_dir());
    match missing.filter(|_| !allow_empty) {
        _ if part.imports() => Ok(side::open(side, &settings)?),
        // What the other side has that is not here cannot be looked at.
        Some(location) => Err(Failure::Configuration(format!(
            "there is no {}; check whether the source is mounted, and make the directory if it is right",
            location.root.display()
        ))),
        None => open_source(side, allow_empty, &settings),
    }
}

/// Opens the store that is to be purged.
pub(crate) fn open_dbox(arguments: &Arguments, user: &UserConfiguration) -> Result<DboxStore, Failure> {
    let location = user.first_location()?;
    if location.driver != Driver::Mdbox {
        return Err(Failure::Configuration(format!(
            "{location} needs no purge: only an mdbox keeps messages after they were expunged"
        )));
    }
    if !location.root.is_dir() {
        return Err(Failure::Configuration(format!(
            "{location} does not exist; check the path and whether it is mounted"
        )));
    }
    Ok(DboxStore::open(&location, settings(arguments, user)?)?)
}

/// Opens two stores to compare them: those of the command line, or the default one and that of the command line.
pub(crate) fn open_to_compare(arguments: &Arguments, user: &UserConfiguration, run: &Run) -> Result<Pair, Failure> {
    let (first, second) = match &run.location[..] {
        [first, second] => (
            local(user, run, "LOCATION1", first)?.into(),
            second_side_at(user, run, local(user, run, SECOND, second)?)?,
        ),
        _ => (first_side(user)?, second_side(user, run)?),
    };
    let settings = settings(arguments, user)?;
    Ok((open_existing(&first, &settings)?, open_existing(&second, &settings)?))
}

/// Opens the store that is to be listed: that of the command line, or the default one.
pub(crate) fn open_to_list(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
) -> Result<Box<dyn MailStore>, Failure> {
    let is_default = run.location.is_empty() && !run.options.running.default_destination;
    let side = if is_default { first_side(user)? } else { second_side(user, run)? };
    open_existing(&side, &settings(arguments, user)?)
}

/// Opens one side to look at it.
fn open_existing(side: &Side, settings: &Settings) -> Result<Box<dyn MailStore>, Failure> {
    side.opened(settings, true, open_existing_at)
}

fn open_existing_at(location: &Location, settings: &Settings) -> Result<Box<dyn MailStore>, Failure> {
    if let Err(error) = location.root.metadata()
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        let message = format!("{location} cannot be looked at by this user");
        return Err(StoreError::with_source(ErrorKind::Permission, message, error).into());
    }
    if !location.exists() {
        return Err(Failure::Configuration(format!(
            "{location} does not exist; check the path and whether it is mounted"
        )));
    }
    Ok(dsync_storage::open_read_only(location, settings)?)
}

/// The configuration, before it is known for whom.
pub(crate) fn configuration(arguments: &Arguments, environment: &Environment) -> Result<Configuration, Failure> {
    let configuration = Configuration::read(arguments.configuration_file(), arguments.settings(), environment)?
        .about_namespaces(arguments.wanted_namespaces());
    if !arguments.users().is_one_of_several() {
        warn(configuration.warnings());
    }
    Ok(configuration)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        messages::warning(warning);
    }
}

/// The first side of a run on this machine.
pub(crate) fn first_side(user: &UserConfiguration) -> Result<Side, Failure> {
    Ok(Side::of_places(user.places()?, false))
}

fn second_side(user: &UserConfiguration, run: &Run) -> Result<Side, Failure> {
    second_side_at(user, run, second_location(user, run)?)
}

/// The second side, with the settings that only it has.
fn second_side_at(user: &UserConfiguration, run: &Run, location: Location) -> Result<Side, Failure> {
    let side = Side::from(location);
    let given = &run.options.running.second_settings;
    if given.is_empty() {
        return Ok(side);
    }
    let (settings, warnings) = second_settings::configuration(user, given).storage()?;
    let known = user.storage()?.1;
    warn(&warnings.into_iter().filter(|warning| !known.contains(warning)).collect::<Vec<_>>());
    Ok(side.with_settings(settings))
}

fn locations(user: &UserConfiguration, run: &Run) -> Result<(Side, Side), Failure> {
    let (own, other) = (first_side(user)?, second_side(user, run)?);
    if let Some((first, second, path)) = own.overlap(&other) {
        return Err(Failure::Configuration(format!(
            "the two stores overlap: {first} and {second} both use {}; a store cannot be synchronised with itself: give another LOCATION2",
            path.display()
        )));
    }
    let conversions = own.drivers().flat_map(|from| other.drivers().map(move |to| (from, to)));
    if let Some(warning) = conversions.into_iter().find_map(|(from, to)| user.about_conversion(from, to)) {
        messages::warning(warning);
    }
    Ok((own, other))
}

fn source_and_destination(user: &UserConfiguration, run: &Run) -> Result<(Side, Side), Failure> {
    let (first, second) = locations(user, run)?;
    Ok(if run.options.reverse { (second, first) } else { (first, second) })
}

/// The settings that change how stores are read and written. Says what of them is not heeded.
fn settings(arguments: &Arguments, user: &UserConfiguration) -> Result<Settings, Failure> {
    let (settings, warnings) = settings_and_warnings(arguments, user)?;
    warn(&warnings);
    Ok(settings)
}

fn settings_and_warnings(
    arguments: &Arguments,
    user: &UserConfiguration,
) -> Result<(Settings, Vec<String>), Failure> {
    let (mut settings, warnings) = user.storage()?;
    if let Some(character) = arguments.alternative_character() {
        settings.alternative_character = character;
    }
    Ok((settings, warnings))
}

/// What takes the place of characters that a name cannot have.
pub(crate) fn alternative_character(
    arguments: &Arguments,
    user: &UserConfiguration,
) -> Result<AlternativeCharacter, Failure> {
    Ok(settings_and_warnings(arguments, user)?.0.alternative_character)
}

/// Purges the second location of a run, if it is one that needs that. The run has said what of the settings is not heeded.
pub(crate) fn purge_second(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
) -> Result<Option<PurgeReport>, Failure> {
    let given = &run.options.running.second_settings;
    purge_at(arguments, &second_settings::configuration(user, given), second_location(user, run)?)
}

/// Purges those places of a side that need that, and gives each report to `tell`. The run has said what of the settings is not
/// heeded.
pub(crate) fn purge_side(
    arguments: &Arguments,
    user: &UserConfiguration,
    side: &Side,
    mut tell: impl FnMut(&PurgeReport) -> u8,
) -> Result<u8, Failure> {
    let mut status = exit::SUCCESS;
    for location in side.locations() {
        if let Some(report) = purge_at(arguments, user, location.clone())? {
            status = status.max(tell(&report));
        }
    }
    Ok(status)
}

fn purge_at(
    arguments: &Arguments,
    user: &UserConfiguration,
    location: Location,
) -> Result<Option<PurgeReport>, Failure> {
    if location.driver != Driver::Mdbox {
        return Ok(None);
    }
    let (settings, _) = settings_and_warnings(arguments, user)?;
    Ok(Some(DboxStore::open(&location, settings)?.purge()?))
}

/// The name of the second location in messages and in the help.
const SECOND: &str = "LOCATION2";

fn second_location(user: &UserConfiguration, run: &Run) -> Result<Location, Failure> {
    on_this_machine(user, run, SECOND, second_location::other_side(user, run)?)
}

/// A location of the command line, by the name that the help has for it.
fn local(user: &UserConfiguration, run: &Run, name: &str, word: &str) -> Result<Location, Failure> {
    on_this_machine(user, run, name, second_location::understood(user, run, &[word.to_owned()])?)
}

fn on_this_machine(user: &UserConfiguration, run: &Run, name: &str, side: OtherSide) -> Result<Location, Failure> {
    match side {
        OtherSide::Local(word) => {
            let word = match name {
                SECOND => second_settings::with_parameters(&word, &run.options.running.second_settings),
                _ => word,
            };
            user.second_location(&word).map_err(|error| Failure::Usage(error.to_string()))
        }
        OtherSide::Remote(_) => Err(Failure::Usage(format!(
            "{name}: {:?} is no mail location on this machine; write driver:path, for example maildir:~/Maildir",
            run.location.join(" ")
        ))),
    }
}

/// Opens both stores for a run that only pretends to change them: source and destination, or the first and the second.
pub(crate) fn open_to_rehearse(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
    both_ways: bool,
) -> Result<[Rehearsal; 2], Failure> {
    if both_ways {
        let (first, second) = locations(user, run)?;
        let settings = settings(arguments, user)?;
        return Ok([rehearsal(&first, &settings)?, rehearsal(&second, &settings)?]);
    }
    let (source, destination) = source_and_destination(user, run)?;
    let settings = settings(arguments, user)?;
    let mut stores = [
        Rehearsal::of(open_source(&source, run.options.running.allow_empty_source, &settings)?),
        rehearsal(&destination, &settings)?,
    ];
    refuse_to_lose_all_but_inbox(&source, run, &mut stores[1])?;
    Ok(stores)
}

fn rehearsal(side: &Side, settings: &Settings) -> Result<Rehearsal, StoreError> {
    let store = side.opened(settings, true, |location, settings| match location.exists() {
        true => dsync_storage::open_read_only(location, settings),
        // It comes into being only when something is written to it.
        false => dsync_storage::open(location, settings),
    })?;
    Ok(if side.exists() { Rehearsal::of(store) } else { Rehearsal::of_missing(store) })
}

fn open_source(side: &Side, allow_empty: bool, settings: &Settings) -> Result<Box<dyn MailStore>, Failure> {
    side.opened(settings, true, |location, settings| open_source_at(location, allow_empty, settings))
}

fn open_source_at(
    location: &Location,
    allow_empty: bool,
    settings: &Settings,
) -> Result<Box<dyn MailStore>, Failure> {
    if let Err(error) = location.root.metadata()
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        let message = format!("the source {location} cannot be looked at by this user");
        return Err(StoreError::with_source(ErrorKind::Permission, message, error).into());
    }
    if !location.exists() && allow_empty {
        return Ok(Box::new(rehearsal(&location.clone().into(), settings)?));
    }
    if !location.exists() {
        return Err(Failure::Configuration(format!(
            "the source {location} does not exist; check the path and whether it is mounted (the destination was not \
             touched)"
        )));
    }
    Ok(dsync_storage::open_read_only(location, settings)?)
}
