//! `dsync verify`: whether two stores are the same, for people and for programs.

use std::io::{self, Write};

use dsync_core::model::{KeptFields, MessageKey};
use dsync_core::report::{Event, Observer};
use dsync_core::verify::{self, Difference, Field, Verification, VerifyOptions};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Run};
use crate::configuration::UserConfiguration;
use crate::exit::Failure;
use crate::interruption::Interruption;
use crate::messages::harmless;
use crate::output::Output;
use crate::progress::{Progress, Verbosity};
use crate::quantities::{self, bytes, counted};
use crate::{stores, synchronise};

/// Compares two stores and says on stdout what is different. The exit status.
pub(crate) fn verify(
    arguments: &Arguments,
    user: &UserConfiguration,
    run: &Run,
    interruption: &Interruption,
) -> Result<u8, Failure> {
    let mut options = VerifyOptions::default();
    options.mailboxes = synchronise::sync_options(user, run)?.mailboxes;
    options.bodies = !arguments.looking.no_bodies;
    let (mut first, mut second) = stores::open_to_compare(arguments, user, run)?;
    let form = match (run.options.running.json, arguments.verbosity()) {
        (true, _) => Form::Json,
        (false, Verbosity::Silent) => Form::Nothing,
        (false, _) => Form::Text,
    };
    let is_one_of_several = arguments.users().is_one_of_several();
    let mut progress = Progress::new(arguments.verbosity()).until(interruption);
    if !is_one_of_several {
        progress = progress.with_bar();
    }
    let locations = [first.location(), second.location()];
    let answer = Answer { form, locations, output: Output::new(is_one_of_several), found: 0 };
    let mut listener = Listener { progress, answer, failed: None };
    let outcome = verify::verify(&mut *first, &mut *second, &options, &mut listener);
    let Listener { mut progress, mut answer, failed } = listener;
    progress.without_bar();
    if let Some(error) = failed {
        return Err(Failure::Output(error));
    }
    let outcome = outcome?;
    answer.end(&outcome).and_then(|()| answer.output.finish()).map_err(Failure::Output)?;
    let is_missing = outcome.is_equal() && outcome.mailboxes == 0;
    match run.options.mailboxes.wanted().filter(|_| run.options.mailboxes.strict && is_missing) {
        Some(wanted) => Err(Failure::NotFound(format!(
            "there is no {wanted} on either side; check the name, or leave --strict out"
        ))),
        None => Ok(outcome.exit_status()),
    }
}

/// Hears of differences as they are found.
struct Listener {
    progress: Progress,
    answer: Answer<Output>,
    failed: Option<io::Error>,
}

impl Observer for Listener {
    fn event(&mut self, store: &str, event: Event<'_>) {
        match event {
            Event::Difference(difference) => {
                if let Err(error) = self.answer.add(difference) {
                    self.failed.get_or_insert(error);
                }
            }
            other => self.progress.event(store, other),
        }
    }

    fn is_to_stop(&self) -> bool {
        self.failed.is_some() || self.progress.is_to_stop()
    }
}

/// For whom the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    /// The exit status says it.
    Nothing,
}

/// What is said on stdout.
struct Answer<W> {
    form: Form,
    locations: [String; 2],
    output: W,
    found: u64,
}

impl<W: Write> Answer<W> {
    fn add(&mut self, difference: &Difference) -> io::Result<()> {
        self.found += 1;
        match self.form {
            Form::Nothing => Ok(()),
            Form::Text => {
                self.head()?;
                writeln!(self.output, "{}", harmless(&difference.to_string()))
            }
            Form::Json => {
                self.head()?;
                write!(self.output, "{}", object(difference))
            }
        }
    }

    /// What stands before a difference.
    fn head(&mut self) -> io::Result<()> {
        let [first, second] = &self.locations;
        match (self.form, self.found) {
            (Form::Json, 0 | 1) => {
                let [first, second] = [first, second].map(|location| Value::from(location.as_str()));
                write!(self.output, "{{\"first\":{first},\"second\":{second},\"differences\":[")
            }
            (Form::Json, _) => write!(self.output, ","),
            (_, 1) => writeln!(self.output, "the first: {}\nthe second: {}", harmless(first), harmless(second)),
            _ => Ok(()),
        }
    }

    fn end(&mut self, outcome: &Verification) -> io::Result<()> {
        match self.form {
            Form::Nothing => Ok(()),
            Form::Text => writeln!(self.output, "{}", summary(outcome)),
            Form::Json => {
                if self.found == 0 {
                    self.head()?;
                }
                let problems = outcome.problems.iter().map(|problem| {
                    json!({ "mailbox": problem.mailbox.as_ref().map(ToString::to_string), "reason": problem.reason })
                });
                let rest = json!({
                    "counts": {
                        "differences": outcome.differences,
                        "mailboxes": outcome.mailboxes,
                        "messages": outcome.messages,
                        "bytes": outcome.bytes,
                        "undecided": outcome.undecided,
                    },
                    "not_compared": not_compared(outcome.compared),
                    "problems": problems.collect::<Vec<_>>(),
                    "exit_status": outcome.exit_status(),
                });
                // The differences are an array of the same object.
                let rest = rest.to_string();
                writeln!(self.output, "],{}", rest.trim_start_matches('{'))
            }
        }
    }
}

