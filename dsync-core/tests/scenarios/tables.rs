//! Which scenarios there are, and which do not end as they should.

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

/// What should end otherwise than it does.
pub(crate) const KNOWN_DIFFERENCES: &[(&str, &str)] =
    &[("tree-u23-fs", "p2 does not give way here; why it does at Dovecot 2.3 is not understood")];
