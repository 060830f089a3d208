//! Bad input gets an error that says what is wrong, and nothing at the destination is lost.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Dovecot, Driver, Fingerprint, Run, Snapshot, Store, build, mail};

/// A source and its backup, which has something to lose.
fn backed_up(dovecot: &Dovecot) -> (Store, Store) {
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    dovecot.backup(&source, &destination).assert_done();
    (source, destination)
}

/// The arguments of a backup; `SOURCE` and `DESTINATION` in them stand for the locations.
fn run(dovecot: &Dovecot, source: &Store, destination: &Store, arguments: &[&str]) -> Run {
    let fill = |argument: &&str| {
        argument.replace("SOURCE", &source.location()).replace("DESTINATION", &destination.location())
    };
    let arguments: Vec<String> = arguments.iter().map(fill).collect();
    dovecot.dsync(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn assert_refused(arguments: &[&str], reason: &str) {
    let dovecot = Dovecot::new();
    let (source, destination) = backed_up(&dovecot);
    let before = (Fingerprint::of(source.path()), Fingerprint::of(destination.path()));
    run(&dovecot, &source, &destination, arguments).assert_refused(reason);
    before.0.assert_unchanged(source.path());
    before.1.assert_unchanged(destination.path());
}

/// Spoils the source's INBOX; the run must say so, and not touch what the destination has of it.
fn assert_not_believed(spoil: impl FnOnce(&Path)) {
    let dovecot = Dovecot::new();
    let (source, destination) = backed_up(&dovecot);
    spoil(source.path());
    source.adopt();
    let before = (Fingerprint::of(source.path()), Fingerprint::of_mail(destination.path()));
    let run = dovecot.backup(&source, &destination);
    assert!(run.code.is_some_and(|code| ![0, 101].contains(&code)) && run.stdout.is_empty(), "{run:#?}");
    assert!(run.stderr.contains(&source.path().display().to_string()), "the path is not named: {run:#?}");
    before.0.assert_unchanged(source.path());
    before.1.assert_mail_unchanged(destination.path());
    Snapshot::of(&destination);
    destination.assert_no_complaints();
}

#[test]
fn a_missing_source_does_not_empty_the_destination() {
    assert_refused(&["-o", "mail_location=SOURCE-missing", "backup", "DESTINATION"], "source-missing");
}

#[test]
fn a_store_that_is_missing_or_empty_is_no_source() {
    for driver in [Driver::Mdbox, Driver::Sdbox, Driver::Mbox] {
        let dovecot = Dovecot::new();
        let (_, destination) = backed_up(&dovecot);
        let before = Fingerprint::of(destination.path());
        let source = dovecot.store_of("nothing", driver);
        dovecot.backup(&source, &destination).assert_refused("nothing");
        fs::create_dir(source.path()).unwrap();
        dovecot.backup(&source, &destination).assert_refused("nothing");
        fs::create_dir(source.path().join("mailboxes")).unwrap();
        dovecot.backup(&source, &destination).assert_refused("nothing");
        before.assert_unchanged(destination.path());
    }
}

#[test]
fn a_store_of_another_format_is_no_source() {
    let dovecot = Dovecot::new();
    for driver in Driver::ALL {
        build::small(&dovecot.store_of(driver.name(), driver));
    }
    let (_, destination) = backed_up(&dovecot);
    let count = Snapshot::of(&destination).message_count();
    for [there, claimed] in Driver::pairs().into_iter().filter(|[there, claimed]| there != claimed) {
        let source = format!("mail_location={}:{}/{}", claimed.name(), dovecot.directory().display(), there.name());
        let run = dovecot.dsync(&["-o", &source, "backup", &destination.location()]);
        assert!(run.code.is_some_and(|code| ![0, 101].contains(&code)), "{there:?} as {claimed:?}: {run:#?}");
        assert!(run.stderr.contains(there.name()), "{there:?} as {claimed:?}: {run:#?}");
        assert_eq!(Snapshot::of(&destination).message_count(), count, "{there:?} as {claimed:?}");
    }
}

#[test]
fn stores_that_share_a_part_are_refused() {
    for key in ["ALT", "INDEX", "CONTROL"] {
        let dovecot = Dovecot::new();
        let (source, _) = backed_up(&dovecot);
        let shared = dovecot.directory().join("shared");
        let parameter = format!(":{key}={}", shared.display());
        let (first, second) = (
            dovecot.store_of("first", Driver::Mdbox.with(&parameter)),
            dovecot.store_of("second", Driver::Sdbox.with(&parameter)),
        );
        dovecot.backup(&source, &first).assert_done();
        let before = (Fingerprint::of(first.path()), Fingerprint::of(&shared));
        dovecot.backup(&first, &second).assert_refused("shared");
        dovecot.mirror(&first, &second).assert_refused("shared");
        before.0.assert_unchanged(first.path());
        before.1.assert_unchanged(&shared);
    }
}

#[test]
fn an_empty_directory_is_no_source() {
    let dovecot = Dovecot::new();
    let (_, destination) = backed_up(&dovecot);
    let empty = dovecot.store("empty");
    fs::create_dir(empty.path()).unwrap();
    let before = Fingerprint::of(destination.path());
    dovecot.backup(&empty, &destination).assert_refused("empty");
    before.assert_unchanged(destination.path());
}

#[test]
fn a_file_is_no_source() {
    let dovecot = Dovecot::new();
    let (_, destination) = backed_up(&dovecot);
    let file = dovecot.store("file");
    fs::write(file.path(), b"From nobody\n").unwrap();
    let before = Fingerprint::of(destination.path());
    dovecot.backup(&file, &destination).assert_refused("file");
    before.assert_unchanged(destination.path());
}

#[test]
fn the_source_is_no_destination() {
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "SOURCE"], "source");
}

