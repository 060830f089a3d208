//! Users of a server are looked up, and served with their own rights and settings, each in a process of its own.

// A test that cannot do something fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid};
use support::server::{assert_owned, finish, give, wait_until};
use support::{Run, Server};

/// Users with different uids: one with the mail location of all, one with another, one who may not be served, and one whose mail
/// belongs to somebody else.
const USERS: &str = "anna:61001
                     ben:61002:userdb_mail=mdbox:~/mdbox
                     low:100
                     odd:61005:userdb_mail=nonsense:~/mail
                     zoe:61009";

fn server() -> Server {
    let server = Server::start("", USERS);
    server.make_home("anna", 61_001, 3);
    server.make_home("ben", 61_002, 0);
    server.make_home("zoe", 61_001, 1);
    fs::set_permissions(server.path("home/zoe"), fs::Permissions::from_mode(0o700)).unwrap();
    server
}

/// Gives ben mail, which is in an mdbox.
fn fill_ben(server: &Server) {
    let mut imap = server.imap("ben");
    imap.append("INBOX", "(\\Seen)", b"Subject: for ben\r\n\r\ntext\r\n");
    imap.logout();
}

fn assert_status(run: &Run, status: i32, said: &[&str]) {
    assert_eq!(run.code, Some(status), "{run:#?}");
    for text in said {
        assert!(run.stderr.contains(text), "{text:?} is not said: {run:#?}");
    }
    assert!(run.stdout.is_empty(), "{run:#?}");
}

#[test]
fn one_user_is_served_with_their_rights_and_settings() {
    let server = server();
    fill_ben(&server);
    server.dsync(&["-u", "ANNA", "backup", "sdbox:~/copy"]).assert_done();
    server.dsync(&["-u", "ben", "backup", "maildir:copy"]).assert_done();
    assert_owned(&server.path("home/anna"), 61_001);
    assert_owned(&server.path("home/ben"), 61_002);
    assert_eq!(server.subjects("anna", "sdbox:~/copy").len(), 3);
    assert_eq!(server.subjects("ben", "maildir:~/copy"), ["for ben"]);

    // Files are as private as the directory in which they are.
    let shared = server.path("home/anna/shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o750)).unwrap();
    give(&shared, 61_001);
    server.dsync(&["-u", "anna", "backup", "maildir:~/shared"]).assert_done();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&shared.join("cur")), mode(&shared.join("dovecot-uidlist"))), (0o750, 0o640));
    assert_eq!(mode(&server.path("home/anna/copy/mailboxes")), 0o700);

    // Settings of the command line are stronger than those of the user.
    server.dsync(&["-u", "ben", "-o", "mail=maildir:~/copy", "backup", "maildir:~/again"]).assert_done();
    assert_eq!(server.subjects("ben", "maildir:~/again"), ["for ben"]);

    // Without a lookup the configuration has to say everything.
    let home = format!("mail_home={}", server.path("home/anna").display());
    let settings = ["-o", &home, "-o", "mail_uid=61001", "-o", "mail_gid=61001"];
    let arguments = ["--no-userdb-lookup", "-u", "whoever", "backup", "sdbox:~/without"];
    server.dsync(&[&settings[..], &arguments].concat()).assert_done();
    assert_owned(&server.path("home/anna/without"), 61_001);

    // What only root could do cannot be done.
    let private = server.path("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let run = server.dsync(&["-u", "anna", "backup", &format!("maildir:{}/copy", private.display())]);
    assert_status(&run, 77, &["dsync(anna): Error:", "private"]);
    assert_eq!(fs::read_dir(&private).unwrap().count(), 0);
}

