use dsync_core::conformance;
use dsync_core::memory::MemoryStore;
use dsync_core::model::Uid;
use dsync_core::report::Unobserved;
use dsync_core::session::SyncOptions;
use dsync_core::store::{MailboxChanges, Origin};
use dsync_core::sync::{backup, mirror};
use dsync_core::verify::{VerifyOptions, verify};

use super::*;
use crate::location::Location;
use crate::settings::Settings;

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn joined(main: &MemoryStore, public: &MemoryStore) -> JoinedStore {
    let member = |store: &MemoryStore, prefix: Option<&str>| Member {
        store: Box::new(store.clone()),
        prefix: prefix.map(name),
        has_inbox: prefix.is_none(),
        subscriptions: None,
    };
    JoinedStore::new(vec![member(main, None), member(public, Some("Public"))])
}

fn equal(one: &mut dyn MailStore, other: &mut dyn MailStore) -> bool {
    verify(one, other, &VerifyOptions::default(), &mut Unobserved).unwrap().is_equal()
}

#[test]
fn it_is_a_store_like_others() {
    let mut seed = 0;
    conformance::run(&mut || {
        seed += 2;
        Box::new(joined(&MemoryStore::with_seed(seed), &MemoryStore::with_seed(seed + 1)))
    });
}

#[test]
fn each_mailbox_comes_from_its_place_and_goes_there() {
    for directories in [true, false] {
        let of =
            |seed| if directories { MemoryStore::with_seed(seed) } else { MemoryStore::without_directories(seed) };
        let (mut main, mut public, mut other) = (of(1), of(2), of(3));
        main.deliver(&name("INBOX"), b"one");
        main.deliver(&name("Public/Hidden"), b"nobody sees this");
        public.deliver(&name("News/Old"), b"two");
        let mut both = joined(&main, &public);
        both.set_subscribed(&name("Public/News/Old"), true).unwrap();
        assert!(public.tree().unwrap()[&name("News/Old")].subscribed);
        let options = SyncOptions::default();
        let run =
            |both: &mut JoinedStore, other: &mut MemoryStore| mirror(both, other, &options, &mut Unobserved).unwrap();
        assert_eq!(run(&mut both, &mut other).problems, []);
        assert!(equal(&mut both, &mut other));
        assert!(other.tree().unwrap()[&name("Public/News/Old")].subscribed);
        assert!(!other.tree().unwrap().contains_key(&name("Public/Hidden")));
        // What happens at the other side happens at the right place.
        other.deliver(&name("Public/News/Old"), b"three");
        other.deliver(&name("Public/Fresh"), b"four");
        other.deliver(&name("Work"), b"five");
        assert_eq!(run(&mut both, &mut other).problems, []);
        assert!(equal(&mut both, &mut other));
        assert!(public.open(&name("Fresh")).is_ok() && main.open(&name("Work")).is_ok());
        assert!(main.open(&name("Public/Fresh")).is_err());
        // And a mailbox that changes its place takes all along, in either direction.
        other.rename(&name("Work"), &name("Public/Work")).unwrap();
        public.rename(&name("Fresh"), &name("Stale")).unwrap();
        assert_eq!(run(&mut both, &mut other).problems, []);
        assert!(equal(&mut both, &mut other), "{:?} {:?}", both.tree(), other.tree());
        assert!(main.open(&name("Work")).is_err());
        let moved = public.open(&name("Work")).unwrap();
        assert_eq!(moved.messages().uid_at(0), Some(Uid::FIRST));
        let idle = run(&mut both, &mut other);
        assert_eq!((idle.counts.mailboxes_changed, idle.counts.mailboxes_renamed), (0, 0));
        other.delete(&name("Public/Work")).unwrap();
        run(&mut both, &mut other);
        assert!(public.open(&name("Work")).is_err());
        assert!(equal(&mut both, &mut other));
        // A backup back from the copy changes nothing.
        let report = backup(&mut other, &mut both, &options, &mut Unobserved).unwrap();
        assert_eq!((report.counts.mailboxes_changed, report.problems.len()), (0, 0));
    }
}