#[test]
fn the_source_is_no_destination_by_another_name_either() {
    let dovecot = Dovecot::new();
    let (source, _) = backed_up(&dovecot);
    let link = dovecot.store("link");
    std::os::unix::fs::symlink(source.path(), link.path()).unwrap();
    let before = Fingerprint::of(source.path());
    dovecot.backup(&source, &link).assert_refused("link");
    before.assert_unchanged(source.path());
}

#[test]
fn a_destination_inside_the_source_is_refused() {
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "SOURCE/.Copy"], ".Copy");
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "SOURCE/deep/below"], "deep");
}

#[test]
fn a_source_inside_the_destination_is_refused() {
    assert_refused(&["-o", "mail_location=DESTINATION/.Work", "backup", "DESTINATION"], "destination");
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let dovecot = Dovecot::new();
    let (source, _) = backed_up(&dovecot);
    let file = dovecot.store("file");
    fs::write(file.path(), b"something else").unwrap();
    dovecot.backup(&source, &file).assert_refused("file");
    assert_eq!(fs::read(file.path()).unwrap(), b"something else");
}

#[test]
fn an_unknown_driver_is_named() {
    assert_refused(&["-o", "mail_location=floppy:/x", "backup", "DESTINATION"], "floppy");
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "floppy:/x"], "floppy");
}

#[test]
fn usage_errors_are_explained() {
    assert_refused(&[], "");
    assert_refused(&["-o", "mail_location=SOURCE", "backup"], "");
    assert_refused(&["-o", "mail_location=SOURCE", "levitate", "DESTINATION"], "levitate");
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "--no-such-option", "DESTINATION"], "no-such-option");
    assert_refused(&["-o", "mail_location=SOURCE", "backup", ""], "");
    assert_refused(&["-o", "mail_location=SOURCE", "backup", "DESTINATION", "DESTINATION"], "");
    assert_refused(&["-o", "mail_location", "backup", "DESTINATION"], "mail_location");
}

#[test]
fn another_host_hears_nothing_of_what_cannot_be_done() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    source.adopt();
    let location = format!("mail_location={}", source.location());
    let heard = dovecot.directory().join("heard");
    let command = ["touch", heard.to_str().unwrap()];
    for (options, status) in [(&["-e", "0"][..], 64), (&["-I", "0"], 64), (&["-n", "Foo"], 68)] {
        let run = dovecot.dsync(&[&["-o", &*location, "backup"], options, &command].concat());
        assert_eq!(run.code, Some(status), "{options:?}: {run:?}");
        assert!(!heard.exists(), "{options:?}: it was started");
    }
    // That it would be if nothing were wrong.
    let run = dovecot.dsync(&[&["-o", &*location, "backup"][..], &command].concat());
    assert_eq!((run.code, heard.exists()), (Some(75), true), "{run:?}");
}

