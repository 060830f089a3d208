//! Fills stores through real IMAP work.

use std::fs;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use super::dovecot::files_below;
use super::{Driver, Imap, Store, mail};

/// How many messages go into INBOX before the work on it begins.
const INBOX_MESSAGES: usize = 300;

/// A store with everything that a long life leaves behind: nested and non-ASCII names, every flag, more keywords than
/// file names can hold, gaps, copies, renames, missing parents, odd subscriptions, POP3 data, recent messages.
pub fn long_lived(store: &Store) {
    let has_pop3_data = store.driver() != Driver::Mbox;
    let migrated = if has_pop3_data && store.driver() != Driver::Maildir { migrate(store) } else { 0 };
    let mut imap = store.imap();
    fill_inbox(&mut imap, migrated..INBOX_MESSAGES);
    make_tree(&mut imap);
    work(&mut imap);
    label(&mut imap);
    imap.logout();
    // Dovecot goes on listing "Gone" as a mailbox that can be selected until it builds its list anew.
    store.forget_list_index();
    if store.driver() == Driver::Maildir {
        add_pop3_data(store);
    }
    deliver_unseen(store);
}

/// Brings the first messages of INBOX with their POP3 data from a Maildir, which is the only way for these into a dbox.
/// Says how many they are.
fn migrate(store: &Store) -> usize {
    let count = 20;
    let maildir = store.sibling("before", Driver::Maildir);
    let mut imap = maildir.imap();
    fill_inbox(&mut imap, 0..count);
    imap.logout();
    add_pop3_data(&maildir);
    store.doveadm(&["backup", "-R", &maildir.location()]);
    maildir.assert_no_complaints();
    count
}

/// What users do with a long-lived store from one run to the next. Each round does as much; the text says who.
pub fn a_day_of_work(store: &Store, round: usize, who: &str) {
    let mut imap = store.imap();
    for number in 0..8 {
        let mail = mail::message(2000 + 100 * round + number);
        imap.append("INBOX", &mail.attributes, &mail.bytes);
        imap.append("Labels", "(Keyword31 Unheard)", &mail::plain(&format!("{who} {round}.{number}")));
    }
    imap.select("INBOX");
    let at = |first: usize, last: usize| format!("{}:{}", first + 15 * round, last + 15 * round);
    imap.store(&at(111, 119), "+FLAGS", &format!("(\\Flagged red {who}{round})"));
    imap.store(&at(112, 115), "-FLAGS", "(\\Seen red)");
    imap.store(&at(116, 117), "FLAGS", "()");
    imap.expunge(&at(118, 120));
    // A copy of what was there, one of what is new, and one beside its original.
    imap.copy(&at(111, 113), "Empty");
    imap.copy("302:312", "Work");
    imap.copy(&at(114, 115), "INBOX");
    imap.move_to(&at(121, 123), "Work");
    let uid = imap.append("INBOX", "", &mail::plain("short-lived"));
    imap.expunge(&uid.to_string());
    imap.select("Work");
    imap.expunge(&at(1, 4));
    imap.command("UNSELECT");
    let old_name = if round == 1 { "New name".to_owned() } else { format!("Name {}", round - 1) };
    imap.rename(&old_name, &format!("Name {round}"));
    imap.create(&format!("Fresh {round}/Below"));
    imap.append(&format!("Fresh {round}/Below"), "(\\Seen)", &mail::plain(who));
    imap.create(&format!("Brief {round}"));
    imap.append(&format!("Brief {round}"), "", &mail::plain(who));
    // Not one that leaves an empty level behind: not every format can keep that.
    imap.delete(&if round == 1 { "R&-D and more".to_owned() } else { format!("Brief {}", round - 1) });
    imap.subscribe(&format!("Fresh {round}/Below"));
    imap.unsubscribe("Lost");
    imap.logout();
    store.forget_list_index();
}

/// What is done meanwhile at the other side of a store that has [a day of work](a_day_of_work).
pub fn small_work(store: &Store, round: usize) {
    let mut imap = store.imap();
    for number in 0..5 {
        let mail = mail::message(4000 + 100 * round + number);
        imap.append("INBOX", &mail.attributes, &mail.bytes);
    }
    imap.select("INBOX");
    let at = |first: usize, last: usize| format!("{}:{}", first + 15 * round, last + 15 * round);
    imap.store(&at(113, 117), "+FLAGS", "(\\Answered other)");
    imap.store(&at(122, 123), "+FLAGS", "(\\Flagged)");
    imap.expunge(&at(150, 152));
    imap.command("UNSELECT");
    imap.create(&format!("Other {round}"));
    imap.append(&format!("Other {round}"), "(\\Seen)", &mail::plain("other"));
    imap.subscribe(&format!("Other {round}"));
    imap.logout();
    store.forget_list_index();
}

