//! Options that say which mailboxes take part.

use std::collections::BTreeMap;

use clap::Args;
use dsync_core::model::{MailboxGuid, MailboxName, MailboxSelection};

use crate::configuration::{Namespace, WantedNamespaces};

/// Which mailboxes take part.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Mailboxes")]
pub(crate) struct MailboxOptions {
    /// Only this mailbox, by the name that clients see; * and % stand for anything, % within one level. Levels are separated
    /// as the configuration says, or by / if it says nothing. \Trash and the like are the mailboxes that have this special
    /// use. If it is empty, only names and subscriptions are synchronised
    #[arg(short = 'm', long = "mailbox", value_name = "MAILBOX", conflicts_with = "guid")]
    mailbox: Option<String>,

    /// Only the mailbox with this GUID (32 hexadecimal digits), whatever it is called. If it is empty, only names and
    /// subscriptions are synchronised
    #[arg(short = 'g', long = "mailbox-guid", value_name = "GUID", value_parser = parse_guid)]
    guid: Option<Chosen>,

    /// Not this mailbox; may be given several times. * stands for anything, ? for one character, \Trash and the like for the
    /// mailboxes that have this special use. What is excluded stays on both sides as it is
    #[arg(short = 'x', long = "exclude-mailbox", value_name = "MASK")]
    exclude: Vec<String>,

    /// The namespace with this prefix, which may have a location of its own, instead of that of INBOX; may be given several
    /// times. Of several, the mailboxes are below their prefixes in LOCATION2
    #[arg(short = 'n', long = "namespace", value_name = "PREFIX")]
    namespaces: Vec<String>,

    /// All namespaces that clients see, also those that have a location of their own, but not those of other users
    #[arg(short = 'N', long = "all-namespaces", conflicts_with = "namespaces")]
    all_namespaces: bool,

    /// A mailbox that holds most messages. Those that a store has in it already are copied from there
    #[arg(short = 'a', long = "all-mailbox", value_name = "MAILBOX", value_parser = parse_name)]
    all_mailbox: Option<MailboxName>,

    /// Fail if the mailbox that is asked for with -m or -g is on neither side
    #[arg(long = "strict")]
    pub(crate) strict: bool,
}

/// What `-g` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Nothing,
    Mailbox(MailboxGuid),
}

/// The mailboxes that have each special use, such as `\Trash`.
pub(crate) type SpecialUses = BTreeMap<String, Vec<MailboxName>>;

impl MailboxOptions {
    /// Which namespaces are asked for.
    pub(crate) fn wanted_namespaces(&self) -> WantedNamespaces {
        match (self.all_namespaces, self.namespaces.is_empty()) {
            (true, _) => WantedNamespaces::Visible,
            (false, true) => WantedNamespaces::Usual,
            (false, false) => WantedNamespaces::Prefixes(self.namespaces.clone()),
        }
    }

    /// Whether only names and subscriptions are to be synchronised.
    pub(crate) fn tree_only(&self) -> bool {
        self.mailbox.as_deref() == Some("") || self.guid == Some(Chosen::Nothing)
    }

    /// Whether one mailbox is asked for, which should be somewhere.
    pub(crate) fn wanted(&self) -> Option<String> {
        match (&self.mailbox, self.guid) {
            (Some(mailbox), _) if !mailbox.is_empty() => Some(format!("mailbox {mailbox}")),
            (_, Some(Chosen::Mailbox(guid))) => Some(format!("mailbox with the GUID {guid}")),
            _ => None,
        }
    }

    /// The mailbox that holds most messages.
    pub(crate) fn all_mailbox(&self, namespace: &Namespace) -> Option<MailboxName> {
        self.all_mailbox.as_ref().and_then(|name| MailboxName::parse(&namespace.without_prefix(&name.join('/')), '/'))
    }

    /// The choice, from mailboxes that clients see in a namespace. A special use that no mailbox has is given to `unknown`.
    pub(crate) fn selection(
        &self,
        namespace: &Namespace,
        uses: &SpecialUses,
        unknown: &mut dyn FnMut(&str),
    ) -> MailboxSelection {
        let mut of_use = |text: &str| match uses.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, names)) => names.clone(),
            None => {
                unknown(text);
                Vec::new()
            }
        };
        let mut selection = match (self.mailbox.as_deref(), self.guid) {
            (Some(special), _) if special.starts_with('\\') => MailboxSelection::named(of_use(special)),
            (Some(pattern), _) if !pattern.is_empty() => {
                MailboxSelection::matching(namespace.without_prefix(pattern))
            }
            (_, Some(Chosen::Mailbox(guid))) => MailboxSelection::with_guid(guid),
            _ => MailboxSelection::all(),
        };
        for mask in &self.exclude {
            selection = match mask.starts_with('\\') {
                true => selection.excluding_named(of_use(mask)),
                false => selection.excluding(namespace.without_prefix(mask)),
            };
        }
        selection
    }
}

