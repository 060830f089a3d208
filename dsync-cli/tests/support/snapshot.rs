//! Everything that clients of a store can see, as plain facts that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::imap::listed;
use super::{Imap, Store, mutf7, pop3};

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The tree, by the mailbox's name as IMAP writes it.
    Tree,
    /// A mailbox, by its name in UTF-8.
    Mailbox(String),
    /// A message, by mailbox and UID.
    Message(String, u32),
    /// A place in the POP3 listing.
    Pop3(usize),
}

/// A mailbox name in UTF-8 and as IMAP writes it.
struct MailboxName {
    text: String,
    encoded: String,
}

pub type Facts = BTreeMap<String, Vec<u8>>;

/// Everything that clients of a store see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    subjects: BTreeMap<Subject, Facts>,
}

/// One fact that is not the same in two snapshots.
#[derive(Clone, Debug)]
pub struct Difference {
    pub subject: Subject,
    pub field: String,
    pub left: Option<Vec<u8>>,
    pub right: Option<Vec<u8>>,
}

const MAILBOX_FIELDS: &str = "messages recent unseen uidvalidity uidnext highestmodseq guid vsize";
const MESSAGE_FIELDS: &str = "mailbox uid flags modseq guid date.received.unixtime date.saved.unixtime \
                              pop3.uidl pop3.order size.physical size.virtual";

/// The only fact that a copy of a store cannot have in common with it: it comes from the ctime of a file.
pub const SAVED: &str = "date.saved.unixtime";

impl Snapshot {
    /// Looks at the store itself. Dovecot writes its indexes there while we look, but no message changes.
    pub fn of(store: &Store) -> Self {
        let mut snapshot = Self::default();
        let mut imap = store.imap();
        let names = snapshot.add_tree(&mut imap);
        snapshot.add_messages(store);
        snapshot.add_mailboxes(store, &names);
        snapshot.add_bodies(&mut imap, &names);
        imap.logout();
        // POP3 takes \Recent away.
        let copy = store.copy();
        snapshot.add_pop3(&copy);
        copy.remove();
        snapshot
    }

    /// Looks at a copy, so that the store stays untouched; without the saved dates.
    pub fn of_copy(store: &Store) -> Self {
        let copy = store.copy();
        let snapshot = Self::of(&copy).without(&[SAVED]);
        copy.remove();
        snapshot
    }

    /// The same without some fields of mailboxes and messages.
    #[must_use]
    pub fn without(mut self, fields: &[&str]) -> Self {
        for facts in self.subjects.values_mut() {
            facts.retain(|field, _| !fields.contains(&field.as_str()));
        }
        self
    }

    /// The same without the content of the messages with these GUIDs, and without what is counted from it.
    #[must_use]
    pub fn without_content_of(mut self, guids: &BTreeSet<String>) -> Self {
        if guids.is_empty() {
            return self;
        }
        for facts in self.subjects.values_mut() {
            let is_one = facts.get("guid").is_some_and(|guid| guids.contains(&*String::from_utf8_lossy(guid)));
            let is_content =
                |field: &str| ["BODY[]", "RFC822.SIZE", "size.physical", "size.virtual"].contains(&field);
            facts.retain(|field, _| !(["vsize", "LIST"].contains(&field.as_str()) || is_one && is_content(field)));
        }
        self
    }

    /// The same without some fields of messages.
    #[must_use]
    pub fn without_fields_of_messages(mut self, fields: &[&str]) -> Self {
        let messages = self.subjects.iter_mut().filter(|(subject, _)| matches!(subject, Subject::Message(..)));
        for (_, facts) in messages {
            facts.retain(|field, _| !fields.contains(&field.as_str()));
        }
        self
    }

