use proptest::prelude::*;

use super::*;

const PLUS: Naming = Naming { layout: Layout::MaildirPlusPlus, utf8: false };
const FS: Naming = Naming { layout: Layout::Fs, utf8: false };

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

fn directory(naming: Naming, text: &str) -> Option<String> {
    naming.directory(&name(text)).ok().map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn names_become_directories() {
    for (text, plus, fs) in [
        ("foo/bar", Some(".foo.bar"), Some("foo/bar")),
        ("日本", Some(".&ZeVnLA-"), Some("&ZeVnLA-")),
        ("a&b", Some(".a&-b"), Some("a&-b")),
        ("inbox/x", Some(".INBOX.x"), Some("INBOX/x")),
        ("dot.name", None, Some("dot.name")),
        ("a..b", None, Some("a..b")),
        ("~x", None, None),
        ("a/~x", Some(".a.~x"), Some("a/~x")),
        ("..", None, None),
        ("a/../b", None, None),
        ("cur", Some(".cur"), None),
        ("a/tmp", Some(".a.tmp"), None),
        ("dovecot.index", None, None),
        ("dovecot-uidlist", Some(".dovecot-uidlist"), None),
        ("subscriptions", Some(".subscriptions"), None),
        ("a/subscriptions", Some(".a.subscriptions"), Some("a/subscriptions")),
    ] {
        assert_eq!(directory(PLUS, text).as_deref(), plus, "{text}");
        assert_eq!(directory(FS, text).as_deref(), fs, "{text}");
    }
}

#[test]
fn a_dbox_has_its_own_tree_and_reserves_one_name() {
    let naming = Naming { layout: Layout::Dbox, utf8: false };
    for text in ["cur", "dovecot.index", "a/tmp", "dot.name", "subscriptions"] {
        assert!(naming.directory(&name(text)).is_ok(), "{text}");
    }
    for text in ["dbox-Mails", "a/dbox-Mails/b", "..", "~x"] {
        assert!(naming.directory(&name(text)).is_err(), "{text}");
    }
    let roots = Roots { index: Some("/i".into()), alt: Some("/a".into()), ..Roots::all_in(Path::new("/m")) };
    let paths = roots.of_mailbox(naming, &name("A/B")).unwrap();
    assert_eq!(paths.mails, Path::new("/m/mailboxes/A/B/dbox-Mails"));
    assert_eq!(paths.index.as_deref(), Some(Path::new("/i/mailboxes/A/B")));
    assert_eq!(paths.alt.as_deref(), Some(Path::new("/a/mailboxes/A/B/dbox-Mails")));
    let full = Roots { full_names: true, ..roots };
    let index = full.of_mailbox(naming, &MailboxName::inbox()).unwrap().index;
    assert_eq!(index.as_deref(), Some(Path::new("/i/mailboxes/INBOX/dbox-Mails")));
}

#[test]
fn the_length_counts_as_it_is_stored() {
    assert!(directory(PLUS, &"x".repeat(254)).is_some());
    assert!(directory(PLUS, &"x".repeat(255)).is_none());
    assert!(directory(FS, &"x".repeat(255)).is_some());
    assert!(directory(FS, &"é".repeat(100)).is_none());
    let utf8 = Naming { utf8: true, ..FS };
    assert!(directory(utf8, &"é".repeat(100)).is_some());
}

#[test]
fn slashes_never_make_a_level() {
    let sneaky = MailboxName::new(["..", "..", "etc"]).unwrap();
    assert!(FS.directory(&sneaky).is_err());
    let slash = MailboxName::new(["a/../../b"]).unwrap();
    assert!(FS.directory(&slash).is_err() && PLUS.directory(&slash).is_err());
}

#[test]
fn directories_that_no_client_can_open_are_no_names() {
    assert_eq!(PLUS.name_of_directory(&["foo", "bar"]).unwrap(), name("foo/bar"));
    for parts in [&["&bad"][..], &["InBox", "mix"], &["\u{fc}mlaut"], &["", "bad"], &["&AOR-"]] {
        assert!(PLUS.name_of_directory(parts).is_err(), "{parts:?}");
    }
    assert!(PLUS.name_of_directory(&[b"bin\xff"]).is_err());
}

#[test]
fn inbox_is_the_root_but_a_directory_in_separate_roots() {
    let roots = Roots { control: "/c".into(), index: Some("/i".into()), ..Roots::all_in(Path::new("/m")) };
    let inbox = roots.of_mailbox(PLUS, &MailboxName::inbox()).unwrap();
    assert_eq!((inbox.mails, inbox.control), (PathBuf::from("/m"), PathBuf::from("/c/.INBOX")));
    assert_eq!(inbox.index, Some(PathBuf::from("/i/.INBOX")));
    let plain = Roots::all_in(Path::new("/m")).of_mailbox(FS, &name("a/b")).unwrap();
    assert_eq!((plain.mails.clone(), plain.control), (PathBuf::from("/m/a/b"), plain.mails));
}

proptest! {
    #[test]
    fn every_name_that_fits_is_found_again(parts in prop::collection::vec("[^\0]{1,12}", 1..4), utf8: bool) {
        let Some(name) = MailboxName::new(parts) else { return Ok(()) };
        for layout in [Layout::MaildirPlusPlus, Layout::Fs, Layout::Dbox] {
            let naming = Naming { layout, utf8 };
            if let Ok(directory) = naming.directory(&name) {
                prop_assert!(directory.is_relative());
                prop_assert!(directory.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(naming.name_of_directory(&naming.stored_parts(&name)), Ok(name.clone()));
            }
        }
    }
}
