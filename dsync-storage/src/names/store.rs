//! Any store, under the original names of its mailboxes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsync_core::model::{
    Agreements, Glance, MailboxGuid, MailboxIdentity, MailboxName, MailboxNode, MailboxStatus, MailboxTree, NodeKind,
    TreeHistory,
};
use dsync_core::store::{Capabilities, ErrorKind, MailStore, Mailbox, ReplacedName, StoreError};

use super::entries::{self, Entry};
use super::file::NamesFile;
use super::mailbox::NamedMailbox;
use super::place::{self, Mapping, Purpose};
use super::view::{self, View};
use super::{AlternativeCharacter, NameRules, history, renaming};

/// A store that holds mailboxes of any names, by storing those that the one inside cannot hold under others.
pub struct NamedStore {
    inner: Box<dyn MailStore>,
    mapping: Mapping,
    file: NamesFile,
    /// What the file says, as far as it has been read.
    entries: Option<Vec<Entry>>,
    /// Mailboxes whose own names are the original ones of others, with the names that they were last shown under: these
    /// stay while the tree is being changed.
    displaced: Vec<Entry>,
    /// What is there, once that matters.
    view: Option<View>,
    /// Names that are about to come and can be held, and whether each is that of a mailbox.
    expected: BTreeMap<MailboxName, bool>,
    /// Mailboxes that are about to come, whether their names can be held or not.
    awaited: BTreeSet<MailboxName>,
    /// What nobody has been told yet.
    news: Vec<ReplacedName>,
}

impl NamedStore {
    /// The store inside, which can hold what `rules` say. Everything else gets a name with the alternative character, which
    /// `file` remembers.
    #[must_use]
    pub fn new(
        inner: Box<dyn MailStore>,
        rules: NameRules,
        alternative: AlternativeCharacter,
        file: NamesFile,
    ) -> Self {
        Self {
            inner,
            mapping: Mapping { rules, alternative },
            file,
            entries: None,
            displaced: Vec::new(),
            view: None,
            expected: BTreeMap::new(),
            awaited: BTreeSet::new(),
            news: Vec::new(),
        }
    }

    fn entries(&mut self) -> Result<&[Entry], StoreError> {
        if self.entries.is_none() {
            self.entries = Some(self.file.read()?);
        }
        Ok(entries_of(&self.entries))
    }

    /// Whether any name is mapped.
    fn is_mapping(&mut self) -> Result<bool, StoreError> {
        Ok(!self.entries()?.is_empty() || !self.displaced.is_empty())
    }

    /// Whether a name is stored as it is, for sure.
    fn is_plain(&mut self, name: &MailboxName) -> Result<bool, StoreError> {
        Ok(!self.is_mapping()? && self.mapping.rules.mailboxes_have_children() && self.mapping.rules.holds(name))
    }

    fn view(&mut self) -> Result<&mut View, StoreError> {
        let view = match self.view.take() {
            Some(view) => view,
            None => {
                let stored = self.inner.tree()?;
                self.view_of(stored)?
            }
        };
        Ok(self.view.insert(view))
    }

    fn view_of(&mut self, stored: MailboxTree) -> Result<View, StoreError> {
        let directories = self.inner.capabilities().directories;
        let alternative = self.mapping.alternative;
        let displaced = std::mem::take(&mut self.displaced);
        let entries = [&displaced, self.entries()?].concat();
        let view = View::new(stored, &entries, directories, alternative);
        self.displaced = view.mapped_mailboxes().filter(|shown| !entries_of(&self.entries).contains(shown)).collect();
        Ok(view)
    }

    /// Takes over what was changed in the stored tree.
    fn change_view(&mut self, change: impl FnOnce(&mut MailboxTree)) -> Result<(), StoreError> {
        if let Some(mut view) = self.view.take() {
            change(&mut view.stored);
            self.view = Some(self.view_of(view.stored)?);
        }
        Ok(())
    }

    /// Where to put an original name, and whether that is another one.
    fn place(&mut self, original: &MailboxName, purpose: Purpose) -> Result<MailboxName, StoreError> {
        self.view()?;
        let known = entries_of(&self.entries);
        let former = known.iter().rev().find(|entry| entry.original == *original).map(|entry| &entry.stored);
        let Some(view) = &self.view else { return Ok(original.clone()) };
        Ok(self.mapping.place(&view.ground(&self.expected), original, purpose, former))
    }