/// Lets Dovecot free what is not used any more, write its indexes anew and begin new logs.
pub fn maintain(store: &Store) {
    store.doveadm(&["purge"]);
    store.age_logs();
    let mut imap = store.imap();
    imap.select("INBOX");
    // Neighbours would be written down together.
    let every_second = imap.uids().into_iter().step_by(2).map(|uid| uid.to_string()).collect::<Vec<_>>().join(",");
    for _ in 0..20 {
        imap.store(&every_second, "+FLAGS", "(rotated)");
        imap.store(&every_second, "-FLAGS", "(rotated)");
    }
    for _ in 0..15 {
        imap.copy(&every_second, "Empty");
        imap.command("UNSELECT");
        imap.select("Empty");
        imap.expunge("1:*");
        imap.select("INBOX");
    }
    imap.logout();
    let rotated =
        if store.driver() == Driver::Mdbox { &["index.log.2", "map.index.log.2"][..] } else { &["index.log.2"] };
    let files = files_below(&store.root_by("INDEX"));
    for name in rotated {
        let name = format!("dovecot.{name}");
        assert!(files.iter().any(|path| path.ends_with(&name)), "there is no {name}");
    }
}

/// A few messages in a few mailboxes, for tests that do not need more.
pub fn small(store: &Store) {
    let mut imap = store.imap();
    for number in 0..12 {
        let mail = mail::message(number);
        imap.append("INBOX", &mail.attributes, &mail.bytes);
    }
    for mailbox in ["Work", "Work/Projects", "Entw&APw-rfe", "Empty"] {
        imap.create(mailbox);
    }
    for number in 12..24 {
        let mail = mail::message(number);
        imap.append("Work/Projects", &mail.attributes, &mail.bytes);
    }
    imap.select("INBOX");
    imap.copy("1:4", "Work");
    imap.copy("5", "Entw&APw-rfe");
    imap.expunge("3,7:8");
    imap.store("1:2", "+FLAGS", "(\\Flagged red green)");
    imap.subscribe("INBOX");
    imap.subscribe("Work/Projects");
    imap.logout();
}

fn fill_inbox(imap: &mut Imap, numbers: Range<usize>) {
    for number in numbers {
        let mail = mail::message(number);
        imap.append("INBOX", &mail.attributes, &mail.bytes);
    }
}

fn make_tree(imap: &mut Imap) {
    let mailboxes = [
        "Archive/2023/Winter",
        "Archive/2023",
        // Its parent never becomes a mailbox.
        "Lists/rust/users",
        "INBOX/Child",
        "INBOX/Child/Grandchild",
        "Entw&APw-rfe",
        "&ZeVnLA-/&U,BTFw-",
        "R&-D and more",
        "Empty",
        "Work",
        "Work/Projects/Deep/Deeper/Deepest",
        "Labels",
        "Old name",
        "Old tree/Below",
        "Gone/Child",
        "Gone",
        "Lost",
    ];
    for mailbox in mailboxes {
        imap.create(mailbox);
    }
    let filled = ["Archive/2023/Winter", "&ZeVnLA-/&U,BTFw-", "Work/Projects/Deep/Deeper/Deepest", "Old tree/Below"];
    for (index, mailbox) in filled.iter().enumerate() {
        for number in 0..15 {
            let mail = mail::message(500 + index * 40 + number);
            imap.append(mailbox, &mail.attributes, &mail.bytes);
        }
    }
    for mailbox in ["INBOX", "Entw&APw-rfe", "Work/Projects/Deep/Deeper/Deepest", "Lost"] {
        imap.subscribe(mailbox);
    }
}

