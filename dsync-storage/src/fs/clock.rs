//! The present time.

use std::time::{SystemTime, UNIX_EPOCH};

use dsync_core::model::Timestamp;

/// Now; 1970 if the clock is set before it.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
