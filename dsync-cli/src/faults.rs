//! Faults that tests want: `DSYNC_FAULT=panic-after NUMBER` and `DSYNC_FAULT=disturb COMMAND`.
//!
//! Only with the feature `fault-injection`, which no program that is used should have.

use dsync_storage::fs::fault::{Plan, Session};

/// What the environment asks for, as long as it is kept.
pub(crate) fn begin() -> Option<Session> {
    let fault = std::env::var("DSYNC_FAULT").ok()?;
    let plan = match fault.split_once(' ')? {
        ("panic-after", number) => Plan::PanicAfter(number.parse().ok()?),
        // It is needed until the process ends.
        ("disturb", command) => Plan::Disturb(Box::leak(command.to_owned().into_boxed_str())),
        _ => return None,
    };
    Some(Session::begin(plan))
}
