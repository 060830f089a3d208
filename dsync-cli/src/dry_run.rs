//! What a run would do, for people and for programs.

use std::io::{self, Write};

use dsync_core::model::MessageKey;
use dsync_core::rehearsal::StoreChange;
use dsync_core::report::{Counts, Report};
use dsync_core::store::Origin;
use dsync_core::tree::TreeAction;
use serde_json::{Value, json};

use crate::messages::harmless;
use crate::progress;
use crate::quantities::{self, bytes, messages};

/// What would be done to one store.
pub(crate) struct Rehearsed {
    pub(crate) location: String,
    pub(crate) changes: Vec<StoreChange>,
}

/// Writes it for people.
pub(crate) fn write_text(output: &mut dyn Write, stores: &[Rehearsed], report: &Report) -> io::Result<()> {
    for Rehearsed { location, changes } in stores {
        writeln!(output, "{}:", harmless(location))?;
        if changes.is_empty() {
            writeln!(output, "  nothing would change")?;
        }
        for change in changes {
            writeln!(output, "  {}", harmless(&describe(change)))?;
        }
    }
    let Counts { mailboxes, mailboxes_changed, mailboxes_renamed, mailboxes_deleted, .. } = report.counts;
    let Counts { messages_saved, bytes_saved, messages_changed, messages_removed, .. } = report.counts;
    writeln!(
        output,
        "In all: {} looked at, {mailboxes_changed} to change; {} ({}) to copy, {messages_changed} to change, \
         {messages_removed} to remove; {} to rename, {mailboxes_deleted} to delete",
        quantities::mailboxes(mailboxes),
        messages(messages_saved),
        bytes(bytes_saved),
        quantities::mailboxes(mailboxes_renamed)
    )
}

fn describe(change: &StoreChange) -> String {
    match change {
        StoreChange::Tree(action) => progress::describe(action),
        StoreChange::Mailbox { name, created, origin, added, bytes: size, updated, renumbered, removed } => {
            let mut parts = Vec::new();
            if *created {
                parts.push("make the mailbox".to_owned());
            }
            if *origin == Origin::Local {
                parts.push("write down what other programs did".to_owned());
            }
            if !added.is_empty() {
                parts.push(format!("copy {} ({})", messages(added.len() as u64), bytes(*size)));
            }
            if !updated.is_empty() {
                parts.push(format!("change {}", messages(updated.len() as u64)));
            }
            if !renumbered.is_empty() {
                parts.push(format!("give other UIDs to {}", messages(renumbered.len() as u64)));
            }
            if !removed.is_empty() {
                parts.push(format!("remove {}", messages(removed.len() as u64)));
            }
            if parts.is_empty() {
                parts.push("change its counters".to_owned());
            }
            format!("{name}: {}", parts.join(", "))
        }
    }
}

/// Writes it for programs: one JSON object.
pub(crate) fn write_json(output: &mut dyn Write, stores: &[Rehearsed], report: &Report) -> io::Result<()> {
    let stores: Vec<Value> = stores
        .iter()
        .map(|store| {
            let changes: Vec<Value> = store.changes.iter().map(change).collect();
            json!({ "location": store.location, "changes": changes })
        })
        .collect();
    let problems = report.problems.iter().map(
        |problem| json!({ "mailbox": problem.mailbox.as_ref().map(ToString::to_string), "reason": problem.reason }),
    );
    let counts = &report.counts;
    let object = json!({
        "stores": stores,
        "counts": {
            "mailboxes": counts.mailboxes,
            "mailboxes_changed": counts.mailboxes_changed,
            "mailboxes_renamed": counts.mailboxes_renamed,
            "mailboxes_deleted": counts.mailboxes_deleted,
            "messages_copied": counts.messages_saved,
            "bytes_copied": counts.bytes_saved,
            "messages_changed": counts.messages_changed,
            "messages_removed": counts.messages_removed,
        },
        "problems": problems.collect::<Vec<_>>(),
        "exit_status": report.exit_status(),
    });
    writeln!(output, "{object}")
}

