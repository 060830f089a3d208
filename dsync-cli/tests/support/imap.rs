//! An IMAP client that is just big enough for the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An IMAP session. Dropping it without [`logout`](Self::logout) closes the connection as a crashed client would.
pub struct Imap {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    tag: u32,
    /// What a mailbox is called here.
    name: fn(&str) -> String,
}

/// One untagged response: its line, in which literals stand as `{size}`, and the bytes of these literals.
#[derive(Clone, Debug)]
pub struct Response {
    pub line: String,
    pub literals: Vec<Vec<u8>>,
}

impl Response {
    /// The text that follows `key` up to the next space or closing parenthesis: `UID` gives `7`.
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut rest = self.line.as_str();
        loop {
            let at = rest.find(key)?;
            let starts_word = rest[..at].ends_with(['(', ' ']);
            rest = &rest[at + key.len()..];
            if starts_word && rest.starts_with(' ') {
                return rest[1..].split([' ', ')']).next();
            }
        }
    }
}

impl Imap {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("doveadm starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut session = Self { child, input, output, tag: 0, name: str::to_owned };
        let greeting = session.read_response();
        assert!(greeting.line.starts_with("* PREAUTH"), "unexpected greeting: {}", greeting.line);
        session
    }

    /// From now on mailboxes have other names here than in the calls.
    pub fn translate_names(&mut self, name: fn(&str) -> String) {
        self.name = name;
    }

