//! Clients and delivery agents of a store that never rest, and what is to be there after them.
//!
//! Everybody removes, moves and renames only what is their own, so that it is known what is to be there in the end. All flag all
//! messages, and all work in the same INBOX.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::history::Random;
use super::{Imap, Store};

/// What is to be there at the end: mailbox and subject, each exactly once.
pub type Kept = BTreeSet<(String, String)>;

/// When the storm is over, and who has to be ended if something hangs.
#[derive(Default)]
pub struct Weather {
    calm: AtomicBool,
    processes: Mutex<Vec<u32>>,
    /// The longest time that anything took that a client waited for.
    longest: Mutex<(Duration, String)>,
    /// What is done, if somebody wants to know.
    journal: OnceLock<Option<Mutex<File>>>,
}

impl Weather {
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Ends all that is still at work.
    pub fn end_all(&self) {
        for id in self.processes.lock().unwrap().iter() {
            let _ = kill(Pid::from_raw(i32::try_from(*id).unwrap()), Signal::SIGKILL);
        }
    }

    pub fn watch(&self, process: u32) {
        self.processes.lock().unwrap().push(process);
    }

    /// Before somebody else gets its number.
    pub fn forget(&self, process: u32) {
        self.processes.lock().unwrap().retain(|id| *id != process);
    }

    fn measure<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        let mut longest = self.longest.lock().unwrap();
        if begun.elapsed() > longest.0 {
            *longest = (begun.elapsed(), what.to_owned());
        }
        done
    }

    /// Writes down what was just done.
    pub fn note(&self, what: &str) {
        let open = || {
            let path = std::env::var("DSYNC_STORM_LOG").ok()?;
            Some(Mutex::new(File::options().append(true).create(true).open(path).unwrap()))
        };
        if let Some(journal) = self.journal.get_or_init(open) {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            writeln!(journal.lock().unwrap(), "{}.{:06} {what}", now.as_secs(), now.subsec_micros()).unwrap();
        }
    }

    pub fn longest(&self) -> (Duration, String) {
        self.longest.lock().unwrap().clone()
    }
}

/// A client that works in INBOX and in mailboxes of its own.
struct Client<'a> {
    store: &'a Store,
    imap: Imap,
    weather: &'a Weather,
    name: String,
    random: Random,
    count: usize,
    /// Its own mailboxes.
    mailboxes: Vec<String>,
    selected: String,
    kept: Kept,
    done: usize,
    begun: Instant,
}

/// How often a message is looked for that is not found.
const LOOKS: usize = 3;

/// For so long a session may go on and change the tree. A Dovecot that keeps its log of changes of the tree open goes on writing to it for
/// up to a minute after another process has begun a new one, and what it writes then is lost. In this time no log becomes that long.
const SAME_SESSION: Duration = Duration::from_secs(8);

/// Works until the storm is over. What is to be there, and how much was done.
pub fn client(store: &Store, name: &str, seed: u64, weather: &Weather) -> (Kept, usize) {
    let imap = log_in(store, weather);
    let mut client = Client {
        store,
        imap,
        weather,
        name: name.to_owned(),
        random: Random::from_seed(seed),
        count: 0,
        mailboxes: Vec::new(),
        selected: String::new(),
        kept: Kept::new(),
        done: 0,
        begun: Instant::now(),
    };
    client.select("INBOX");
    while !weather.is_calm() {
        client.do_something();
        client.done += 1;
        std::thread::sleep(Duration::from_millis(client.random.below(20) as u64));
    }
    let Client { imap, kept, done, .. } = client;
    log_out(imap, weather);
    (kept, done)
}

fn log_in(store: &Store, weather: &Weather) -> Imap {
    let imap = Imap::start(store.command(&["exec", "imap"]));
    weather.watch(imap.process());
    imap
}

fn log_out(imap: Imap, weather: &Weather) {
    let process = imap.process();
    imap.logout();
    weather.forget(process);
}

