//! Runs in which something is wrong with a mailbox, or not as a side expects it.

use super::*;
use crate::model::{MailboxIdentity, ModSeq};
use crate::session::disturbed::Disturbed;
use crate::store::{ErrorKind, StoreError};

const PARTS: [Part; 5] = [Part::Source, Part::Copy, Part::MergeSource, Part::MergeDestination, Part::Both];

#[test]
fn an_empty_peer_empties_inbox_too_if_that_is_wanted() {
    for (allow_empty_source, tree_only) in [(false, false), (true, false), (true, true)] {
        let (mut copy, empty) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
        copy.deliver(&MailboxName::inbox(), b"x");
        let options = SyncOptions { allow_empty_source, tree_only, ..SyncOptions::default() };
        let [outcome, _] = outcomes(Part::Copy, &copy, &empty, &options);
        assert_eq!(outcome.is_ok(), allow_empty_source);
        let left = copy.open(&MailboxName::inbox()).unwrap().status().message_count;
        assert_eq!(left, u32::from(!allow_empty_source || tree_only));
    }
}

#[test]
fn a_mailbox_whose_counters_no_server_can_have_is_left_out_and_the_others_are_not() {
    for part in PARTS {
        for master_is_broken in [true, false] {
            let (mut broken, mut other) = (filled(), filled());
            let inbox = MailboxName::inbox();
            let highest = ModSeq(1 << 63);
            broken.raise(&inbox, MailboxIdentity::UNDECIDED, uid(1), highest, uid(1));
            let imports = if master_is_broken { part.imports() } else { part.other().imports() };
            let exports = if master_is_broken { part.other().imports() } else { part.imports() };
            // What has to arrive nevertheless.
            if exports {
                broken.deliver(&name("Other"), b"other");
            }
            if imports {
                other.deliver(&name("Other"), b"other");
            }
            let [master, slave] = if master_is_broken {
                outcomes(part, &broken, &other, &SyncOptions::default())
            } else {
                outcomes(part, &other, &broken, &SyncOptions::default())
            };
            let case = format!("{part:?}, broken is the master: {master_is_broken}");
            let (own, peer) = if master_is_broken { (master, slave) } else { (slave, master) };
            let (own, _) = (own.expect(&case), peer.expect(&case));
            let said = own.problems.iter().find(|problem| problem.mailbox.as_ref() == Some(&inbox));
            assert!(said.is_some_and(|said| said.reason.contains("HIGHESTMODSEQ")), "{case}: {:?}", own.problems);
            let has = |store: &MemoryStore| store.clone().open(&name("Other")).is_ok();
            assert!(has(&broken) && has(&other), "{case}");
        }
    }
}

fn fails(kind: ErrorKind) -> crate::session::disturbed::Disturbance {
    fn fail(kind: ErrorKind, name: &MailboxName) -> Result<(), StoreError> {
        if name.is_inbox() { Err(StoreError::new(kind, "cannot open it")) } else { Ok(()) }
    }
    match kind {
        ErrorKind::NoRoom => |_, name| fail(ErrorKind::NoRoom, name),
        ErrorKind::Io => |_, name| fail(ErrorKind::Io, name),
        _ => |_, name| fail(ErrorKind::Corrupt, name),
    }
}

#[test]
fn a_mailbox_that_cannot_be_opened_is_named_but_without_room_nothing_goes_on() {
    for kind in [ErrorKind::NoRoom, ErrorKind::Io, ErrorKind::Corrupt] {
        let stores = || {
            let (mut first, second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
            for mailbox in ["INBOX", "Work"] {
                first.deliver(&name(mailbox), b"x");
            }
            (first, Disturbed { store: second, disturbance: fails(kind) })
        };
        let check = |outcome: Result<Report, SessionError>, second: &Disturbed, case: &str| match outcome {
            Ok(report) => {
                assert_ne!(kind, ErrorKind::NoRoom, "{case}");
                let said = report.problems.iter().any(|problem| problem.reason.contains("cannot open it"));
                assert!(said, "{case} {kind:?}: {:?}", report.problems);
                assert!(second.store.clone().open(&name("Work")).is_ok(), "{case} {kind:?}");
            }
            Err(error) => assert_eq!(kind, ErrorKind::NoRoom, "{case}: {error}"),
        };
        let options = SyncOptions::default();
        let (mut first, mut second) = stores();
        check(crate::sync::backup(&mut first, &mut second, &options, &mut Unobserved), &second, "backup");
        let (mut first, mut second) = stores();
        check(crate::sync::mirror(&mut first, &mut second, &options, &mut Unobserved), &second, "mirror");
        for part in [Part::Copy, Part::Both] {
            let (first, second) = stores();
            let [outcome, _] = outcomes(part, &second, &first, &options);
            check(outcome, &second, &format!("a peer, {part:?}"));
        }
    }
}

#[test]
fn what_a_merge_cannot_place_is_not_said_to_be_without_uids_alone() {
    let (mut first, mut second) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let inbox = MailboxName::inbox();
    for store in [&mut first, &mut second] {
        store.deliver(&inbox, b"x");
        let last = uid(u32::MAX - 1);
        store.raise(&inbox, MailboxIdentity::UNDECIDED, last, ModSeq::FIRST, uid(1));
    }
    let reports = run(Part::Both, &first, &second);
    let problems: Vec<_> = reports.iter().flat_map(|report| &report.problems).collect();
    assert!(
        problems.iter().any(|problem| problem.reason.contains("could not be read as a whole, or")),
        "{problems:?}"
    );
}
