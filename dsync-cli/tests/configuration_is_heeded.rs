//! Where mail is and how it is stored is read from the configuration of the server, as the server reads it.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use support::build::append;
use support::{Dovecot, Driver, Fingerprint, Run, Snapshot, Store, assert_same, build};

/// Exit statuses that dsync(1) does not tell apart, but scripts may.
const USAGE: i32 = 64;
const CONFIGURATION: i32 = 78;

/// Runs the program with variables set, or unset.
fn run(dovecot: &Dovecot, environment: &[(&str, Option<&str>)], arguments: &[&str]) -> Run {
    let mut command = dovecot.dsync_command(arguments);
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Run::of(&command.output().expect("dsync starts"))
}

/// Writes a configuration; `{dir}` in it is where the test has its files.
fn configuration(dovecot: &Dovecot, name: &str, text: &str) -> String {
    let directory = dovecot.directory();
    let path = directory.join(name);
    fs::write(&path, text.replace("{dir}", &directory.display().to_string())).expect("the configuration is written");
    path.display().to_string()
}

fn fails(run: &Run, code: i32, part: &str) {
    assert_eq!(run.code, Some(code), "{run:#?}");
    assert!(run.stderr.contains(part) && run.stdout.is_empty(), "{part:?} expected: {run:#?}");
}

/// Makes a backup by the configuration, and says whether it is the mail of the store that came out.
fn backs_up(dovecot: &Dovecot, store: &support::Store, environment: &[(&str, Option<&str>)], arguments: &[&str]) {
    let copy = dovecot.store_of(
        &format!("copy{}", fs::read_dir(dovecot.directory()).expect("it is there").count()),
        store.driver(),
    );
    let location = copy.location();
    run(dovecot, environment, &[arguments, &["backup", &location]].concat()).assert_done();
    assert_same(store, &copy);
}

#[test]
fn the_first_location_is_what_the_server_would_use() {
    let dovecot = Dovecot::new();
    let store = dovecot.store("tester-mail");
    build::small(&store);
    let place = dovecot.directory().display().to_string();
    let named = |name: &str, location: &str| {
        let text = format!("mail_location = {location}\nnamespace inbox {{\n  inbox = yes\n}}\n");
        configuration(&dovecot, name, &text)
    };
    let plain = named("plain.conf", "maildir:{dir}/%u-mail");
    backs_up(&dovecot, &store, &[], &["-c", &plain]);
    backs_up(&dovecot, &store, &[("CONFIG_FILE", Some(&plain))], &[]);
    let home = named("home.conf", "maildir:%h/../%{if;%u;eq;tester;%Lu;nobody}-mail");
    backs_up(&dovecot, &store, &[], &["-c", &home]);
    let tilde = named("tilde.conf", "maildir:~/%n-mail");
    backs_up(&dovecot, &store, &[("HOME", Some(&place))], &["-c", &tilde]);
    // Who runs the program has a name also where the environment does not say so.
    let nameless = named("nameless.conf", "maildir:{dir}/%{if;%u;ne;;tester;x}-mail");
    for unknown in [None, Some("")] {
        backs_up(&dovecot, &store, &[("USER", unknown)], &["-c", &nameless]);
    }
    // What is given on the command line wins, by either name, and is taken as it is.
    let elsewhere = named("elsewhere.conf", "maildir:/nonexistent");
    for name in ["mail", "mail_location"] {
        backs_up(&dovecot, &store, &[], &["-c", &elsewhere, "-o", &format!("{name}={}", store.location())]);
        let literal = format!("{name}=maildir:{place}/%u-mail");
        fails(
            &run(&dovecot, &[], &["-c", &elsewhere, "-o", &literal, "backup", "maildir:/x"]),
            CONFIGURATION,
            "%u-mail",
        );
    }
    // What the configuration has for other programs does not count.
    let protocols = format!(
        "mail_location = maildir:/nonexistent\nprotocol !imap {{\n  mail_location = {}\n}}\nprotocol imap {{\n  \
         mail_location = maildir:/other\n}}\n",
        store.location()
    );
    backs_up(&dovecot, &store, &[], &["-c", &configuration(&dovecot, "protocols.conf", &protocols)]);
    // Without one, it is found in the home directory.
    let nothing = configuration(&dovecot, "nothing.conf", "mail_location =\n");
    fails(&run(&dovecot, &[], &["-c", &nothing, "backup", "maildir:/x"]), CONFIGURATION, "no mail store in");
    fs::rename(store.path(), dovecot.directory().join("home/Maildir")).unwrap();
    let copy = dovecot.store("detected");
    run(&dovecot, &[], &["-c", &nothing, "backup", &copy.location()]).assert_done();
    fs::rename(dovecot.directory().join("home/Maildir"), store.path()).unwrap();
    assert_same(&store, &copy);
}

