//! What stands for the second location: a mail location, or a way to another host.

use super::tcp::Address;
use crate::exit::Failure;

/// Where the second store of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OtherSide {
    /// On this machine: a mail location.
    Local(String),
    /// Behind something that speaks the dsync protocol.
    Remote(Destination),
}

/// How a side that speaks the dsync protocol is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// By a command line. No shell is involved.
    Command(Vec<String>),
    /// By the command that the setting `dsync_remote_cmd` has for all hosts.
    Host(Host),
    /// By the doveadm service of a Dovecot.
    Service(Address),
}

/// A host, and who is who there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) host: String,
    /// As whom to log in there; if it is not said, the program that does that decides.
    pub(crate) login: Option<String>,
    /// Whose mail is meant there.
    pub(crate) user: RemoteUser,
    /// The command is told the name of the user in a line of its own, before the protocol begins.
    pub(crate) announces_user: bool,
}

/// Whose mail is meant at the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteUser {
    /// That of this user.
    Named(String),
    /// That of the user who is served here, if one was named; otherwise that of who logs in there.
    ServedIfNamed,
    /// That of the user who is served here.
    Served,
}

impl OtherSide {
    fn command(words: &[String]) -> Result<Self, Failure> {
        let driver =
            words.first().and_then(|word| word.split_once(':')).map(|(driver, _)| driver.to_ascii_lowercase());
        let is_location =
            driver.is_some_and(|driver| ["maildir", "mbox", "mdbox", "sdbox", "auto"].contains(&driver.as_str()));
        match is_location {
            false => Ok(Self::Remote(Destination::Command(words.to_vec()))),
            true => Err(Failure::Usage(format!(
                "there is something behind the mail location: {:?}; options stand before it",
                words.get(1..).unwrap_or_default().join(" ")
            ))),
        }
    }

    /// Understands the words after the command and its options, as the original does: several words are a command line, one
    /// word of letters and digits up to a colon is a mail location, or one of the forms that begin in the same way, one with a space
    /// or a slash is a command line, everything else is a host.
    ///
    /// # Errors
    /// If it is none of these, or a mail location whose driver was forgotten.
    pub(crate) fn of(words: &[String]) -> Result<Self, Failure> {
        let [word] = words else { return Self::command(words) };
        let end = word.find(|character: char| !character.is_ascii_alphanumeric());
        if let Some((scheme, rest)) = end.and_then(|end| word.split_at_checked(end))
            && let Some(rest) = rest.strip_prefix(':')
        {
            return match scheme.to_ascii_lowercase().as_str() {
                "remote" => Host::with_login(rest, false),
                "remoteprefix" => Host::with_login(rest, true),
                "tcp" => service(word, rest, false),
                "tcps" => service(word, rest, true),
                _ => Ok(Self::Local(word.clone())),
            };
        }
        let is_path = word.starts_with("~/") || std::path::Path::new(word).is_dir();
        if is_path {
            return Err(Failure::Usage(format!(
                "{word:?} is a directory, not a mail store; write its format in front of it, for example maildir:{word}"
            )));
        }
        if word.contains(['/', ' ']) {
            return Ok(Self::Remote(Destination::Command(word.split(' ').map(str::to_owned).collect())));
        }
        Host::with_user(word)
    }
}

fn service(word: &str, address: &str, is_encrypted: bool) -> Result<OtherSide, Failure> {
    if is_encrypted && !cfg!(feature = "tls") {
        return Err(Failure::Usage(format!(
            "{word:?}: tcps: cannot be used, this program was built without TLS; use one that was built with the feature tls, or reach the host by ssh"
        )));
    }
    let address = Address::parse(address, is_encrypted).ok_or_else(|| {
        Failure::Usage(format!("{word:?}: write tcp:HOST, tcp:HOST:PORT, or for an IPv6 address tcp:[ADDRESS]:PORT"))
    })?;
    Ok(OtherSide::Remote(Destination::Service(address)))
}

