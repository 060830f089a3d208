//! `dsync list`: what is in a store, for people and for programs.

use std::io::{self, Read, Write};

use dsync_core::model::{MailboxName, MailboxNode, MailboxStatus, MessageKey, MessageRecord, NodeKind, Timestamp};
use dsync_core::store::{MailStore, Mailbox, StoreError};
use serde_json::{Value, json};

use crate::arguments::{self, Arguments, Run, SpecialUses};
use crate::configuration::UserConfiguration;
use crate::exit::{self, Failure};
use crate::interruption::Interruption;
use crate::messages::{self, harmless};
use crate::output::Output;
use crate::{stores, synchronise};

/// Says on stdout what is in a store. The exit status.
pub(crate) fn list(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
    interruption: &Interruption,
) -> Result<u8, Failure> {
    let selection = synchronise::sync_options(user, run)?.mailboxes;
    let uses = arguments::special_uses(&synchronise::namespace(user, run)?, user.settings().raw().all());
    let mut store = stores::open_to_list(arguments, user, run)?;
    let tree = selection.part_of(&store.tree()?, &|_, _| false);
    let json = run.options.running.json;
    let output = Output::new(arguments.users().is_one_of_several());
    let mut listing =
        Listing { output, json, with_messages: arguments.looking.messages, is_first: true, complete: true };
    let mut write = |listing: &mut Listing<Output>| -> io::Result<()> {
        listing.begin(&store.location())?;
        for (name, node) in &tree {
            if interruption.is_asked() {
                break;
            }
            listing.node(&mut *store, name, node, &uses)?;
        }
        listing.end()?;
        listing.output.finish()
    };
    interruption.defer();
    write(&mut listing).map_err(Failure::Output)?;
    let wanted = run.options.mailboxes.wanted().filter(|_| run.options.mailboxes.strict);
    match (wanted, interruption.is_asked()) {
        (_, true) => Ok(exit::TEMPORARY),
        (Some(wanted), false) if !tree.values().any(MailboxNode::is_mailbox) => {
            Err(Failure::NotFound(format!("there is no {wanted}; check the name, or leave --strict out")))
        }
        _ if listing.complete => Ok(exit::SUCCESS),
        _ => Ok(exit::INCOMPLETE),
    }
}

/// What has been said so far, and how.
struct Listing<W> {
    output: W,
    json: bool,
    with_messages: bool,
    is_first: bool,
    /// Everything could be read.
    complete: bool,
}

impl<W: Write> Listing<W> {
    fn begin(&mut self, location: &str) -> io::Result<()> {
        match self.json {
            true => write!(self.output, "{{\"location\":{},\"mailboxes\":[", Value::from(location)),
            false => writeln!(
                self.output,
                "{:>10} {:>10} {:>8} {:>12} {:>12}  {:<32} {:<3} NAME",
                "VALIDITY", "UIDNEXT", "MESSAGES", "MODSEQ", "BYTES", "GUID", "SUB"
            ),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.json { writeln!(self.output, "]}}") } else { Ok(()) }
    }

    fn warn(&mut self, name: &MailboxName, reason: &str) {
        messages::warning(format_args!("mailbox {name}: {reason}"));
        self.complete = false;
    }

    /// Says what is at a name.
    fn node(
        &mut self,
        store: &mut dyn MailStore,
        name: &MailboxName,
        node: &MailboxNode,
        uses: &SpecialUses,
    ) -> io::Result<()> {
        let mut mailbox = match &node.kind {
            NodeKind::Mailbox { .. } => match store.open(name) {
                Ok(mailbox) => Some(mailbox),
                Err(error) => {
                    self.warn(name, &error.to_string());
                    None
                }
            },
            NodeKind::Unreadable(reason) => {
                self.warn(name, reason);
                None
            }
            NodeKind::Absent | NodeKind::Directory => None,
        };
        for problem in mailbox.iter().flat_map(|mailbox| mailbox.problems()) {
            self.warn(name, problem);
        }
        let kind = match &node.kind {
            NodeKind::Mailbox { .. } if mailbox.is_some() => "mailbox",
            NodeKind::Mailbox { .. } | NodeKind::Unreadable(_) => "unreadable",
            NodeKind::Directory => "directory",
            NodeKind::Absent => "nothing",
        };
        let uses: Vec<&str> =
            uses.iter().filter(|(_, names)| names.contains(name)).map(|(special, _)| special.as_str()).collect();
        let sizes = mailbox.as_deref_mut().map(|mailbox| self.sizes(name, mailbox)).unwrap_or_default();
        let status = mailbox.as_deref().map(|mailbox| mailbox.status().clone());
        let head = Head { name, kind, subscribed: node.subscribed, uses, status, size: sum(&sizes) };
        if !std::mem::take(&mut self.is_first) && self.json {
            write!(self.output, ",")?;
        }
        match (self.json, mailbox.filter(|_| self.with_messages)) {
            (true, None) => write!(self.output, "{}", head.object()),
            (true, Some(mailbox)) => {
                // The messages are an array of the same object.
                let object = head.object().to_string();
                write!(self.output, "{},\"list\":[", object.strip_suffix('}').unwrap_or(&object))?;
                for (place, ((key, record), size)) in mailbox.messages().keyed().zip(sizes).enumerate() {
                    let separator = if place == 0 { "" } else { "," };
                    write!(self.output, "{separator}{}", message_object(key, &record, size))?;
                }
                write!(self.output, "]}}")
            }
            (false, mailbox) => {
                writeln!(self.output, "{}", head.line())?;
                let messages = mailbox.iter().flat_map(|mailbox| mailbox.messages().keyed());
                for ((_, record), size) in messages.zip(sizes) {
                    writeln!(self.output, "    {}", harmless(&message_line(&record, size)))?;
                }
                Ok(())
            }
        }
    }

    /// How many bytes each message has; `None` for those that cannot be read.
    fn sizes(&mut self, name: &MailboxName, mailbox: &mut dyn Mailbox) -> Vec<Option<u64>> {
        let keys: Vec<_> = mailbox.messages().keyed().map(|(key, _)| key).collect();
        let mut sizes = Vec::with_capacity(keys.len());
        for key in keys {
            sizes.push(match size(mailbox, key) {
                Ok(size) => Some(size),
                Err(reason) => {
                    self.warn(name, &format!("{key}: {reason}"));
                    None
                }
            });
        }
        sizes
    }
}

fn size(mailbox: &mut dyn Mailbox, key: MessageKey) -> Result<u64, String> {
    let mut body = mailbox.body(key).map_err(|error: StoreError| error.to_string())?;
    match body.size {
        Some(size) => Ok(size),
        None => io::copy(&mut body.by_ref(), &mut io::sink()).map_err(|error| error.to_string()),
    }
}

fn sum(sizes: &[Option<u64>]) -> u64 {
    sizes.iter().flatten().fold(0, |sum, size| sum.saturating_add(*size))
}

/// What is said of a name.
struct Head<'a> {
    name: &'a MailboxName,
    kind: &'static str,
    subscribed: bool,
    uses: Vec<&'a str>,
    status: Option<MailboxStatus>,
    size: u64,
}

