//! Finding and opening the two stores of a run.

use std::path::{Path, PathBuf};

use dsync_core::store::MailStore;
use dsync_storage::dbox::DboxStore;
use dsync_storage::location::{Driver, Location};
use dsync_storage::settings::Settings;

use crate::arguments::{Arguments, Run};
use crate::exit::Failure;

/// The two stores of a run.
pub(crate) type Pair = (Box<dyn MailStore>, Box<dyn MailStore>);

/// Opens source and destination. Nothing is written yet.
pub(crate) fn open_source_and_destination(arguments: &Arguments, run: &Run) -> Result<Pair, Failure> {
    let (first, second) = locations(arguments, run)?;
    let (source, destination) = if run.options.reverse { (second, first) } else { (first, second) };
    let settings = settings(arguments)?;
    Ok((open_source(&source, &settings)?, dsync_storage::open(&destination, &settings)?))
}

/// Opens two stores that both may be changed. Nothing is written yet.
pub(crate) fn open_both(arguments: &Arguments, run: &Run) -> Result<Pair, Failure> {
    let (first, second) = locations(arguments, run)?;
    let settings = settings(arguments)?;
    Ok((dsync_storage::open(&first, &settings)?, dsync_storage::open(&second, &settings)?))
}

/// Opens the store that is to be purged.
pub(crate) fn open_dbox(arguments: &Arguments) -> Result<DboxStore, Failure> {
    let location = first_location(arguments, home().as_deref())?;
    if location.driver != Driver::Mdbox {
        return Err(Failure::Configuration(format!(
            "{location} needs no purge: only an mdbox keeps messages after they were expunged"
        )));
    }
    if !location.root.is_dir() {
        return Err(Failure::Configuration(format!("{location} does not exist; check the path")));
    }
    Ok(DboxStore::open(&location, settings(arguments)?)?)
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

fn locations(arguments: &Arguments, run: &Run) -> Result<(Location, Location), Failure> {
    let home = home();
    let first = first_location(arguments, home.as_deref())?;
    let second = second_location(&run.location, home.as_deref())?;
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
    for name in ["Maildir", "mdbox", "sdbox"] {
        let root = home.join(name);
        if let Some(driver) = Driver::detect(&root) {
            return Ok(Location::new(driver, root));
        }
    }
    Err(Failure::Configuration(format!(
        "mail_location is not set and there is no mail store in {} (Maildir, mdbox or sdbox); use -o \
         mail_location=...",
        home.display()
    )))
}

/// The settings that change how stores are read and written.
fn settings(arguments: &Arguments) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    let given = |name| arguments.setting(name).filter(|value| !value.is_empty());
    if let Some(text) = given("mdbox_rotate_size") {
        settings.rotate_size = parse_size(text).ok_or_else(|| {
            Failure::Configuration(format!("mdbox_rotate_size: {text:?} is no size; write for example 10M"))
        })?;
    }
    settings.attachments = given("mail_attachment_dir").map(PathBuf::from);
    if let Some(text) = given("mbox_write_locks") {
        settings.mbox_locks =
            text.parse().map_err(|error| Failure::Configuration(format!("mbox_write_locks: {error}")))?;
    }
    if let Some(text) = given("mbox_md5") {
        settings.mbox_digest = text.parse().map_err(|error| Failure::Configuration(format!("mbox_md5: {error}")))?;
    }
    if let Some(text) = given("dsync_alt_char") {
        settings.alternative_character =
            text.parse().map_err(|error| Failure::Configuration(format!("dsync_alt_char: {error}")))?;
    }
    if let Some(character) = arguments.alternative_character() {
        settings.alternative_character = character;
    }
    Ok(settings)
}

/// A number of bytes, with a unit of 1024: `10M`, `2 k`, `4096`, `1GB`.
fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
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

fn open_source(location: &Location, settings: &Settings) -> Result<Box<dyn MailStore>, Failure> {
    if !location.root.is_dir() {
        return Err(Failure::Configuration(format!(
            "the source {location} does not exist; check the path and whether it is mounted (the destination was not \
             touched)"
        )));
    }
    Ok(dsync_storage::open_read_only(location, settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("10M", 10 << 20), ("2 k", 2048), ("7", 7), ("1GB", 1 << 30), ("1 KiB", 1024), ("5b", 5)]
        {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for text in ["", "M", "10X", "-1", "99999999999999999999", "20000000T"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