#[test]
fn mail_that_was_only_delivered_yet_is_found() {
    let dovecot = Dovecot::new();
    let spool = dovecot.directory().join("spool");
    fs::create_dir(&spool).unwrap();
    fs::write(spool.join("tester"), "From a@b Thu Nov  9 22:33:52 2001\nSubject: x\n\nhello\n\n").unwrap();
    dovecot.user().adopt(&spool);
    // As Debian's packages have it.
    let usual = configuration(&dovecot, "usual.conf", "mail_location = mbox:~/mail:INBOX={dir}/spool/%u\n");
    let copy = dovecot.store("copy");
    run(&dovecot, &[], &["-c", &usual, "backup", &copy.location()]).assert_done();
    assert_eq!(Snapshot::of(&copy).message_count(), 1);
    // There is a mailbox that the source may just have lost.
    copy.imap().create("Archive");
    let before = Fingerprint::of(copy.path());
    fails(&run(&dovecot, &[], &["-c", &usual, "backup", &copy.location()]), CONFIGURATION, "Archive");
    before.assert_unchanged(copy.path());
    fs::create_dir(dovecot.directory().join("home/mail")).unwrap();
    dovecot.user().adopt(&dovecot.directory().join("home"));
    run(&dovecot, &[], &["-c", &usual, "backup", &copy.location()]).assert_done();
    assert!(!copy.path().join(".Archive").exists());
}

#[test]
fn a_server_since_24_is_understood_too() {
    let dovecot = Dovecot::new();
    let store = dovecot.store_with("tester-mail", ":LAYOUT=fs");
    build::small(&store);
    // What Dovecot 2.4.1 answers, without the settings that do not matter here.
    let written = "dovecot_config_version = 2.4.1\nmail_driver = maildir\nmail_path = {dir}/%{user | lower}-mail\n\
                   mailbox_list_layout = fs\nnamespace inbox {\n  inbox = yes\n  separator = /\n}\n";
    let file = configuration(&dovecot, "written.conf", written);
    let printed = format!(
        "# 2.4.1-4 (7d8c0e5759): {file}\n# Pigeonhole version 2.4.1-4 (0a86619f)\ndovecot_config_version = 2.4.1\n\
         # NOTE: Send doveconf -n output instead when asking for help.\nlock_method = fcntl\nmail_driver = maildir\nmail_home = \n\
         mail_inbox_path = \nmail_path = {{dir}}/%{{user | lower}}-mail\nmail_plugins {{\n  quota = yes\n}}\n\
         mailbox_list_layout = fs\nmbox_write_locks = \nnamespace_prefix = \nnamespace inbox {{\n  inbox = yes\n  \
         separator = /\n  mailbox Trash {{\n    special_use = \"\\\\Trash\"\n  }}\n}}\n"
    );
    let printed = configuration(&dovecot, "printed", &printed);
    let programs = dovecot.directory().join("programs");
    fs::create_dir(&programs).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*-S*) echo \"doveconf: invalid option -- 'S'\" >&2; exit 89 ;;\n*'-a -P -f protocol=doveadm') \
         cat {printed} ;;\nesac\n"
    );
    fs::write(programs.join("doveconf"), script).unwrap();
    fs::set_permissions(programs.join("doveconf"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let copy = dovecot.store_with("copy", ":LAYOUT=fs");
    run(&dovecot, &[("PATH", Some(&path)), ("USER", Some("Tester"))], &["backup", &copy.location()]).assert_done();
    assert_same(&store, &copy);
}

#[test]
fn settings_change_what_is_written() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    let text = format!("mail_location = {}\nmdbox_rotate_size = 4k\n", source.location());
    let small = configuration(&dovecot, "small.conf", &text);
    let copy = dovecot.store_of("copy", Driver::Mdbox);
    run(&dovecot, &[], &["-c", &small, "backup", &copy.location()]).assert_done();
    assert_same(&source, &copy);
    let files = |path: &Path| fs::read_dir(path.join("storage")).unwrap().count();
    let many = files(copy.path());
    let other = dovecot.store_of("other", Driver::Mdbox);
    run(&dovecot, &[], &["-c", &small, "-o", "mdbox_rotate_size=10M", "backup", &other.location()]).assert_done();
    assert!(files(other.path()) < many);
}