fn object(difference: &Difference) -> Value {
    let Difference { mailbox, message, field, first, second } = difference;
    let uid = match message {
        Some(MessageKey::Uid(uid)) => Some(uid.get()),
        Some(MessageKey::Unassigned(_)) | None => None,
    };
    let offset = if let Field::Body { offset } = field { Some(*offset) } else { None };
    let is_of_message = message.is_some();
    let mut object =
        json!({ "mailbox": mailbox.to_string(), "field": field.name(), "first": first, "second": second });
    if let Some(members) = object.as_object_mut() {
        members.extend(is_of_message.then(|| ("uid".to_owned(), json!(uid))));
        members.extend(offset.map(|offset| ("offset".to_owned(), json!(offset))));
    }
    object
}

/// What the stores do not both keep.
fn not_compared(keeps: KeptFields) -> Vec<&'static str> {
    let facts = [(keeps.guids, "guid"), (keeps.pop3, "pop3"), (keeps.save_dates, "saved")];
    facts.into_iter().filter_map(|(is_kept, name)| (!is_kept).then_some(name)).collect()
}

fn summary(outcome: &Verification) -> String {
    let found = match outcome.differences {
        0 => "no differences".to_owned(),
        count => counted(count, "difference", "differences"),
    };
    let Verification { undecided, problems, .. } = outcome;
    let (mailboxes, messages) = (quantities::mailboxes(outcome.mailboxes), quantities::messages(outcome.messages));
    let mut text = format!("{found}; {mailboxes} and {messages} ({}) compared", bytes(outcome.bytes));
    let names: Vec<_> = not_compared(outcome.compared)
        .into_iter()
        .map(|name| match name {
            "guid" => "GUIDs of messages",
            "pop3" => "POP3 data",
            _ => "saved dates",
        })
        .collect();
    if !names.is_empty() {
        text += &format!("; not kept by both, so not compared: {}", names.join(", "));
    }
    if *undecided > 0 {
        text += &format!("; values that one of them leaves open: {undecided}");
    }
    if !problems.is_empty() {
        text += &format!("; what could not be compared: {}, see the warnings", problems.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use dsync_core::model::{MailboxName, Uid};
    use dsync_core::report::Problem;

    use super::*;

    fn said(form: Form, differences: &[Difference]) -> String {
        let mut answer = Answer {
            form,
            locations: ["maildir:/a\n".to_owned(), "mbox:/b".to_owned()],
            output: Vec::new(),
            found: 0,
        };
        for difference in differences {
            answer.add(difference).unwrap();
        }
        let problem = Problem { mailbox: Some(MailboxName::inbox()), reason: "broken".to_owned() };
        let outcome = Verification {
            differences: differences.len() as u64,
            mailboxes: 1,
            messages: 2,
            bytes: 2048,
            undecided: 3,
            compared: KeptFields::LEAST,
            problems: vec![problem],
        };
        answer.end(&outcome).unwrap();
        String::from_utf8(answer.output).unwrap()
    }

    fn differences() -> [Difference; 2] {
        let (mailbox, message) = (MailboxName::inbox(), Some(MessageKey::Uid(Uid::FIRST)));
        let first = Some("\\Seen".to_owned());
        let flags = Difference { mailbox: mailbox.clone(), message, field: Field::Flags, first, second: None };
        let body = Difference { field: Field::Body { offset: 7 }, ..flags.clone() };
        [flags, body]
    }

    #[test]
    fn people_read_one_line_for_each_difference() {
        let text = said(Form::Text, &differences());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["the first: maildir:/a\\n", "the second: mbox:/b"]);
        assert_eq!(lines[2], "INBOX: message with UID 1: flags: \\Seen at the first, nothing at the second");
        assert!(lines[4].starts_with("2 differences; 1 mailbox and 2 messages (2.0 KiB) compared"), "{text}");
        assert_eq!(said(Form::Text, &[]).lines().count(), 1);
        assert_eq!(said(Form::Nothing, &differences()), "");
    }

    #[test]
    fn programs_read_one_object() {
        for count in 0..=2 {
            let value: Value = serde_json::from_str(&said(Form::Json, &differences()[..count])).unwrap();
            assert_eq!(value["differences"].as_array().map(Vec::len), Some(count));
            assert_eq!((&value["first"], &value["exit_status"]), (&json!("maildir:/a\n"), &json!(2)));
            assert_eq!(value["not_compared"], json!(["guid", "pop3", "saved"]));
            if count == 2 {
                let flags =
                    json!({ "mailbox": "INBOX", "uid": 1, "field": "flags", "first": "\\Seen", "second": null });
                assert_eq!((&value["differences"][0], &value["differences"][1]["offset"]), (&flags, &json!(7)));
            }
        }
    }
}
