//! The procedure of dsync(1) for converting the mail of a user while the server is in use.

// A test that cannot do something fails.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use support::server::assert_owned;
use support::{Imap, Server};

const UID: u32 = 61_001;
const OLD: &str = "maildir:~/Maildir";
const NEW: &str = "mdbox:~/mdbox";

/// So many runs may be incomplete because of a client; then it has to rest.
const MOST_RUNS: usize = 3;

/// How long a client rests after it has done something.
const PAUSE: Duration = Duration::from_millis(100);

/// What a client did, as it is to be found in the end.
#[derive(Default)]
struct Done {
    /// The UID of every message that is to be there.
    there: BTreeMap<String, u32>,
    removed: BTreeSet<String>,
    flagged: BTreeSet<String>,
}

impl Done {
    fn add(&mut self, other: Self) {
        self.there.extend(other.there);
        self.there.retain(|subject, _| !other.removed.contains(subject));
        self.removed.extend(other.removed);
        self.flagged.extend(other.flagged);
    }
}

/// A session of a client that works on its own messages in INBOX.
struct Client {
    imap: Imap,
    name: String,
    count: u32,
    done: Done,
}

impl Client {
    fn new(server: &Server, name: &str) -> Self {
        let mut imap = server.imap("anna");
        imap.select("INBOX");
        Self { imap, name: name.to_owned(), count: 0, done: Done::default() }
    }

    /// Saves three messages, flags one and removes another.
    fn work(&mut self) {
        let mut saved = Vec::new();
        for _ in 0..3 {
            self.count += 1;
            let subject = format!("{} {}", self.name, self.count);
            let text = format!("Subject: {subject}\r\n\r\n{}\r\n", "text ".repeat(200));
            saved.push((self.imap.append("INBOX", "() \"01-Feb-2024 10:00:00 +0100\"", text.as_bytes()), subject));
        }
        let [(first_uid, first), (second_uid, second), (third_uid, third)] = saved.try_into().unwrap();
        self.imap.command("NOOP");
        self.imap.store(&second_uid.to_string(), "+FLAGS.SILENT", "(\\Flagged work)");
        self.imap.expunge(&third_uid.to_string());
        self.done.flagged.insert(second.clone());
        self.done.there.extend([(first, first_uid), (second, second_uid)]);
        self.done.removed.insert(third);
    }

    fn leave(self) -> Done {
        self.imap.logout();
        self.done
    }
}

/// A client that works until it is told to stop.
fn busy<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    mut client: Client,
    stop: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, Client> {
    scope.spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            client.work();
            std::thread::sleep(PAUSE);
        }
        client
    })
}

/// Runs `dsync` while a client is at work, and again if changes of the client made it incomplete.
fn run_beside(server: &Server, client: Client, location: &str) -> Client {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = busy(scope, client, &stop);
        let arguments = ["-u", "anna", "mirror", location];
        let run = (0..MOST_RUNS).map(|_| server.dsync(&arguments)).find(|run| run.code != Some(2));
        stop.store(true, Ordering::Relaxed);
        let client = client.join().unwrap();
        run.unwrap_or_else(|| server.dsync(&arguments)).assert_done();
        client
    })
}

/// Everything that clients can see of the mail at a location.
fn seen(server: &Server, location: &str) -> String {
    let location = format!("mail_location={location}");
    let counters = "guid uidvalidity uidnext highestmodseq messages unseen";
    let fields = "mailbox uid guid flags modseq date.received date.saved size.virtual pop3.uidl pop3.order text";
    let names = server.doveadm(&["-o", &location, "mailbox", "list", "-u", "anna"]);
    let mut text = names.clone();
    for name in names.lines() {
        text += &server.doveadm(&["-o", &location, "mailbox", "status", "-u", "anna", counters, name]);
        text += &server.doveadm(&["-o", &location, "fetch", "-u", "anna", fields, "mailbox", name]);
    }
    text
}

/// The UIDs and flags of all messages in INBOX, by their subjects.
fn messages(imap: &mut Imap) -> BTreeMap<String, (u32, String)> {
    imap.select("INBOX");
    let responses = imap.command("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    let mut messages = BTreeMap::new();
    for response in responses.iter().filter(|response| !response.literals.is_empty()) {
        let subject = String::from_utf8_lossy(&response.literals[0]);
        let subject = subject.trim().strip_prefix("Subject: ").unwrap().to_owned();
        let uid = response.value("UID").unwrap().parse().unwrap();
        let before = messages.insert(subject.clone(), (uid, response.line.clone()));
        assert_eq!(before, None, "{subject} is there twice");
    }
    messages
}

fn validity(imap: &mut Imap) -> String {
    let responses = imap.select("INBOX");
    let line = responses.iter().find(|response| response.line.contains("UIDVALIDITY")).unwrap();
    line.line.clone()
}

#[test]
fn clients_lose_nothing_while_a_user_is_converted() {
    let server = Server::start("", "anna:61001");
    server.make_home("anna", UID, 0);
    let mut first = Client::new(&server, "before");
    first.imap.create("Work");
    first.imap.append("Work", "(\\Seen)", b"Subject: unchanged\r\n\r\ntext\r\n");
    for _ in 0..20 {
        first.work();
    }
    let old_validity = validity(&mut first.imap);
    let mut all = first.leave();

    // 1. The first run takes its time.
    let client = run_beside(&server, Client::new(&server, "during the first"), NEW);
    let mut client = Client { name: "between".to_owned(), ..client };
    client.work();
    all.add(std::mem::take(&mut client.done));
    let settled = all.there.clone();

    // 2. The second has less to do.
    let mut old_session = run_beside(&server, Client { name: "during the second".to_owned(), ..client }, NEW);

    // 3. From here on the mail of those who log in is in the new place. Others have not noticed.
    server.set_users(&format!("anna:61001:userdb_mail={NEW}"));
    let mut new_session = Client::new(&server, "new place");
    new_session.work();
    old_session.name = "old place".to_owned();
    old_session.work();

    // 4. Their sessions end.
    all.add(old_session.leave());

    // 5. The last run, from the new place.
    let new_session = run_beside(&server, new_session, OLD);
    all.add(new_session.leave());
    let mut imap = server.imap("anna");
    let found = messages(&mut imap);
    assert_eq!(validity(&mut imap), old_validity);
    imap.logout();
    let lost: Vec<_> = all.there.keys().filter(|subject| !found.contains_key(*subject)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    let back: Vec<_> = found.keys().filter(|subject| !all.there.contains_key(*subject)).collect();
    assert!(back.is_empty(), "{back:?} were removed and came back");
    for (subject, (_, line)) in &found {
        let is_flagged = line.contains("\\Flagged") && line.contains("work");
        assert_eq!(is_flagged, all.flagged.contains(subject), "{line}");
    }
    for (subject, uid) in &settled {
        assert_eq!(found[subject].0, *uid, "{subject}");
    }

    // Now that nobody is at work, both are the same.
    let run = server.dsync(&["-u", "anna", "mirror", OLD]);
    run.assert_done();
    assert_eq!(seen(&server, NEW), seen(&server, OLD));
    assert_owned(&server.path("home/anna"), UID);
    let faults = ["Error", "Panic", "Fatal", "orrupt"];
    let complaints: Vec<_> =
        server.log().lines().filter(|line| faults.iter().any(|it| line.contains(it))).map(str::to_owned).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