    /// Remembers how names are stored from now on, before it is done. Entries for what is not there any more go.
    fn remember(&mut self, new: &[Entry]) -> Result<(), StoreError> {
        let known = self.entries()?.to_vec();
        for entry in new.iter().filter(|entry| entry.stored != entry.original) {
            let told = known.iter().any(|known| known.stored == entry.stored && known.original == entry.original);
            if !told {
                let (original, stored) = (entry.original.clone(), entry.stored.clone());
                self.news.push(ReplacedName { original, stored });
            }
        }
        self.displaced.retain(|displaced| !new.iter().any(|new| new.is_about(displaced)));
        if !entries::is_news(&known, new) {
            return Ok(());
        }
        self.view()?;
        let alive = |entry: &Entry| self.view.as_ref().is_some_and(|view| view::is_alive(entry, &view.stored));
        // Somebody else may have written what is not known here, and be about to make the mailbox.
        let stays = |entry: &Entry| !known.contains(entry) || alive(entry);
        self.file.update(|entries| entries::updated(entries, new, stays))?;
        self.entries = Some(entries::updated(known.clone(), new, stays));
        Ok(())
    }

    fn opened(&self, inner: Box<dyn Mailbox>, stored: &MailboxName, original: &MailboxName) -> Box<dyn Mailbox> {
        if stored == original {
            return inner;
        }
        let (stored, original) = (stored.clone(), original.clone());
        Box::new(NamedMailbox { inner, file: self.file.clone(), stored, original })
    }

    /// The stored name of a mailbox or level that may be there.
    fn stored_name(&mut self, name: &MailboxName) -> Result<MailboxName, StoreError> {
        if self.is_mapping()? || !self.mapping.rules.mailboxes_have_children() {
            let has_children = self.mapping.rules.mailboxes_have_children();
            let view = self.view()?;
            if let Some(place) = view.place_of(name) {
                return Ok(place.clone());
            }
            let is_others = view.owners.get(name).is_some_and(|owner| owner != name);
            let is_file = |above: MailboxName| {
                !above.is_inbox() && view.stored.get(&above).is_some_and(MailboxNode::is_mailbox)
            };
            if is_others || !has_children && place::ancestors(name).any(is_file) {
                return Err(self.not_found(name));
            }
        }
        if self.mapping.rules.holds(name) { Ok(name.clone()) } else { Err(self.not_found(name)) }
    }

    fn not_found(&self, name: &MailboxName) -> StoreError {
        let text = format!("there is no mailbox {name} in {}", self.inner.location());
        StoreError::new(ErrorKind::NotFound, text)
    }

    /// The GUID that the entries know a stored mailbox by.
    fn expected_guid(&self, stored: &MailboxName) -> Option<MailboxGuid> {
        self.view.as_ref().and_then(|view| view.stored.get(stored)).and_then(MailboxNode::guid)
    }

    /// A mailbox that a subscription already waits for takes it along.
    fn move_subscriptions(&mut self, original: &MailboxName, stored: &MailboxName) -> Result<(), StoreError> {
        let elsewhere = self.view()?.subscriptions_of(original);
        let elsewhere: Vec<_> = elsewhere.into_iter().filter(|place| place != stored).collect();
        if elsewhere.is_empty() {
            return Ok(());
        }
        self.inner.set_subscribed(stored, true)?;
        for place in &elsewhere {
            self.inner.set_subscribed(place, false)?;
        }
        self.change_view(|tree| {
            elsewhere.iter().for_each(|place| subscribe(tree, place, false));
            subscribe(tree, stored, true);
        })
    }

    /// Forgets a mailbox that has just been deleted.
    fn forget(&mut self, stored: &MailboxName) -> Result<(), StoreError> {
        self.change_view(|tree| {
            let has_below = holds_below(tree, stored);
            if let Some(node) = tree.get_mut(stored) {
                node.kind = if has_below { NodeKind::Directory } else { NodeKind::Absent };
            }
            subscribe(tree, stored, tree.get(stored).is_some_and(|node| node.subscribed));
        })
    }
}

fn entries_of(entries: &Option<Vec<Entry>>) -> &[Entry] {
    entries.as_deref().unwrap_or_default()
}

/// Whether anything but a subscription is below a name.
fn holds_below(tree: &MailboxTree, name: &MailboxName) -> bool {
    place::below(tree, name).any(|(_, node)| node.kind != NodeKind::Absent)
}

/// Notes in a tree whether a name is subscribed to.
fn subscribe(tree: &mut MailboxTree, name: &MailboxName, subscribed: bool) {
    let absent = MailboxNode { kind: NodeKind::Absent, subscribed };
    let node = tree.entry(name.clone()).or_insert(absent);
    node.subscribed = subscribed;
    if node.kind == NodeKind::Absent && !subscribed {
        tree.remove(name);
    }
}