impl Head<'_> {
    fn object(&self) -> Value {
        let Self { name, kind, subscribed, uses, status, size } = self;
        let mut object = json!({
            "name": name.join('/'), "kind": kind, "subscribed": subscribed, "special_use": uses,
        });
        if let (Some(members), Some(status)) = (object.as_object_mut(), status) {
            let identity = status.identity;
            let counters = [
                ("guid", json!(identity.guid.map(|guid| guid.to_string()))),
                ("uid_validity", json!(identity.uid_validity.map(|validity| validity.get()))),
                ("uid_next", json!(status.uid_next.get())),
                ("messages", json!(status.message_count)),
                ("highest_modseq", json!(status.highest_modseq.map(|modseq| modseq.get()))),
                ("first_recent_uid", json!(status.first_recent_uid.map(|uid| uid.get()))),
                ("size", json!(size)),
            ];
            members.extend(counters.map(|(name, value)| (name.to_owned(), value)));
        }
        object
    }

    fn line(&self) -> String {
        let status = self.status.as_ref();
        let number = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let identity = status.map(|status| status.identity);
        let mut line = format!(
            "{:>10} {:>10} {:>8} {:>12} {:>12}  {:<32} {:<3} {}",
            number(identity.and_then(|identity| Some(identity.uid_validity?.to_string()))),
            number(status.map(|status| status.uid_next.to_string())),
            number(status.map(|status| status.message_count.to_string())),
            number(status.and_then(|status| Some(status.highest_modseq?.to_string()))),
            number(status.map(|_| self.size.to_string())),
            number(identity.and_then(|identity| Some(identity.guid?.to_string()))),
            if self.subscribed { "yes" } else { "no" },
            self.name,
        );
        for special in &self.uses {
            line.push(' ');
            line.push_str(&harmless(special));
        }
        if self.kind != "mailbox" {
            line = format!("{line} ({})", if self.kind == "nothing" { "only subscribed" } else { self.kind });
        }
        line
    }
}

fn message_object(key: MessageKey, record: &MessageRecord, size: Option<u64>) -> Value {
    let MessageRecord { guid, flags, keywords, modseq, received, saved, pop3_uidl, pop3_order, .. } = record;
    let uid = if let MessageKey::Uid(uid) = key { Some(uid.get()) } else { None };
    json!({
        "uid": uid,
        "guid": guid.to_string(),
        "flags": flags.to_string().split_whitespace().collect::<Vec<_>>(),
        "keywords": keywords.iter().map(|keyword| keyword.as_str()).collect::<Vec<_>>(),
        "modseq": modseq.map(|modseq| modseq.get()),
        "received": received.seconds(),
        "saved": saved.map(Timestamp::seconds),
        "pop3_uidl": pop3_uidl.as_deref(),
        "pop3_order": pop3_order,
        "size": size,
    })
}

