//! After any work on the source, the next run makes the destination equal again; what clients changed at the
//! destination is discarded.

mod support;

use support::{Dovecot, Imap, Snapshot, Store, assert_equal, build, mail};

struct Pair {
    dovecot: Dovecot,
    source: Store,
    destination: Store,
}

impl Pair {
    fn backed_up() -> Self {
        let dovecot = Dovecot::new();
        let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
        build::small(&source);
        let pair = Self { dovecot, source, destination };
        pair.run_and_compare();
        pair
    }

    fn run_and_compare(&self) {
        // Dovecot goes on listing a deleted mailbox that has children until it builds its list anew.
        self.source.forget_list_index();
        self.dovecot.backup(&self.source, &self.destination).assert_done();
        assert_equal(&Snapshot::of(&self.source), &Snapshot::of(&self.destination));
        self.destination.assert_no_complaints();
    }
}

fn after_work_on_source(work: impl FnOnce(&mut Imap)) {
    let pair = Pair::backed_up();
    let mut imap = pair.source.imap();
    work(&mut imap);
    imap.logout();
    pair.run_and_compare();
}

fn after_work_on_destination(work: impl FnOnce(&mut Imap)) {
    let pair = Pair::backed_up();
    let mut imap = pair.destination.imap();
    work(&mut imap);
    imap.logout();
    pair.run_and_compare();
}

#[test]
fn requests_that_the_server_has_not_carried_out_count() {
    let pair = Pair::backed_up();
    let mut imap = pair.source.imap();
    imap.create("Hasty");
    for text in ["one", "two"] {
        imap.append("Hasty", "(\\Seen)", format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes());
    }
    imap.command("STATUS \"Hasty\" (HIGHESTMODSEQ)");
    imap.select("Hasty");
    // A session that leaves a mailbox right after an expunge leaves the request behind.
    imap.send_all_and_leave(&["STORE 1 +FLAGS (\\Deleted hasty)", "EXPUNGE", "RENAME \"Hasty\" \"Calm\""]);
    pair.run_and_compare();
}

#[test]
fn new_mail_arrives() {
    after_work_on_source(|imap| {
        for number in 40..60 {
            let mail = mail::message(number);
            imap.append("INBOX", &mail.attributes, &mail.bytes);
            imap.append("Work/Projects", "", &mail.bytes);
        }
    });
}

#[test]
fn flags_and_keywords_arrive() {
    after_work_on_source(|imap| {
        imap.select("INBOX");
        imap.store("1:6", "+FLAGS", "(\\Seen \\Answered blue)");
        imap.store("1", "-FLAGS", "(red)");
        imap.store("2", "FLAGS", "()");
        imap.select("Work/Projects");
        imap.store("1:*", "+FLAGS", "(\\Deleted another)");
    });
}

#[test]
fn keywords_beyond_the_letters_arrive() {
    after_work_on_source(|imap| {
        imap.select("Work/Projects");
        for number in 0..31 {
            imap.store(&(number % 12 + 1).to_string(), "+FLAGS", &format!("(extra{number})"));
        }
        imap.store("3", "-FLAGS", "(extra2 extra26)");
    });
}

#[test]
fn expunges_arrive() {
    after_work_on_source(|imap| {
        imap.select("INBOX");
        imap.expunge("1:2");
        imap.select("Work");
        imap.expunge("1:*");
    });
}

#[test]
fn an_expunge_of_the_newest_keeps_the_next_uid() {
    after_work_on_source(|imap| {
        let uid = imap.append("Empty", "", &mail::plain("short-lived"));
        imap.select("Empty");
        imap.expunge(&uid.to_string());
    });
}

#[test]
fn copies_and_moves_arrive() {
    after_work_on_source(|imap| {
        imap.select("INBOX");
        imap.copy("1:2", "INBOX");
        imap.copy("4", "Empty");
        imap.move_to("5:6", "Work");
    });
}

#[test]
fn renames_arrive() {
    after_work_on_source(|imap| {
        imap.rename("Work", "Office");
        imap.rename("Entw&APw-rfe", "Below/Drafts");
    });
}

#[test]
fn swapped_names_arrive() {
    after_work_on_source(|imap| {
        imap.rename("Empty", "Between");
        imap.rename("Entw&APw-rfe", "Empty");
        imap.rename("Between", "Entw&APw-rfe");
    });
}

#[test]
fn new_and_deleted_mailboxes_arrive() {
    after_work_on_source(|imap| {
        imap.delete("Empty");
        imap.delete("Work/Projects");
        imap.create("Fresh/Below");
        imap.append("Fresh/Below", "(\\Seen)", &mail::plain("fresh"));
    });
}

#[test]
fn a_deleted_parent_leaves_its_children() {
    after_work_on_source(|imap| imap.delete("Work"));
}

#[test]
fn a_recreated_mailbox_is_another_one() {
    after_work_on_source(|imap| {
        imap.delete("Entw&APw-rfe");
        imap.create("Entw&APw-rfe");
        imap.append("Entw&APw-rfe", "", &mail::plain("second life"));
    });
}

#[test]
fn subscriptions_arrive() {
    after_work_on_source(|imap| {
        imap.subscribe("Empty");
        imap.subscribe("Entw&APw-rfe");
        imap.unsubscribe("Work/Projects");
    });
}

