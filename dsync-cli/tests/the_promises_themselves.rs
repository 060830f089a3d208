//! What random histories promise must be no more than what is certain, and a promise that is broken must be noticed.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::Dovecot;
use support::history::operation::How;
use support::history::view::{Flags, SeenMailbox, SeenMessage};
use support::history::{
    FileOperation, FileWorker, Files, Journal, Kind, Operation, Phase, Promises, Random, Side, Target, View, Worker,
};

/// Mailboxes with the Message-IDs in them. Each has its name as its GUID.
fn view(mailboxes: &[(&str, &[&str])]) -> View {
    let message = |id: &&str| SeenMessage { message_id: (*id).to_owned(), flags: Flags::new() };
    let mailbox = |(name, ids): &(&str, &[&str])| {
        let messages = (1..).zip(ids.iter().map(message)).collect();
        ((*name).to_owned(), SeenMailbox { guid: (*name).to_owned(), messages })
    };
    View { mailboxes: mailboxes.iter().map(mailbox).collect(), ..View::default() }
}

fn base() -> View {
    view(&[("INBOX", &["m1", "m2"]), ("a", &["m3"]), ("b", &[])])
}

fn target(uid: u32, id: &str) -> Vec<Target> {
    vec![Target { uid, message_id: id.to_owned() }]
}

fn append(mailbox: &str, id: &str) -> Operation {
    let (mailbox, message_id) = (mailbox.to_owned(), id.to_owned());
    Operation::Append { mailbox, message_id, flags: Vec::new(), date: String::new() }
}

fn expunge(mailbox: &str, uid: u32, id: &str) -> Operation {
    Operation::Expunge { mailbox: mailbox.to_owned(), targets: target(uid, id) }
}

fn move_to(mailbox: &str, uid: u32, id: &str, to: &str) -> Operation {
    Operation::Move { mailbox: mailbox.to_owned(), targets: target(uid, id), to: to.to_owned() }
}

