//! What stands for the second location: a mail location, or a command that talks to another host.

use crate::exit::Failure;

/// Where the second store of a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OtherSide {
    /// On this machine: a mail location.
    Local(String),
    /// Behind a program that speaks the dsync protocol: its command line. No shell is involved.
    Command(Vec<String>),
}

impl OtherSide {
    /// Understands the words after the command and its options, as the original does: several words are a command line, one
    /// word of letters and digits up to a colon is a mail location, one with a space or a slash is a command line.
    ///
    /// # Errors
    /// If it is none of these, or a mail location whose driver was forgotten.
    pub(crate) fn of(words: &[String]) -> Result<Self, Failure> {
        let [word] = words else { return Ok(Self::Command(words.to_vec())) };
        let end = word.find(|character: char| !character.is_ascii_alphanumeric());
        if end.is_some_and(|end| word[end..].starts_with(':')) {
            let scheme = word.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if ["tcp", "tcps", "remote", "remoteprefix"].contains(&scheme.as_str()) {
                return Err(Failure::Usage(format!(
                    "{word:?}: {scheme}: cannot be used yet; write the command that starts the other side, for example ssh \
                     user@host doveadm dsync-server"
                )));
            }
            return Ok(Self::Local(word.clone()));
        }
        let is_path = word.starts_with("~/") || std::path::Path::new(word).is_dir();
        if is_path {
            return Err(Failure::Usage(format!(
                "{word:?} is a directory, not a mail store; write its format in front of it, for example maildir:{word}"
            )));
        }
        if word.contains(['/', ' ']) {
            return Ok(Self::Command(word.split(' ').map(str::to_owned).collect()));
        }
        Err(Failure::Usage(format!(
            "{word:?} is neither a mail location (for example maildir:/backup/user/Maildir) nor a command line; hosts cannot be \
             given by their name alone yet: write for example ssh {word} doveadm dsync-server"
        )))
    }
}

/// The command line with the word that makes a server of the program, unless it is there.
pub(crate) fn with_server_word(mut words: Vec<String>) -> Vec<String> {
    let is_there = words.last().is_some_and(|last| ["server", "dsync-server"].contains(&last.as_str()));
    if !is_there {
        // doveadm knows it by that name only.
        words.push("dsync-server".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn locations_and_commands_are_told_apart() {
        let command = |given: &[&str]| OtherSide::Command(words(given));
        for (given, expected) in [
            (&["maildir:~/Maildir"][..], OtherSide::Local("maildir:~/Maildir".to_owned())),
            (&["foo:/x"], OtherSide::Local("foo:/x".to_owned())),
            (&[":/x"], OtherSide::Local(":/x".to_owned())),
            (&["/path/script"], command(&["/path/script"])),
            (&["bin/script -a  b"], command(&["bin/script", "-a", "", "b"])),
            (&["ssh", "host", "doveadm"], command(&["ssh", "host", "doveadm"])),
        ] {
            assert_eq!(OtherSide::of(&words(given)).unwrap(), expected, "{given:?}");
        }
        for given in ["host", "user@host", "my-host:22", "", "/", "~/Maildir", "tcp:host", "remote:host"] {
            assert!(matches!(OtherSide::of(&words(&[given])), Err(Failure::Usage(_))), "{given:?}");
        }
    }

    #[test]
    fn the_program_is_made_a_server_once() {
        assert_eq!(with_server_word(words(&["a", "b"])), ["a", "b", "dsync-server"]);
        assert_eq!(with_server_word(words(&["a", "server"])), ["a", "server"]);
        assert_eq!(with_server_word(words(&["a", "dsync-server"])), ["a", "dsync-server"]);
    }
}