#[test]
fn who_cannot_be_served_is_told_why() {
    let mut server = server();
    let backup = |server: &Server, options: &[&str]| server.dsync(&[options, &["backup", "sdbox:~/copy"]].concat());
    assert_status(&backup(&server, &["-u", "nosuch"]), 67, &["there is no user nosuch"]);
    assert_status(&backup(&server, &["-u", "a\tb"]), 67, &["there is no user a\tb"]);
    assert_status(&backup(&server, &["-u", "x*"]), 67, &["no user fits x*"]);
    assert_status(&backup(&server, &["-u", "low"]), 77, &["dsync(low): Error:", "first_valid_uid"]);
    assert_status(&backup(&server, &["-u", "zoe"]), 77, &["dsync(zoe): Error:"]);
    let said = ["dsync(odd): Error:", "the user database says", "mail_location", "nonsense"];
    assert_status(&backup(&server, &["-u", "odd"]), 75, &said);
    assert_status(&backup(&server, &["-u", "odd", "-o", "mail=nonsense:~/mail"]), 78, &["nonsense"]);
    assert_status(&backup(&server, &["-u", ""]), 64, &[]);
    assert_status(&backup(&server, &["-A", "-F", "users"]), 64, &["-A and -F"]);
    assert_status(&backup(&server, &["-A", "-u", "anna"]), 64, &["-A and -u"]);
    assert_status(&backup(&server, &["-A", "-s", ""]), 64, &["-s is for one user"]);
    assert_status(&backup(&server, &["-F", "/nonexistent"]), 66, &["/nonexistent"]);
    assert_status(&backup(&server, &["--no-userdb-lookup", "-u", "anna"]), 77, &["no uid"]);
    let wrong = format!("auth_socket_path={}", server.path("run/auth-login").display());
    assert_status(&backup(&server, &["-o", &wrong, "-u", "anna"]), 75, &["a socket for logins"]);

    // A user may be served by themselves, and nobody else by them.
    let as_anna = |options: &[&str]| server.dsync_as(61_001, &[options, &["backup", "sdbox:~/copy"]].concat());
    as_anna(&["-u", "anna"]).assert_done();
    assert_owned(&server.path("home/anna"), 61_001);
    assert_status(&as_anna(&["-u", "ben"]), 75, &["looking ben up", "auth-userdb"]);
    assert_status(&as_anna(&["-A"]), 75, &["listing users"]);

    // Without a server its user database is read, if that is possible.
    server.stop();
    server.dsync(&["-u", "ANNA", "backup", "sdbox:~/copy"]).assert_done();
    assert_status(&backup(&server, &["-u", "nosuch"]), 67, &["there is no user nosuch"]);
    assert_status(&backup(&server, &["-u", "a*"]), 0, &[]);
    fs::remove_file(server.path("users")).unwrap();
    assert_status(&backup(&server, &["-u", "anna"]), 75, &["nobody answers", "users"]);
}