fn work(imap: &mut Imap) {
    imap.select("INBOX");
    imap.store("1:9", "+FLAGS", "(\\Seen)");
    imap.store("5:20", "+FLAGS", "(\\Answered \\Flagged)");
    imap.store("11", "FLAGS", "(\\Answered \\Flagged \\Deleted \\Seen \\Draft)");
    imap.store("12", "FLAGS", "()");
    imap.store("30:40", "+FLAGS", "(red Green $Label1)");
    imap.store("33:35", "-FLAGS", "(red)");
    imap.copy("1:40", "Work");
    imap.copy("41:60", "Entw&APw-rfe");
    // The copies share the GUIDs of messages in the same mailbox.
    imap.copy("2:4", "INBOX");
    imap.move_to("61:70", "R&-D and more");
    imap.move_to("71:75", "INBOX/Child/Grandchild");
    imap.copy("76:79", "Old name");
    imap.expunge("1,10,21:29,100:110,180");
    // The last UIDs are gone as well, so that UIDNEXT says more than the messages do.
    imap.select("Work");
    imap.expunge("38:40,3:5");
    imap.select("Archive/2023/Winter");
    imap.expunge("1:*");
    imap.rename("Old name", "New name");
    imap.rename("Old tree", "Lists/rust/new tree");
    imap.command("UNSELECT");
    imap.delete("Gone");
    imap.delete("Lost");
}

/// More keywords than there are letters: 26 can be stored in file names, the others only in the index.
fn label(imap: &mut Imap) {
    for number in 0..35 {
        imap.append("Labels", &format!("(Keyword{number})"), &mail::message(700 + number).bytes);
    }
    imap.select("Labels");
    imap.store("1:5", "+FLAGS", "(Keyword3 Keyword30 Keyword34 \\Seen)");
    imap.store("35", "+FLAGS", "(Keyword0 Keyword1)");
    imap.command("UNSELECT");
}

/// Messages that no session has seen yet: they lie in `new` and are recent.
fn deliver_unseen(store: &Store) {
    let mut imap = store.imap();
    for number in 0..6 {
        imap.append("INBOX", "", &mail::message(900 + number).bytes);
        imap.append("Lists/rust/users", "", &mail::message(950 + number).bytes);
    }
    imap.logout();
}

/// POP3 UIDLs and orders as a migration from another server leaves them.
fn add_pop3_data(store: &Store) {
    edit_uidlist(store, |index, _| match index {
        1..=6 => Some(format!("Pold-server-{index} O{}", 50 - index)),
        7 => Some("P".to_owned()),
        8..=12 => Some(format!("PUID{index}-77")),
        13..=14 => Some(format!("O{}", 60 + index)),
        _ => None,
    });
}

/// Gives the last message of a Maildir's INBOX POP3 data.
pub fn add_late_pop3_data(store: &Store) {
    edit_uidlist(store, |index, count| (index == count).then(|| "Plate O77".to_owned()));
}

/// Adds fields to messages in the uidlist of a Maildir's INBOX, as a migration would have: nothing else writes them. `fields`
/// is told which message it is, counted from one, and how many there are.
fn edit_uidlist(store: &Store, fields: impl Fn(usize, usize) -> Option<String>) {
    let control = store.root_by("CONTROL");
    // Away from the mails INBOX has a directory like any other mailbox.
    let directory = if control == store.root() { control } else { control.join(".INBOX") };
    let path = directory.join("dovecot-uidlist");
    let text = fs::read_to_string(&path).unwrap();
    let count = text.lines().count() - 1;
    let mut edited = String::new();
    for (index, line) in text.lines().enumerate() {
        match (fields(index, count).filter(|_| index > 0), line.split_once(' ')) {
            (Some(fields), Some((uid, rest))) => edited.push_str(&format!("{uid} {fields} {rest}\n")),
            _ => edited.push_str(&format!("{line}\n")),
        }
    }
    let temporary = path.with_extension("edited");
    fs::write(&temporary, edited).unwrap();
    // A file of another second cannot be mistaken for the one that the index remembers.
    let file = fs::File::options().write(true).open(&temporary).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(5)).unwrap();
    fs::rename(&temporary, &path).unwrap();
    store.adopt();
}

/// Appends a small message about `text`, by which [`holds`] finds it.
pub fn append(store: &Store, mailbox: &str, text: &str) {
    let mut imap = store.imap();
    imap.append(mailbox, "()", format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes());
    imap.logout();
}

/// Whether there is a message about `text` in any mailbox.
pub fn holds(store: &Store, text: &str) -> bool {
    store.doveadm(&["search", "mailbox", "*", "subject", text]).lines().count() > 0
}