fn deliver(mailbox: &str, id: &str, flags: &[&'static str]) -> FileOperation {
    FileOperation::Deliver { mailbox: mailbox.to_owned(), message_id: id.to_owned(), flags: flags.to_vec() }
}

fn flag_file(mailbox: &str, id: &str, how: How, flags: &[&'static str]) -> FileOperation {
    FileOperation::Flag { mailbox: mailbox.to_owned(), message_id: id.to_owned(), how, flags: flags.to_vec() }
}

fn remove_file(mailbox: &str, id: &str) -> FileOperation {
    FileOperation::Remove { mailbox: mailbox.to_owned(), message_id: id.to_owned() }
}

fn move_file(mailbox: &str, id: &str, to: &str) -> FileOperation {
    FileOperation::Move { mailbox: mailbox.to_owned(), message_id: id.to_owned(), to: to.to_owned() }
}

fn copy_file(mailbox: &str, id: &str, to: &str) -> FileOperation {
    let (mailbox, message_id, to) = (mailbox.to_owned(), id.to_owned(), to.to_owned());
    FileOperation::Copy { mailbox, message_id, to, new_id: "copy".to_owned() }
}

fn flag(mailbox: &str, uid: u32, id: &str, flag: &'static str) -> Operation {
    let (mailbox, targets) = (mailbox.to_owned(), target(uid, id));
    Operation::Store { mailbox, targets, how: How::Add, flags: vec![flag] }
}

fn rename(mailbox: &str, to: &str) -> Operation {
    Operation::Rename { mailbox: mailbox.to_owned(), to: to.to_owned() }
}

fn delete(mailbox: &str) -> Operation {
    Operation::Delete { mailbox: mailbox.to_owned() }
}

/// The kinds of promises that `outcome` breaks after this work on both sides. New messages get UID 50.
fn broken(left: &[Operation], right: &[Operation], outcome: &View) -> Vec<Kind> {
    broken_by(
        [left, right].map(|operations| {
            let mut side = Side::settled(&base());
            operations.iter().for_each(|operation| side.apply(operation, &[50]));
            side
        }),
        outcome,
    )
}

/// The kinds of promises that `outcome` breaks after this work on the files of both sides.
fn broken_in_files(left: &[FileOperation], right: &[FileOperation], outcome: &View) -> Vec<Kind> {
    broken_by([left, right].map(worked_in_files), outcome)
}

fn worked_in_files(operations: &[FileOperation]) -> Side {
    let mut side = Side::settled(&base());
    operations.iter().for_each(|operation| side.apply_in_files(operation));
    side
}

fn broken_by(sides: [Side; 2], outcome: &View) -> Vec<Kind> {
    Promises::new(&base(), sides.each_ref()).broken_at(outcome).into_iter().map(|broken| broken.kind).collect()
}

#[test]
fn nothing_is_broken_where_nothing_was_done() {
    assert_eq!(broken(&[], &[], &base()), []);
}

#[test]
fn a_message_that_vanishes_is_lost() {
    let outcome = view(&[("INBOX", &["m1"]), ("a", &["m3"]), ("b", &[])]);
    assert_eq!(broken(&[], &[], &outcome), [Kind::MessageLost]);
    assert_eq!(broken(&[expunge("INBOX", 2, "m2")], &[], &outcome), []);
    assert_eq!(broken(&[], &[expunge("INBOX", 2, "m2")], &outcome), []);
}

#[test]
fn a_message_that_was_expunged_must_not_return() {
    let expunged = [expunge("INBOX", 2, "m2")];
    assert_eq!(broken(&expunged, &[], &base()), [Kind::MessageBack]);
    // Unless the other side did something with it.
    assert_eq!(broken(&expunged, &[flag("INBOX", 2, "m2", "red")], &base()), []);
}

#[test]
fn a_message_must_not_multiply() {
    let outcome = view(&[("INBOX", &["m1", "m2", "m2"]), ("a", &["m3"]), ("b", &[])]);
    assert_eq!(broken(&[], &[], &outcome), [Kind::MessageRepeated]);
    let copy = Operation::Copy { mailbox: "INBOX".to_owned(), targets: target(2, "m2"), to: "INBOX".to_owned() };
    assert_eq!(broken(&[copy], &[], &outcome), []);
}

#[test]
fn a_message_must_stay_in_its_mailbox() {
    let outcome = view(&[("INBOX", &["m1"]), ("a", &["m3"]), ("b", &["m2"])]);
    assert_eq!(broken(&[], &[], &outcome), [Kind::MessageElsewhere, Kind::MessageBack]);
    assert_eq!(broken(&[move_to("INBOX", 2, "m2", "b")], &[], &outcome), []);
}

#[test]
fn new_mail_in_a_mailbox_that_the_other_side_deletes_survives_somewhere() {
    let (appended, deleted) = ([append("a", "new")], [delete("a")]);
    assert_eq!(broken(&appended, &deleted, &view(&[("INBOX", &["m1", "m2"]), ("b", &[])])), [Kind::MessageLost]);
    for saved in [&["new"] as &[_], &["m3", "new"]] {
        assert_eq!(broken(&appended, &deleted, &view(&[("INBOX", &["m1", "m2"]), ("b", &[]), ("x", saved)])), []);
    }
}

#[test]
fn a_message_that_was_moved_into_a_mailbox_that_the_other_side_deletes_survives() {
    let (moved, deleted) = ([move_to("INBOX", 2, "m2", "a")], [delete("a")]);
    assert_eq!(broken(&moved, &deleted, &view(&[("INBOX", &["m1"]), ("b", &[])])), [Kind::MessageLost]);
    // If the other side expunged it, too, nobody can know.
    let deleted = [delete("a"), expunge("INBOX", 2, "m2")];
    assert_eq!(broken(&moved, &deleted, &view(&[("INBOX", &["m1"]), ("b", &[])])), []);
}

#[test]
fn a_deleted_mailbox_must_not_return_with_what_was_in_it() {
    assert_eq!(broken(&[delete("a")], &[], &base()), [Kind::MessageBack]);
    // Unless somebody worked in it.
    assert_eq!(broken(&[delete("a")], &[flag("a", 1, "m3", "red")], &base()), []);
}

#[test]
fn flags_of_one_side_hold() {
    let flagged = [flag("INBOX", 1, "m1", "red")];
    let mut outcome = base();
    assert_eq!(broken(&flagged, &[], &outcome), [Kind::FlagsLost]);
    // Where both sides set flags, nothing is certain.
    assert_eq!(broken(&flagged, &[flag("INBOX", 1, "m1", "green")], &outcome), []);
    let inbox = outcome.mailboxes.get_mut("INBOX").unwrap();
    inbox.messages.get_mut(&1).unwrap().flags.insert("red".to_owned());
    assert_eq!(broken(&flagged, &[], &outcome), []);
    assert_eq!(broken(&[], &[], &outcome), [Kind::FlagsLost]);
}

#[test]
fn mailboxes_keep_their_names_and_themselves() {
    let lost = view(&[("INBOX", &["m1", "m2"]), ("a", &["m3"])]);
    assert_eq!(broken(&[], &[], &lost), [Kind::MailboxLost]);
    assert_eq!(broken(&[rename("b", "c")], &[], &base()), [Kind::NameLost]);
    // Where both sides named it, either name will do.
    assert_eq!(broken(&[rename("b", "c")], &[rename("b", "d"), rename("d", "b")], &base()), []);
    assert_eq!(broken(&[Operation::Create { mailbox: "c".to_owned() }], &[], &base()), [Kind::MailboxLost]);
}

#[test]
fn a_subscription_of_one_side_holds() {
    let subscribed = [Operation::Subscribe { mailbox: "a".to_owned() }];
    let unsubscribed = [Operation::Unsubscribe { mailbox: "a".to_owned() }];
    assert_eq!(broken(&subscribed, &[], &base()), [Kind::SubscriptionLost]);
    assert_eq!(broken(&subscribed, &unsubscribed, &base()), []);
}

#[test]
fn a_delivered_file_is_a_new_message() {
    let delivered = [deliver("a", "new", &["\\Seen"])];
    assert_eq!(broken_in_files(&delivered, &[], &base()), [Kind::MessageLost]);
    let mut outcome = view(&[("INBOX", &["m1", "m2"]), ("a", &["m3", "new"]), ("b", &[])]);
    assert_eq!(broken_in_files(&delivered, &[], &outcome), [Kind::FlagsLost]);
    outcome.mailboxes.get_mut("a").unwrap().messages.get_mut(&2).unwrap().flags.insert("\\Seen".to_owned());
    assert_eq!(broken_in_files(&delivered, &[], &outcome), []);
    // Nobody delivered it here.
    assert_eq!(broken_in_files(&[], &[], &outcome), [Kind::MessageBack]);
}

#[test]
fn a_delivered_file_survives_in_a_mailbox_that_the_other_side_deletes() {
    let mut right = Side::settled(&base());
    right.apply(&delete("a"), &[]);
    let sides = [worked_in_files(&[deliver("a", "new", &[])]), right];
    assert_eq!(broken_by(sides.clone(), &view(&[("INBOX", &["m1", "m2"]), ("b", &[])])), [Kind::MessageLost]);
    assert_eq!(broken_by(sides, &view(&[("INBOX", &["m1", "m2"]), ("b", &[]), ("x", &["new"])])), []);
}

#[test]
fn flags_in_names_hold() {
    let flagged = [flag_file("INBOX", "m1", How::Add, &["\\Flagged"])];
    assert_eq!(broken_in_files(&flagged, &[], &base()), [Kind::FlagsLost]);
    // Where both sides set flags, nothing is certain.
    assert_eq!(broken_in_files(&flagged, &[flag_file("INBOX", "m1", How::Add, &["\\Seen"])], &base()), []);
    // A message with new flags may return, one that was only looked at may not.
    let removed = [remove_file("INBOX", "m1")];
    assert_eq!(broken_in_files(&flagged, &removed, &base()), []);
    let only_seen = [flag_file("INBOX", "m1", How::Add, &[]), flag_file("INBOX", "m1", How::Remove, &["\\Seen"])];
    assert_eq!(broken_in_files(&only_seen, &removed, &base()), [Kind::MessageBack]);
}

#[test]
fn programs_leave_keywords_alone_but_do_not_take_them_along() {
    let mut before = base();
    let inbox = before.mailboxes.get_mut("INBOX").unwrap();
    inbox.messages.get_mut(&1).unwrap().flags.extend(["red".to_owned(), "\\Seen".to_owned()]);
    let mut side = Side::settled(&before);
    side.apply_in_files(&copy_file("INBOX", "m1", "b"));
    side.apply_in_files(&flag_file("INBOX", "m1", How::Replace, &["\\Draft"]));
    let flags = |name: &str| side.mailboxes[name].messages[0].flags.iter().cloned().collect::<Vec<_>>();
    assert_eq!(flags("INBOX"), ["\\Draft", "red"]);
    assert_eq!(flags("b"), ["\\Seen"]);
}

#[test]
fn a_file_that_was_removed_must_not_return() {
    assert_eq!(broken_in_files(&[remove_file("INBOX", "m2")], &[], &base()), [Kind::MessageBack]);
    let outcome = view(&[("INBOX", &["m1"]), ("a", &["m3"]), ("b", &[])]);
    assert_eq!(broken_in_files(&[remove_file("INBOX", "m2")], &[], &outcome), []);
    // What was delivered and removed again was never there.
    assert_eq!(broken_in_files(&[deliver("a", "new", &[]), remove_file("a", "new")], &[], &base()), []);
}

#[test]
fn files_are_where_they_were_moved_or_copied() {
    let moved = [move_file("INBOX", "m2", "b")];
    assert_eq!(broken_in_files(&moved, &[], &base()), [Kind::MessageElsewhere, Kind::MessageBack]);
    assert_eq!(broken_in_files(&moved, &[], &view(&[("INBOX", &["m1"]), ("a", &["m3"]), ("b", &["m2"])])), []);
    let copied = [copy_file("INBOX", "m2", "b")];
    assert_eq!(broken_in_files(&copied, &[], &base()), [Kind::MessageElsewhere]);
    assert_eq!(broken_in_files(&copied, &[], &view(&[("INBOX", &["m1", "m2"]), ("a", &["m3"]), ("b", &["m2"])])), []);
    // Back again, it is where it was.
    let returned = [move_file("INBOX", "m2", "b"), move_file("b", "m2", "INBOX")];
    assert_eq!(broken_in_files(&returned, &[], &base()), []);
}

#[test]
fn a_seed_always_gives_the_same_history() {
    let histories: Vec<_> = (0..2)
        .map(|_| {
            let dovecot = Dovecot::new();
            let (store, mut side, mut journal) = (dovecot.store("store"), Side::fresh(), Journal::default());
            let mut random = Random::from_seed(7);
            for (name, phase) in [("first", Phase::Building), ("second", Phase::Living)] {
                Worker { name, store: &store }.work(&mut random, phase, 25, &mut side, &mut journal);
            }
            side.assert_is(&View::of(&store));
            let directory =
                |name: &str| if name == "INBOX" { String::new() } else { format!(".{}", name.replace('/', ".")) };
            FileWorker { name: "third", store: &store, files: Files::Maildir(directory) }.work(
                &mut random,
                25,
                &mut side,
                &mut journal,
            );
            side.assert_is(&View::of(&store));
            journal.text()
        })
        .collect();
    assert_eq!(histories[0], histories[1]);
}