#[test]
fn the_status_tells_what_kind_of_mistake_it_is() {
    let dovecot = Dovecot::new();
    let (source, destination) = backed_up(&dovecot);
    let before = (Fingerprint::of(source.path()), Fingerprint::of(destination.path()));
    for (status, arguments) in [
        (64, "mirror"),
        (64, "- mirror DESTINATION"),
        (64, "-Z mirror DESTINATION"),
        (64, "mirror -Z DESTINATION"),
        (64, "-um BOB INBOX mirror DESTINATION"),
        (64, "server DESTINATION"),
        (64, "-S host mirror DESTINATION"),
        (64, "-C / mirror DESTINATION"),
        (64, "-o nothing mirror DESTINATION"),
        (64, "-1 backup DESTINATION"),
        (64, "-d backup DESTINATION"),
        (64, "-N -n x mirror DESTINATION"),
        (64, "-m INBOX -g 0123456789abcdef0123456789abcdef mirror DESTINATION"),
        (64, "-g 00000000000000000000000000000000 mirror DESTINATION"),
        (64, "-t 2026-01-02 -e 2026-01-01 mirror DESTINATION"),
        (64, "-t today mirror DESTINATION"),
        (64, "-I x mirror DESTINATION"),
        (64, "-O \\Nonsense mirror DESTINATION"),
        (64, "-l -1 mirror DESTINATION"),
        (64, "-T 1.5 mirror DESTINATION"),
        (64, "-A -F names mirror DESTINATION"),
        (64, "-A -u anna mirror DESTINATION"),
        (64, "-A mirror DESTINATION"),
        (64, "mirror -- -host"),
        (64, "mirror -host"),
        (64, "mirror mdbox:/x:ALT="),
        (64, "mirror ~/Maildir"),
        (64, "mirror /"),
        (64, "mirror floppy:/x"),
        (64, "mirror maildir:"),
        (66, "-F /nonexistent mirror maildir:~/copy"),
        (68, "-n Nothing/ mirror DESTINATION"),
        (68, "--strict -m Nothing mirror DESTINATION"),
        (68, "-d backup"),
        (75, "mirror /nonexistent/program"),
        (78, "-c /nonexistent mirror DESTINATION"),
        (78, "-o mail_fsync=sometimes mirror DESTINATION"),
        (78, "mirror SOURCE"),
        (78, "-R backup DESTINATION-missing"),
        (78, "-R -1 mirror DESTINATION-missing"),
    ] {
        let words: Vec<_> = ["-o", "mail_location=SOURCE"].into_iter().chain(arguments.split(' ')).collect();
        let run = run(&dovecot, &source, &destination, &words);
        assert_eq!(run.code, Some(status), "{arguments}: {run:#?}");
        run.assert_refused("Error: ");
        assert!(run.stderr.lines().all(|line| line.starts_with("dsync")), "{arguments}: {run:#?}");
    }
    before.0.assert_unchanged(source.path());
    before.1.assert_unchanged(destination.path());
    for arguments in ["--help", "--version", "-h"] {
        let run = dovecot.dsync(&[arguments]);
        assert!(run.code == Some(0) && run.stderr.is_empty() && run.stdout.contains("dsync"), "{run:#?}");
    }
}

#[test]
fn a_uidlist_of_garbage_is_not_believed() {
    assert_not_believed(|source| fs::write(source.join("dovecot-uidlist"), b"\x00\xff garbage\n").unwrap());
}

#[test]
fn a_uidlist_of_an_unknown_version_is_not_believed() {
    assert_not_believed(|source| fs::write(source.join("dovecot-uidlist"), b"9 V1 N2\n").unwrap());
}

#[test]
fn a_uidlist_with_a_broken_line_is_not_believed() {
    assert_not_believed(|source| {
        let path = source.join("dovecot-uidlist");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.insert(3, "0 no such line");
        fs::write(path, lines.join("\n") + "\n").unwrap();
    });
}

#[test]
fn an_index_log_of_garbage_is_not_believed() {
    assert_not_believed(|source| {
        let path = source.join("dovecot.index.log");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[40..middle].fill(0xa5);
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_file_that_is_no_mbox_is_not_believed() {
    for spoil in [
        |bytes: &mut Vec<u8>| bytes.insert(0, b'\n'),
        |bytes: &mut Vec<u8>| bytes[..40].fill(0),
        |bytes: &mut Vec<u8>| *bytes = b"From somebody without a date\nSubject: x\n\nbody\n".to_vec(),
    ] {
        let dovecot = Dovecot::new();
        let (source, destination) = (dovecot.store_of("source", Driver::Mbox), dovecot.store("destination"));
        build::small(&source);
        dovecot.backup(&source, &destination).assert_done();
        let path = source.path().join("inbox");
        let mut bytes = fs::read(&path).unwrap();
        spoil(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let before = (Fingerprint::of(source.path()), Fingerprint::of_mail(destination.path()));
        dovecot.backup(&source, &destination).assert_done_but(&["source/inbox"]);
        before.0.assert_unchanged(source.path());
        before.1.assert_mail_unchanged(destination.path());
        let spoiled = fs::read(&path).unwrap();
        dovecot.backup(&destination, &source).assert_done_but(&["source/inbox"]);
        dovecot.mirror(&source, &destination).assert_done_but(&["source/inbox"]);
        assert_eq!(fs::read(&path).unwrap(), spoiled);
    }
}

#[test]
fn a_message_that_cannot_be_read_does_not_stop_the_others() {
    let dovecot = Dovecot::new();
    let (source, destination) = backed_up(&dovecot);
    let secret = source.write("new/1700000000.secret", &mail::plain("secret"));
    source.write("new/1700000001.open", &mail::plain("open"));
    fs::set_permissions(secret, fs::Permissions::from_mode(0o000)).unwrap();
    let count = Snapshot::of(&destination).message_count();
    dovecot.backup(&source, &destination).assert_done_but(&["1700000000.secret"]);
    assert_eq!(Snapshot::of(&destination).message_count(), count + 1);
}

#[test]
fn a_mailbox_that_cannot_be_looked_at_is_not_called_missing() {
    let dovecot = Dovecot::new();
    let (source, destination) = backed_up(&dovecot);
    let count = Snapshot::of(&destination).message_count();
    let closed = source.path().join(".Work");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let run = dovecot.backup(&source, &destination);
    run.assert_done_but(&["mailbox Work", "source/.Work/cur", "Permission denied"]);
    assert!(!run.stderr.contains("remove it"), "{run:?}");
    assert_eq!(Snapshot::of(&destination).message_count(), count);
}
