//! Servers that say whatever a test wants.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

const GREETING: &[u8] = b"VERSION\t1\t1\nSPID\t30774\n";

/// Long enough for every machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// A server for one connection. It returns what the client said.
struct Server {
    directory: tempfile::TempDir,
    thread: JoinHandle<Vec<u8>>,
}

impl Server {
    /// It sends this, then reads until the client leaves.
    fn saying(parts: &[&[u8]]) -> Self {
        let bytes = parts.concat();
        Self::doing(move |stream| {
            // A client that heard enough may have left.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        })
    }

    fn doing(act: impl FnOnce(&mut std::os::unix::net::UnixStream) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("auth-userdb")).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            act(&mut stream);
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard);
            heard
        });
        Self { directory, thread }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("auth-userdb")
    }

    fn look_up(&self, name: &str) -> Result<Option<UserRecord>, AuthError> {
        look_up(&self.path(), name, SHORT)
    }

    fn list(&self) -> Result<Vec<String>, AuthError> {
        list(&self.path(), "a*", SHORT)
    }

    fn heard(self) -> String {
        String::from_utf8(self.thread.join().unwrap()).unwrap()
    }
}

#[test]
fn a_user_is_found() {
    let server = Server::saying(&[GREETING, b"USER\t1\tjoe\tuid=5000\tgid=5000\t\thome=/home/j\x01toe\t\n"]);
    let record = server.look_up("J\x01OE").unwrap().unwrap();
    assert_eq!(record.name, "joe");
    assert_eq!(record.uid.map(nix::unistd::Uid::as_raw), Some(5000));
    assert_eq!(record.home.as_deref(), Some("/home/j\toe"));
    assert_eq!(server.heard(), "VERSION\t1\t0\nUSER\t1\tJ\x011OE\tservice=doveadm\tprotocol=doveadm\n");
}

#[test]
fn unknown_and_failed_are_two_things() {
    let server = Server::saying(&[GREETING, b"NOTFOUND\t1\n"]);
    assert_eq!(server.look_up("joe").unwrap(), None);
    let server = Server::saying(&[GREETING, b"FAIL\t1\treason=the database is down\n"]);
    let Err(AuthError::Refused { reason }) = server.look_up("joe") else { panic!("not refused") };
    assert_eq!(reason.as_deref(), Some("the database is down"));
    let server = Server::saying(&[GREETING, b"FAIL\t1\n"]);
    assert!(matches!(server.look_up("joe"), Err(AuthError::Refused { reason: None })));
    let server = Server::saying(&[GREETING, b"USER\t1\tjoe\tuid=0\n"]);
    assert!(matches!(server.look_up("joe"), Err(AuthError::Record(RecordError::Root))));
}

#[test]
fn names_that_cannot_be_sent_are_unknown() {
    let nowhere = Path::new("/nonexistent/auth-userdb");
    for name in ["a\tb", "a\nb", "a\rb", "", &"x".repeat(LONGEST_NAME + 1)] {
        assert_eq!(look_up(nowhere, name, SHORT).unwrap(), None, "{name:?}");
    }
}

#[test]
fn users_are_listed() {
    let server = Server::saying(&[GREETING, b"LIST\t1\tanna\nLIST\t1\tb\x01tb\nDONE\t1\t\n"]);
    assert_eq!(server.list().unwrap(), ["anna", "b\tb"]);
    assert_eq!(server.heard(), "VERSION\t1\t0\nLIST\t1\tuser=a*\tservice=doveadm\n");
    let server = Server::saying(&[GREETING, b"LIST\t1\tanna\nDONE\t1\tfail\n"]);
    assert!(matches!(server.list(), Err(AuthError::CannotList)), "half a list is none");
    let server = Server::saying(&[GREETING, b"LIST\t1\tanna\n"]);
    assert!(matches!(server.list(), Err(AuthError::Closed)));
}

#[test]
fn an_answer_may_come_in_pieces() {
    let server = Server::doing(|stream| {
        for byte in [GREETING, b"USER\t1\tjoe\n"].concat() {
            stream.write_all(&[byte]).unwrap();
        }
    });
    assert_eq!(server.look_up("joe").unwrap().unwrap().name, "joe");
}

#[test]
fn a_wrong_socket_is_named() {
    let login = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n";
    assert!(matches!(Server::saying(&[login]).look_up("joe"), Err(AuthError::LoginSocket)));
    assert!(matches!(Server::saying(&[b"VERSION\t2\t0\n"]).look_up("joe"), Err(AuthError::Version(_))));
    assert!(matches!(Server::saying(&[b"* OK IMAP4rev1 ready\r\n"]).look_up("joe"), Err(AuthError::Version(_))));
}

#[test]
fn answers_to_other_questions_are_none() {
    for line in ["USER\t2\tjoe\n", "USER\n", "LIST\t1\tjoe\n", "DONE\t1\n", "NOTFOUND\t01\n"] {
        let server = Server::saying(&[GREETING, line.as_bytes()]);
        assert!(matches!(server.look_up("joe"), Err(AuthError::Unexpected(_))), "{line:?}");
    }
    let server = Server::saying(&[GREETING, "NEWS\t1\n".repeat(MOST_UNKNOWN_LINES + 1).as_bytes()]);
    assert!(matches!(server.look_up("joe"), Err(AuthError::Unexpected(_))));
}

#[test]
fn a_server_that_leaves_is_noticed() {
    for heard in [&b""[..], b"VERSION\t1", GREETING, b"VERSION\t1\t1\nUSER\t1\tjoe\tuid=50"] {
        assert!(matches!(Server::saying(&[heard]).look_up("joe"), Err(AuthError::Closed)), "{heard:?}");
    }
}

#[test]
fn nothing_is_read_without_end() {
    let server = Server::saying(&[GREETING, b"USER\t1\tjoe\t", &vec![b'x'; 1 << 20]]);
    assert!(matches!(server.look_up("joe"), Err(AuthError::LineTooLong(_))));
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let begun = Instant::now();
    let server = Server::doing(|stream| {
        stream.write_all(GREETING).unwrap();
        // A byte now and then does not buy time.
        for _ in 0..40 {
            let _ = stream.write_all(b"x");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(matches!(server.look_up("joe"), Err(AuthError::TimedOut(SHORT))));
    assert!(begun.elapsed() < SHORT * 2, "{:?}", begun.elapsed());
}

#[test]
fn nobody_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth-userdb");
    assert!(matches!(look_up(&path, "joe", SHORT), Err(AuthError::NoServer(Errno::ENOENT))));
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(look_up(&path, "joe", SHORT), Err(AuthError::NoServer(Errno::ECONNREFUSED))));
    let too_long = directory.path().join("x".repeat(200));
    assert!(matches!(look_up(&too_long, "joe", SHORT), Err(AuthError::Connection(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_answer_is_too_much(
        answer in prop::collection::vec(prop::sample::select(b"USERLISTDONE\t\t\t\n\n1\x01=\0\xff".to_vec()), 0..200),
    ) {
        let _ = Server::saying(&[GREETING, &answer]).look_up("joe");
        let _ = Server::saying(&[GREETING, b"LIST\t1\t", &answer]).list();
    }
}