impl Client<'_> {
    fn do_something(&mut self) {
        match self.random.below(24) {
            0..=5 => self.append(),
            6..=9 => self.flag(),
            10..=11 => self.copy(),
            12..=13 => self.move_away(),
            14..=16 => self.expunge(),
            17 => self.create(),
            18 => self.rename(),
            19 => self.delete(),
            20 => self.idle(),
            21 => self.select("INBOX"),
            22 => {
                if let Some(mailbox) = self.random.pick(&self.mailboxes).cloned() {
                    self.select(&mailbox);
                }
            }
            _ => drop(
                self.command("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"),
            ),
        }
    }

    /// Sends a command. What the server says to it, and what it says besides.
    fn command(&mut self, command: &str) -> (String, Vec<String>) {
        let imap = &mut self.imap;
        let (result, responses) = self.weather.measure(command, || imap.try_command(command.as_bytes()));
        let line = command.lines().next().unwrap_or_default();
        self.weather.note(&format!("{}: {line}: {result}", self.name));
        assert!(!result.starts_with("BAD") && !result.contains("SERVERBUG"), "{}: {command}: {result}", self.name);
        (result, responses.into_iter().map(|response| response.line).collect())
    }

    fn is_done(&mut self, command: &str) -> bool {
        self.command(command).0.starts_with("OK")
    }

    fn select(&mut self, mailbox: &str) {
        let (result, _) = self.command(&format!("SELECT \"{mailbox}\""));
        assert!(result.starts_with("OK"), "{}: {mailbox} is away: {result}", self.name);
        mailbox.clone_into(&mut self.selected);
    }

    fn append(&mut self) {
        let mailbox = match self.random.pick(&self.mailboxes) {
            Some(own) if self.count.is_multiple_of(3) => own.clone(),
            _ => "INBOX".to_owned(),
        };
        self.count += 1;
        let subject = format!("{} {}", self.name, self.count);
        let text = message(&subject, self.random.below(6000));
        let head = format!("APPEND \"{mailbox}\" (\\Seen) {{{}+}}\r\n{text}", text.len());
        let (result, _) = self.command(&head);
        assert!(result.starts_with("OK"), "{}: {subject} is not taken in {mailbox}: {result}", self.name);
        self.kept.insert((mailbox, subject));
    }

    /// The subject of a message of its own in the selected mailbox, and its UID now.
    fn own_message(&mut self) -> Option<(String, u32)> {
        let own: Vec<_> = self.kept.iter().filter(|(mailbox, _)| *mailbox == self.selected).cloned().collect();
        let (_, subject) = self.random.pick(&own)?.clone();
        let uid = self.uid_of(&subject);
        assert!(uid.is_some(), "{}: {subject} is not in {}", self.name, self.selected);
        Some((subject, uid?))
    }

    /// A message that is given another UID between the news and the search is in neither: only what is not found again and again is
    /// not there.
    fn uid_of(&mut self, subject: &str) -> Option<u32> {
        (0..LOOKS).find_map(|_| self.find(subject))
    }

    fn find(&mut self, subject: &str) -> Option<u32> {
        self.command("NOOP");
        // Its end says that it is the whole subject.
        let (_, responses) = self.command(&format!("UID SEARCH HEADER Subject \"{subject}.\""));
        let found = responses.iter().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or_default();
        let uids: Vec<u32> = found.split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        assert!(uids.len() < 2, "{}: {subject} is in {} as {uids:?}", self.name, self.selected);
        uids.first().copied()
    }

    fn flag(&mut self) {
        let flag = ["\\Flagged", "\\Answered", "red", "green", "$Label1"][self.random.below(5)];
        let sign = if self.random.one_in(2) { '+' } else { '-' };
        let first = self.random.below(30) + 1;
        let last = first + self.random.below(8);
        self.command(&format!("UID STORE {first}:{last} {sign}FLAGS ({flag})"));
    }

    fn copy(&mut self) {
        let Some(mailbox) = self.random.pick(&self.mailboxes).cloned().filter(|it| *it != self.selected) else {
            return;
        };
        let Some((subject, uid)) = self.own_message() else { return };
        let copied = (mailbox.clone(), subject);
        if !self.kept.contains(&copied) && self.has_code(&format!("UID COPY {uid} \"{mailbox}\""), "COPYUID") {
            self.kept.insert(copied);
        }
    }

    fn move_away(&mut self) {
        let Some(mailbox) = self.random.pick(&self.mailboxes).cloned().filter(|it| *it != self.selected) else {
            return;
        };
        let Some((subject, uid)) = self.own_message() else { return };
        let moved = (mailbox.clone(), subject.clone());
        if !self.kept.contains(&moved) && self.has_code(&format!("UID MOVE {uid} \"{mailbox}\""), "COPYUID") {
            self.kept.insert(moved);
            // It may have got another UID between its copy and its expunge. Then it was only copied.
            if self.uid_of(&subject).is_none_or(|now| now == uid) {
                self.kept.remove(&(self.selected.clone(), subject));
            }
        }
    }

    /// Whether it was done, and to something.
    fn has_code(&mut self, command: &str, code: &str) -> bool {
        let (result, responses) = self.command(command);
        result.starts_with("OK") && (result.contains(code) || responses.iter().any(|line| line.contains(code)))
    }

    fn expunge(&mut self) {
        let Some((subject, mut uid)) = self.own_message() else { return };
        // It may get another UID meanwhile.
        for _ in 0..20 {
            self.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
            self.command(&format!("UID EXPUNGE {uid}"));
            match self.uid_of(&subject) {
                Some(other) => uid = other,
                None => {
                    self.kept.remove(&(self.selected.clone(), subject));
                    return;
                }
            }
        }
        panic!("{}: {subject} cannot be expunged", self.name);
    }

    fn create(&mut self) {
        if self.mailboxes.len() < 4 {
            let mailbox = self.fresh_name();
            let (result, _) = self.command(&format!("CREATE \"{mailbox}\""));
            // Other processes of the server complete a mailbox that they see half made.
            let is_made = result.starts_with("OK") || result.contains("[ALREADYEXISTS]");
            assert!(is_made, "{}: {mailbox} is not created: {result}", self.name);
            self.mailboxes.push(mailbox);
        }
    }

    fn fresh_name(&mut self) -> String {
        self.count += 1;
        format!("box-{}-{}", self.name.replace(' ', "-"), self.count)
    }

    /// One of its own mailboxes that is not selected any more.
    fn take_mailbox(&mut self) -> Option<String> {
        if self.mailboxes.is_empty() {
            return None;
        }
        if self.begun.elapsed() > SAME_SESSION {
            let old = std::mem::replace(&mut self.imap, log_in(self.store, self.weather));
            log_out(old, self.weather);
        }
        self.select("INBOX");
        Some(self.mailboxes.swap_remove(self.random.below(self.mailboxes.len())))
    }

    fn rename(&mut self) {
        let Some(from) = self.take_mailbox() else { return };
        let to = self.fresh_name();
        if self.is_done(&format!("RENAME \"{from}\" \"{to}\"")) {
            let renamed = |(mailbox, subject)| (if mailbox == from { to.clone() } else { mailbox }, subject);
            self.kept = std::mem::take(&mut self.kept).into_iter().map(renamed).collect();
            self.mailboxes.push(to);
        } else {
            self.mailboxes.push(from);
        }
    }

    fn delete(&mut self) {
        let Some(mailbox) = self.take_mailbox() else { return };
        if self.is_done(&format!("DELETE \"{mailbox}\"")) {
            self.kept.retain(|(other, _)| *other != mailbox);
        } else {
            self.mailboxes.push(mailbox);
        }
    }

    fn idle(&mut self) {
        let time = Duration::from_millis(50 + self.random.below(300) as u64);
        self.imap.idle(time);
    }
}