#[test]
fn servers_that_lock_by_flock_are_waited_for() {
    let dovecot = Dovecot::new();
    for driver in [Driver::Maildir, Driver::Mdbox] {
        let source = dovecot.store_of(&format!("{}-source", driver.name()), driver.setting("lock_method = flock"));
        let copy = dovecot.store_of(&format!("{}-copy", driver.name()), driver.setting("lock_method = flock"));
        build::small(&source);
        let configured = dovecot.directory().join(format!("{}-source.conf", driver.name())).display().to_string();
        run(&dovecot, &[], &["-c", &configured, "backup", &copy.location()]).assert_done();
        let mut imap = source.imap();
        imap.append("INBOX", "", b"Subject: new\r\n\r\nbody\r\n");
        imap.logout();
        let log = match driver {
            Driver::Mdbox => copy.path().join("mailboxes/INBOX/dbox-Mails/dovecot.index.log"),
            _ => copy.path().join("dovecot.index.log"),
        };
        let held = File::options().read(true).append(true).open(log).unwrap();
        let held = Flock::lock(held, FlockArg::LockExclusive).unwrap();
        let location = copy.location();
        let arguments = ["-c", &configured, "mirror", &location];
        thread::scope(|scope| {
            let waiting = scope.spawn(|| run(&dovecot, &[], &arguments));
            thread::sleep(Duration::from_millis(500));
            assert!(!waiting.is_finished(), "{}", driver.name());
            drop(held);
            waiting.join().unwrap().assert_done();
        });
        assert_same(&source, &copy);
        copy.assert_no_complaints();
    }
}

#[test]
fn a_mailbox_is_selected_by_the_name_that_clients_see() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    let text = format!(
        "mail_location = {}\nnamespace inbox {{\n  inbox = yes\n  prefix = INBOX.\n  separator = .\n}}\n",
        source.location()
    );
    let prefixed = configuration(&dovecot, "prefixed.conf", &text);
    let copy = dovecot.store("copy");
    run(&dovecot, &[], &["-c", &prefixed, "-m", "INBOX.Work.Projects", "backup", &copy.location()]).assert_done();
    assert!(copy.path().join(".Work.Projects").is_dir() && !copy.path().join("cur").exists());
}