#[test]
fn messages_that_were_only_seen_lose_recent() {
    let pair = Pair::backed_up();
    let mut imap = pair.source.imap();
    imap.append("Work", "", &mail::plain("unseen"));
    imap.logout();
    pair.run_and_compare();
    let mut imap = pair.source.imap();
    imap.select("Work");
    imap.logout();
    pair.run_and_compare();
}

#[test]
fn mail_of_a_delivery_agent_arrives() {
    let pair = Pair::backed_up();
    for number in 0..5 {
        pair.source.write(format!("new/17000000{number}0.M1P{number}.mx"), &mail::plain("delivered"));
    }
    // A server that serves the source gives them their UIDs before or after: both must come out the same.
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    let _ = Snapshot::of(&pair.source);
    pair.run_and_compare();
}

#[test]
fn a_whole_day_of_work_arrives_at_once() {
    after_work_on_source(|imap| {
        imap.rename("Work/Projects", "Projects");
        imap.select("Projects");
        imap.expunge("2:3");
        imap.store("4", "+FLAGS", "(\\Flagged late)");
        imap.append("Projects", "(\\Draft)", &mail::plain("draft"));
        imap.create("Work/Projects");
        imap.move_to("5:7", "Work/Projects");
        imap.delete("Empty");
        imap.rename("Entw&APw-rfe", "Empty");
        imap.subscribe("Projects");
    });
}

#[test]
fn new_mail_at_the_destination_is_discarded() {
    after_work_on_destination(|imap| {
        imap.append("INBOX", "(\\Seen)", &mail::plain("only here"));
        imap.append("Empty", "", &mail::plain("only here as well"));
    });
}

#[test]
fn new_mail_on_both_sides_leaves_that_of_the_source() {
    let pair = Pair::backed_up();
    for (store, count) in [(&pair.source, 2), (&pair.destination, 3)] {
        let mut imap = store.imap();
        for number in 0..count {
            imap.append("INBOX", "", &mail::plain(&format!("{number} in {}", store.location())));
        }
        imap.logout();
    }
    pair.run_and_compare();
}

#[test]
fn flags_and_expunges_at_the_destination_are_discarded() {
    after_work_on_destination(|imap| {
        imap.select("INBOX");
        imap.store("1:5", "FLAGS", "(\\Draft unheard)");
        imap.expunge("4");
        imap.select("Work/Projects");
        imap.expunge("1:*");
    });
}

#[test]
fn moves_at_the_destination_are_discarded() {
    after_work_on_destination(|imap| {
        imap.select("INBOX");
        imap.move_to("1:2", "Empty");
        imap.copy("4", "INBOX");
    });
}

#[test]
fn renames_at_the_destination_are_discarded() {
    after_work_on_destination(|imap| {
        imap.rename("Work", "Elsewhere");
        imap.rename("Entw&APw-rfe", "Work");
    });
}

#[test]
fn new_and_deleted_mailboxes_at_the_destination_are_discarded() {
    after_work_on_destination(|imap| {
        imap.create("Only/Here");
        imap.append("Only/Here", "", &mail::plain("only here"));
        imap.delete("Empty");
        imap.delete("Entw&APw-rfe");
        imap.create("Entw&APw-rfe");
    });
}

#[test]
fn subscriptions_at_the_destination_are_discarded() {
    after_work_on_destination(|imap| {
        imap.subscribe("Empty");
        imap.unsubscribe("INBOX");
    });
}

#[test]
fn mail_delivered_into_the_destination_is_discarded() {
    let pair = Pair::backed_up();
    pair.destination.write("new/1700000000.M1P1.mx", &mail::plain("misdirected"));
    pair.destination.write(".Work/cur/1700000000.M1P1.mx:2,S", &mail::plain("misdirected"));
    pair.run_and_compare();
}

#[test]
fn an_open_session_at_the_destination_keeps_working() {
    let pair = Pair::backed_up();
    let mut open = pair.destination.imap();
    open.select("INBOX");
    let before = open.uids();
    let mut imap = pair.source.imap();
    let uid = imap.append("INBOX", "(\\Seen brandnew)", &mail::plain("while somebody looks"));
    imap.select("INBOX");
    imap.expunge("1");
    imap.store("4", "+FLAGS", "(\\Flagged brandnew)");
    imap.logout();
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    let news: Vec<_> = open.command("NOOP").into_iter().map(|response| response.line).collect();
    assert!(news.iter().any(|line| line.ends_with("EXISTS")), "the new message is not announced: {news:?}");
    let after = open.uids();
    assert!(before.contains(&1) && !after.contains(&1) && after.contains(&uid), "{after:?}");
    let body = open.command(&format!("UID FETCH {uid},4 (FLAGS BODY.PEEK[])"));
    assert!(body.iter().filter(|response| response.line.contains("brandnew")).count() == 2, "{body:?}");
    open.store("4", "+FLAGS", "(\\Answered)");
    open.logout();
    pair.run_and_compare();
}

#[test]
fn an_open_session_at_the_source_keeps_working() {
    let pair = Pair::backed_up();
    let mut open = pair.source.imap();
    open.select("INBOX");
    let uid = open.append("INBOX", "(\\Seen)", &mail::plain("in session"));
    pair.dovecot.backup(&pair.source, &pair.destination).assert_done();
    open.store(&uid.to_string(), "+FLAGS", "(\\Flagged)");
    open.expunge("4");
    open.logout();
    pair.run_and_compare();
    pair.source.assert_no_complaints();
}
