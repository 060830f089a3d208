//! The doveadm service of a running Dovecot is the other side, over TCP.

// A test that cannot do something fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
#[cfg(feature = "tls")]
use std::{path::Path, process::Command};

use support::server::wait_until;
use support::{Run, Server};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server whose service listens, and the port; with TLS at a second one, for which it has a certificate if there is one in `extra`.
fn server_with(extra: &str) -> (Server, u16, u16) {
    let [port, tls_port] = [free_port(), free_port()];
    let tls = match extra.is_empty() {
        true => String::new(),
        false => format!("inet_listener tls {{\n    port = {tls_port}\n    ssl = yes\n  }}"),
    };
    let settings = format!(
        "listen = 127.0.0.1\nservice doveadm {{\n  inet_listener {{\n    port = {port}\n  }}\n  {tls}\n}}\n\
         doveadm_password = s3cr3t with %u\n{extra}"
    );
    let server = Server::start(&settings, "anna:61001\nben:61002");
    server.make_home("anna", 61_001, 3);
    server.make_home("ben", 61_002, 1);
    wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), || server.log());
    (server, port, tls_port)
}

fn server() -> (Server, u16) {
    let (server, port, _) = server_with("");
    (server, port)
}

fn assert_refused(run: &Run, status: i32, said: &[&str]) {
    assert_eq!(run.code, Some(status), "{run:#?}");
    for text in said {
        assert!(run.stderr.contains(text), "{text:?} is not said: {run:#?}");
    }
}

#[test]
fn every_user_is_served_by_the_service() {
    let (server, port) = server();
    let service = format!("tcp:127.0.0.1:{port}");
    let copy = ["-o", "mail=sdbox:~/copy"];
    // Its configuration is that of the server, with the password.
    server.dsync(&[&copy[..], &["-A", "backup", "-R", &service]].concat()).assert_done();
    assert_eq!(server.subjects("anna", "sdbox:~/copy").len(), 3);
    assert_eq!(server.subjects("ben", "sdbox:~/copy"), ["0 for ben"]);

    let mut imap = server.imap("anna");
    imap.append("INBOX", "(\\Seen)", b"Subject: later\r\n\r\ntext\r\n");
    imap.logout();
    let usual_port = format!("doveadm_port={port}");
    let record = ["-o", &usual_port, "-r", "raw", "-u", "anna", "mirror", "tcp:localhost"];
    server.dsync(&[&copy[..], &record].concat()).assert_done();
    assert!(server.subjects("anna", "sdbox:~/copy").contains(&"later".to_owned()));
    // On this machine the service asks nobody for a password who can reach its socket.
    let socket = format!("tcp:{}", server.path("run/doveadm-server").display());
    let options = ["-o", "mail=sdbox:~/local", "-o", "doveadm_password=", "-u", "anna", "-l", "5"];
    server.dsync(&[&options[..], &["backup", "-R", &socket]].concat()).assert_done();
    assert_eq!(server.subjects("anna", "sdbox:~/local").len(), 4);
    // What was said is written down as Dovecot's programs do.
    let raw = fs::read_to_string(server.path("home/anna/raw")).unwrap();
    let texts = |mark: &str| raw.lines().filter(|line| line.split(' ').nth(1) == Some(mark)).count();
    assert_eq!(texts("I:") + texts("O:"), raw.lines().count(), "{raw}");
    for line in ["O: VERSION\tdsync\t3\t", "I: VERSION\tdsync\t3\t", "I: Subject: later", "I: F\n"] {
        assert!(raw.contains(line), "{line:?} is missing: {raw}");
    }
}

#[test]
fn why_the_service_does_not_serve_is_said() {
    let (server, port) = server();
    server.make_home("nosuch", 61_003, 1);
    let service = format!("tcp:127.0.0.1:{port}");
    let mirror = |options: &[&str], location: &str| server.dsync(&[options, &["mirror", location]].concat());
    let anna = ["-o", "mail=sdbox:~/copy", "-u", "anna"];
    let with = |setting: &'static str| [&anna[..], &["-o", setting]].concat();
    assert_refused(&mirror(&with("doveadm_password=wrong"), &service), 75, &["does not accept the password"]);
    assert_refused(&mirror(&with("doveadm_password="), &service), 78, &["set doveadm_password"]);
    assert_refused(&mirror(&anna, "tcp:127.0.0.1:1"), 75, &["127.0.0.1:1", "refused"]);
    assert_refused(&mirror(&anna, "tcp:127.0.0.1"), 64, &["the port is missing"]);
    assert_refused(&mirror(&anna, "tcp:127.0.0.1:x"), 64, &["tcp:HOST:PORT"]);
    let home = format!("mail_home={}", server.path("home/nosuch").display());
    let settings =
        ["-o", &home, "-o", "mail_uid=61003", "-o", "mail_gid=61003", "--no-userdb-lookup", "-u", "nosuch"];
    assert_refused(&mirror(&settings, &service), 75, &["no such user"]);

    // Somebody else is at the port, who says nothing, or something else.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("tcp:{}", silent.local_addr().unwrap());
    assert_refused(&mirror(&[&anna[..], &["-T", "1"]].concat(), &location), 75, &["no answer within 1 seconds"]);
    let thread = std::thread::spawn(move || {
        // The first connection was that of the run before.
        let connections = [silent.accept().unwrap().0, silent.accept().unwrap().0];
        for mut connection in connections {
            let _ = std::io::Write::write_all(&mut connection, b"220 mail.example.org ESMTP\r\n");
        }
    });
    assert_refused(&mirror(&anna, &location), 75, &["does not speak the doveadm protocol", "ESMTP"]);
    thread.join().unwrap();
    assert!(!server.path("home/anna/copy").exists());
}

