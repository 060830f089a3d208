//! Whether two stores are the same: a comparison of everything that an IMAP or POP3 client can notice.
//!
//! Nothing here decides what to do, and nothing is changed: both stores may be open for reading only. Unlike a run, it takes
//! nothing for granted: every body is read from both stores and compared byte by byte.
//!
//! **What counts.** Names, subscriptions and levels of the hierarchy; of a mailbox GUID, UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and
//! which messages are recent; of a message everything in a [`MessageRecord`](crate::model::MessageRecord), its size and its bytes
//! as clients get them, with CRLF at the end of each line. A special use belongs to a name, by the configuration of a server.
//!
//! **What does not.** A value that one store leaves open (see [`MailboxIdentity`](crate::model::MailboxIdentity)) is not different
//! from any that the other has; [`Verification::undecided`] says how many there were. What one store does not keep of
//! messages is not compared either; [`Verification::compared`] says what was.

mod body;
mod difference;
mod mailbox;
mod matching;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::model::{KeptFields, MailboxName, MailboxNode, MailboxSelection, MailboxTree, MessageKey, NodeKind};
use crate::report::{Event, Observer, Problem};
use crate::session::SessionError;
use crate::store::MailStore;

pub use difference::{Difference, Field};

/// What is to be compared. The default is everything; change the fields of [`VerifyOptions::default`] for less.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Which mailboxes are compared; default: all.
    pub mailboxes: MailboxSelection,
    /// Whether the sizes and bytes of messages are compared, for which all of them have to be read; default: true.
    pub bodies: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { mailboxes: MailboxSelection::all(), bodies: true }
    }
}

/// The outcome of a comparison that was carried through to its end. The differences themselves were given to the observer, as
/// [`Event::Difference`], one by one: there may be millions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How many differences there are.
    pub differences: u64,
    /// Mailboxes that are at both stores and were compared.
    pub mailboxes: u64,
    /// Messages that are at both stores and were compared.
    pub messages: u64,
    /// Bytes of the messages that were read from the first store.
    pub bytes: u64,
    /// Values that were not compared because one of the stores leaves them open.
    pub undecided: u64,
    /// What both stores keep of messages; what they do not was not compared.
    pub compared: KeptFields,
    /// What could not be compared, and why.
    pub problems: Vec<Problem>,
}

impl Verification {
    /// Whether everything could be compared and nothing is different.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences == 0 && self.problems.is_empty()
    }

    /// 0 if no difference was found, 1 if there are some, 2 if something could not be compared, whatever was found in the rest.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match (self.problems.is_empty(), self.differences) {
            (false, _) => 2,
            (true, 0) => 0,
            (true, _) => 1,
        }
    }
}

/// Compares two stores. Nothing in them is changed. The observer is told every difference, with the location of the second store.
///
/// ```
/// use dsync_core::memory::MemoryStore;
/// use dsync_core::model::MailboxName;
/// use dsync_core::report::Unobserved;
/// use dsync_core::session::SyncOptions;
/// use dsync_core::sync::backup;
/// use dsync_core::verify::{VerifyOptions, verify};
///
/// let (mut mail, mut copy) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
/// mail.deliver(&MailboxName::inbox(), b"Subject: hello\n\nworld\n");
/// assert_eq!(verify(&mut mail, &mut copy, &VerifyOptions::default(), &mut Unobserved)?.differences, 1);
/// backup(&mut mail, &mut copy, &SyncOptions::default(), &mut Unobserved)?;
/// assert!(verify(&mut mail, &mut copy, &VerifyOptions::default(), &mut Unobserved)?.is_equal());
/// # Ok::<(), dsync_core::session::SessionError>(())
/// ```
///
/// # Errors
/// [`SessionError::Store`] if the tree of a store cannot be read, [`SessionError::Stopped`] if the observer wants it.
/// Mailboxes and messages that cannot be read are [problems](Verification::problems).
pub fn verify(
    first: &mut dyn MailStore,
    second: &mut dyn MailStore,
    options: &VerifyOptions,
    observer: &mut dyn Observer,
) -> Result<Verification, SessionError> {
    let locations = [first.location(), second.location()];
    let compared = first.capabilities().keeps.common(second.capabilities().keeps);
    let trees = [tree(first, options)?, tree(second, options)?];
    let outcome = Verification {
        differences: 0,
        mailboxes: 0,
        messages: 0,
        bytes: 0,
        undecided: 0,
        compared,
        problems: Vec::new(),
    };
    let mut findings = Findings { locations, observer, outcome };
    let names: BTreeSet<&MailboxName> = trees.iter().flat_map(MailboxTree::keys).collect();
    for name in names {
        findings.check_stop()?;
        if compare_nodes(name, &trees, &mut findings) {
            mailbox::compare(name, [&mut *first, &mut *second], options, &mut findings)?;
        }
    }
    Ok(findings.outcome)
}