/// Moves what is at a name and below it; subscriptions stay.
fn move_nodes(tree: &mut MailboxTree, from: &MailboxName, to: &MailboxName) {
    let moved: Vec<_> = tree
        .iter()
        .filter(|(_, node)| node.kind != NodeKind::Absent)
        .filter_map(|(name, node)| Some((name.clone(), name.moved(from, to)?, node.kind.clone())))
        .collect();
    for (name, _, _) in &moved {
        if let Some(node) = tree.get_mut(name) {
            node.kind = NodeKind::Absent;
        }
        subscribe(tree, name, tree.get(name).is_some_and(|node| node.subscribed));
    }
    for (_, name, kind) in moved {
        let absent = MailboxNode { kind: NodeKind::Absent, subscribed: false };
        tree.entry(name).or_insert(absent).kind = kind;
    }
}

impl MailStore for NamedStore {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn id(&mut self) -> Result<String, StoreError> {
        self.inner.id()
    }

    fn claim(&mut self, patience: Duration) -> Result<(), StoreError> {
        self.inner.claim(patience)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn expect(&mut self, wanted: &MailboxTree) {
        let held = wanted.iter().filter(|(name, _)| self.mapping.rules.holds(name));
        self.expected = held.map(|(name, node)| (name.clone(), node.is_mailbox())).collect();
        let mailboxes = wanted.iter().filter(|(_, node)| node.is_mailbox());
        self.awaited = mailboxes.map(|(name, _)| name.clone()).collect();
        self.inner.expect(wanted);
    }

    fn replaced_names(&mut self) -> Vec<ReplacedName> {
        std::mem::take(&mut self.news)
    }

    fn tree(&mut self) -> Result<MailboxTree, StoreError> {
        self.entries = Some(self.file.read()?);
        self.displaced.clear();
        self.view = None;
        let stored = self.inner.tree()?;
        if !self.is_mapping()? && self.mapping.rules.mailboxes_have_children() {
            return Ok(stored);
        }
        let view = self.view_of(stored)?;
        Ok(self.view.insert(view).shown.clone())
    }

    fn tree_history(&mut self) -> Result<TreeHistory, StoreError> {
        let history = self.inner.tree_history()?;
        if !self.is_mapping()? {
            return Ok(history);
        }
        self.view()?;
        let entries = entries_of(&self.entries);
        let pairs = self.view.as_ref().map(|view| view.names(entries)).unwrap_or_default();
        Ok(history::translated(history, &pairs))
    }

    fn note_deleted(&mut self, guid: MailboxGuid) -> Result<(), StoreError> {
        self.inner.note_deleted(guid)
    }

    fn new_identity(&mut self) -> Result<MailboxIdentity, StoreError> {
        self.inner.new_identity()
    }

    fn open(&mut self, name: &MailboxName) -> Result<Box<dyn Mailbox>, StoreError> {
        let stored = self.stored_name(name)?;
        let inner = self.inner.open(&stored)?;
        let guid = inner.status().identity.guid;
        if stored != *name && guid.is_some() && self.expected_guid(&stored).is_some_and(|known| Some(known) != guid) {
            // Somebody has just put another one there, or it got another GUID.
            let known = self.file.read()?.into_iter().rev();
            let mut same = known.filter(|entry| entry.guid == guid && entry.stored == stored);
            if same.next().is_none_or(|entry| entry.original != *name) {
                return Err(self.not_found(name));
            }
        }
        Ok(self.opened(inner, &stored, name))
    }

    fn glance(&mut self, name: &MailboxName, close: bool) -> Option<Glance> {
        let stored = self.stored_name(name).ok()?;
        self.inner.glance(&stored, close)
    }

    fn agreements(&mut self, peer: [u8; 8]) -> Result<Agreements, StoreError> {
        self.inner.agreements(peer)
    }

    fn keep_agreements(&mut self, peer: [u8; 8], agreements: &Agreements) -> Result<(), StoreError> {
        self.inner.keep_agreements(peer, agreements)
    }

    fn create(&mut self, name: &MailboxName, identity: MailboxIdentity) -> Result<Box<dyn Mailbox>, StoreError> {
        if self.is_plain(name)? {
            return self.inner.create(name, identity);
        }
        if self.view()?.is_mailbox(name) {
            // One that was made but not committed is not there.
            self.view = None;
            if self.view()?.is_mailbox(name) {
                let text = format!("there is a mailbox {name} in {} already", self.inner.location());
                return Err(StoreError::new(ErrorKind::Exists, text));
            }
        }
        let stored = self.place(name, Purpose::Mailbox)?;
        let mut identity = identity;
        if stored != *name && identity.guid.is_none() {
            identity = identity.or(self.inner.new_identity()?);
        }
        self.remember(&[Entry { guid: identity.guid, stored: stored.clone(), original: name.clone() }])?;
        let there = self.view()?.stored.get(&stored).map(|node| node.kind.clone());
        if there == Some(NodeKind::Directory) && !self.mapping.rules.mailboxes_have_children() {
            // Nothing is in it, so it gives way.
            self.inner.delete_directory(&stored)?;
        }
        let inner = self.inner.create(&stored, identity)?;
        self.view()?.add_mailbox(&stored, name, identity.guid, identity.uid_validity);
        self.move_subscriptions(name, &stored)?;
        Ok(self.opened(inner, &stored, name))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        let stored = self.stored_name(name)?;
        self.inner.delete(&stored)?;
        self.forget(&stored)
    }

    fn delete_unchanged(&mut self, name: &MailboxName, expected: &MailboxStatus) -> Result<(), StoreError> {
        let stored = self.stored_name(name)?;
        self.inner.delete_unchanged(&stored, expected)?;
        self.forget(&stored)
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        if from.is_inbox() || to.is_inbox() || to.is_below(from) {
            // The store inside knows best what is wrong with that.
            return self.inner.rename(from, to);
        }
        let view = self.view()?.clone();
        let is_there = |name| {
            let node = view.shown.get(name).filter(|node| node.kind != NodeKind::Absent);
            node.is_some() || view.holds_below(name)
        };
        if is_there(to) && is_there(from) {
            let text = format!("{to} exists already in {}", self.inner.location());
            return Err(StoreError::new(ErrorKind::Exists, text));
        }
        let Some(renaming) = renaming::plan(&self.mapping, &view, &self.expected, from, to) else {
            let text = format!("{to} has too many levels for what is below {from}");
            return Err(StoreError::new(ErrorKind::InvalidName, text));
        };
        if renaming.moved.is_empty() && renaming.steps.is_empty() {
            return Err(self.not_found(from));
        }
        self.remember(&renaming.moved)?;
        if let Err(error) = renaming.steps.iter().try_for_each(|(from, to)| self.inner.rename(from, to)) {
            self.view = None;
            return Err(error);
        }
        self.change_view(|tree| {
            for (from, to) in &renaming.steps {
                move_nodes(tree, from, to);
            }
        })
    }

    fn create_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if self.is_plain(name)? || !self.inner.capabilities().directories {
            return self.inner.create_directory(name);
        }
        let shown = self.view()?.shown.get(name);
        if shown.is_some_and(|node| node.kind != NodeKind::Absent) {
            return Ok(());
        }
        let stored = self.place(name, Purpose::Directory)?;
        if stored != *name && self.awaited.iter().any(|mailbox| mailbox.is_below(name)) {
            // It is shown for what will be below it, which may lie elsewhere.
            return Ok(());
        }
        self.remember(&[Entry { guid: None, stored: stored.clone(), original: name.clone() }])?;
        self.inner.create_directory(&stored)?;
        self.change_view(|tree| {
            let subscribed = tree.get(&stored).is_some_and(|node| node.subscribed);
            tree.insert(stored, MailboxNode { kind: NodeKind::Directory, subscribed });
        })
    }