/// The special uses in a namespace that settings of the form `namespace/NAME/mailbox/MAILBOX/special_use` give to mailboxes.
pub(crate) fn special_uses<'a>(
    namespace: &Namespace,
    settings: impl Iterator<Item = (&'a str, &'a str)>,
) -> SpecialUses {
    let mut uses = SpecialUses::new();
    for (name, value) in settings {
        let parts: Vec<_> = name.split('/').collect();
        let ["namespace", id, "mailbox", mailbox, "special_use"] = parts[..] else { continue };
        let Some(mailbox) = namespace.mailbox(id, &unescaped(mailbox)) else { continue };
        // A mailbox can have several.
        for special in value.split_ascii_whitespace() {
            uses.entry(special.to_owned()).or_default().push(mailbox.clone());
        }
    }
    uses
}

/// The name of a section as the server writes it: `\s` is a slash, `\_` a blank.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('s') => '/',
                Some('e') => '=',
                Some('_') => ' ',
                Some('+') => ',',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    plain
}

fn parse_guid(text: &str) -> Result<Chosen, String> {
    if text.is_empty() {
        return Ok(Chosen::Nothing);
    }
    let guid = MailboxGuid::from_hex(text.as_bytes()).map(Chosen::Mailbox);
    guid.ok_or_else(|| "a GUID has 32 hexadecimal digits, not all of them zero".to_owned())
}

fn parse_name(text: &str) -> Result<MailboxName, String> {
    MailboxName::parse(text, '/').ok_or_else(|| "that cannot be the name of a mailbox".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(args_override_self = true)]
    struct Line {
        #[command(flatten)]
        options: MailboxOptions,
    }

    fn parse(words: &[&str]) -> Result<MailboxOptions, clap::Error> {
        Line::try_parse_from([&["dsync"], words].concat()).map(|line| line.options)
    }

    fn selected(words: &[&str], uses: &SpecialUses) -> (MailboxSelection, Vec<String>) {
        let mut unknown = Vec::new();
        let selection =
            parse(words).unwrap().selection(&Namespace::only(), uses, &mut |text| unknown.push(text.to_owned()));
        (selection, unknown)
    }

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    #[test]
    fn the_last_mailbox_counts_and_all_exclusions_do() {
        let (selection, _) = selected(&["-m", "x", "-m", "a*", "-x", "ab", "-xac*"], &SpecialUses::new());
        assert_eq!(selection, MailboxSelection::matching("a*").excluding("ab").excluding("ac*"));
        let guid = "00112233445566778899aabbccddeeff";
        let (selection, _) = selected(&["-g", guid], &SpecialUses::new());
        assert!(selection.contains(&name("x"), MailboxGuid::from_hex(guid.as_bytes())));
        for words in [&["-m", ""][..], &["-g", ""]] {
            let options = parse(words).unwrap();
            assert!(options.tree_only() && options.wanted().is_none());
            assert!(selected(words, &SpecialUses::new()).0.is_all(), "{words:?}");
        }
        assert!(parse(&["-m", "x"]).unwrap().wanted().is_some() && !parse(&["-m", "x"]).unwrap().tree_only());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let zero = "0".repeat(32);
        for words in [
            &["-m", "x", "-g", ""][..],
            &["-g", "12"],
            &["-g", &zero],
            &["-n", "", "-N"],
            &["-a", ""],
            &["-a", "a//b"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_special_use_stands_for_the_mailboxes_that_have_it() {
        let settings = [
            ("namespace/inbox/mailbox/Trash/special_use", "\\Trash"),
            ("namespace/inbox/mailbox/Sent\\_Mail\\sold/special_use", "\\Sent \\Archive"),
            ("namespace/inbox/prefix", ""),
        ];
        let uses = special_uses(&Namespace::only(), settings.into_iter());
        let (selection, unknown) = selected(&["-x", "\\trash", "-x", "\\Junk"], &uses);
        assert_eq!(selection, MailboxSelection::all().excluding_named([name("Trash")]));
        assert_eq!(unknown, ["\\Junk"], "nothing is excluded for it");
        let (selection, _) = selected(&["-m", "\\Archive"], &uses);
        assert_eq!(selection, MailboxSelection::named([name("Sent Mail/old")]));
        let (selection, unknown) = selected(&["-m", "\\Junk"], &uses);
        assert!(!selection.contains(&name("Trash"), None) && unknown == ["\\Junk"]);
    }
}