/// Delivers mail to INBOX until the storm is over, each with a process of its own.
pub fn deliver(store: &Store, name: &str, weather: &Weather) -> (Kept, usize) {
    let mut kept = Kept::new();
    while !weather.is_calm() {
        let subject = format!("{name} {}", kept.len());
        let command = match kept.len() % 2 {
            0 => store.delivery_agent(),
            _ => store.command(&["save", "-m", "INBOX"]),
        };
        weather.measure("delivery", || hand_over(command, &message(&subject, 300), weather));
        kept.insert(("INBOX".to_owned(), subject));
        std::thread::sleep(Duration::from_millis(60));
    }
    let count = kept.len();
    (kept, count)
}

fn hand_over(mut command: Command, text: &str, weather: &Weather) {
    let mut agent = command.stdin(Stdio::piped()).spawn().unwrap();
    weather.watch(agent.id());
    agent.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let status = agent.wait().unwrap();
    weather.forget(agent.id());
    assert!(status.success(), "mail is not taken: {status}");
}

fn message(subject: &str, size: usize) -> String {
    // No two have the same date, so an mbox has a checksum for each.
    let text = "some text of a line\r\n".repeat(size / 21);
    format!(
        "From: a@example.org\r\nMessage-ID: <{}@example.org>\r\nSubject: {subject}.\r\n\r\n{text}",
        subject.replace(' ', "-")
    )
}

/// Waits for the end of a process for some time; then it is ended.
///
/// # Panics
/// If it has to be.
pub fn wait_for(child: &mut Child, most: Duration) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > most {
            let _ = child.kill();
            panic!("a run takes longer than {most:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
