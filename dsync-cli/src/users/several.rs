//! Several users: who they are, a process for each, and what is said about it at the end.

use super::UserOptions;
use super::children;
use super::error::UserError;
use super::lookup::Lookup;
use super::names_file;
use super::options::Several;
use crate::configuration::Configuration;
use crate::messages;
use crate::progress::Verbosity;

/// So many users are through when those who wait for news get some.
const NEWS_EVERY: usize = 100;

/// Serves several users and returns the exit status that tells how it went.
///
/// # Errors
/// If it is not clear who they are; nobody was served then.
pub(crate) fn serve(
    several: &Several,
    options: &UserOptions,
    configuration: &Configuration,
    verbosity: Verbosity,
) -> Result<u8, UserError> {
    let lookup = Lookup::new(configuration);
    let (names, may_be_unknown) = match several {
        Several::Matching(mask) => (lookup.names(mask)?, true),
        Several::File(path) => {
            let names = names_file::read(path).map_err(|error| UserError::Names { path: path.clone(), error })?;
            (lookup.once(names.into_iter()), false)
        }
    };
    let all = names.len();
    let is_verbose = verbosity >= Verbosity::Verbose;
    let outcome = children::serve_all(names, options.jobs(), may_be_unknown, |outcome| {
        if is_verbose && outcome.count() % NEWS_EVERY == 0 {
            messages::say(format_args!("{} of {all} users are through", outcome.count()));
        }
    });
    let outcome = outcome.map_err(UserError::Waiting)?;
    if let Some(text) = outcome.different() {
        messages::warning(text);
    }
    if let Some(text) = outcome.incomplete() {
        messages::warning(text);
    }
    if let Some(text) = outcome.failures() {
        messages::error(text);
    }
    if let Some((signal, not_begun)) = outcome.stopped {
        messages::error(format_args!("stopped by {signal}; {not_begun} of {all} users were not begun"));
    }
    if is_verbose {
        messages::say(outcome.summary());
    }
    Ok(outcome.exit_status())
}