#[test]
fn a_namespace_with_a_location_of_its_own_can_be_chosen() {
    let dovecot = Dovecot::new();
    let (private, public) = (dovecot.store("private"), dovecot.store_of("public", Driver::Mdbox));
    append(&private, "INBOX", "private");
    build::small(&public);
    let text = format!(
        "mail_location = {}\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
         namespace public {{\n  prefix = Public/\n  separator = /\n  location = {}\n}}\n",
        private.location(),
        public.location()
    );
    let configured = configuration(&dovecot, "namespaces.conf", &text);
    let backup = |options: &[&str], copy: &Store| {
        run(&dovecot, &[], &[&["-c", &configured], options, &["backup", &copy.location()]].concat())
    };
    let copies = [dovecot.store("copy"), dovecot.store("public-copy"), dovecot.store("part-of-public")];
    backup(&[], &copies[0]).assert_done();
    assert_same(&private, &copies[0]);
    backup(&["-n", "Public/"], &copies[1]).assert_done();
    assert_same(&public, &copies[1]);
    backup(&["-n", "Public/", "-m", "Public/Work/Projects"], &copies[2]).assert_done();
    assert!(copies[2].path().join(".Work.Projects").is_dir() && !copies[2].path().join("cur").exists());
    assert_eq!(backup(&["-n", "Public"], &copies[0]).code, Some(68));
}

#[test]
fn the_second_store_may_have_settings_of_its_own() {
    let dovecot = Dovecot::new();
    let (source, copy) =
        (dovecot.store("source"), dovecot.store_of("copy", Driver::Mdbox.with(":INDEX={dir}/index")));
    build::small(&source);
    copy.adopt();
    let (own, index) =
        (format!("mail_location={}", source.location()), copy.path().join("index").display().to_string());
    let options = ["-o", &own, "-p", "mdbox_rotate_size=1k", "-p", &format!("mail_index_path={index}")];
    let location = format!("mdbox:{}", copy.root().display());
    let dsync = |command: &[&str]| run(&dovecot, &[], &[&options, command].concat());
    dsync(&["backup", &location]).assert_done();
    assert_same(&source, &copy);
    let files = fs::read_dir(copy.root().join("storage")).unwrap();
    let files = files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with("m."));
    assert!(files.count() > 5, "all messages are in one file");
    assert_eq!(dsync(&["verify", &location]).code, Some(0));
    for (command, code) in
        [(&["mirror", "-p", "mdbox_rotate_size=many", &location][..], 78), (&["mirror", "host"], 64)]
    {
        let refused = dsync(command);
        assert_eq!(refused.code, Some(code), "{refused:?}");
    }
    let behind = dsync(&["mirror", &location, "-f"]);
    assert_eq!(behind.code, Some(64), "{behind:?}");
    behind.assert_refused("options stand before it");
}

#[test]
fn what_clients_did_to_names_with_a_prefix_is_recognised() {
    thread::scope(|scope| {
        for driver in [Driver::Maildir, Driver::Mdbox, Driver::Mbox] {
            scope.spawn(move || unsubscriptions_arrive(driver));
        }
    });
}