#[test]
fn several_users_are_served_whatever_becomes_of_one() {
    let server = server();
    fill_ben(&server);
    let run = server.dsync(&["-A", "-j", "2", "backup", "sdbox:~/copy"]);
    let names =
        ["3 of 5 users failed", "low (status 77)", "odd (status 75)", "zoe (status 77)", "dsync(zoe): Error:"];
    assert_status(&run, 75, &names);
    for (name, uid) in [("anna", 61_001), ("ben", 61_002)] {
        assert_owned(&server.path(&format!("home/{name}")), uid);
        assert!(!run.stderr.contains(name), "{run:#?}");
    }
    assert_eq!(server.subjects("anna", "sdbox:~/copy").len(), 3);
    assert_eq!(server.subjects("ben", "sdbox:~/copy"), ["for ben"]);
    assert!(!server.path("home/zoe/copy").exists());

    // A mask means some of them, in any case of letters, and a failure that may pass outweighs others.
    server.dsync(&["-u", "?N*", "backup", "sdbox:~/masked"]).assert_done();
    assert!(server.path("home/anna/masked").exists() && !server.path("home/ben/masked").exists());

    // They do not share a location, but a variable makes it one for each.
    let shared = format!("sdbox:{}", server.path("shared").display());
    for command in ["backup", "mirror"] {
        assert_status(&server.dsync(&["-A", command, &shared]), 64, &["the same for all users"]);
    }
    let expanded = format!("sdbox:{}/%u/expanded", server.path("home").display());
    assert_status(&server.dsync(&["-A", "backup", &expanded]), 64, &["--expand-location"]);
    server.dsync(&["-u", "?N*", "--expand-location", "backup", &expanded]).assert_done();
    for location in [&["ssh", "host", "dsync"][..], &["anna@host"]] {
        assert_status(&server.dsync(&[&["-A", "mirror"], location].concat()), 64, &["the same for all users"]);
    }
    let program = server.path("dsync").display().to_string();
    let configuration = server.path("dovecot.conf").display().to_string();
    let peer = [&program, "-c", &configuration, "-o", "mail=sdbox:~/peer", "server", "-u", "%u", "server"];
    let options = ["-u", "?N*", "--expand-location", "backup"];
    server.dsync(&[&options[..], &peer].concat()).assert_done();
    assert_owned(&server.path("home/anna/peer"), 61_001);
    assert!(server.path("home/anna/expanded").exists() && !server.path("home/%u").exists());

    // A list means those in it, each once.
    fs::write(server.path("list"), "ben\nANNA\n\nanna\nnosuch\n").unwrap();
    let run = server.dsync(&["-v", "-F", "list", "backup", "sdbox:~/listed"]);
    assert_status(&run, 67, &["1 of 3 users failed: nosuch (status 67)", "users: 2 done", "dsync(anna): "]);
    assert!(server.path("home/anna/listed").exists() && server.path("home/ben/listed").exists());
    let mut command = server.command(&["-F", "-", "backup", "sdbox:~/piped"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"anna\n").unwrap();
    finish(child).assert_done();
    assert!(server.path("home/anna/piped").exists());
}

/// The lines of `/proc/PID/status` about rights: real, effective, saved, and that of the file system.
fn rights_of(process: u32) -> Option<[String; 3]> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = |name: &str| {
        let fields = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(fields.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    Some([line("Uid:")?, line("Gid:")?, line("Groups:")?])
}

/// The state and the parent of a process, as `/proc/PID/stat` says behind its name.
fn state_and_parent(process: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The processes that a process started.
fn children_of(process: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let mut children: Vec<u32> =
        all.filter(|id| state_and_parent(*id).is_some_and(|(_, parent)| parent == process)).collect();
    children.sort_unstable();
    children
}

/// Whether a process does nothing but look now and then whether a lock is free.
fn is_waiting(process: u32) -> bool {
    (0..10).all(|_| {
        std::thread::sleep(Duration::from_millis(10));
        state_and_parent(process).is_some_and(|(state, _)| state == 'S')
    })
}

/// Lets whoever wants to change the Maildir of a user wait.
fn lock(server: &Server, name: &str, uid: u32) {
    let path = server.path(&format!("home/{name}/Maildir/dovecot-uidlist.lock"));
    fs::write(&path, "").unwrap();
    give(&path, uid);
}

fn wait_for_rights(process: u32, expected: [&str; 3]) {
    wait_until(
        || rights_of(process).is_some_and(|rights| rights == expected),
        || format!("{:?}", rights_of(process)),
    );
}

#[test]
fn nothing_is_left_of_the_rights_of_root() {
    let server = Server::start("mail_access_groups = mail", "anna:61001");
    server.make_home("anna", 61_001, 1);
    lock(&server, "anna", 61_001);
    let child = server.command(&["-u", "anna", "mirror", "maildir:~/copy"]).spawn().unwrap();
    let mail = Group::from_name("mail").unwrap().expect("there is a group mail").gid;
    let (own, groups) = ("61001 61001 61001 61001", format!("{mail} 61001"));
    wait_for_rights(child.id(), [own, own, &groups]);
    fs::remove_file(server.path("home/anna/Maildir/dovecot-uidlist.lock")).unwrap();
    finish(child).assert_done();

    // The root directory too, if the user has another one, which the configuration has to allow.
    let users = "cage:61003:userdb_chroot={dir}/cage userdb_home=/cage\nout:61003:userdb_chroot={dir}";
    let server = Server::start("valid_chroot_dirs = {dir}/cage", users);
    server.make_home("cage", 61_003, 1);
    fs::create_dir(server.path("cage")).unwrap();
    fs::rename(server.path("home/cage"), server.path("cage/cage")).unwrap();
    server.dsync(&["-u", "cage", "backup", "sdbox:/cage/copy"]).assert_done();
    assert_owned(&server.path("cage/cage/copy"), 61_003);
    assert_status(&server.dsync(&["-u", "out", "backup", "sdbox:/x"]), 77, &["valid_chroot_dirs"]);
}

/// In a spool only one group may make files, and the lock of an mbox is one.
#[test]
fn a_spool_is_locked_with_the_group_that_is_put_aside() {
    let mail = Group::from_name("mail").unwrap().expect("there is a group mail").gid;
    let location = "mail_location = mbox:~/mail:INBOX={dir}/spool/%n\nmbox_write_locks = dotlock fcntl\n";
    let server = Server::start(&format!("{location}mail_privileged_group = mail"), "anna:61001");
    server.make_home("anna", 61_001, 0);
    let spool = server.path("spool");
    fs::create_dir(&spool).unwrap();
    fs::write(spool.join("anna"), "From a@example.org Thu Jan  1 00:00:00 2026\nSubject: spooled\n\ntext\n").unwrap();
    give(&spool.join("anna"), 61_001);
    std::os::unix::fs::chown(&spool, Some(0), Some(mail.as_raw())).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o775)).unwrap();
    let refused = server.dsync(&["-u", "anna", "-o", "mail_privileged_group=", "mirror", "maildir:~/copy"]);
    assert_status(&refused, 2, &["spool/anna.lock", "correct the permissions"]);
    let held = spool.join("anna.lock");
    fs::write(&held, format!("{}:{}", std::process::id(), nix::unistd::gethostname().unwrap().display())).unwrap();
    let child = server.command(&["-u", "anna", "mirror", "maildir:~/copy"]).spawn().unwrap();
    let (own, groups) = ("61001 61001 61001 61001", format!("61001 61001 {mail} 61001"));
    wait_for_rights(child.id(), [own, &groups, "61001"]);
    fs::remove_file(&held).unwrap();
    finish(child).assert_done();
    assert_eq!(server.subjects("anna", "maildir:~/copy"), ["spooled"]);
    // Nothing is left behind, and nothing but the lock was made with the rights of the group.
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 1);
    assert_owned(&server.path("home/anna"), 61_001);
}

