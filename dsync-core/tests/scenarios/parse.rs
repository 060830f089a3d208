//! Reads scenarios. What is wrong in a file ends the test.

use std::collections::BTreeSet;
use std::fmt;

use dsync_core::model::{MailboxGuid, MailboxName};

#[derive(Debug)]
pub(crate) struct Scenario {
    pub id: String,
    pub title: String,
    /// By side: whether every level of the hierarchy is a directory, as in Dovecot's layout `fs`.
    pub level_is_directory: [bool; 2],
    /// By side: whether levels that are not mailboxes can be there, as they cannot be in a Maildir++.
    pub holds_directories: [bool; 2],
    /// Messages whose GUIDs ascend in this order.
    pub order: Vec<String>,
    /// What both sides hold at first.
    pub base: Vec<Base>,
    /// Whether a two-way run follows.
    pub settle: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Base {
    Mailbox { name: MailboxName, guid: MailboxGuid, uid_validity: u32, messages: Vec<Message> },
    Subscribed(MailboxName),
    Directory(MailboxName),
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub id: String,
    /// Flags and keywords.
    pub flags: Vec<String>,
    /// How many bytes are added to its body.
    pub padding: usize,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// A few seconds pass; without it everything between two runs happens in the same second.
    Wait,
    /// The side, and the words of what is done there.
    Work(usize, Vec<String>),
    Run(Run),
}

#[derive(Debug)]
pub(crate) struct Run {
    pub mode: Mode,
    /// The words after the mode.
    pub options: Vec<String>,
    pub theirs: Expected,
    /// Why this is decided otherwise here, and how.
    pub ours: Option<(String, Expected)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Mirror,
    Backup,
    OneWay,
}

/// Outcome of a run: the exit status, and what each side holds afterwards, in the words of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub exit: u8,
    pub sides: [BTreeSet<String>; 2],
}

impl Scenario {
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(run) => Some(run),
            _ => None,
        })
    }
}

impl Run {
    pub(crate) fn expected(&self) -> &Expected {
        self.ours.as_ref().map_or(&self.theirs, |(_, ours)| ours)
    }
}

impl Expected {
    /// Of the lines after `=`. `before` is the outcome of the run before.
    pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a str>, before: Option<&Self>) -> Self {
        let mut expected = Self { exit: 0, sides: Default::default() };
        for line in lines {
            if line == "unchanged" {
                expected.sides = before.unwrap().sides.clone();
                continue;
            }
            let (whose, text) = line.split_once(' ').unwrap();
            let sides: &[usize] = match whose {
                "exit" => {
                    expected.exit = text.split(' ').next().unwrap().parse().unwrap();
                    &[]
                }
                "both" => &[0, 1],
                side => &[side_of(side)],
            };
            for side in sides {
                expected.sides[*side].insert(text.to_owned());
            }
        }
        expected
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exit != 0 {
            writeln!(f, "= exit {}", self.exit)?;
        }
        let [first, second] = &self.sides;
        first.difference(second).try_for_each(|line| writeln!(f, "= A {line}"))?;
        second.difference(first).try_for_each(|line| writeln!(f, "= B {line}"))?;
        first.intersection(second).try_for_each(|line| writeln!(f, "= both {line}"))
    }
}

/// All scenarios of one file.
pub(crate) fn scenarios(file: &str, text: &str) -> Vec<Scenario> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks.map(|block| scenario(block).unwrap_or_else(|line| panic!("{file}: this line is wrong: {line}"))).collect()
}

/// One scenario, or the line that is wrong.
fn scenario(block: &str) -> Result<Scenario, String> {
    let mut lines = block.lines().peekable();
    let head = lines.next().unwrap_or_default();
    let (id, title) = head.strip_prefix('[').and_then(|head| head.split_once("] ")).ok_or(head)?;
    let mut scenario = Scenario {
        id: id.to_owned(),
        title: title.to_owned(),
        level_is_directory: [false; 2],
        holds_directories: [true; 2],
        order: Vec::new(),
        base: Vec::new(),
        settle: false,
        steps: Vec::new(),
    };
    let (mut theirs, mut ours) = (None, None);
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = || rest.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match word {
            "layout" => {
                scenario.level_is_directory = [0, 1].map(|side: usize| words()[side] == "fs");
                scenario.holds_directories = [0, 1].map(|side: usize| words()[side] != "maildir++");
            }
            "order" => scenario.order = words(),
            "base" => scenario.base.push(base(rest).ok_or(line)?),
            "settle" => scenario.settle = true,
            "wait" => scenario.steps.push(Step::Wait),
            "A" | "B" => scenario.steps.push(Step::Work(side_of(word), words())),
            "run" => {
                let mut run = run(words()).ok_or(line)?;
                run.theirs = expected(&mut lines, theirs.as_ref());
                if let Some(reason) = lines.next_if(|line| line.starts_with("ours ")) {
                    let reason = reason.trim_start_matches("ours ").to_owned();
                    run.ours = Some((reason, expected(&mut lines, ours.as_ref())));
                }
                (theirs, ours) = (Some(run.theirs.clone()), Some(run.expected().clone()));
                scenario.steps.push(Step::Run(run));
            }
            _ => return Err(line.to_owned()),
        }
    }
    Ok(scenario)
}

fn expected<'a>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    before: Option<&Expected>,
) -> Expected {
    let lines = std::iter::from_fn(|| lines.next_if(|line| line.starts_with("= ")));
    Expected::parse(lines.map(|line| &line[2..]), before)
}

fn base(text: &str) -> Option<Base> {
    let (word, rest) = text.split_once(' ')?;
    match word {
        "subscribed" => return Some(Base::Subscribed(name(rest))),
        "directory" => return Some(Base::Directory(name(rest))),
        _ => {}
    }
    let (head, messages) = rest.split_once(':')?;
    let (guid, uid_validity) = head.split_once(' ')?;
    let messages = messages.split(',').map(|text| message(text.trim().split(' '))).collect();
    Some(Base::Mailbox {
        name: name(word),
        guid: self::guid(guid),
        uid_validity: uid_validity.parse().ok()?,
        messages,
    })
}

fn run(words: Vec<String>) -> Option<Run> {
    let mut words = words.into_iter();
    let mode = match words.next()?.as_str() {
        "mirror" => Mode::Mirror,
        "backup" => Mode::Backup,
        "one-way" => Mode::OneWay,
        _ => return None,
    };
    let theirs = Expected { exit: 0, sides: Default::default() };
    Some(Run { mode, options: words.collect(), theirs, ours: None })
}

/// A message id with flags and keywords.
pub(crate) fn message<'a>(mut words: impl Iterator<Item = &'a str>) -> Message {
    let id = words.next().unwrap().to_owned();
    let (mut flags, mut padding) = (Vec::new(), 0);
    for word in words {
        match word.strip_prefix("padded=") {
            Some(number) => padding = number.parse().unwrap(),
            None => flags.push(word.to_owned()),
        }
    }
    Message { id, flags, padding }
}

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '/').unwrap()
}

/// Hexadecimal digits, filled up with zeros in front, or, if a `~` follows, at the end.
pub(crate) fn guid(text: &str) -> MailboxGuid {
    let digits = match text.strip_suffix('~') {
        Some(digits) => format!("{digits:0<32}"),
        None => format!("{text:0>32}"),
    };
    MailboxGuid::from_hex(digits.as_bytes()).unwrap()
}

fn side_of(word: &str) -> usize {
    match word {
        "A" => 0,
        "B" => 1,
        _ => panic!("{word} is no side"),
    }
}