fn message_line(record: &MessageRecord, size: Option<u64>) -> String {
    let MessageRecord { uid, guid, flags, keywords, modseq, received, saved, pop3_uidl, pop3_order } = record;
    let number = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut line = format!(
        "UID {} MODSEQ {} size {} GUID {guid} received {} saved {}",
        number(uid.map(|uid| uid.to_string())),
        number(modseq.map(|modseq| modseq.to_string())),
        number(size.map(|size| size.to_string())),
        date(*received),
        number(saved.map(date)),
    );
    if let Some(uidl) = pop3_uidl {
        line = format!("{line} UIDL {}", &**uidl);
    }
    if let Some(order) = pop3_order {
        line = format!("{line} POP3 order {order}");
    }
    let flags = flags.to_string();
    for mark in flags.split_whitespace().chain(keywords.iter().map(|keyword| keyword.as_str())) {
        line.push(' ');
        line.push_str(mark);
    }
    line
}

/// `2026-01-31T12:00:00Z`; a time that no calendar has is shown in seconds.
fn date(time: Timestamp) -> String {
    match jiff::Timestamp::from_second(time.seconds()) {
        Ok(time) => time.to_string(),
        Err(_) => time.seconds().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::memory::MemoryStore;
    use dsync_core::model::{Flags, Keyword, MailboxIdentity, Uid};

    use super::*;

    fn listed(json: bool, with_messages: bool) -> String {
        let mut store = MemoryStore::with_seed(1);
        let name = |text| MailboxName::parse(text, '/').unwrap();
        let inbox = MailboxName::inbox();
        store.deliver(&inbox, b"Subject: one\n\n");
        store.deliver(&inbox, b"Subject: two}\n\n");
        let keywords = std::iter::once(Keyword::new("later").unwrap()).collect();
        store.set_flags(&inbox, Uid::FIRST, Flags::SEEN | Flags::FLAGGED, keywords);
        store.create_mailbox(&name("Deleted"), MailboxIdentity::UNDECIDED);
        store.create_directory(&name("level")).unwrap();
        store.set_subscribed(&name("gone"), true).unwrap();
        let uses = SpecialUses::from([("\\Trash".to_owned(), vec![name("Deleted")])]);
        let mut listing = Listing { output: Vec::new(), json, with_messages, is_first: true, complete: true };
        listing.begin("memory:\n").unwrap();
        for (name, node) in &store.tree().unwrap() {
            listing.node(&mut store, name, node, &uses).unwrap();
        }
        listing.end().unwrap();
        assert!(listing.complete);
        String::from_utf8(listing.output).unwrap()
    }

    #[test]
    fn people_read_a_line_for_each_name_and_message() {
        let text = listed(false, true);
        let lines: Vec<_> = text.lines().collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[1])[6..], ["no", "Deleted", "\\Trash"]);
        assert_eq!(words(lines[2])[1..5], ["3", "2", "5", "29"], "{text}");
        assert!(
            lines[3].contains("UID 1 MODSEQ 5 size 14 ") && lines[3].ends_with(" \\Flagged \\Seen later"),
            "{text}"
        );
        assert!(
            lines[5].ends_with("yes gone (only subscribed)") && lines[6].ends_with("no  level (directory)"),
            "{text}"
        );
        assert_eq!(listed(false, false).lines().count(), 5);
    }

    #[test]
    fn programs_read_one_object() {
        for with_messages in [false, true] {
            let value: Value = serde_json::from_str(&listed(true, with_messages)).unwrap();
            assert_eq!(value["location"], "memory:\n");
            let mailboxes = value["mailboxes"].as_array().unwrap();
            let kinds: Vec<_> = mailboxes.iter().map(|it| it["kind"].as_str().unwrap()).collect();
            assert_eq!(kinds, ["mailbox", "mailbox", "nothing", "directory"]);
            assert_eq!((&mailboxes[0]["special_use"], &mailboxes[1]["size"]), (&json!(["\\Trash"]), &json!(29)));
            let first = &mailboxes[1]["list"][0];
            if with_messages {
                assert_eq!((&first["uid"], &first["flags"]), (&json!(1), &json!(["\\Flagged", "\\Seen"])));
                assert_eq!(mailboxes[0]["list"], json!([]));
            } else {
                assert!(first.is_null());
            }
        }
    }

    #[test]
    fn dates_are_in_universal_time() {
        assert_eq!(date(Timestamp(1_769_814_000)), "2026-01-30T23:00:00Z");
        assert_eq!(date(Timestamp(i64::MAX)), i64::MAX.to_string());
    }
}