/// A certificate for `localhost`, made by itself as administrators do it, and its key, in a directory.
#[cfg(feature = "tls")]
fn make_certificate(directory: &Path, name: &str, host: &str) {
    let mut command = Command::new("/usr/bin/openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", "/CN=dsync test", "-addext", &format!("subjectAltName=DNS:{host}")]);
    command
        .arg("-keyout")
        .arg(directory.join(format!("{name}.key")))
        .arg("-out")
        .arg(directory.join(format!("{name}.pem")));
    let output = command.output().expect("openssl comes with Dovecot");
    assert!(output.status.success(), "{output:?}");
}

#[cfg(feature = "tls")]
#[test]
fn a_service_that_shows_who_it_is_is_reached_over_tls() {
    let certificates = tempfile::tempdir().unwrap();
    let place = certificates.path();
    make_certificate(place, "right", "localhost");
    make_certificate(place, "other", "localhost");
    let shown = place.display();
    let (server, port, tls_port) =
        server_with(&format!("ssl = yes\nssl_cert = <{shown}/right.pem\nssl_key = <{shown}/right.key\n"));
    let service = format!("tcps:localhost:{tls_port}");
    let authority = |name: &str| format!("ssl_client_ca_file={shown}/{name}.pem");
    let take = |settings: &[&str], service: &str, to: &str| {
        let settings: Vec<_> = settings.iter().flat_map(|setting| ["-o", setting]).collect();
        let to = format!("mail={to}");
        let rest = ["-o", &to, "-u", "anna", "backup", "-R", service];
        server.dsync(&[&settings[..], &rest].concat())
    };
    // More than fits into any buffer on the way.
    let mut imap = server.imap("anna");
    imap.append(
        "INBOX",
        "(\\Seen)",
        format!("Subject: large\r\n\r\n{}", "text and more\r\n".repeat(200_000)).as_bytes(),
    );
    imap.logout();
    take(&[&authority("right")], &service, "sdbox:~/copy").assert_done();
    assert_eq!(server.subjects("anna", "sdbox:~/copy").len(), 4);
    // And the other way round.
    let copy = ["-o", "mail=sdbox:~/copy", "-o", &authority("right"), "-u", "anna", "mirror", &service];
    let mut imap = server.imap("anna");
    imap.append("INBOX", "()", b"Subject: later\r\n\r\ntext\r\n");
    imap.logout();
    server.dsync(&copy).assert_done();
    assert_eq!(server.subjects("anna", "sdbox:~/copy").len(), 5);

    assert_refused(&take(&[&authority("other")], &service, "sdbox:~/no"), 75, &["invalid peer certificate"]);
    assert_refused(&take(&[], &service, "sdbox:~/no"), 75, &["invalid peer certificate", "ssl_client_ca_file"]);
    let by_address = format!("tcps:127.0.0.1:{tls_port}");
    assert_refused(&take(&[&authority("right")], &by_address, "sdbox:~/no"), 75, &["not valid for name"]);
    assert_refused(&take(&[&authority("missing")], &service, "sdbox:~/no"), 78, &["ssl_client_ca_file"]);
    let plain = format!("tcps:localhost:{port}");
    assert_refused(&take(&[&authority("right")], &plain, "sdbox:~/no"), 75, &["the port has to be one for TLS"]);
    assert!(!server.path("home/anna/no").exists());
    let run = take(&["ssl_client_require_valid_cert=no"], &by_address, "sdbox:~/unchecked");
    assert!(run.code == Some(0) && run.stderr.contains("Warning: 127.0.0.1: invalid peer certificate"), "{run:#?}");
    assert_eq!(server.subjects("anna", "sdbox:~/unchecked").len(), 5);
}
