//! What the user sees of a run, all of it on stderr.

use dsync_core::model::MailboxName;
use dsync_core::report::{Event, Observer, Report};
use dsync_core::store::ReplacedName;
use dsync_core::tree::TreeAction;
use dsync_storage::dbox::PurgeReport;

use crate::bar::Bar;
use crate::interruption::Interruption;
use crate::quantities::{self, bytes, counted, mailboxes};
use crate::{exit, messages};

/// How much to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Nothing but why it failed.
    Silent,
    /// Only what could not be done.
    Quiet,
    /// Each mailbox and a summary.
    Verbose,
    /// Each decision.
    Debug,
}

/// Writes events to stderr as they come.
pub(crate) struct Progress {
    verbosity: Verbosity,
    /// The mailbox about which was last said that there is nothing to do: both sides find that out.
    unchanged: Option<MailboxName>,
    /// Whoever may want the run to end.
    interruption: Option<Interruption>,
    bar: Bar,
}

impl Progress {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, unchanged: None, interruption: None, bar: Bar::new(false) }
    }

    /// The same, and the run ends when the process is asked to.
    pub(crate) fn until(self, interruption: &Interruption) -> Self {
        interruption.defer();
        Self { interruption: Some(interruption.clone()), ..self }
    }

    /// The same with a bar, if there is a terminal to draw it on.
    pub(crate) fn with_bar(self) -> Self {
        Self { bar: Bar::new(self.verbosity > Verbosity::Silent), ..self }
    }

    /// How much was done, for those who asked.
    pub(crate) fn summary(&mut self, report: &Report, about: About) {
        self.bar = Bar::new(false);
        self.say(Verbosity::Verbose, || summary(report, about));
    }

    /// What a purge did, for those who asked, and what it could not do. The exit status that it means.
    pub(crate) fn purged(&self, report: &PurgeReport) -> u8 {
        for problem in &report.problems {
            messages::warning(problem);
        }
        self.say(Verbosity::Verbose, || {
            let freed = bytes(report.bytes);
            format!("messages purged: {}, files replaced: {}, {freed} freed", report.messages, report.files)
        });
        if report.problems.is_empty() { exit::SUCCESS } else { exit::INCOMPLETE }
    }

    /// Draws no bar from now on.
    pub(crate) fn without_bar(&mut self) {
        self.bar = Bar::new(false);
    }

    fn say(&self, from: Verbosity, text: impl FnOnce() -> String) {
        if self.verbosity >= from {
            messages::say(text());
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, store: &str, event: Event<'_>) {
        match event {
            Event::Problem(problem) => messages::warning(problem),
            Event::TreeAction(action) => self.say(Verbosity::Verbose, || format!("{store}: {}", describe(action))),
            Event::NameReplaced(ReplacedName { original, stored }) => {
                self.say(Verbosity::Verbose, || format!("{store}: {original}: is called {stored} there"));
            }
            Event::MailboxUnchanged(name) if self.unchanged.as_ref() != Some(name) => {
                self.say(Verbosity::Verbose, || format!("{name}: nothing to do"));
                self.unchanged = Some(name.clone());
            }
            Event::MailboxPlanned(name, plan) => {
                self.bar.expect(&name.to_string(), plan.fetch.len());
                self.say(Verbosity::Verbose, || format!("{store}: {name}: {}", describe_plan(plan)));
                if self.verbosity >= Verbosity::Debug {
                    debug_counters(name, plan);
                }
            }
            Event::Reason(name, reason) => messages::debug(format_args!("{name}: {reason}")),
            Event::MessageSaved(_, size) => self.bar.saved(size),
            Event::Comparing(name, messages) => self.bar.expect(&name.to_string(), messages),
            Event::MessageCompared(_, size) => self.bar.saved(size),
            Event::MailboxCompared(name) => self.say(Verbosity::Verbose, || format!("{name}: compared")),
            Event::MailboxCommitted(name) => self.say(Verbosity::Debug, || format!("{store}: {name}: committed")),
            _ => {}
        }
    }

    fn wants_reasons(&self) -> bool {
        self.verbosity >= Verbosity::Debug
    }

    fn is_to_stop(&self) -> bool {
        self.interruption.as_ref().is_some_and(Interruption::is_asked)
    }
}