fn change(change: &StoreChange) -> Value {
    match change {
        StoreChange::Tree(TreeAction::Delete(name)) => {
            json!({ "change": "delete_mailbox", "mailbox": name.to_string() })
        }
        StoreChange::Tree(TreeAction::Rename { from, to }) => {
            json!({ "change": "rename", "mailbox": from.to_string(), "to": to.to_string() })
        }
        StoreChange::Tree(TreeAction::CreateDirectory(name)) => {
            json!({ "change": "create_directory", "mailbox": name.to_string() })
        }
        StoreChange::Tree(TreeAction::DeleteDirectory(name)) => {
            json!({ "change": "delete_directory", "mailbox": name.to_string() })
        }
        StoreChange::Tree(TreeAction::Subscribe(name, subscribed)) => {
            json!({ "change": if *subscribed { "subscribe" } else { "unsubscribe" }, "mailbox": name.to_string() })
        }
        StoreChange::Mailbox { name, created, origin, added, bytes, updated, renumbered, removed } => json!({
            "change": if *created { "create_mailbox" } else { "change_mailbox" },
            "mailbox": name.to_string(),
            "by_other_programs": *origin == Origin::Local,
            "copied": added.iter().map(|uid| uid.get()).collect::<Vec<_>>(),
            "bytes": bytes,
            "changed": updated.iter().map(|uid| uid.get()).collect::<Vec<_>>(),
            "renumbered": renumbered
                .iter()
                .map(|(from, to)| json!({ "from": uid(*from), "to": to.get() }))
                .collect::<Vec<_>>(),
            "removed": removed.iter().map(|key| uid(*key)).collect::<Vec<_>>(),
        }),
    }
}

/// The UID of a message; `null` if it has none.
fn uid(key: MessageKey) -> Option<u32> {
    match key {
        MessageKey::Uid(uid) => Some(uid.get()),
        MessageKey::Unassigned(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::{MailboxName, Uid};
    use dsync_core::report::Problem;

    use super::*;

    fn rehearsed() -> (Vec<Rehearsed>, Report) {
        let name = |text| MailboxName::parse(text, '/').unwrap();
        let changes = vec![
            StoreChange::Tree(TreeAction::Rename { from: name("a"), to: name("b") }),
            StoreChange::Mailbox {
                name: name("b"),
                created: true,
                origin: Origin::Mirrored,
                added: vec![Uid::FIRST],
                bytes: 2048,
                updated: vec![],
                renumbered: vec![(MessageKey::Unassigned(0), Uid::FIRST)],
                removed: vec![MessageKey::Uid(Uid::FIRST), MessageKey::Uid(Uid::FIRST)],
            },
            StoreChange::Tree(TreeAction::Subscribe(name("b"), true)),
        ];
        let changed = Rehearsed { location: "maildir:/a\n".to_owned(), changes };
        let unchanged = Rehearsed { location: "mdbox:/b".to_owned(), changes: vec![] };
        let problem = Problem { mailbox: Some(name("c")), reason: "broken".to_owned() };
        (vec![changed, unchanged], Report { problems: vec![problem], ..Report::default() })
    }

    #[test]
    fn people_read_one_line_for_each_change() {
        let (stores, report) = rehearsed();
        let mut text = Vec::new();
        write_text(&mut text, &stores, &report).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "maildir:/a\\n:",
                "  a: rename to b",
                "  b: make the mailbox, copy 1 message (2.0 KiB), give other UIDs to 1 message, remove 2 messages",
                "  b: subscribe",
                "mdbox:/b:",
                "  nothing would change",
            ]
        );
        assert!(lines[6].starts_with("In all: "), "{text}");
    }

    #[test]
    fn programs_read_one_object() {
        let (stores, report) = rehearsed();
        let mut text = Vec::new();
        write_json(&mut text, &stores, &report).unwrap();
        let value: Value = serde_json::from_slice(&text).unwrap();
        let changes = &value["stores"][0]["changes"];
        assert_eq!(changes[0], json!({ "change": "rename", "mailbox": "a", "to": "b" }));
        assert_eq!((&changes[1]["change"], &changes[1]["copied"]), (&json!("create_mailbox"), &json!([1])));
        assert_eq!(changes[1]["renumbered"], json!([{ "from": null, "to": 1 }]));
        assert_eq!(value["problems"], json!([{ "mailbox": "c", "reason": "broken" }]));
        assert_eq!(value["exit_status"], 2);
    }
}
