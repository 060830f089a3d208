//! What the words for a second location mean for one user, and that they do not mean the same for all.

use crate::arguments::Run;
use crate::configuration::{Configuration, UserConfiguration};
use crate::exit::Failure;
use crate::transport::{Destination, Host, OtherSide, RemoteUser, is_harmless, template_names_user};

/// The setting that names the other store of a user.
const REPLICA: [&str; 2] = ["mail_replica", "plugin/mail_replica"];
/// The name of LOCATION2 in messages about it.
const LOCATION2: &str = "LOCATION2";

/// Where the second store of a run is.
pub(crate) fn other_side(user: &UserConfiguration, run: &Run) -> Result<OtherSide, Failure> {
    if !run.options.running.default_destination {
        return understood(user, run, &run.location);
    }
    let settings = user.settings();
    let mut replica = None;
    for name in REPLICA {
        replica = replica.or(settings.get(name)?);
    }
    let replica = replica.ok_or_else(|| {
        Failure::NotFound("-d: the setting mail_replica of this user is empty; set it, or give LOCATION2".to_owned())
    })?;
    OtherSide::of(&[replica])
}

/// What words of the command line mean, with their variables replaced if that is wanted.
pub(crate) fn understood(user: &UserConfiguration, run: &Run, words: &[String]) -> Result<OtherSide, Failure> {
    let side = OtherSide::of(words)?;
    if run.options.running.expand_location { expanded(side, user) } else { Ok(side) }
}

fn expanded(side: OtherSide, user: &UserConfiguration) -> Result<OtherSide, Failure> {
    let settings = user.settings();
    let expand = |word: &String| settings.expand_text(LOCATION2, word);
    Ok(match side {
        OtherSide::Local(word) => OtherSide::Local(settings.expand_location(LOCATION2, &word)?),
        OtherSide::Remote(Destination::Command(words)) => {
            let home = user.home().map(|home| home.to_string_lossy());
            let values = [Some(user.user().name.as_str()), home.as_deref()];
            let is_template = words.iter().any(|word| word.contains('%'));
            if let Some(value) = values.into_iter().flatten().find(|value| is_template && !is_harmless(value)) {
                return Err(Failure::Usage(format!(
                    "--expand-location: {value:?} cannot be put into a command: there is something in it that may be an option, or \
                     mean something to a shell; run dsync for this user with a command line of their own"
                )));
            }
            OtherSide::Remote(Destination::Command(words.iter().map(expand).collect::<Result<_, _>>()?))
        }
        // The user is told to it, and nothing else depends on the user.
        service @ OtherSide::Remote(Destination::Service(_)) => service,
        OtherSide::Remote(Destination::Host(mut host)) => {
            host.host = expand(&host.host)?;
            host.login = host.login.as_ref().map(expand).transpose()?;
            if let RemoteUser::Named(name) = &host.user {
                host.user = RemoteUser::Named(expand(name)?);
            }
            OtherSide::Remote(Destination::Host(host))
        }
    })
}

/// Refuses a second location that would be the same for many users: the mail of one would replace that of the others, or be
/// mixed with it.
pub(crate) fn refuse_one_for_all(run: &Run, configuration: &Configuration) -> Result<(), Failure> {
    if run.options.running.default_destination {
        return Ok(());
    }
    let has_variable = |word: &str| run.options.running.expand_location && word.contains('%');
    let advice = match OtherSide::of(&run.location)? {
        OtherSide::Local(word) => return refuse_one_word_for_all(run, &word),
        OtherSide::Remote(Destination::Service(_)) => return Ok(()),
        OtherSide::Remote(Destination::Command(words)) => match words.iter().any(|word| has_variable(word)) {
            true => return Ok(()),
            false => "let --expand-location replace a variable in it: ssh HOST doveadm dsync-server -u %u".to_owned(),
        },
        OtherSide::Remote(Destination::Host(Host { user: RemoteUser::Named(name), host, .. })) => {
            match has_variable(&name) {
                true => return Ok(()),
                false => format!("write only {host}, and each is the same user there as here"),
            }
        }
        OtherSide::Remote(Destination::Host(host)) => {
            match host.announces_user || template_names_user(configuration.settings()) {
                true => return Ok(()),
                false => "put %{user} into the setting dsync_remote_cmd".to_owned(),
            }
        }
    };
    Err(Failure::Usage(format!("{} would be the same for all users; {advice}", run.location.join(" "))))
}

/// The same for locations that are looked at.
pub(crate) fn refuse_words_for_all(run: &Run) -> Result<(), Failure> {
    run.location.iter().try_for_each(|word| refuse_one_word_for_all(run, word))
}

fn refuse_one_word_for_all(run: &Run, word: &str) -> Result<(), Failure> {
    let Some((driver, path)) = word.split_once(':') else { return Ok(()) };
    let has_variable = run.options.running.expand_location && path.contains('%');
    if path == "~" || path.starts_with("~/") || has_variable {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{word} would be the same for all users; write {driver}:~/..., which is in the home directory of each, or let \
         --expand-location replace a variable: {driver}:/backup/%u"
    )))
}