/// What a summary is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A run that was to make two stores equal.
    EqualStores,
    /// A run that was to take something over from one store to another.
    Stores,
    /// What this side of a run with another host did.
    ThisSide,
}

fn summary(report: &Report, about: About) -> String {
    let counts = &report.counts;
    let copied = format!("{} ({})", quantities::messages(counts.messages_saved), bytes(counts.bytes_saved));
    let sent = format!("{} ({})", quantities::messages(counts.messages_sent), bytes(counts.bytes_sent));
    let (copied, here) = match about {
        About::ThisSide => (format!("{sent} copied to the other side; here {copied} copied"), " here"),
        _ => (format!("{copied} copied"), ""),
    };
    format!(
        "{} looked at, {} changed{here}; {copied}, {} changed, {} removed; {} renamed, {} deleted; {}",
        mailboxes(counts.mailboxes),
        counts.mailboxes_changed,
        counts.messages_changed,
        counts.messages_removed,
        mailboxes(counts.mailboxes_renamed),
        counts.mailboxes_deleted,
        match report.problems.len() {
            0 if about == About::EqualStores => "both sides are equal now".to_owned(),
            0 => "everything was taken over".to_owned(),
            count => counted(count as u64, "problem", "problems"),
        }
    )
}

fn describe_plan(plan: &dsync_core::merge::MailboxPlan) -> String {
    let changes = &plan.changes;
    let (copied, removed) = (plan.fetch.len(), changes.remove.len());
    match (copied, changes.update.len().saturating_add(changes.renumber.len()), removed) {
        (0, 0, 0) => "only its counters change".to_owned(),
        (copied, changed, removed) => {
            format!("messages to copy {copied}, to change {changed}, to remove {removed}")
        }
    }
}

/// What the mailbox as a whole will be.
fn debug_counters(name: &MailboxName, plan: &dsync_core::merge::MailboxPlan) {
    let changes = &plan.changes;
    let undecided = || "undecided".to_owned();
    messages::debug(format_args!(
        "{name}: will have GUID {}, UIDVALIDITY {}, UIDNEXT {}, HIGHESTMODSEQ {}, first recent UID {}",
        changes.identity.guid.map_or_else(undecided, |guid| guid.to_string()),
        changes.identity.uid_validity.map_or_else(undecided, |uid_validity| uid_validity.to_string()),
        changes.uid_next,
        changes.highest_modseq,
        changes.first_recent_uid
    ));
}

/// What is done, for people.
pub(crate) fn describe(action: &TreeAction) -> String {
    match action {
        TreeAction::Delete(name) => format!("{name}: delete the mailbox"),
        TreeAction::Rename { from, to } => format!("{from}: rename to {to}"),
        TreeAction::CreateDirectory(name) => format!("{name}: create the directory"),
        TreeAction::DeleteDirectory(name) => format!("{name}: remove the directory"),
        TreeAction::Subscribe(name, true) => format!("{name}: subscribe"),
        TreeAction::Subscribe(name, false) => format!("{name}: unsubscribe"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_where_messages_went() {
        let mut report = Report::default();
        (report.counts.messages_saved, report.counts.messages_sent, report.counts.bytes_sent) = (1, 3, 2048);
        let local = summary(&report, About::EqualStores);
        assert!(local.contains("; 1 message (0 bytes) copied, 0 changed") && local.ends_with("equal now"), "{local}");
        let text = summary(&report, About::ThisSide);
        let expected = "3 messages (2.0 KiB) copied to the other side; here 1 message (0 bytes) copied, 0 changed";
        assert!(text.contains(expected) && text.ends_with("everything was taken over"), "{text}");
    }
}
