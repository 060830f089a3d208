//! Other hosts are reached: by ssh through a real sshd, with the command that is configured or one that is given.

// A test that cannot do something fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use support::sshd::{DEAD_HOST, HOST};
use support::{Dovecot, Driver, Run, Snapshot, Sshd, Store, assert_same, build};

/// Two stores, the second of them on another host.
struct Hosts {
    sshd: Sshd,
    here: Store,
    there: Store,
    dovecot: Dovecot,
}

impl Hosts {
    /// `doveadm` and `dsync` at the other host serve the store there, and write down what they are told.
    fn new(drivers: [Driver; 2]) -> Self {
        let dovecot = Dovecot::new();
        let [here, there] =
            [("here", drivers[0]), ("there", drivers[1])].map(|(name, driver)| dovecot.store_of(name, driver));
        let sshd = Sshd::start(&dovecot.directory().join("ssh"));
        let (told, home) = (sshd.path("told"), dovecot.directory().join("home"));
        let (dsync, configuration) = (env!("CARGO_BIN_EXE_dsync"), there.configuration());
        let [told, home, configuration] = [told, home, configuration].map(|path| path.display().to_string());
        let environment = format!("exec env -i PATH=/usr/bin:/bin USER=tester HOME={home}");
        let note = format!("echo \"$(basename \"$0\") $*\" > {told}");
        sshd.install("remote/doveadm", &format!("{note}\n{environment} /usr/bin/doveadm -c {configuration} \"$@\""));
        let options = format!("-c {configuration} --no-userdb-lookup");
        sshd.install("remote/dsync", &format!("{note}\n{environment} {dsync} {options} \"$@\""));
        let greet =
            format!("read -r name; echo \"$name\" > {told}\n{environment} {dsync} {options} server -u \"$name\"");
        sshd.install("remote/greeted", &greet);
        Self { sshd, here, there, dovecot }
    }

    /// Runs the program as whoever runs the tests, who may be root; what it does to mail it does as the owner of the mail.
    fn dsync(&self, arguments: &[&str]) -> Run {
        self.here.adopt();
        self.there.adopt();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsync"));
        command.arg("-c").arg(self.here.configuration()).args(arguments).env_clear();
        command.env("PATH", self.sshd.search_path()).env("USER", "tester");
        command.env("HOME", self.dovecot.directory().join("home")).current_dir(self.dovecot.directory());
        Run::of(&command.stdin(Stdio::null()).output().unwrap())
    }

    /// What a program at the other host was told last.
    fn told(&self) -> String {
        let told = fs::read_to_string(self.sshd.path("told")).unwrap_or_default();
        let _ = fs::remove_file(self.sshd.path("told"));
        told.trim_end().to_owned()
    }
}

#[test]
fn a_dovecot_on_another_host_is_reached_as_dovecot_would() {
    let hosts = Hosts::new([Driver::Maildir, Driver::Mdbox]);
    build::small(&hosts.there);
    hosts.dsync(&["backup", "-R", HOST]).assert_done();
    assert_eq!(hosts.told(), "doveadm dsync-server");
    let assert_equal = || support::assert_equal(&Snapshot::of(&hosts.there), &Snapshot::of(&hosts.here));
    assert_equal();

    build::small_work(&hosts.there, 1);
    let script = hosts.sshd.install("local/reach", &format!("exec ssh {HOST} doveadm \"$@\""));
    hosts.dsync(&["backup", "-R", &script.display().to_string()]).assert_done();
    assert_eq!(hosts.told(), "doveadm dsync-server");
    assert_equal();

    build::small_work(&hosts.there, 2);
    let login = User::from_uid(geteuid()).unwrap().unwrap().name;
    let command = format!("ssh {login}@{HOST} doveadm -v dsync-server");
    hosts.dsync(&[&["backup", "-R"][..], &command.split(' ').collect::<Vec<_>>()].concat()).assert_done();
    assert_eq!(hosts.told(), "doveadm -v dsync-server");
    assert_equal();
    hosts.here.assert_no_complaints();
}