    /// All facts, by what they are about.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, &Facts)> {
        self.subjects.iter()
    }

    /// Enters facts.
    pub fn put(&mut self, subject: Subject, facts: Facts) {
        self.subjects.insert(subject, facts);
    }

    /// The names in `LIST` or `LSUB` with certain attributes.
    pub fn tree_names(&self, kind: &str, has: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let tree = self.subjects.get(&Subject::Tree).into_iter().flatten();
        let names = tree.filter(|(_, attributes)| has(&String::from_utf8_lossy(attributes)));
        names.filter_map(|(field, _)| field.strip_prefix(kind)?.strip_prefix(' ')).map(str::to_owned).collect()
    }

    /// The same without subscriptions, and without levels that are no mailboxes.
    #[must_use]
    pub fn without_levels_and_subscriptions(mut self) -> Self {
        let tree = self.subjects.entry(Subject::Tree).or_default();
        tree.retain(|field, attributes| {
            field.starts_with("LIST ") && !String::from_utf8_lossy(attributes).contains("\\Noselect")
        });
        self
    }

    /// The same without levels that are no mailboxes.
    #[must_use]
    pub fn without_levels(mut self) -> Self {
        let tree = self.subjects.entry(Subject::Tree).or_default();
        tree.retain(|_, attributes| !String::from_utf8_lossy(attributes).contains("\\Noselect"));
        self
    }

    /// Makes the size of a mailbox that of its messages.
    pub fn count_sizes(&mut self, mailbox: &str) {
        let sizes = self.uids(mailbox).into_iter().map(|uid| self.message(mailbox, uid, "size.virtual").unwrap());
        let sum: u64 = sizes.map(|size| size.parse::<u64>().unwrap()).sum();
        self.add(Subject::Mailbox(mailbox.to_owned()), "vsize", sum.to_string());
    }

    /// The same without what POP3 shows.
    #[must_use]
    pub fn without_pop3(mut self) -> Self {
        self.subjects.retain(|subject, _| !matches!(subject, Subject::Pop3(_)));
        self
    }

    /// What two stores have in common that got their messages from the same files but their identities and histories
    /// from different servers.
    #[must_use]
    pub fn of_the_files(self) -> Self {
        let mut snapshot = self.without(&["uidvalidity", "modseq", "highestmodseq", SAVED]).without_pop3();
        for (subject, facts) in &mut snapshot.subjects {
            if matches!(subject, Subject::Mailbox(_)) {
                facts.remove("guid");
            }
        }
        snapshot
    }

    /// How many messages there are in all mailboxes.
    pub fn message_count(&self) -> usize {
        self.subjects.keys().filter(|subject| matches!(subject, Subject::Message(..))).count()
    }

    /// The UIDs in a mailbox.
    pub fn uids(&self, mailbox: &str) -> Vec<u32> {
        let uid = |subject: &Subject| match subject {
            Subject::Message(name, uid) if name == mailbox => Some(*uid),
            _ => None,
        };
        self.subjects.keys().filter_map(uid).collect()
    }

    /// What is in the messages of a mailbox, by UID.
    pub fn bodies(&self, mailbox: &str) -> BTreeMap<u32, Vec<u8>> {
        let body = |uid: u32| self.subjects.get(&Subject::Message(mailbox.to_owned(), uid))?.get("BODY[]").cloned();
        self.uids(mailbox).into_iter().filter_map(|uid| Some((uid, body(uid)?))).collect()
    }

    /// A field of a mailbox.
    pub fn mailbox(&self, mailbox: &str, field: &str) -> Option<String> {
        self.fact(&Subject::Mailbox(mailbox.to_owned()), field)
    }

    /// A field of a message.
    pub fn message(&self, mailbox: &str, uid: u32, field: &str) -> Option<String> {
        self.fact(&Subject::Message(mailbox.to_owned(), uid), field)
    }

    /// The mailboxes that can be selected.
    pub fn mailboxes(&self) -> Vec<String> {
        let name = |subject: &Subject| match subject {
            Subject::Mailbox(name) => Some(name.clone()),
            _ => None,
        };
        self.subjects.keys().filter_map(name).collect()
    }

    fn fact(&self, subject: &Subject, field: &str) -> Option<String> {
        let value = self.subjects.get(subject)?.get(field)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    fn add(&mut self, subject: Subject, field: &str, value: impl Into<Vec<u8>>) {
        self.subjects.entry(subject).or_default().insert(field.to_owned(), value.into());
    }

    fn add_messages(&mut self, store: &Store) {
        // Without its prefix a mask is about no other namespace than the usual one.
        let masks = if store.has_setting("namespace public") { &["*", "Public/*"][..] } else { &["*"] };
        for mask in masks {
            self.add_messages_of(&store.doveadm(&["-f", "tab", "fetch", MESSAGE_FIELDS, "mailbox", mask, "all"]));
        }
    }

    fn add_messages_of(&mut self, table: &str) {
        for row in rows(table) {
            let subject = Subject::Message(row["mailbox"].clone(), row["uid"].parse().unwrap());
            for (field, value) in row.iter().filter(|(field, _)| !["mailbox", "uid"].contains(*field)) {
                if *field == "flags" {
                    let (flags, keywords) =
                        sorted_words(value).into_iter().partition::<Vec<_>, _>(|it| is_system(it));
                    self.add(subject.clone(), "flags", flags.join(" "));
                    self.add(subject.clone(), "keywords", keywords.join(" "));
                } else {
                    self.add(subject.clone(), field, value.as_bytes());
                }
            }
        }
    }

    fn add_mailboxes(&mut self, store: &Store, names: &[MailboxName]) {
        let mut arguments = vec!["-f", "tab", "mailbox", "status", MAILBOX_FIELDS];
        arguments.extend(names.iter().map(|name| name.text.as_str()));
        for row in rows(&store.doveadm(&arguments)) {
            for (field, value) in row.iter().filter(|(field, _)| **field != "mailbox") {
                self.add(Subject::Mailbox(row["mailbox"].clone()), field, value.as_bytes());
            }
        }
    }

    /// Returns the names of the mailboxes that can be selected.
    fn add_tree(&mut self, imap: &mut Imap) -> Vec<MailboxName> {
        let mut names = Vec::new();
        for kind in ["LIST", "LSUB"] {
            for response in imap.command(&format!("{kind} \"\" \"*\"")) {
                let Some((attributes, name)) = listed(&response.line, kind) else { continue };
                let mut attributes = sorted_words(&attributes);
                // Whether a mailbox is marked depends on when somebody last looked.
                attributes.retain(|attribute| !["\\Marked", "\\UnMarked"].contains(&attribute.as_str()));
                self.add(Subject::Tree, &format!("{kind} {name}"), attributes.join(" "));
                let is_level = attributes.iter().any(|it| ["\\Noselect", "\\NonExistent"].contains(&it.as_str()));
                if kind == "LIST" && !is_level {
                    names.push(MailboxName { text: mutf7::decode(&name), encoded: name });
                }
            }
        }
        names
    }

    fn add_bodies(&mut self, imap: &mut Imap, names: &[MailboxName]) {
        for name in names {
            if self.uids(&name.text).is_empty() {
                continue;
            }
            imap.command(&format!("EXAMINE \"{}\"", quoted(&name.encoded)));
            for mut response in imap.command("UID FETCH 1:* (RFC822.SIZE BODY.PEEK[])") {
                let Some(uid) = response.value("UID").map(|uid| uid.parse().unwrap()) else { continue };
                let subject = Subject::Message(name.text.clone(), uid);
                let size = response.value("RFC822.SIZE").unwrap_or_default().to_owned();
                self.add(subject.clone(), "RFC822.SIZE", size);
                self.add(subject, "BODY[]", response.literals.pop().unwrap_or_default());
            }
        }
    }

    fn add_pop3(&mut self, store: &Store) {
        for (index, listed) in pop3::listing(store).into_iter().enumerate() {
            self.add(Subject::Pop3(index + 1), "UIDL", listed.uidl);
            self.add(Subject::Pop3(index + 1), "LIST", listed.size);
        }
    }
}

