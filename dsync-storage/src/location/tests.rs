use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Location, LocationError> {
    Location::parse(text, Some(Path::new("/home/u")))
}

#[test]
fn the_usual_forms() {
    assert_eq!(parse("maildir:/m").unwrap(), Location::new(Driver::Maildir, "/m"));
    assert_eq!(parse("MailDir:/m/:").unwrap().root, Path::new("/m"));
    assert_eq!(parse("maildir:~/Maildir").unwrap().root, Path::new("/home/u/Maildir"));
    assert_eq!(parse("maildir:~").unwrap().root, Path::new("/home/u"));
    assert_eq!(parse("maildir:/m/EE::x").unwrap().root, Path::new("/m/EE:x"));
    let full = parse("maildir:/m:INBOX=/in:INDEX=MEMORY:CONTROL=/c/:LAYOUT=FS:SUBSCRIPTIONS=s:UTF-8").unwrap();
    assert_eq!(full.inbox.as_deref(), Some(Path::new("/in")));
    assert_eq!((full.index, full.layout, full.utf8), (Some(IndexPlace::Memory), Some(Layout::Fs), true));
}

#[test]
fn the_forms_of_a_dbox() {
    let full = parse("MDBOX:~/m:ALT=/slow:INDEX=/i:CONTROL=/c:LAYOUT=fs:FULLDIRNAME=dbox-Mails").unwrap();
    assert_eq!((full.driver, full.alt.as_deref()), (Driver::Mdbox, Some(Path::new("/slow"))));
    assert!(full.full_names);
    assert_eq!(full.naming().layout, Layout::Dbox);
    assert_eq!(parse(&full.to_string()).unwrap(), full);
    assert_eq!(parse("dbox:/m").unwrap().driver, Driver::Sdbox);
    assert_eq!(parse("sdbox:/m").unwrap().to_string(), "sdbox:/m");
}

#[test]
fn a_parameter_without_its_path_is_named() {
    for key in ["INBOX", "INDEX", "CONTROL", "ALT"] {
        for text in [format!("mdbox:/m:{key}="), format!("mdbox:/m:{key}:UTF-8")] {
            assert_eq!(parse(&text), Err(LocationError::NoPath(key.to_owned())), "{text}");
        }
    }
}

#[test]
fn a_format_is_recognised_by_its_directories() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Driver::detect(dir.path()), None);
    for (name, driver) in [("cur", Driver::Maildir), ("mailboxes", Driver::Sdbox), ("storage", Driver::Mdbox)] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        assert_eq!(Driver::detect(dir.path()), Some(driver));
    }
}

#[test]
fn an_mbox_begins_with_its_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let (root, spool) = (dir.path().join("mail"), dir.path().join("spool"));
    let mut location = Location::new(Driver::Mbox, &root);
    location.inbox = Some(spool.clone());
    assert!(!location.exists());
    std::fs::write(&spool, "").unwrap();
    assert!(location.exists());
    assert!(!Location { driver: Driver::Maildir, ..location.clone() }.exists());
    std::fs::write(&root, "").unwrap();
    assert!(!location.exists());
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    for (text, part) in [
        ("/srv/Maildir", "maildir:/srv/Maildir"),
        ("~/Maildir", "does not say which format"),
        ("", "does not say"),
        (":/x", "does not say"),
        ("foo:/x", "unknown mail storage driver \"foo\""),
        ("maildir:", "has no path"),
        ("maildir:INBOX=/x", "has no path"),
        ("maildir:/m:UTF-8=yes", "unknown parameter"),
        ("maildir:/m:NONSENSE=1", "unknown parameter"),
        ("maildir:/m:LAYOUT=odd", "no valid value"),
        ("maildir:/m:LAYOUT=index", "not supported"),
        ("maildir:/m:DIRNAME=x", "not supported"),
        ("maildir:/m:ALT=/a", "not supported"),
        ("mdbox:/m:INBOX=/a", "not supported"),
        ("mdbox:/m:LAYOUT=maildir++", "not supported"),
        ("mdbox:/m:LAYOUT=index", "not supported"),
        ("mdbox:/m:FULLDIRNAME=mails", "not supported"),
        ("maildir:/m:SUBSCRIPTIONS=../x", "no valid value"),
        ("maildir:~other/x", "needs a home directory"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(matches!(Location::parse("maildir:~/x", None), Err(LocationError::NoHome(_))));
}

#[test]
fn overlapping_stores_are_found_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let at = |path: &Path| Location::new(Driver::Maildir, path);
    assert!(at(&real).overlap(&at(&link)).is_some());
    assert!(at(&real).overlap(&at(&link.join("missing/below"))).is_some());
    assert!(at(&real.join("below")).overlap(&at(&link)).is_some());
    assert!(at(&real).overlap(&at(&dir.path().join("real2"))).is_none());
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(root in "/[a-z:/ ]{0,8}[a-z]", index in prop::option::of("/[a-z:]{0,5}[a-z]"), utf8: bool) {
        let mut location = Location::new(Driver::Maildir, root);
        location.index = index.map(|path| IndexPlace::Directory(path.into()));
        location.utf8 = utf8;
        prop_assert_eq!(Location::parse(&location.to_string(), None), Ok(location));
    }

    #[test]
    fn any_text_can_be_read(text in ".{0,40}") {
        let _ = Location::parse(&text, None);
    }
}
