//! Which users are meant: what the command line says about it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::error::UserError;
use super::mask;

/// The options about users.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Users (without these: the one who runs the program, as USER and HOME say)")]
pub(crate) struct UserOptions {
    /// Serve this user, with their rights and settings; with * or ? in it: all whose names fit
    #[arg(short = 'u', long = "user", value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,

    /// Serve all users
    #[arg(short = 'A', long = "all-users")]
    all: bool,

    /// Serve the users whose names are in this file, one in each line; - is the standard input
    #[arg(short = 'F', long = "user-file", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Do not look users up: the name is all that is known of the user, the rest comes from the configuration
    #[arg(long = "no-userdb-lookup")]
    no_lookup: bool,

    /// Serve so many users at the same time
    #[arg(short = 'j', long = "jobs", value_name = "NUMBER", default_value = "1", value_parser = parse_jobs)]
    jobs: Option<NonZeroUsize>,

    /// The one of several users for whom this process was started.
    #[arg(long = "one-of-several", value_name = "USER", hide = true)]
    one_of_several: Option<String>,
}

/// Nobody has more processors to spare, and every process takes memory.
const MOST_JOBS: usize = 1024;

/// The users that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The one who runs the program.
    Current,
    /// One that is to be looked up.
    One(String),
    /// One that is not to be looked up; without a name `USER` says who.
    NotLookedUp(Option<String>),
    /// Several, each to be served by a process of its own.
    Several(Several),
}

/// Where the names of several users come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Several {
    /// From the user database, as far as they fit a mask.
    Matching(String),
    /// From a file.
    File(PathBuf),
}

impl UserOptions {
    /// Who is meant, or why that is not clear.
    pub(crate) fn selection(&self) -> Result<Selection, UserError> {
        self.select().map_err(UserError::Usage)
    }

    fn select(&self) -> Result<Selection, &'static str> {
        if let Some(name) = &self.one_of_several {
            return Ok(Selection::One(name.clone()));
        }
        let given_mask = self.user.as_deref().filter(|user| mask::is_mask(user));
        match (&self.user, self.all, &self.file) {
            (_, true, Some(_)) => Err("-A and -F exclude each other: either all users or those in a file"),
            (Some(_), _, Some(_)) => Err("-u and -F exclude each other: either one user or those in a file"),
            (Some(_), true, None) if given_mask.is_none() => {
                Err("-A and -u exclude each other: either all users or one")
            }
            (_, true, _) | (_, _, Some(_)) if self.no_lookup => {
                Err("without a lookup (--no-userdb-lookup) there can be only one user")
            }
            (None, false, Some(file)) => Ok(Selection::Several(Several::File(file.clone()))),
            (None, true, None) => Ok(Selection::Several(Several::Matching("*".to_owned()))),
            (user, _, None) if self.no_lookup => Ok(Selection::NotLookedUp(user.clone())),
            (Some(user), _, None) if given_mask.is_some() => Ok(Selection::Several(Several::Matching(user.clone()))),
            (Some(user), _, None) => Ok(Selection::One(user.clone())),
            (None, false, None) => Ok(Selection::Current),
        }
    }

    /// Whether several users are meant.
    pub(crate) fn are_several(&self) -> bool {
        matches!(self.select(), Ok(Selection::Several(_)))
    }

    /// Whether another process that serves several users started this one; that process has said what concerns them all.
    pub(crate) fn is_one_of_several(&self) -> bool {
        self.one_of_several.is_some()
    }

    /// How many users to serve at the same time.
    pub(crate) fn jobs(&self) -> NonZeroUsize {
        self.jobs.unwrap_or(NonZeroUsize::MIN)
    }
}

fn parse_jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= MOST_JOBS);
    jobs.ok_or_else(|| format!("write a number from 1 to {MOST_JOBS}"))
}

/// The option that tells a process for which of several users it was started. It goes before all others.
pub(crate) fn one_of_several(name: &str) -> String {
    format!("--one-of-several={name}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(args_override_self = true)]
    struct Line {
        #[command(flatten)]
        options: UserOptions,
    }

    fn selection(words: &str) -> Result<Selection, String> {
        let words = ["dsync"].into_iter().chain(words.split(' ').filter(|word| !word.is_empty()));
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.options.select().map_err(str::to_owned)
    }

    fn matching(mask: &str) -> Result<Selection, String> {
        Ok(Selection::Several(Several::Matching(mask.to_owned())))
    }

    fn one(name: &str) -> Result<Selection, String> {
        Ok(Selection::One(name.to_owned()))
    }

    #[test]
    fn users_are_named_in_several_ways() {
        assert_eq!(selection(""), Ok(Selection::Current));
        assert_eq!(selection("-ujoe"), one("joe"));
        assert_eq!(selection("-u a -u b"), one("b"));
        assert_eq!(selection("-u a*@x"), matching("a*@x"));
        assert_eq!(selection("-A"), matching("*"));
        assert_eq!(selection("-A -u ?"), matching("?"));
        assert_eq!(selection("-F -"), Ok(Selection::Several(Several::File("-".into()))));
        assert_eq!(selection("--no-userdb-lookup -u a*"), Ok(Selection::NotLookedUp(Some("a*".to_owned()))));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for words in ["-A -F x", "-A -u joe", "-F x -u joe", "-F x -u a*", "-A --no-userdb-lookup"] {
            assert!(selection(words).is_err(), "{words}");
        }
        assert!(Line::try_parse_from(["dsync", "-u", ""]).is_err());
        for jobs in ["0", "-1", "x", "1025", ""] {
            assert!(Line::try_parse_from(["dsync", "-j", jobs]).is_err(), "{jobs}");
        }
    }

    #[test]
    fn a_process_serves_the_one_for_whom_it_was_started() {
        let option = one_of_several("-odd *");
        for words in [vec!["-A"], vec!["-F", "-"], vec!["-u", "*"], vec![]] {
            let line = Line::try_parse_from(["dsync", &option].into_iter().chain(words)).unwrap();
            assert_eq!(line.options.select(), Ok(Selection::One("-odd *".to_owned())));
        }
    }

    #[test]
    fn users_are_served_one_after_the_other_unless_asked_for_otherwise() {
        let jobs = |words: &[&str]| Line::try_parse_from(words).unwrap().options.jobs().get();
        assert_eq!(jobs(&["dsync"]), 1);
        assert_eq!(jobs(&["dsync", "-j4"]), 4);
    }
}
