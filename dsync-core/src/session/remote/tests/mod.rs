//! Two sides in one process, each with a store in memory, and pipes between them.

mod failures;
mod holding;
mod hostile;
mod losses;
mod selections;
mod states;
mod turns;

use std::io::{Read, Write, pipe};
use std::thread;
use std::time::Duration;

use super::*;
use crate::memory::MemoryStore;
use crate::model::{Flags, KeptFields, Keyword, MailboxName, MailboxSelection, Uid};
use crate::report::{Event, Observer, Unobserved};
use crate::session::MailboxSummary;

impl RemoteSession<'_> {
    /// Whether a mailbox is being synchronised.
    fn is_at_work(&self) -> bool {
        matches!(self.state, State::Exchange(_))
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

/// A run, and how it came out at both sides. The master does `part`.
fn outcomes(
    part: Part,
    master: &(impl MailStore + Clone),
    slave: &(impl MailStore + Clone + 'static),
    options: &SyncOptions,
) -> [Result<Report, SessionError>; 2] {
    cut_outcomes(part, master, slave, options, [u64::MAX; 2])
}

/// A run of which either side, the master first, hears only so many bytes of the other.
fn cut_outcomes(
    part: Part,
    master: &(impl MailStore + Clone),
    slave: &(impl MailStore + Clone + 'static),
    options: &SyncOptions,
    heard: [u64; 2],
) -> [Result<Report, SessionError>; 2] {
    watched_outcomes(part, master, slave, options, heard, &mut Unobserved)
}

/// The same with somebody who watches the master.
fn watched_outcomes(
    part: Part,
    master: &(impl MailStore + Clone),
    slave: &(impl MailStore + Clone + 'static),
    options: &SyncOptions,
    heard: [u64; 2],
    observer: &mut dyn Observer,
) -> [Result<Report, SessionError>; 2] {
    let (master_input, slave_output) = pipe().unwrap();
    let (slave_input, master_output) = pipe().unwrap();
    let (master_input, slave_input) = (master_input.take(heard[0]), slave_input.take(heard[1]));
    let limits = ConnectionOptions { timeout: Duration::from_secs(20) };
    let (mut master, mut slave, options) = (master.clone(), slave.clone(), options.clone());
    let slave = thread::spawn(move || {
        let own = with_store(slave_handshake("slave.example"), &slave.location());
        let (connection, peer) = Connection::open(slave_input, slave_output, &own, limits)?;
        let mut observer = Unobserved;
        let mut session = RemoteSession::slave(&mut slave, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok(session.into_report())
    });
    let run = || {
        let own = with_store(master_handshake(part, &options, "master.example")?, &master.location());
        let (connection, peer) = Connection::open(master_input, master_output, &own, limits)?;
        let mut session = RemoteSession::master(&mut master, part, options, &own, &peer, observer)?;
        connection.run(&mut session)?;
        Ok(session.into_report())
    };
    [run(), slave.join().unwrap()]
}

fn run(part: Part, master: &MemoryStore, slave: &MemoryStore) -> [Report; 2] {
    outcomes(part, master, slave, &SyncOptions::default()).map(|outcome| outcome.expect("it is carried to its end"))
}

/// Everything that is in a store, and everything but what counts changes.
fn contents(store: &MemoryStore, with_modseqs: bool) -> Vec<String> {
    let mut store = store.clone();
    let mut all = Vec::new();
    for (name, node) in store.tree().unwrap() {
        all.push(format!("{name} {node:?}"));
        let Ok(mut mailbox) = store.open(&name) else { continue };
        let status = mailbox.status().clone();
        all.push(format!("{name} {:?} {}", status.identity, status.uid_next));
        if with_modseqs {
            all.push(format!("{name} {:?}", MailboxSummary::of(&*mailbox, KeptFields::ALL)).replace("points", ""));
        }
        for mut record in mailbox.messages().clone().records() {
            let body = mailbox.body(crate::model::MessageKey::Uid(record.uid.unwrap())).unwrap().read_all().unwrap();
            if !with_modseqs {
                record.modseq = None;
            }
            all.push(format!("{name} {record:?} {:?}", body.len()));
        }
    }
    all
}

/// Without what each side remembers of the other.
fn visible(store: &MemoryStore) -> Vec<String> {
    let cut = |line: String| line.split(", : [").next().unwrap_or_default().to_owned();
    contents(store, true).into_iter().map(cut).collect()
}

fn assert_same(left: &MemoryStore, right: &MemoryStore) {
    assert_eq!(contents(left, false), contents(right, false));
}

fn filled() -> MemoryStore {
    let mut store = MemoryStore::with_seed(1);
    let inbox = MailboxName::inbox();
    for number in 0..5 {
        store.deliver(&inbox, format!("Subject: {number}\n\n.\nbody\n.two\n").as_bytes());
    }
    store.deliver(&inbox, b".");
    store.deliver(&inbox, b"");
    store.change_flags(&inbox, uid(2), Flags::SEEN | Flags::FLAGGED, Flags::NONE);
    store.change_keyword(&inbox, uid(3), &Keyword::new("$Forwarded").unwrap(), true);
    store.expunge(&inbox, uid(1));
    store.deliver(&name("Work/Reports"), b"Subject: report\n\n");
    store.copy(&inbox, uid(4), &name("Work/Reports"));
    // Twice the same in one mailbox.
    store.copy(&inbox, uid(4), &inbox);
    store.create_mailbox(&name("Empty"), crate::model::MailboxIdentity::UNDECIDED);
    store.set_subscribed(&name("Work/Reports"), true).unwrap();
    store.set_subscribed(&name("Missing"), true).unwrap();
    store
}

#[test]
fn a_copy_is_exact_in_either_direction_and_the_next_run_does_nothing() {
    for part in [Part::Source, Part::Copy] {
        let source = filled();
        let before = visible(&source);
        let copy = MemoryStore::with_seed(2);
        let (master, slave) = if part == Part::Source { (&source, &copy) } else { (&copy, &source) };
        for report in run(part, master, slave) {
            assert_eq!(report.problems, [], "{part:?}");
        }
        assert_eq!(visible(&copy), before, "{part:?}");
        let again = run(part, master, slave);
        assert!(again.iter().all(|report| report.counts.mailboxes_changed == 0), "{part:?}");
        // What is changed at the copy is undone, what is done at the source arrives.
        let (mut changed, mut work) = (copy.clone(), source.clone());
        let inbox = MailboxName::inbox();
        changed.deliver(&inbox, b"only here");
        changed.expunge(&inbox, uid(2));
        changed.change_flags(&inbox, uid(3), Flags::DELETED, Flags::NONE);
        work.rename(&name("Work"), &name("Play")).unwrap();
        work.deliver(&inbox, b"Subject: new\n\n");
        work.delete(&name("Empty")).unwrap();
        run(part, master, slave);
        assert_eq!(visible(&copy), visible(&source), "{part:?}");
    }
}

#[test]
fn different_changes_that_lead_to_the_same_counters_are_noticed() {
    let inbox = MailboxName::inbox();
    for part in [Part::Source, Part::Copy, Part::Both] {
        let (first, second) = (filled(), MemoryStore::with_seed(2));
        let (master, slave) = if part == Part::Copy { (&second, &first) } else { (&first, &second) };
        // Until nothing is to be done any more.
        for _ in 0..3 {
            run(part, master, slave);
        }
        assert_same(&first, &second);
        let idle = run(part, master, slave);
        assert!(idle.iter().all(|report| report.counts.mailboxes_changed == 0));
        let (mut one, mut two) = (first.clone(), second.clone());
        one.change_flags(&inbox, uid(3), Flags::ANSWERED, Flags::NONE);
        two.change_flags(&inbox, uid(5), Flags::DRAFT, Flags::NONE);
        run(part, master, slave);
        assert_same(&first, &second);
    }
}

#[test]
fn a_source_is_never_changed() {
    for (part, is_master) in [(Part::Source, true), (Part::Copy, false), (Part::MergeSource, true)] {
        let source = filled();
        let mut other = MemoryStore::with_seed(2);
        other.deliver(&MailboxName::inbox(), b"of the other side");
        other.deliver(&name("Other"), b"of the other side");
        let before = contents(&source, true);
        if is_master {
            run(part, &source, &other)
        } else {
            run(part, &other, &source)
        };
        assert_eq!(contents(&source, true), before, "{part:?}");
    }
}

#[test]
fn both_sides_take_over_what_the_other_did() {
    let first = filled();
    let second = MemoryStore::with_seed(2);
    run(Part::Both, &first, &second);
    assert_same(&first, &second);
    let inbox = MailboxName::inbox();
    for round in 0..3 {
        let (mut one, mut two) = (first.clone(), second.clone());
        // The same UID for different messages, and for more on one side.
        one.deliver(&inbox, format!("one {round}").as_bytes());
        two.deliver(&inbox, format!("two {round}").as_bytes());
        two.deliver(&inbox, format!("two more {round}").as_bytes());
        one.change_flags(&inbox, uid(3), Flags::ANSWERED, Flags::NONE);
        two.change_flags(&inbox, uid(3), Flags::DRAFT, Flags::NONE);
        one.expunge(&inbox, uid(4 + round));
        two.deliver(&name(&format!("New {round}")), b"in a new mailbox");
        two.set_subscribed(&name(&format!("New {round}")), true).unwrap();
        let from = if round == 0 { "Work".to_owned() } else { format!("Work {}", round - 1) };
        one.rename(&name(&from), &name(&format!("Work {round}"))).unwrap();
        run(Part::Both, &first, &second);
        // Counters may need another one.
        run(Part::Both, &second, &first);
        assert_same(&first, &second);
        let all = contents(&first, false).join("\n");
        assert!(all.contains(&format!("New {round}")) && all.contains(&format!("Work {round}/Reports")), "{all}");
    }
}

#[test]
fn a_deleted_mailbox_vanishes_unless_it_holds_what_the_deleting_side_never_had() {
    let (first, second) = (filled(), MemoryStore::with_seed(2));
    run(Part::Both, &first, &second);
    let (mut one, mut two) = (first.clone(), second.clone());
    one.delete(&name("Work/Reports")).unwrap();
    one.delete(&name("Empty")).unwrap();
    two.deliver(&name("Work/Reports"), b"never seen by the first");
    run(Part::Both, &first, &second);
    run(Part::Both, &first, &second);
    assert_same(&first, &second);
    let all = contents(&first, false).join("\n");
    assert!(all.contains("Work/Reports") && !all.contains("Empty"), "{all}");
}

#[test]
fn the_destination_of_a_merge_keeps_what_it_has() {
    let (source, destination) = (filled(), MemoryStore::with_seed(2));
    let mut changed = destination.clone();
    changed.deliver(&MailboxName::inbox(), b"only here");
    changed.deliver(&name("Only here"), b"only here");
    run(Part::MergeDestination, &destination, &source);
    let all = contents(&destination, false).join("\n");
    assert!(all.contains("Only here") && all.contains("Work/Reports"), "{all}");
    let mut destination = destination;
    assert_eq!(destination.open(&MailboxName::inbox()).unwrap().messages().len(), 8);
}

#[test]
fn bodies_of_any_size_go_both_ways_at_once() {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    for (store, letter) in [(&mut first, "a\n"), (&mut second, "b.\n.")] {
        for size in [3_000_000, 1, 2_000_000] {
            store.deliver(&MailboxName::inbox(), letter.repeat(size / letter.len() + 1).as_bytes());
        }
    }
    run(Part::Both, &first, &second);
    assert_same(&first, &second);
    assert_eq!(contents(&first, false).len(), 2 + 6);
}

#[test]
fn what_was_not_selected_is_left_alone() {
    let (source, copy) = (filled(), MemoryStore::with_seed(2));
    let mut changed = copy.clone();
    changed.deliver(&name("Other"), b"only here");
    let mailboxes = MailboxSelection::matching("Work*");
    let options = SyncOptions { mailboxes, ..SyncOptions::default() };
    outcomes(Part::Source, &source, &copy, &options).into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let all = contents(&copy, false).join("\n");
    assert!(all.contains("Other") && all.contains("Work/Reports") && !all.contains("INBOX"), "{all}");
}

#[test]
fn a_directory_that_is_left_out_is_not_reported_as_lost() {
    let (mut source, copy) = (filled(), MemoryStore::without_directories(2));
    source.create_directory(&name("Drafts")).unwrap();
    for (mailboxes, lost) in [(MailboxSelection::all().excluding("Drafts/*"), 0), (MailboxSelection::all(), 1)] {
        let options = SyncOptions { mailboxes, ..SyncOptions::default() };
        let [_, slave] = outcomes(Part::Source, &source, &copy, &options);
        assert_eq!(slave.unwrap().problems.len(), lost, "{options:?}");
    }
}

#[test]
fn messages_without_guids_are_recognised() {
    let (first, second) = (MemoryStore::with_seed(1), MemoryStore::without_guids(2));
    let mut one = first.clone();
    for number in 0..3 {
        one.deliver(&MailboxName::inbox(), format!("Message-ID: <{number}@x>\n\nbody {number}").as_bytes());
    }
    run(Part::Source, &first, &second);
    one.expunge(&MailboxName::inbox(), uid(2));
    one.deliver(&MailboxName::inbox(), b"Message-ID: <new@x>\n\nnew");
    let [sender, report] = run(Part::Source, &first, &second);
    assert_eq!((report.counts.messages_saved, report.counts.messages_removed), (1, 1));
    let counts = sender.counts;
    assert_eq!((counts.messages_sent, counts.bytes_sent, counts.messages_saved), (1, 24, 0));
    let mut two = second.clone();
    let received = |store: &mut MemoryStore| -> Vec<_> {
        let mailbox = store.open(&MailboxName::inbox()).unwrap();
        mailbox.messages().records().map(|record| record.received).collect()
    };
    assert_eq!(received(&mut two), received(&mut one), "dates come only with bodies, and stay");
    let again = run(Part::Source, &first, &second);
    assert!(again.iter().all(|report| report.counts.mailboxes_changed == 0));
}

#[test]
fn an_empty_source_empties_nothing() {
    let (empty, copy) = (MemoryStore::new(), filled());
    let before = contents(&copy, true);
    let [master, slave] = outcomes(Part::Source, &empty, &copy, &SyncOptions::default());
    assert!(matches!(slave, Err(SessionError::EmptySource { .. })), "{slave:?}");
    assert!(matches!(master, Err(SessionError::Closed)), "{master:?}");
    assert_eq!(contents(&copy, true), before);
}

#[test]
fn a_run_that_is_cut_off_anywhere_loses_nothing() {
    for part in [Part::Both, Part::Source, Part::Copy] {
        for cut in (0..60).map(|number| 1000 + 73 * number) {
            let (first, mut second) = (filled(), MemoryStore::with_seed(2));
            if part == Part::Both {
                second.deliver(&MailboxName::inbox(), b"of the second");
                second.deliver(&name("Second"), b"of the second");
            }
            let (master, slave) = if part == Part::Copy { (&second, &first) } else { (&first, &second) };
            let before = [contents(&first, false).len(), contents(&second, false).len()];
            let heard = if cut % 2 == 0 { [cut, u64::MAX] } else { [u64::MAX, cut] };
            let outcomes = cut_outcomes(part, master, slave, &SyncOptions::default(), heard);
            let after = [contents(&first, false).len(), contents(&second, false).len()];
            assert!(after[0] >= before[0] && after[1] >= before[1], "{part:?} {cut}: {before:?} {after:?}");
            if outcomes.iter().all(Result::is_err) {
                assert!(
                    !outcomes.iter().any(|outcome| matches!(outcome, Err(SessionError::Silent(_)))),
                    "{outcomes:?}"
                );
            }
            // The next runs go on from there.
            run(part, master, slave);
            run(part, master, slave);
            assert_same(&first, &second);
        }
    }
}

#[test]
fn options_that_are_not_understood_are_refused_before_anything_is_said() {
    let mut greeting = Vec::new();
    crate::wire::Encoder::default().greeting(&mut greeting);
    let mut handshake = master_handshake(Part::Source, &SyncOptions::default(), "m").unwrap();
    handshake.until = Some(0);
    crate::wire::Encoder::default().item(&Item::Handshake(Box::new(handshake)), &mut greeting);
    let (outcome, _) = hostile::said_to_slave(&filled(), &greeting);
    assert!(matches!(outcome, Err(SessionError::Unsupported(_))), "{outcome:?}");
}

#[test]
fn a_silent_peer_is_not_waited_for_for_ever() {
    let (input, _peer_output) = pipe().unwrap();
    let (mut peer_input, output) = pipe().unwrap();
    let limits = ConnectionOptions { timeout: Duration::from_millis(50) };
    let outcome = Connection::open(input, output, &slave_handshake("slave"), limits);
    assert!(matches!(outcome, Err(SessionError::Silent(_))));
    drop(outcome);
    let mut said = Vec::new();
    peer_input.read_to_end(&mut said).unwrap();
    assert!(said.starts_with(b"VERSION\tdsync\t3\t"), "it has introduced itself nevertheless");
}

#[test]
fn sides_that_are_equal_know_it() {
    let (first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let inbox = MailboxName::inbox();
    first.clone().deliver(&inbox, b"one");
    let points = |store: &MemoryStore| {
        let mailbox = store.clone().open(&inbox).unwrap();
        mailbox.sync_points().iter().map(|point| point.peer).collect::<std::collections::BTreeSet<_>>()
    };
    // The message has a date, which is said only together with its bytes.
    for _ in 0..3 {
        run(Part::Both, &first, &second);
    }
    let equal = points::labels_of(&with_store(slave_handshake("slave.example"), &second.location()))[1];
    assert!(points(&first).contains(&equal), "{:?}", points(&first));
}

/// Notes why things are decided.
#[derive(Default)]
struct Reasons(Vec<String>);

impl Observer for Reasons {
    fn event(&mut self, _: &str, event: Event<'_>) {
        if let Event::Reason(name, reason) = event {
            self.0.push(format!("{name}: {reason}"));
        }
    }

    fn wants_reasons(&self) -> bool {
        true
    }
}

#[test]
fn reasons_are_given_to_those_who_ask() {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    first.deliver(&MailboxName::inbox(), b"one");
    let reasons = |part, first: &MemoryStore, second: &MemoryStore| {
        let mut reasons = Reasons::default();
        let outcomes = watched_outcomes(part, first, second, &SyncOptions::default(), [u64::MAX; 2], &mut reasons);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        reasons.0.join("\n")
    };
    let told = reasons(Part::Source, &first, &second);
    assert_eq!(told, "INBOX: UID 1: given to the other side, which does not have it");
    second.deliver(&MailboxName::inbox(), b"two");
    let told = reasons(Part::Both, &first, &second);
    assert!(told.contains("INBOX: UID 2: copied from the other side, because"), "{told}");
    second.expunge(&MailboxName::inbox(), uid(2));
    let told = reasons(Part::Copy, &first, &second);
    assert_eq!(told, "INBOX: message with UID 2: removed, because the source does not have it");
}
