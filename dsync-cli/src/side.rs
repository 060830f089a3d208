//! One side of a run: a store, or several at the places of several namespaces.

use std::fmt;

use dsync_core::model::MailboxName;
use dsync_core::store::{MailStore, StoreError};
use dsync_storage::joined::{JoinedStore, Member, ParentSubscriptions};
use dsync_storage::location::{Driver, Location};
use dsync_storage::settings::Settings;

use crate::configuration::{MailPlace, Namespace};

/// Where one side has its mail.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// The first is the one by which people know it.
    parts: Vec<Part>,
    /// Names are those that clients see, with the prefixes of all namespaces.
    full_names: bool,
    /// Instead of those of both sides.
    settings: Option<Settings>,
}

#[derive(Clone, Debug)]
struct Part {
    location: Location,
    /// `None` for a location that is outside of the configuration.
    namespace: Option<Namespace>,
}

impl Side {
    /// The places of a user's mail. With `full_names` all names have the prefixes that clients see; without them those of the first
    /// place have none if that is possible.
    pub(crate) fn of_places(places: Vec<MailPlace>, full_names: bool) -> Self {
        let parts: Vec<_> = places
            .into_iter()
            .map(|MailPlace { namespace, location }| Part { location, namespace: Some(namespace) })
            .collect();
        let others = parts.iter().skip(1).filter_map(|part| part.namespace.as_ref());
        // Names of both would be the same.
        let is_ambiguous = others.into_iter().any(|namespace| namespace.prefix.is_empty());
        Self { full_names: full_names || is_ambiguous, parts, settings: None }
    }

    /// The same with settings of its own.
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// All locations.
    pub(crate) fn locations(&self) -> impl Iterator<Item = &Location> {
        self.parts.iter().map(|part| &part.location)
    }

    /// The location of the first place, by which people know the side.
    pub(crate) fn first(&self) -> Option<&Location> {
        self.locations().next()
    }

    /// All formats that are in use.
    pub(crate) fn drivers(&self) -> impl Iterator<Item = Driver> {
        self.locations().map(|location| location.driver)
    }

    /// Whether there is something at every place.
    pub(crate) fn exists(&self) -> bool {
        self.locations().all(Location::exists)
    }

    /// Opens the stores at all places, each as `open` does it with its settings.
    ///
    /// # Errors
    /// As `open`.
    pub(crate) fn opened<E>(
        &self,
        settings: &Settings,
        read_only: bool,
        mut open: impl FnMut(&Location, &Settings) -> Result<Box<dyn MailStore>, E>,
    ) -> Result<Box<dyn MailStore>, E> {
        let mut members = Vec::with_capacity(self.parts.len());
        for (place, part) in self.parts.iter().enumerate() {
            let mut settings = match &self.settings {
                // The command line says what takes the place of characters, for both.
                Some(own) => {
                    let mut own = own.clone();
                    own.alternative_character = settings.alternative_character;
                    own
                }
                None => settings.clone(),
            };
            if let Some(namespace) = &part.namespace {
                settings.name_prefix.clone_from(&namespace.prefix);
                settings.separator = namespace.separator;
            }
            let store = open(&part.location, &settings)?;
            members.push(Member {
                subscriptions: self.parent_subscriptions(part, read_only),
                ..self.member(part, place == 0, store)
            });
        }
        let is_joined = self.full_names || members.len() > 1;
        Ok(match (is_joined, members.len()) {
            (false, 1) => members.swap_remove(0).store,
            _ => Box::new(JoinedStore::new(members)),
        })
    }

    fn member(&self, part: &Part, is_first: bool, store: Box<dyn MailStore>) -> Member {
        let has_inbox = part.namespace.as_ref().is_none_or(|namespace| namespace.inbox);
        let is_plain = is_first && has_inbox && !self.full_names;
        let usual = if part.location.driver == Driver::Maildir { '.' } else { '/' };
        let level = |namespace: &Namespace| -> Option<MailboxName> { namespace.level(usual) };
        Member {
            store,
            prefix: part.namespace.as_ref().filter(|_| !is_plain).and_then(level),
            has_inbox,
            subscriptions: None,
        }
    }

    /// Where the subscriptions of a namespace are that has none itself: with the one whose prefix is the next shorter one.
    fn parent_subscriptions(&self, part: &Part, read_only: bool) -> Option<(usize, ParentSubscriptions)> {
        let namespace = part.namespace.as_ref().filter(|namespace| !namespace.has_subscriptions)?;
        let above = self.parts.iter().enumerate().filter_map(|(at, part)| Some((at, part, part.namespace.as_ref()?)));
        let above = above.filter(|(_, _, other)| {
            other.has_subscriptions && other.prefix != namespace.prefix && namespace.prefix.starts_with(&other.prefix)
        });
        let (at, parent, _) = above.max_by_key(|(_, _, other)| other.prefix.len())?;
        Some((at, ParentSubscriptions::new(&parent.location, &part.location, &namespace.prefix, read_only)))
    }

    /// The directory that both sides would use, if any, with the locations that do.
    pub(crate) fn overlap<'a>(&'a self, other: &'a Self) -> Option<(&'a Location, &'a Location, std::path::PathBuf)> {
        let pairs = self.locations().flat_map(|own| other.locations().map(move |others| (own, others)));
        pairs.into_iter().find_map(|(own, others)| Some((own, others, own.overlap(others)?)))
    }
}

impl From<Location> for Side {
    fn from(location: Location) -> Self {
        Self { parts: vec![Part { location, namespace: None }], full_names: false, settings: None }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, location) in self.locations().enumerate() {
            let separator = if place == 0 { "" } else { " with " };
            write!(formatter, "{separator}{location}")?;
        }
        Ok(())
    }
}

/// Opens a side to change it.
///
/// # Errors
/// As the stores.
pub(crate) fn open(side: &Side, settings: &Settings) -> Result<Box<dyn MailStore>, StoreError> {
    side.opened(settings, false, dsync_storage::open)
}