impl Host {
    /// `host` or `user@host`. A host has no `@` in its name, but users often have.
    fn with_user(word: &str) -> Result<OtherSide, Failure> {
        let (user, host) = match word.rsplit_once('@') {
            Some(("", _)) => {
                return Err(Failure::Usage(format!(
                    "{word:?}: the user in front of the @ is missing; write USER@HOST or HOST"
                )));
            }
            Some((user, host)) => (RemoteUser::Named(user.to_owned()), host),
            None => (RemoteUser::ServedIfNamed, word),
        };
        Self { host: host.to_owned(), login: None, user, announces_user: false }.checked(word)
    }

    /// `host` or `login@host`, behind `remote:` or `remoteprefix:`.
    fn with_login(word: &str, announces_user: bool) -> Result<OtherSide, Failure> {
        let (login, host) = match word.rsplit_once('@') {
            Some(("", _)) => {
                return Err(Failure::Usage(format!(
                    "{word:?}: the login in front of the @ is missing; write remote:LOGIN@HOST or remote:HOST"
                )));
            }
            Some((login, host)) => (Some(login.to_owned()), host),
            None => (None, word),
        };
        Self { host: host.to_owned(), login, user: RemoteUser::Served, announces_user }.checked(word)
    }

    fn checked(self, word: &str) -> Result<OtherSide, Failure> {
        if self.host.is_empty() {
            return Err(Failure::Usage(format!(
                "{word:?} names no host; LOCATION2 is a mail location (maildir:/backup/user/Maildir), a host (HOST or \
                 USER@HOST), or a command line (ssh HOST doveadm dsync-server)"
            )));
        }
        Ok(OtherSide::Remote(Destination::Host(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn host(host: &str, user: RemoteUser, login: Option<&str>, announces_user: bool) -> OtherSide {
        let login = login.map(str::to_owned);
        OtherSide::Remote(Destination::Host(Host { host: host.to_owned(), login, user, announces_user }))
    }

    #[test]
    fn locations_commands_and_hosts_are_told_apart() {
        let command = |given: &[&str]| OtherSide::Remote(Destination::Command(words(given)));
        let named = |name: &str| RemoteUser::Named(name.to_owned());
        for (given, expected) in [
            (&["maildir:~/Maildir"][..], OtherSide::Local("maildir:~/Maildir".to_owned())),
            (&["foo:/x"], OtherSide::Local("foo:/x".to_owned())),
            (&[":/x"], OtherSide::Local(":/x".to_owned())),
            (&["/path/script"], command(&["/path/script"])),
            (&["./script"], command(&["./script"])),
            (&["bin/script -a  b"], command(&["bin/script", "-a", "", "b"])),
            (&["ssh", "host", "doveadm"], command(&["ssh", "host", "doveadm"])),
            (&["host"], host("host", RemoteUser::ServedIfNamed, None, false)),
            (&["my-host:22"], host("my-host:22", RemoteUser::ServedIfNamed, None, false)),
            (&["user@host"], host("host", named("user"), None, false)),
            (&["anna@example.org@host"], host("host", named("anna@example.org"), None, false)),
            (&["-x@host"], host("host", named("-x"), None, false)),
            (&["remote:host"], host("host", RemoteUser::Served, None, false)),
            (&["remote:::1"], host("::1", RemoteUser::Served, None, false)),
            (&["remote:vmail@host"], host("host", RemoteUser::Served, Some("vmail"), false)),
            (&["remoteprefix:vmail@host"], host("host", RemoteUser::Served, Some("vmail"), true)),
        ] {
            assert_eq!(OtherSide::of(&words(given)).unwrap(), expected, "{given:?}");
        }
        for given in
            ["", "@", "user@", "@host", "remote:", "remote:a@", "remote:@b", "/", "~/Maildir", "tcp:", "tcps:"]
        {
            assert!(matches!(OtherSide::of(&words(&[given])), Err(Failure::Usage(_))), "{given:?}");
        }
    }
}