#[test]
fn names_of_no_member_are_refused() {
    let inbox = Member {
        store: Box::new(MemoryStore::new()),
        prefix: Some(name("Mail")),
        has_inbox: true,
        subscriptions: None,
    };
    let mut store = JoinedStore::new(vec![inbox]);
    assert_eq!(store.open(&name("Work")).err().map(|error| error.kind()), Some(ErrorKind::InvalidName));
    assert_eq!(store.rename(&name("Mail/a"), &name("Work")).unwrap_err().kind(), ErrorKind::InvalidName);
    assert_eq!(store.rename(&name("Mail/a"), &name("Mail")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.create_directory(&name("Mail")).is_ok());
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Something that a client does. What it cannot do it leaves.
fn work(store: &mut dyn MailStore, memory: &mut MemoryStore, names: &[&str], dice: &mut Dice, number: usize) {
    let any = |dice: &mut Dice| name(names[dice.roll(names.len())]);
    let (first, second) = (any(dice), any(dice));
    match dice.roll(6) {
        0 if !first.is_inbox() && !second.is_inbox() && !second.is_below(&first) && !first.is_below(&second) => {
            let _ = store.rename(&first, &second);
        }
        1 if !first.is_inbox() => drop(store.delete(&first)),
        2 => drop(
            memory
                .tree()
                .unwrap()
                .contains_key(&first)
                .then(|| memory.set_subscribed(&first, number.is_multiple_of(2))),
        ),
        _ => drop(memory.deliver(&first, format!("Subject: {number}\n\n").as_bytes())),
    }
}

#[test]
fn both_sides_are_equal_after_any_work() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let (mut main, mut public, mut other) =
            (MemoryStore::with_seed(1), MemoryStore::with_seed(2), MemoryStore::with_seed(3));
        main.deliver(&name("INBOX"), b"first");
        let mut both = joined(&main, &public);
        for round in 0..6 {
            for number in 0..dice.roll(6) {
                let number = round * 10 + number;
                let (mut one, mut two, mut three) = (main.clone(), public.clone(), other.clone());
                match dice.roll(3) {
                    0 => work(&mut one, &mut main, &["INBOX", "Work", "Work/Old", "Play"], &mut dice, number),
                    1 => work(&mut two, &mut public, &["News", "News/Old", "Fresh"], &mut dice, number),
                    _ => {
                        let names = ["INBOX", "Work", "Work/Old", "Public/News", "Public/News/Old", "Public/Fresh"];
                        work(&mut three, &mut other, &names, &mut dice, number);
                    }
                }
            }
            let options = SyncOptions::default();
            let report = mirror(&mut both, &mut other, &options, &mut Unobserved).unwrap();
            assert_eq!(report.problems, [], "seed {seed}, round {round}");
            if !equal(&mut both, &mut other) {
                // A level above a member that became empty in this run goes with the next.
                mirror(&mut both, &mut other, &options, &mut Unobserved).unwrap();
            }
            assert!(equal(&mut both, &mut other), "seed {seed}, round {round}");
            let idle = mirror(&mut both, &mut other, &options, &mut Unobserved).unwrap().counts;
            let changes = [idle.mailboxes_changed, idle.mailboxes_renamed, idle.mailboxes_deleted];
            assert_eq!(changes, [0; 3], "seed {seed}, round {round}");
        }
    }
}

#[test]
fn a_mailbox_that_cannot_be_read_as_a_whole_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::parse(&format!("maildir:{}", directory.path().display()), None).unwrap();
    let member = |store: Box<dyn MailStore>, prefix: Option<&str>| Member {
        store,
        prefix: prefix.map(name),
        has_inbox: prefix.is_none(),
        subscriptions: None,
    };
    let main = crate::open(&location, &Settings::default()).unwrap();
    let mut both = JoinedStore::new(vec![member(main, None), member(Box::new(MemoryStore::new()), Some("Public"))]);
    let mut mailbox = both.create(&name("Work"), MailboxIdentity::UNDECIDED).unwrap();
    mailbox.commit(MailboxChanges::empty(Origin::Local)).unwrap();
    drop(mailbox);
    // Two messages, of which the one hides the other.
    let work = directory.path().join(".Work");
    let files = [work.join("cur/1.x:2,S"), work.join("new/1.x")];
    files.iter().for_each(|file| std::fs::write(file, file.display().to_string()).unwrap());
    let error = both.rename(&name("Work"), &name("Public/Work")).unwrap_err();
    assert!(error.to_string().contains("hides it"), "{error}");
    assert!(files.iter().all(|file| file.exists()));
    assert!(both.open(&name("Public/Work")).is_err());
    std::fs::remove_file(&files[1]).unwrap();
    both.rename(&name("Work"), &name("Public/Work")).unwrap();
    assert_eq!(both.open(&name("Public/Work")).unwrap().messages().len(), 1);
}