fn tree(store: &mut dyn MailStore, options: &VerifyOptions) -> Result<MailboxTree, SessionError> {
    let tree = store.tree().map_err(|error| SessionError::Store { location: store.location(), error })?;
    Ok(options.mailboxes.part_of(&tree, &|_, _| false))
}

/// Compares what is at a name. Says whether a mailbox that can be read is at both stores.
fn compare_nodes(name: &MailboxName, trees: &[MailboxTree; 2], findings: &mut Findings<'_>) -> bool {
    let nodes = trees.each_ref().map(|tree| tree.get(name));
    let subscribed = nodes.map(|node| node.is_some_and(|node| node.subscribed));
    if subscribed[0] != subscribed[1] {
        let values = subscribed.map(|subscribed| Some(if subscribed { "yes" } else { "no" }.to_owned()));
        findings.of_mailbox(name, Field::Subscribed, values);
    }
    let mut readable = true;
    for (side, node) in nodes.iter().enumerate() {
        if let Some(NodeKind::Unreadable(reason)) = node.map(|node| &node.kind) {
            findings.problem(name, side, reason);
            readable = false;
        }
    }
    let kinds = [kind(name, nodes[0], &trees[0]), kind(name, nodes[1], &trees[1])];
    if kinds[0] != kinds[1] {
        findings.of_mailbox(name, Field::Kind, kinds.map(|kind| kind.map(str::to_owned)));
    }
    readable && kinds == [Some("mailbox"); 2]
}

/// What clients see at a name; a level without a mailbox is there also if something is below it.
fn kind(name: &MailboxName, node: Option<&MailboxNode>, tree: &MailboxTree) -> Option<&'static str> {
    let has_more_below = || {
        let mut below = tree.range(name..).skip(usize::from(node.is_some())).take_while(|(it, _)| it.is_below(name));
        below.any(|(_, node)| node.kind != NodeKind::Absent)
    };
    match node.map(|node| &node.kind) {
        Some(NodeKind::Mailbox { .. } | NodeKind::Unreadable(_)) => Some("mailbox"),
        Some(NodeKind::Directory) => Some("directory"),
        Some(NodeKind::Absent) | None => has_more_below().then_some("directory"),
    }
}

/// What has been found so far, and who wants to know.
struct Findings<'a> {
    locations: [String; 2],
    observer: &'a mut dyn Observer,
    outcome: Verification,
}

impl Findings<'_> {
    fn check_stop(&self) -> Result<(), SessionError> {
        if self.observer.is_to_stop() { Err(SessionError::Stopped) } else { Ok(()) }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.observer.event(&self.locations[1], event);
    }

    fn difference(&mut self, difference: &Difference) {
        self.outcome.differences += 1;
        self.tell(Event::Difference(difference));
    }

    fn of_mailbox(&mut self, name: &MailboxName, field: Field, [first, second]: [Option<String>; 2]) {
        self.difference(&Difference { mailbox: name.clone(), message: None, field, first, second });
    }

    fn of_message(
        &mut self,
        name: &MailboxName,
        message: MessageKey,
        field: Field,
        [first, second]: [Option<String>; 2],
    ) {
        self.difference(&Difference { mailbox: name.clone(), message: Some(message), field, first, second });
    }

    /// Something cannot be compared because of what is at one store.
    fn problem(&mut self, name: &MailboxName, side: usize, reason: &str) {
        let location = self.locations.get(side).map_or("", String::as_str);
        let problem = Problem { mailbox: Some(name.clone()), reason: format!("{location}: {reason}") };
        self.tell(Event::Problem(&problem));
        self.outcome.problems.push(problem);
    }

    fn undecided(&mut self) {
        self.outcome.undecided += 1;
    }
}
