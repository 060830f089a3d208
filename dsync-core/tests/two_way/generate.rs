//! Random histories. Choices are numbers that are taken modulo what there is to choose from, so that shrinking keeps
//! histories meaningful.

use dsync_core::model::Flags;
use proptest::prelude::*;

/// The mailboxes that clients use.
pub(crate) const NAMES: [&str; 6] = ["INBOX", "a", "b", "a/b", "a/b/c", "d"];
/// The keywords that clients use.
pub(crate) const KEYWORDS: [&str; 3] = ["red", "Green", "$Label1"];

/// What one client does to one mailbox, or to the tree.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Deliver {
        mailbox: usize,
    },
    Flags {
        mailbox: usize,
        message: usize,
        added: Flags,
        removed: Flags,
    },
    Replace {
        mailbox: usize,
        message: usize,
        flags: Flags,
        keyword: Option<usize>,
    },
    Keyword {
        mailbox: usize,
        message: usize,
        keyword: usize,
        set: bool,
    },
    Expunge {
        mailbox: usize,
        message: usize,
    },
    Copy {
        mailbox: usize,
        message: usize,
        to: usize,
    },
    Move {
        mailbox: usize,
        message: usize,
        to: usize,
    },
    Create {
        name: usize,
    },
    Delete {
        name: usize,
    },
    Rename {
        from: usize,
        to: usize,
    },
    Subscribe {
        name: usize,
        subscribed: bool,
    },
    MakeDirectory {
        name: usize,
    },
    RemoveDirectory {
        name: usize,
    },
    /// The log of a mailbox is rotated away.
    Rotate {
        mailbox: usize,
    },
    /// The index of a mailbox is lost.
    LoseIndex {
        mailbox: usize,
    },
    /// What happened to the tree is forgotten.
    LoseTreeHistory,
}

/// One step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A client works at the first or second store; `same_second` as the step before.
    Client { second: bool, same_second: bool, work: Work },
    /// A two-way run, begun by one side, cut off after so many messages.
    Run { begun_by_second: bool, full: bool, cut_off: Option<usize> },
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub steps: Vec<Step>,
}

fn flags() -> impl Strategy<Value = Flags> {
    (0u8..32).prop_map(Flags::from_bits)
}

fn work() -> impl Strategy<Value = Work> {
    let mailbox = || 0usize..NAMES.len();
    let message = || 0usize..8;
    let keyword = || 0usize..KEYWORDS.len();
    prop_oneof![
        12 => mailbox().prop_map(|mailbox| Work::Deliver { mailbox }),
        8 => (mailbox(), message(), flags(), flags()).prop_map(|(mailbox, message, added, removed)| {
            Work::Flags { mailbox, message, added: added.without(removed), removed }
        }),
        2 => (mailbox(), message(), flags(), prop::option::of(keyword()))
            .prop_map(|(mailbox, message, flags, keyword)| Work::Replace { mailbox, message, flags, keyword }),
        4 => (mailbox(), message(), keyword(), any::<bool>())
            .prop_map(|(mailbox, message, keyword, set)| Work::Keyword { mailbox, message, keyword, set }),
        6 => (mailbox(), message()).prop_map(|(mailbox, message)| Work::Expunge { mailbox, message }),
        3 => (mailbox(), message(), mailbox()).prop_map(|(mailbox, message, to)| Work::Copy { mailbox, message, to }),
        3 => (mailbox(), message(), mailbox()).prop_map(|(mailbox, message, to)| Work::Move { mailbox, message, to }),
        4 => mailbox().prop_map(|name| Work::Create { name }),
        2 => mailbox().prop_map(|name| Work::Delete { name }),
        4 => (mailbox(), mailbox()).prop_map(|(from, to)| Work::Rename { from, to }),
        2 => (mailbox(), any::<bool>()).prop_map(|(name, subscribed)| Work::Subscribe { name, subscribed }),
        1 => mailbox().prop_map(|name| Work::MakeDirectory { name }),
        1 => mailbox().prop_map(|name| Work::RemoveDirectory { name }),
        1 => mailbox().prop_map(|mailbox| Work::Rotate { mailbox }),
        1 => mailbox().prop_map(|mailbox| Work::LoseIndex { mailbox }),
        1 => Just(Work::LoseTreeHistory),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), prop::bool::weighted(0.2), work())
            .prop_map(|(second, same_second, work)| Step::Client { second, same_second, work }),
        1 => (any::<bool>(), any::<bool>(), prop::option::weighted(0.4, 0usize..60))
            .prop_map(|(begun_by_second, full, cut_off)| Step::Run { begun_by_second, full, cut_off }),
    ]
}

pub(crate) fn histories() -> impl Strategy<Value = History> {
    prop::collection::vec(step(), 1..60).prop_map(|steps| History { steps })
}

/// One step of a history of three stores.
#[derive(Clone, Debug)]
pub(crate) enum ChainStep {
    Client {
        store: usize,
        work: Work,
    },
    /// The one in the middle is mirrored with the last or the first.
    Run {
        last: bool,
    },
}

pub(crate) fn chain_histories() -> impl Strategy<Value = Vec<ChainStep>> {
    let step = prop_oneof![
        6 => (0usize..3, work()).prop_map(|(store, work)| ChainStep::Client { store, work }),
        1 => any::<bool>().prop_map(|last| ChainStep::Run { last }),
    ];
    prop::collection::vec(step, 1..50)
}