    fn delete_directory(&mut self, name: &MailboxName) -> Result<(), StoreError> {
        if self.is_plain(name)? {
            return self.inner.delete_directory(name);
        }
        let view = self.view()?;
        if view.is_mailbox(name) || view.holds_below(name) {
            let text = format!("{name} is not an empty directory");
            return Err(StoreError::new(ErrorKind::Impossible, text));
        }
        let Some(stored) = view.place_of(name).cloned() else {
            let is_others =
                view.owners.get(name).is_some_and(|owner| owner != name) || holds_below(&view.stored, name);
            return if is_others || !self.mapping.rules.holds(name) {
                Ok(())
            } else {
                self.inner.delete_directory(name)
            };
        };
        if holds_below(&view.stored, &stored) {
            // It is there for others, too.
            return self.remember(&[Entry { guid: None, stored: stored.clone(), original: stored }]);
        }
        self.inner.delete_directory(&stored)?;
        self.forget(&stored)
    }

    fn set_subscribed(&mut self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        if self.is_plain(name)? {
            return self.inner.set_subscribed(name, subscribed);
        }
        let places = self.view()?.subscriptions_of(name);
        if !subscribed {
            for place in &places {
                self.inner.set_subscribed(place, false)?;
            }
            return self.change_view(|tree| places.iter().for_each(|place| subscribe(tree, place, false)));
        }
        if !places.is_empty() {
            return Ok(());
        }
        let there = self.view()?.place_of(name).cloned();
        let stored = match there {
            Some(stored) => stored,
            None => {
                let stored = self.place(name, Purpose::Subscription)?;
                self.remember(&[Entry { guid: None, stored: stored.clone(), original: name.clone() }])?;
                stored
            }
        };
        self.inner.set_subscribed(&stored, true)?;
        self.change_view(|tree| subscribe(tree, &stored, true))
    }
}
