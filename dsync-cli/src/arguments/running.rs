//! Options that say how a run is carried out.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dsync_core::state::SyncState;

use crate::remote::Keeping;

/// How a run is carried out.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How it is done")]
pub(crate) struct RunningOptions {
    /// Print the state of the synchronisation on stdout when it is done, in the form of "doveadm sync -s", and check the
    /// one that the last run printed ("" for the first). With another host only what happened since that run is listed; between
    /// two stores of one host what changed is found out from both, whatever it says
    #[arg(short = 's', long = "state", value_name = "STATE")]
    pub(crate) state: Option<String>,

    /// Take the lock of the user (.dovecot-sync.lock in the home directory) and wait for it so many seconds
    #[arg(short = 'l', long = "lock-timeout", value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) lock: Option<Duration>,

    /// How many seconds nothing may be heard of another host before the run ends; 0 is for ever
    #[arg(short = 'T', long = "timeout", value_name = "SECONDS", value_parser = parse_seconds, default_value = "600")]
    timeout: Duration,

    /// Append all that is said to another host, and by it, to this file; it contains mail
    #[arg(short = 'r', long = "rawlog", value_name = "FILE")]
    rawlog: Option<PathBuf>,

    /// Afterwards free the space of messages in LOCATION2 that were expunged from all mailboxes, if it is an mdbox
    #[arg(short = 'P', long = "purge-remote")]
    pub(crate) purge: bool,

    /// Override a setting for LOCATION2 alone, if it is on this machine; may be given several times
    #[arg(short = 'p', long = "second-setting", value_name = "SETTING=VALUE", value_parser = super::parse_setting)]
    pub(crate) second_settings: Vec<(String, String)>,

    /// Take LOCATION2 from the setting mail_replica of the user
    #[arg(short = 'd', long = "default-destination")]
    pub(crate) default_destination: bool,

    /// Say on stdout what would be done to both stores, and do nothing
    #[arg(long = "dry-run")]
    pub(crate) dry_run: bool,

    /// Say on stdout as a JSON object what a dry run, verify or list has to say
    #[arg(long = "json")]
    pub(crate) json: bool,

    /// Replace variables in LOCATION2 as in settings: %u or, as since Dovecot 2.4, %{user}
    #[arg(long = "expand-location")]
    pub(crate) expand_location: bool,

    /// Let a source that does not exist, or holds no mailbox, empty the destination
    #[arg(long = "allow-empty-source")]
    pub(crate) allow_empty_source: bool,

    #[command(flatten)]
    _ignored: IgnoredOptions,
}

/// For ever, as far as a run is concerned.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

impl RunningOptions {
    /// What is remembered of the last run; nothing if that cannot be understood.
    pub(crate) fn known_state(&self) -> SyncState {
        self.state.as_deref().and_then(|text| SyncState::parse(text).ok()).unwrap_or_default()
    }

    /// Whether a state was given that is none.
    pub(crate) fn has_broken_state(&self) -> bool {
        self.state.as_deref().is_some_and(|text| SyncState::parse(text).is_err())
    }

    /// How a conversation with another host is kept.
    pub(crate) fn keeping(&self) -> Keeping {
        let timeout = if self.timeout.is_zero() { FOR_EVER } else { self.timeout };
        Keeping { timeout, rawlog: self.rawlog.clone() }
    }
}

/// What scripts for Dovecot's program say, and means nothing here.
#[derive(Clone, Debug, Default, Args)]
struct IgnoredOptions {
    /// Tell the replicator when it is done
    #[arg(short = 'U', long = "replicator-notify", hide = true)]
    _replicator_notify: bool,

    /// How Dovecot's program marks that it was called as dsync
    #[arg(short = 'E', long = "legacy-dsync", hide = true)]
    _legacy: bool,

    /// The instance of the server
    #[arg(short = 'i', value_name = "INSTANCE", hide = true)]
    _instance: Option<String>,

    /// Keep the environment
    #[arg(short = 'k', hide = true)]
    _keep_environment: bool,

    /// Log without the help of the server
    #[arg(short = 'L', hide = true)]
    _log_directly: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    seconds
        .map(|seconds| Duration::from_secs(seconds).min(FOR_EVER))
        .ok_or_else(|| "write a number of seconds, 0 or more".to_owned())
}
