//! Opening whatever store is at a location.

use dsync_core::store::{MailStore, StoreError};

use crate::dbox::DboxStore;
use crate::location::{Driver, Location};
use crate::maildir::MaildirStore;
use crate::settings::Settings;

/// Opens a store to change it. It need not exist yet.
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
    Ok(match location.driver {
        Driver::Maildir => Box::new(MaildirStore::open(location)?),
        Driver::Mdbox | Driver::Sdbox => Box::new(DboxStore::open(location, settings.clone())?),
    })
}

/// Opens a store to read it. Nothing in it will be changed.
///
/// # Errors
/// As the `open_read_only` of the format.
pub fn open_read_only(location: &Location, settings: &Settings) -> Result<Box<dyn MailStore>, StoreError> {
    Ok(match location.driver {
        Driver::Maildir => Box::new(MaildirStore::open_read_only(location)?),
        Driver::Mdbox | Driver::Sdbox => Box::new(DboxStore::open_read_only(location, settings.clone())?),
    })
}
