//! Where the surroundings of a run are not as they should be, it ends with the status that says so, and in time.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::build::append;
use support::{Dovecot, Driver, Run, Store, build, program};

/// Runs a shell script as root in a place where it may mount what it likes; `dsync` is the program under test.
fn in_a_place_of_its_own(dovecot: &Dovecot, script: &str) -> Run {
    let program = dovecot.directory().join("dsync-of-root");
    if !program.exists() {
        program::place(&program);
    }
    let script = format!(
        "set -e\ndsync() {{ {} \"$@\"; }}\ncd {}\n{script}",
        program.display(),
        dovecot.directory().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("USER", "root").env("HOME", dovecot.directory()).stdin(Stdio::null());
    Run::of(&command.output().expect("unshare starts"))
}

#[test]
fn a_full_file_system_is_told_by_the_status() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    let mut imap = source.imap();
    for number in 0..8 {
        let text = format!("Subject: {number}\r\n\r\n{}", "a line that takes some room\r\n".repeat(9000));
        imap.append("INBOX", "()", text.as_bytes());
    }
    imap.logout();
    let location = source.location();
    for driver in Driver::ALL {
        let name = driver.name();
        let script = format!(
            "mkdir -p full\nmount -t tmpfs -o size=1m none full\ndsync -o mail_location={location} backup {name}:full/copy"
        );
        let run = in_a_place_of_its_own(&dovecot, &script);
        assert_eq!(run.code, Some(73), "{name}: {run:#?}");
        assert!(run.stderr.contains("No space left on device"), "{name}: {run:#?}");
    }
}

#[test]
fn what_cannot_be_printed_is_told_by_the_status() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    build::small(&first);
    second.adopt();
    let (location, other) = (format!("mail_location={}", first.location()), second.location());
    for words in
        [&["--help"][..], &["--version"], &["--dry-run", "backup", &other], &["-s", "", "backup", &other], &["list"]]
    {
        let mut command = dovecot.dsync_command(&[&["-o", &location], words].concat());
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let run = Run::of(&command.stderr(Stdio::piped()).output().unwrap());
        assert_eq!(run.code, Some(75), "{words:?}: {run:#?}");
        run.assert_refused("stdout");
    }
}

/// Runs a command with a peer that is a shell script.
fn with_peer(dovecot: &Dovecot, options: &[&str], script: &str) -> Command {
    let store = dovecot.store("own");
    if !store.path().exists() {
        append(&store, "INBOX", "one");
    }
    store.adopt();
    let location = format!("mail_location={}", store.location());
    dovecot.dsync_command(&[&["-o", &location], options, &["mirror", "sh", "-c", script]].concat())
}

#[test]
fn a_peer_does_not_get_the_settings_of_the_caller() {
    let dovecot = Dovecot::new();
    let heard = dovecot.directory().join("heard");
    fs::create_dir(&heard).unwrap();
    dovecot.user().adopt(&heard);
    let script = format!("env > {}/environment", heard.display());
    let mut command = with_peer(&dovecot, &[], &script);
    command.env("DOVECONF_ENV", "1").env("SSH_AUTH_SOCK", "/agent");
    let run = Run::of(&command.output().unwrap());
    assert_eq!(run.code, Some(75), "{run:#?}");
    let environment = fs::read_to_string(heard.join("environment")).unwrap();
    assert!(environment.contains("SSH_AUTH_SOCK=/agent") && !environment.contains("DOVECONF_ENV"), "{environment}");
}

#[test]
fn a_peer_that_says_nothing_is_not_waited_for_in_vain() {
    let dovecot = Dovecot::new();
    let started = Instant::now();
    let script = format!("echo $$ > {}/home/peer; exec sleep 1000", dovecot.directory().display());
    dovecot.user().adopt(&dovecot.directory().join("home"));
    let run = Run::of(&with_peer(&dovecot, &["-T", "1"], &script).output().unwrap());
    assert_eq!(run.code, Some(75), "{run:#?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let peer = fs::read_to_string(dovecot.directory().join("home/peer")).unwrap();
    assert!(!Path::new("/proc").join(peer.trim()).exists(), "it was left behind: {run:#?}");
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let dovecot = Dovecot::new();
    let mut child = with_peer(&dovecot, &[], "exec sleep 20").stderr(Stdio::piped()).spawn().unwrap();
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let started = Instant::now();
    // The first one may come before there is anything to be finished.
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(10), "it goes on");
        std::thread::sleep(Duration::from_millis(500));
        let _ = kill(process, Signal::SIGINT);
    }
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

#[test]
fn a_peer_purges_and_takes_messages_from_where_it_has_them() {
    let dovecot = Dovecot::new();
    let (own, served) = (dovecot.store("own"), dovecot.store_of("served", Driver::Mdbox));
    build::small(&own);
    dovecot.run_with_peer(&["backup"], &own, &served).assert_done();
    let size = |store: &Store| -> u64 {
        let files = fs::read_dir(store.path().join("storage")).unwrap().map(|entry| entry.unwrap());
        files
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("m."))
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    };
    let before = size(&served);
    let mut imap = own.imap();
    imap.select("INBOX");
    imap.expunge("1:*");
    imap.logout();
    dovecot.run_with_peer(&["backup"], &own, &served).assert_done();
    assert_eq!(size(&served), before, "what was expunged is still there");
    let run = dovecot.run_with_peer(&["-P", "backup"], &own, &served);
    assert_eq!((run.code, size(&served) < before), (Some(0), true), "{run:#?}");
    // What is in the mailbox of all messages there is not sent again.
    let mut imap = served.imap();
    imap.create("All");
    imap.logout();
    append(&served, "All", "everywhere");
    let run = dovecot.run_with_peer(&["-a", "All", "mirror"], &own, &served);
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn a_configuration_of_24_is_read_without_any_dovecot() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("annas");
    build::small(&source);
    fs::create_dir(dovecot.directory().join("anna")).unwrap();
    let directory = dovecot.directory().display().to_string();
    let (uid, gid) = (dovecot.user().uid, dovecot.user().gid);
    fs::write(
        dovecot.directory().join("users"),
        format!("anna:{{PLAIN}}x:{uid}:{gid}::{directory}/anna::userdb_mail_path={directory}/annas\nroot:x:0:0::{directory}\n"),
    )
    .unwrap();
    fs::write(
        dovecot.directory().join("since24.conf"),
        format!(
            "dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1\nbase_dir = {directory}/run\nfirst_valid_uid = 1\n\
             mail_driver = maildir\nmail_path = {directory}/nothing\nnamespace inbox {{\n  inbox = yes\n  separator = .\n}}\n\
             userdb passwd-file {{\n  passwd_file_path = {directory}/users\n}}\n"
        ),
    )
    .unwrap();
    source.adopt();
    dovecot.user().adopt(&dovecot.directory().join("anna"));
    let hidden = "mount --bind /dev/null /usr/bin/doveconf\n";
    let run = |words: &str| in_a_place_of_its_own(&dovecot, &format!("{hidden}dsync -c since24.conf {words}"));
    let done = run("-u Anna backup maildir:~/copy");
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:#?}");
    let copied = fs::read_dir(dovecot.directory().join("anna/copy/cur")).unwrap().count();
    assert!(copied > 0);
    assert_eq!(run("-u root backup maildir:~/copy").code, Some(77), "nobody is served as root");
    assert_eq!(run("-u nobody-there backup maildir:~/copy").code, Some(67));
}
