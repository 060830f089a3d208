//! Which scenarios there are, and which are not played, or not as they should be.

const NO_STATE: &str = "a run cannot be given a state yet";

/// The files.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("backup.txt", include_str!("backup.txt")),
    ("clashing_trees.txt", include_str!("clashing_trees.txt")),
    ("directories.txt", include_str!("directories.txt")),
    ("filters.txt", include_str!("filters.txt")),
    ("messages.txt", include_str!("messages.txt")),
    ("one_way.txt", include_str!("one_way.txt")),
    ("selection.txt", include_str!("selection.txt")),
    ("state.txt", include_str!("state.txt")),
    ("subscriptions.txt", include_str!("subscriptions.txt")),
    ("tree.txt", include_str!("tree.txt")),
];

/// What cannot be played yet.
pub(crate) const NOT_YET: &[(&str, &str)] = &[
    ("dir-to-maildir", "the store in memory holds directories"),
    ("st-a", NO_STATE),
    ("st-b", NO_STATE),
    ("st-deletedbox", NO_STATE),
    ("st-guidmismatch", NO_STATE),
    ("st-invalid", NO_STATE),
    ("st-lostlog", NO_STATE),
    ("st-lostlog-b", NO_STATE),
    ("st-newbox", NO_STATE),
    ("st-stale-log", NO_STATE),
    ("st-uidvalidity", NO_STATE),
];

/// What should end otherwise than it does.
pub(crate) const KNOWN_DIFFERENCES: &[(&str, &str)] =
    &[("tree-u23-fs", "p2 does not give way here; why it does at Dovecot 2.3 is not understood")];
