//! Opening whatever store is at a location.

use dsync_core::store::{MailStore, StoreError};

use crate::dbox::DboxStore;
use crate::location::{Driver, Location};
use crate::maildir::MaildirStore;
use crate::mbox::MboxStore;
use crate::names::{NameRules, NamedStore, NamesFile};
use crate::settings::Settings;

/// Opens a store to change it. It need not exist yet. It takes mailboxes of any name: see [`names`](crate::names).
///
/// ```
/// use dsync_storage::location::Location;
/// use dsync_storage::settings::Settings;
/// let directory = tempfile::tempdir()?;
/// let location = Location::parse(&format!("mdbox:{}/mail", directory.path().display()), None)?;
/// let mut store = dsync_storage::open(&location, &Settings::default())?;
/// assert!(store.tree()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As the `open` of the format.
pub fn open(location: &Location, settings: &Settings) -> Result<Box<dyn MailStore>, StoreError> {
    let inner: Box<dyn MailStore> = match location.driver {
        Driver::Maildir => Box::new(MaildirStore::open(location)?.configured(settings)),
        Driver::Mbox => Box::new(MboxStore::open(location, settings.clone())?),
        Driver::Mdbox | Driver::Sdbox => Box::new(DboxStore::open(location, settings.clone())?),
    };
    Ok(named(inner, location, settings, false))
}

/// Opens a store to read it. Nothing in it will be changed.
///
/// # Errors
/// As the `open_read_only` of the format.
pub fn open_read_only(location: &Location, settings: &Settings) -> Result<Box<dyn MailStore>, StoreError> {
    let inner: Box<dyn MailStore> = match location.driver {
        Driver::Maildir => Box::new(MaildirStore::open_read_only(location)?.configured(settings)),
        Driver::Mbox => Box::new(MboxStore::open_read_only(location, settings.clone())?),
        Driver::Mdbox | Driver::Sdbox => Box::new(DboxStore::open_read_only(location, settings.clone())?),
    };
    Ok(named(inner, location, settings, true))
}

/// The store with names that it cannot hold mapped to others.
fn named(inner: Box<dyn MailStore>, location: &Location, settings: &Settings, read_only: bool) -> Box<dyn MailStore> {
    let roots = location.roots();
    let naming = location.naming();
    let directory = naming.layout.list_files(roots.index.as_ref().unwrap_or(&roots.mails));
    let file = NamesFile::new(directory, roots.mails, read_only);
    let rules = NameRules::of(naming, location.subscriptions_name());
    Box::new(NamedStore::new(inner, rules, settings.alternative_character, file))
}