/// Everything in which two snapshots differ.
pub fn differences(left: &Snapshot, right: &Snapshot) -> Vec<Difference> {
    let mut differences = Vec::new();
    let nothing = Facts::new();
    for subject in union(&left.subjects, &right.subjects) {
        let sides = (left.subjects.get(&subject), right.subjects.get(&subject));
        if subject != Subject::Tree && (sides.0.is_none() || sides.1.is_none()) {
            // One line is enough for all that a missing thing lacks.
            let there = |side: Option<&Facts>| side.map(|_| b"there".to_vec());
            let field = "existence".to_owned();
            differences.push(Difference { subject, field, left: there(sides.0), right: there(sides.1) });
            continue;
        }
        let (left, right) = (sides.0.unwrap_or(&nothing), sides.1.unwrap_or(&nothing));
        for field in union(left, right) {
            let (left, right) = (left.get(&field).cloned(), right.get(&field).cloned());
            if left != right {
                differences.push(Difference { subject: subject.clone(), field, left, right });
            }
        }
    }
    differences
}

/// # Panics
/// If the snapshots differ; shows in what.
pub fn assert_equal(left: &Snapshot, right: &Snapshot) {
    let differences = differences(left, right);
    let shown: Vec<_> = differences.iter().take(60).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
}

fn union<Key: Clone + Ord, Value>(left: &BTreeMap<Key, Value>, right: &BTreeMap<Key, Value>) -> Vec<Key> {
    let mut keys: Vec<Key> = left.keys().chain(right.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The rows of a table as doveadm prints it with `-f tab`, by column.
fn rows(table: &str) -> Vec<BTreeMap<&str, String>> {
    let mut lines = table.lines();
    let columns: Vec<_> = lines.next().unwrap_or_default().split('\t').collect();
    let row = |line: &str| columns.iter().copied().zip(line.split('\t').map(str::to_owned)).collect();
    lines.map(row).collect()
}

fn sorted_words(text: &str) -> Vec<String> {
    let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    words.sort();
    words
}

fn is_system(flag: &str) -> bool {
    flag.starts_with('\\')
}

fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree => f.write_str("mailboxes"),
            Self::Mailbox(name) => write!(f, "{name}"),
            Self::Message(name, uid) => write!(f, "{name}, UID {uid}"),
            Self::Pop3(number) => write!(f, "POP3 message {number}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.subject, self.field)?;
        let (Some(left), Some(right)) = (&self.left, &self.right) else {
            return write!(f, "{} / {}", shown(self.left.as_deref()), shown(self.right.as_deref()));
        };
        if left.len().max(right.len()) < 100 {
            return write!(f, "{} / {}", shown(Some(left)), shown(Some(right)));
        }
        let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
        write!(f, "{} / {} bytes, the first {common} are the same", left.len(), right.len())
    }
}

fn shown(value: Option<&[u8]>) -> String {
    value.map_or_else(|| "missing".to_owned(), |value| format!("{:?}", String::from_utf8_lossy(value)))
}