/// What is on record about a name tells a removal from something that is new at the other side. Names are recorded as clients
/// see them.
fn unsubscriptions_arrive(driver: Driver) {
    let dovecot = Dovecot::new();
    let prefixed = "namespace inbox {\n  prefix = INBOX.\n  separator = .\n}";
    let [first, second] = ["first", "second"].map(|name| dovecot.store_of(name, driver.setting(prefixed)));
    let mut imap = first.imap();
    for name in ["INBOX.Work", "INBOX.Lists.rust"] {
        imap.create(name);
        imap.subscribe(name);
    }
    imap.logout();
    let configured = dovecot.directory().join("first.conf").display().to_string();
    let mirror = || run(&dovecot, &[], &["-c", &configured, "mirror", &second.location()]).assert_done();
    let names = |store: &support::Store| {
        let name = if driver == Driver::Mbox { ".subscriptions" } else { "subscriptions" };
        fs::read_to_string(store.path().join(name)).expect("it is there")
    };
    mirror();
    assert!(names(&second).contains("Work") && names(&second).contains("rust"), "{driver:?}");
    for (store, other, name, last) in
        [(&second, &first, "INBOX.Work", "Work"), (&first, &second, "INBOX.Lists.rust", "rust")]
    {
        // Times on record are whole seconds.
        thread::sleep(Duration::from_millis(1100));
        let mut imap = store.imap();
        imap.unsubscribe(name);
        imap.logout();
        mirror();
        assert!(!names(store).contains(last) && !names(other).contains(last), "{driver:?}: {name}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_stops_the_run() {
    let dovecot = Dovecot::new();
    let (source, destination) = (dovecot.store("source"), dovecot.store("destination"));
    build::small(&source);
    dovecot.backup(&source, &destination).assert_done();
    let before = Fingerprint::of(destination.path());
    let (first, second) = (format!("mail_location={}", source.location()), destination.location());
    let given = |text: &str| configuration(&dovecot, "given.conf", text);
    let backup = |arguments: &[&str]| run(&dovecot, &[], &[arguments, &["backup", &second]].concat());

    // Also when the command line says where the mail is: the other settings are not known then.
    for (text, part) in [
        ("nonsense\n", "line 1"),
        ("mail_loction = maildir:~/Maildir\n", "mail_loction"),
        ("mail_fsync = sometimes\n", "sometimes"),
        ("!include missing.conf\n", "No matches"),
        ("lock_method = dotlock\n", "lock_method"),
        ("mail_plugins = quota mail_crypt\n", "mail_crypt"),
        ("mail_home = relative\n", ""),
        ("namespace a {\n  inbox = yes\n}\nnamespace b {\n  inbox = yes\n  prefix = b/\n}\n", "inbox=yes"),
    ] {
        let run = run(&dovecot, &[("HOME", None)], &["-c", &given(text), "-o", &first, "backup", &second]);
        fails(&run, CONFIGURATION, part);
    }
    fails(&backup(&["-c", "/nonexistent.conf", "-o", &first]), CONFIGURATION, "/nonexistent.conf");
    let unknown = given("mail_location = maildir:/mail/%z\n");
    fails(&backup(&["-c", &unknown]), CONFIGURATION, "%z");
    let sound = given("mail_location = maildir:/nonexistent\n");
    fails(&backup(&["-c", &sound, "-o", "mdbox_rotate_size=much", "-o", &first]), CONFIGURATION, "mdbox_rotate_size");
    fails(&backup(&["-c", &sound, "-o", "mail_location"]), USAGE, "mail_location");
    fails(&backup(&["-c", &sound, "-o", "mail_location=foo:/x"]), CONFIGURATION, "foo");
    fails(&backup(&["-c", &sound]), CONFIGURATION, "/nonexistent");
    let relative = run(&dovecot, &[("HOME", Some("home"))], &["-c", &sound, "-o", &first, "backup", &second]);
    fails(&relative, CONFIGURATION, "no absolute path");
    before.assert_unchanged(destination.path());

    let misspelt = backup(&["-c", &sound, "-o", &first, "-o", "mail_loction=x"]);
    assert!(misspelt.code == Some(0) && misspelt.stderr.contains("mail_loction"), "{misspelt:#?}");
}

#[test]
fn location2_is_taken_as_it_is_written() {
    let dovecot = Dovecot::new();
    let source = dovecot.store("source");
    build::small(&source);
    let first = format!("mail_location={}", source.location());
    run(&dovecot, &[], &["-o", &first, "backup", "maildir:relative/%u"]).assert_done();
    assert!(dovecot.directory().join("relative/%u/cur").is_dir());
    run(&dovecot, &[], &["-o", &first, "backup", "MAILDIR:~/deep/copy"]).assert_done();
    assert!(dovecot.directory().join("home/deep/copy/cur").is_dir());
    run(&dovecot, &[], &["-o", &first, "--expand-location", "backup", "maildir:~/%Lu-copy"]).assert_done();
    assert!(dovecot.directory().join("home/tester-copy/cur").is_dir());
    let unknown = run(&dovecot, &[], &["-o", &first, "backup", "--expand-location", "maildir:~/%z"]);
    fails(&unknown, CONFIGURATION, "%z");
    for (word, part) in [("foo:/x", "foo"), ("~/Maildir", "maildir:"), ("", ""), ("maildir:", "no path")] {
        fails(&run(&dovecot, &[], &["-o", &first, "backup", word]), USAGE, part);
    }
}