#[test]
fn the_other_side_is_started_with_the_rights_of_the_caller() {
    let server = server();
    let directory = server.path("").display().to_string();
    let script = format!(
        "#!/bin/sh\nid -u > {directory}/started-by\n\
         exec {directory}/dsync -c {directory}/dovecot.conf -o mail=sdbox:~/remote -u anna \"$@\"\n"
    );
    let peer = server.path("peer");
    fs::write(&peer, script).unwrap();
    fs::set_permissions(&peer, fs::Permissions::from_mode(0o700)).unwrap();
    server.dsync(&["-u", "anna", "backup", &peer.display().to_string()]).assert_done();
    assert_eq!(fs::read_to_string(server.path("started-by")).unwrap(), "0\n");
    assert_owned(&server.path("home/anna"), 61_001);
    assert_eq!(server.subjects("anna", "sdbox:~/remote").len(), 3);
    assert_status(&server.dsync(&["-A", "server"]), 64, &["server is for one user"]);
}

fn terminate(process: u32) {
    kill(Pid::from_raw(i32::try_from(process).unwrap()), Signal::SIGTERM).unwrap();
}

#[test]
fn a_run_that_is_stopped_finishes_what_it_is_at() {
    let server = Server::start("", "anna:61001");
    server.make_home("anna", 61_001, 2);
    let mut imap = server.imap("anna");
    for mailbox in ["Work", "Work/Old"] {
        imap.create(mailbox);
        imap.append(mailbox, "()", b"Subject: in a folder\r\n\r\ntext\r\n");
    }
    imap.logout();
    server.dsync(&["-u", "anna", "backup", "maildir:~/copy"]).assert_done();
    // Something is to be done in every mailbox, and the first is locked.
    let mut imap = server.imap("anna");
    for mailbox in ["INBOX", "Work", "Work/Old"] {
        imap.select(mailbox);
        imap.store("1", "+FLAGS", "(\\Flagged)");
    }
    imap.logout();
    let lock = server.path("home/anna/copy/dovecot-uidlist.lock");
    fs::write(&lock, "").unwrap();
    give(&lock, 61_001);
    let child = server.command(&["-l", "0", "-u", "anna", "backup", "maildir:~/copy"]).spawn().unwrap();
    wait_until(|| server.path("home/anna/.dovecot-sync.lock").exists() && is_waiting(child.id()), String::new);
    terminate(child.id());
    fs::remove_file(&lock).unwrap();
    let run = finish(child);
    assert_status(&run, 75, &["dsync(anna): Error: stopped"]);
    assert!(!server.path("home/anna/.dovecot-sync.lock").exists(), "the lock is gone");
    let flagged = |mailbox: &str| {
        let arguments = ["-o", "mail_location=maildir:~/copy", "search", "-u", "anna", "mailbox", mailbox, "flagged"];
        !server.doveadm(&arguments).is_empty()
    };
    assert_eq!(["INBOX", "Work", "Work/Old"].map(flagged), [true, false, false]);
    server.dsync(&["-u", "anna", "backup", "maildir:~/copy"]).assert_done();
    assert_eq!(["INBOX", "Work", "Work/Old"].map(flagged), [true, true, true]);
}

#[test]
fn who_stops_a_run_stops_it_for_all_users() {
    let server = Server::start("", "anna:61001\nbert:61002\ncleo:61003");
    for (name, uid) in [("anna", 61_001), ("bert", 61_002), ("cleo", 61_003)] {
        server.make_home(name, uid, 1);
        lock(&server, name, uid);
    }
    let child: Child = server.command(&["-A", "-j2", "mirror", "maildir:~/copy"]).spawn().unwrap();
    wait_until(|| children_of(child.id()).len() == 2, String::new);
    let children = children_of(child.id());
    for (process, uid) in children.iter().zip([61_001, 61_002]) {
        let own = format!("{uid} {uid} {uid} {uid}");
        wait_for_rights(*process, [&own, &own, &uid.to_string()]);
    }
    let others = rights_of(child.id()).unwrap();
    assert!(others[0].starts_with("0 "), "who starts the others keeps the rights for that: {others:?}");
    terminate(child.id());
    // They end as soon as they are not in the middle of anything.
    for name in ["anna", "bert"] {
        fs::remove_file(server.path(&format!("home/{name}/Maildir/dovecot-uidlist.lock"))).unwrap();
    }
    let run = finish(child);
    let said = ["stopped by SIGTERM; 1 of 3 users were not begun", "dsync(anna): Error: ", "dsync(bert): Error: "];
    assert_status(&run, 75, &said);
    for process in children {
        assert!(rights_of(process).is_none(), "nobody is left");
    }
}
