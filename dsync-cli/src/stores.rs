//! Finding and opening the two stores of a run.

use std::path::{Path, PathBuf};

use dsync_core::store::MailStore;
use dsync_storage::location::{Driver, Location};
use dsync_storage::maildir::MaildirStore;

use crate::arguments::Arguments;
use crate::exit::Failure;

/// The two stores of a run.
pub(crate) type Pair = (Box<dyn MailStore>, Box<dyn MailStore>);

/// Opens source and destination. Nothing is written yet.
pub(crate) fn open_source_and_destination(arguments: &Arguments) -> Result<Pair, Failure> {
    let (first, second) = locations(arguments)?;
    let reverse = arguments.command.run().reverse;
    let (source, destination) = if reverse { (second, first) } else { (first, second) };
    Ok((open_source(&source)?, open_for_changes(&destination)?))
}

/// Opens two stores that both may be changed. Nothing is written yet.
pub(crate) fn open_both(arguments: &Arguments) -> Result<Pair, Failure> {
    let (first, second) = locations(arguments)?;
    Ok((open_for_changes(&first)?, open_for_changes(&second)?))
}

fn locations(arguments: &Arguments) -> Result<(Location, Location), Failure> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let first = first_location(arguments, home.as_deref())?;
    let second = second_location(&arguments.command.run().location, home.as_deref())?;
    if let Some(path) = first.overlap(&second) {
        return Err(Failure::Configuration(format!(
            "the two stores overlap: {first} and {second} both use {}; a store cannot be synchronised with itself",
            path.display()
        )));
    }
    Ok((first, second))
}

/// The default mail location: what `-o` says, else what is found in the home directory.
fn first_location(arguments: &Arguments, home: Option<&Path>) -> Result<Location, Failure> {
    let given = arguments.setting("mail_location").or_else(|| arguments.setting("mail"));
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return Location::parse(text, home)
            .map_err(|error| Failure::Configuration(format!("mail_location: {error}")));
    }
    let Some(home) = home else {
        return Err(Failure::Configuration(
            "mail_location is not set and HOME gives no home directory to look for it; use -o mail_location=..."
                .to_owned(),
        ));
    };
    let maildir = home.join("Maildir");
    if maildir.join("cur").is_dir() {
        return Ok(Location::new(Driver::Maildir, maildir));
    }
    Err(Failure::Configuration(format!(
        "mail_location is not set and there is no mail store at {}; use -o mail_location=...",
        maildir.display()
    )))
}

fn second_location(words: &[String], home: Option<&Path>) -> Result<Location, Failure> {
    let [word] = words else {
        return Err(Failure::Usage(format!(
            "{:?} is a command line; only local locations can be used so far, for example maildir:/backup/Maildir",
            words.join(" ")
        )));
    };
    Location::parse(word, home).map_err(|error| Failure::Usage(error.to_string()))
}

fn open_source(location: &Location) -> Result<Box<dyn MailStore>, Failure> {
    refuse_dbox(location)?;
    if !location.root.is_dir() {
        return Err(Failure::Configuration(format!(
            "the source {location} does not exist; check the path and whether it is mounted (the destination was not \
             touched)"
        )));
    }
    Ok(Box::new(MaildirStore::open_read_only(location)?))
}

fn open_for_changes(location: &Location) -> Result<Box<dyn MailStore>, Failure> {
    refuse_dbox(location)?;
    Ok(Box::new(MaildirStore::open(location)?))
}

fn refuse_dbox(location: &Location) -> Result<(), Failure> {
    if location.driver.is_dbox() {
        return Err(Failure::Configuration(format!("{location} cannot be opened yet")));
    }
    Ok(())
}