#[test]
fn whose_mail_is_meant_there_is_said_to_the_program_and_not_to_ssh() {
    let hosts = Hosts::new([Driver::Mdbox, Driver::Maildir]);
    let template = "dsync_remote_cmd=ssh -l%{login} %{host} dsync server -u%u";
    let login = User::from_uid(geteuid()).unwrap().unwrap().name;
    build::small(&hosts.here);
    for (number, (options, location, told)) in (0..).zip([
        (&[][..], HOST.to_owned(), "dsync server"),
        (&[], format!("anna@example.org@{HOST}"), "dsync server -uanna@example.org"),
        (&["--no-userdb-lookup", "-u", "ben"], HOST.to_owned(), "dsync server -uben"),
        (&[], format!("remote:{login}@{HOST}"), "dsync server -utester"),
    ]) {
        hosts.dsync(&[&["-o", template], options, &["mirror", &location]].concat()).assert_done();
        assert_eq!(hosts.told(), told, "{location}");
        assert_same(&hosts.here, &hosts.there);
        build::small_work(if number % 2 == 0 { &hosts.here } else { &hosts.there }, number);
    }
    let template = "dsync_remote_cmd=ssh -l%{login} %{host} greeted";
    hosts.dsync(&["-o", template, "mirror", &format!("remoteprefix:{HOST}")]).assert_done();
    assert_eq!(hosts.told(), "tester");
    assert_same(&hosts.here, &hosts.there);
}

#[test]
fn what_keeps_another_host_from_being_reached_is_said() {
    let hosts = Hosts::new([Driver::Maildir, Driver::Maildir]);
    build::small(&hosts.here);
    let refused = |arguments: &[&str], status: i32, said: &[&str]| {
        let run = hosts.dsync(arguments);
        assert_eq!(run.code, Some(status), "{run:#?}");
        for text in said {
            assert!(run.stderr.contains(text), "{text:?} is not said: {run:#?}");
        }
    };
    let said = ["Connection refused", "ssh dead.example doveadm dsync-server", "exit status: 255", "before it began"];
    refused(&["mirror", DEAD_HOST], 75, &said);
    refused(&["-q", "mirror", DEAD_HOST], 75, &said);
    refused(&["mirror", "ssh", HOST, "/nonexistent/program"], 75, &["/nonexistent/program", "exit status: 127"]);
    refused(&["mirror", "--", "-oProxyCommand=x"], 64, &["would be taken for an option"]);
    refused(&["mirror", "-host"], 64, &["no option -host"]);
    refused(&["mirror", &format!("-l@{HOST}")], 64, &[]);
    refused(&["mirror", &format!("--@{HOST}")], 64, &[]);
    refused(&["mirror", "--", &format!("-x@{HOST}")], 64, &["would be taken for an option"]);
    refused(&["mirror", &format!("a;b@{HOST}")], 64, &["may mean something to a shell"]);
    refused(&["mirror", "ho\u{7f}st"], 64, &["may mean something to a shell"]);
    refused(&["-o", "dsync_remote_cmd=ssh %{hots}", "mirror", HOST], 78, &["dsync_remote_cmd", "%{host}"]);
    assert_eq!(hosts.told(), "", "nobody was reached");

    // A side that says nothing is waited for as long as it was said.
    let silent = hosts.sshd.install("local/silent", "exec sleep 100").display().to_string();
    let begun = Instant::now();
    refused(&["-T", "1", "mirror", &silent], 75, &["neither said nor taken anything for 1 seconds", "was killed"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let raw = hosts.dovecot.directory().join("raw");
    let command = format!("sleep 1\nexec ssh {HOST} dsync -r {} \"$@\"", raw.display());
    let late = hosts.sshd.install("local/late", &command);
    hosts.dsync(&["-T", "0", "mirror", &late.display().to_string()]).assert_done();
    assert_same(&hosts.here, &hosts.there);
    let recorded = String::from_utf8_lossy(&fs::read(raw).unwrap()).into_owned();
    assert!(["I: VERSION\t", "O: F\n"].iter().all(|it| recorded.contains(it)), "{recorded}");
}