    /// Sends a command and returns the untagged responses to it.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn command(&mut self, command: &str) -> Vec<Response> {
        let (result, responses) = self.try_command(command.as_bytes());
        assert!(result.starts_with("OK"), "{command}: {result}");
        responses
    }

    /// Sends a command and returns the server's answer (`OK …`, `NO …`, `BAD …`) and the untagged responses to it.
    pub fn try_command(&mut self, command: &[u8]) -> (String, Vec<Response>) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        let input = self.input.as_mut().unwrap();
        input.write_all(&[tag.as_bytes(), command, b"\r\n"].concat()).expect("the server listens");
        input.flush().unwrap();
        let mut responses = Vec::new();
        loop {
            let response = self.read_response();
            if let Some(result) = response.line.strip_prefix(&tag) {
                return (result.to_owned(), responses);
            }
            responses.push(response);
        }
    }

    /// The number of the process at the other end.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for news for some time.
    pub fn idle(&mut self, time: std::time::Duration) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{tag}IDLE\r\n").as_bytes()).expect("the server listens");
        std::thread::sleep(time);
        input.write_all(b"DONE\r\n").expect("the server listens");
        while !self.read_response().line.starts_with(&tag) {}
    }

    /// Sends several commands without waiting for the answers, and ends when the server is done with them.
    pub fn send_all_and_leave(mut self, commands: &[&str]) {
        let lines: String =
            commands.iter().enumerate().map(|(number, text)| format!("p{number} {text}\r\n")).collect();
        let mut input = self.input.take().unwrap();
        input.write_all(lines.as_bytes()).expect("the server listens");
        drop(input);
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        self.child.wait().unwrap();
    }

    fn read_response(&mut self) -> Response {
        let mut response = Response { line: String::new(), literals: Vec::new() };
        loop {
            let mut line = Vec::new();
            self.output.read_until(b'\n', &mut line).unwrap();
            assert!(line.ends_with(b"\r\n"), "the server hung up after {:?}", String::from_utf8_lossy(&line));
            line.truncate(line.len() - 2);
            response.line.push_str(&String::from_utf8_lossy(&line));
            let Some(size) = literal_size(&response.line) else { return response };
            let mut literal = vec![0; size];
            self.output.read_exact(&mut literal).unwrap();
            response.literals.push(literal);
        }
    }

    /// Appends a message and returns its UID. `attributes` are flags, keywords and date as the command takes them:
    /// `(\Seen red) "01-Feb-2024 10:00:00 +0100"`.
    pub fn append(&mut self, mailbox: &str, attributes: &str, message: &[u8]) -> u32 {
        let mailbox = (self.name)(mailbox);
        let head = format!("APPEND \"{mailbox}\" {attributes} {{{}+}}\r\n", message.len());
        let (result, _) = self.try_command(&[head.as_bytes(), message].concat());
        let uid = result.strip_prefix("OK [APPENDUID ").and_then(|rest| rest.split([' ', ']']).nth(1));
        uid.and_then(|uid| uid.parse().ok()).unwrap_or_else(|| panic!("APPEND to {mailbox}: {result}"))
    }

    pub fn select(&mut self, mailbox: &str) -> Vec<Response> {
        self.command(&format!("SELECT \"{}\"", (self.name)(mailbox)))
    }

    /// Creates and returns nothing; levels above come into being as needed.
    pub fn create(&mut self, mailbox: &str) {
        self.command(&format!("CREATE \"{}\"", (self.name)(mailbox)));
    }

    pub fn delete(&mut self, mailbox: &str) {
        self.command(&format!("DELETE \"{}\"", (self.name)(mailbox)));
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        self.command(&format!("RENAME \"{}\" \"{}\"", (self.name)(from), (self.name)(to)));
    }

    pub fn subscribe(&mut self, mailbox: &str) {
        self.command(&format!("SUBSCRIBE \"{}\"", (self.name)(mailbox)));
    }

    pub fn unsubscribe(&mut self, mailbox: &str) {
        self.command(&format!("UNSUBSCRIBE \"{}\"", (self.name)(mailbox)));
    }

    /// Changes flags in the selected mailbox: `store("1:3", "+FLAGS", r"(\Seen)")`.
    pub fn store(&mut self, uids: &str, how: &str, flags: &str) {
        self.command(&format!("UID STORE {uids} {how} {flags}"));
    }

    pub fn copy(&mut self, uids: &str, mailbox: &str) {
        self.command(&format!("UID COPY {uids} \"{}\"", (self.name)(mailbox)));
    }

    pub fn move_to(&mut self, uids: &str, mailbox: &str) {
        self.command(&format!("UID MOVE {uids} \"{}\"", (self.name)(mailbox)));
    }

    /// Marks messages of the selected mailbox as deleted and expunges them.
    pub fn expunge(&mut self, uids: &str) {
        self.store(uids, "+FLAGS.SILENT", "(\\Deleted)");
        self.command(&format!("UID EXPUNGE {uids}"));
    }

    /// The UIDs in the selected mailbox.
    pub fn uids(&mut self) -> Vec<u32> {
        let responses = self.command("UID SEARCH ALL");
        let found = responses.iter().find_map(|response| response.line.strip_prefix("* SEARCH"));
        found.unwrap_or_default().split_whitespace().map(|uid| uid.parse().unwrap()).collect()
    }

    /// The names that `LIST` shows, as the protocol writes them.
    pub fn list(&mut self) -> Vec<String> {
        let responses = self.command("LIST \"\" \"*\"");
        responses.iter().filter_map(|response| listed(&response.line, "LIST")).map(|(_, name)| name).collect()
    }

    /// The names that `LSUB` shows.
    pub fn subscriptions(&mut self) -> Vec<String> {
        let responses = self.command("LSUB \"\" \"*\"");
        responses.iter().filter_map(|response| listed(&response.line, "LSUB")).map(|(_, name)| name).collect()
    }

    pub fn logout(mut self) {
        self.command("LOGOUT");
        self.input = None;
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the IMAP server ended with {status}");
    }
}

impl Drop for Imap {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn literal_size(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit('{').next()?.parse().ok()
}

/// The attributes and the name in a `LIST` or `LSUB` response.
pub fn listed(line: &str, kind: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix(&format!("* {kind} ("))?;
    let (attributes, rest) = rest.split_once(") \"/\" ")?;
    let name = match rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => rest.to_owned(),
    };
    Some((attributes.to_owned(), name))
}
