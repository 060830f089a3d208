//! Mail that a run could have lost.

use super::*;

#[test]
fn an_empty_source_empties_nothing_whatever_is_selected() {
    for part in [Part::Source, Part::Copy] {
        for mailboxes in [MailboxSelection::all().excluding("Trash"), MailboxSelection::matching("*")] {
            let (empty, copy) = (MemoryStore::new(), filled());
            let before = contents(&copy, true);
            let mut options = SyncOptions { mailboxes, ..SyncOptions::default() };
            let (master, slave) = if part == Part::Source { (&empty, &copy) } else { (&copy, &empty) };
            let source = usize::from(part == Part::Copy);
            let outcomes_of = |options: &SyncOptions| outcomes(part, master, slave, options);
            assert!(matches!(outcomes_of(&options)[source], Err(SessionError::EmptySource { .. })), "{part:?}");
            assert_eq!(contents(&copy, true), before, "{part:?}");
            options.allow_empty_source = true;
            assert!(outcomes_of(&options).iter().all(Result::is_ok), "{part:?}");
            assert!(copy.clone().tree().unwrap().keys().all(MailboxName::is_inbox), "{part:?}: it was wanted");
        }
    }
}
