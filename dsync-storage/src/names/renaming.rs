//! Which steps in the store make up one renaming of original names.
//!
//! Usually it is one: what is below moves along. But some of it may lie elsewhere in the store (`Work_Reports` of an mbox),
//! something else may lie below in the store (where two original levels share a stored one), and what could not be
//! held before may be held afterwards, or the other way round. First every name is decided, then the steps are those that
//! lead there, found by trying them out on a list of what is where.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeMap;

use dsync_core::model::{MailboxName, MailboxNode, MailboxTree, NodeKind};

use super::NameRules;
use super::entries::Entry;
use super::place::{Ground, Mapping, Purpose, below};
use super::view::View;

/// How a renaming is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renaming {
    /// What is moved, with the names that it will have. To be remembered before.
    pub(super) moved: Vec<Entry>,
    /// The renamings in the store, in this order.
    pub(super) steps: Vec<(MailboxName, MailboxName)>,
}

/// A mailbox or level that gets another name.
struct Moved<'a> {
    stored: &'a MailboxName,
    original: MailboxName,
    node: &'a MailboxNode,
}

/// How to rename `from` to `to`, both original names. `None` if a name would get too many levels. What is not there needs
/// no steps.
pub(super) fn plan(
    mapping: &Mapping,
    view: &View,
    expected: &BTreeMap<MailboxName, bool>,
    from: &MailboxName,
    to: &MailboxName,
) -> Option<Renaming> {
    let mut moved = Vec::new();
    for (stored, node) in view.stored.iter().filter(|(_, node)| node.kind != NodeKind::Absent) {
        let owner = view.owners.get(stored).filter(|owner| *owner == from || owner.is_below(from));
        if let Some(owner) = owner {
            moved.push(Moved { stored, original: owner.moved(from, to)?, node });
        }
    }
    // Parents before children, in the names that they will have.
    moved.sort_by(|left, right| left.original.cmp(&right.original));
    let mut site = Site::without(view, &moved);
    let root = stored_root(view, &moved, from);
    let target = site.place(mapping, expected, to, None);
    let relative = |stored: &MailboxName| root.as_ref().and_then(|root| stored.moved(root, &target));
    let decided = decide(mapping, &mut site, expected, &moved, &relative);
    let steps = find_steps(&mapping.rules, view, root.as_ref().map(|root| (root, &target)), &decided);
    // A mailbox that nobody knows by a GUID cannot be remembered.
    let known =
        moved.iter().zip(&decided).filter(|(moved, _)| !moved.node.is_mailbox() || moved.node.guid().is_some());
    let entries = known.map(|(moved, (_, place))| Entry {
        guid: moved.node.guid(),
        stored: place.clone(),
        original: moved.original.clone(),
    });
    Some(Renaming { moved: entries.collect(), steps })
}

/// The stored name whose renaming takes along what is below the original one.
fn stored_root(view: &View, moved: &[Moved<'_>], from: &MailboxName) -> Option<MailboxName> {
    if let Some(place) = view.place_of(from).or_else(|| view.level_of(from)) {
        return Some(place.clone());
    }
    // A level that is nothing by itself.
    let depth = from.parts().len();
    let above = |stored: &MailboxName| stored.parts().get(..depth).map(<[String]>::to_vec);
    let mut roots = moved.iter().map(|moved| above(moved.stored).filter(|_| moved.stored.parts().len() > depth));
    let first = roots.next()??;
    if roots.all(|root| root.as_ref() == Some(&first)) { MailboxName::new(first) } else { None }
}

/// What will be where, as far as it is decided.
struct Site {
    stored: MailboxTree,
    owners: BTreeMap<MailboxName, MailboxName>,
}

impl Site {
    fn without(view: &View, moved: &[Moved<'_>]) -> Self {
        let mut site = Self { stored: view.stored.clone(), owners: view.owners.clone() };
        for moved in moved {
            site.stored.remove(moved.stored);
            site.owners.remove(moved.stored);
        }
        // Levels that were there for them only move along.
        let empty = |(name, node): &(&MailboxName, &MailboxNode)| {
            node.kind == NodeKind::Directory
                && !site.owners.contains_key(*name)
                && !below(&site.owners, name).any(|(name, _)| site.is_there(name))
        };
        let empty: Vec<_> = site.stored.iter().filter(empty).map(|(name, _)| name.clone()).collect();
        for name in empty {
            site.stored.remove(&name);
        }
        site
    }

    fn is_there(&self, stored: &MailboxName) -> bool {
        self.stored.get(stored).is_some_and(|node| node.kind != NodeKind::Absent)
    }

    fn place(
        &self,
        mapping: &Mapping,
        expected: &BTreeMap<MailboxName, bool>,
        original: &MailboxName,
        former: Option<&MailboxName>,
    ) -> MailboxName {
        let ground = Ground { stored: &self.stored, owners: &self.owners, expected };
        mapping.place(&ground, original, Purpose::Renaming, former)
    }

    fn take(&mut self, place: &MailboxName, moved: &Moved<'_>) {
        self.stored.insert(place.clone(), moved.node.clone());
        self.owners.insert(place.clone(), moved.original.clone());
    }
}

/// Where each has to go, with the stored name that it has now.
fn decide<'a>(
    mapping: &Mapping,
    site: &mut Site,
    expected: &BTreeMap<MailboxName, bool>,
    moved: &'a [Moved<'a>],
    relative: &dyn Fn(&MailboxName) -> Option<MailboxName>,
) -> Vec<(&'a MailboxName, MailboxName)> {
    let spoken_for: BTreeMap<_, _> =
        moved.iter().filter_map(|moved| Some((relative(moved.stored)?, moved.stored))).collect();
    let mut places: BTreeMap<&MailboxName, MailboxName> = BTreeMap::new();
    // Who can have its own name gets it, unless another will just arrive there.
    for moved in moved {
        let is_free = spoken_for.get(&moved.original).is_none_or(|other| *other == moved.stored);
        if is_free && site.place(mapping, expected, &moved.original, None) == moved.original {
            site.take(&moved.original, moved);
            places.insert(moved.stored, moved.original.clone());
        }
    }
    for moved in moved {
        if !places.contains_key(moved.stored) {
            let place = site.place(mapping, expected, &moved.original, relative(moved.stored).as_ref());
            site.take(&place, moved);
            places.insert(moved.stored, place);
        }
    }
    moved.iter().filter_map(|moved| Some((moved.stored, places.remove(moved.stored)?))).collect()
}

/// Something in the store while steps are tried out.
struct Piece {
    now: MailboxName,
    /// `None` for a level that only follows what is below it.
    wanted: Option<MailboxName>,
    /// It had to make room.
    was_aside: bool,
}

struct Trial<'a> {
    rules: &'a NameRules,
    pieces: Vec<Piece>,
    steps: Vec<(MailboxName, MailboxName)>,
}

fn find_steps(
    rules: &NameRules,
    view: &View,
    main: Option<(&MailboxName, &MailboxName)>,
    decided: &[(&MailboxName, MailboxName)],
) -> Vec<(MailboxName, MailboxName)> {
    let decided: BTreeMap<_, _> = decided.iter().map(|(stored, place)| (*stored, place)).collect();
    let there = view.stored.iter().filter(|(_, node)| node.kind != NodeKind::Absent);
    let pieces = there.map(|(stored, _)| {
        let stays = || view.owners.contains_key(stored).then_some(stored);
        let wanted = decided.get(stored).copied().or_else(stays).cloned();
        Piece { now: stored.clone(), wanted, was_aside: false }
    });
    let mut trial = Trial { rules, pieces: pieces.collect(), steps: Vec::new() };
    if let Some((from, to)) = main
        && from != to
        && trial.is_taken(from)
        && trial.is_possible(from, to)
    {
        trial.step(from.clone(), to.clone());
    }
    // Each piece moves once to where it belongs, and at most once out of the way of others.
    for _ in 0..trial.pieces.len().saturating_mul(3) {
        if !trial.advance() {
            break;
        }
    }
    trial.steps
}

impl Trial<'_> {
    /// Whether anything is at this name or below it.
    fn is_taken(&self, name: &MailboxName) -> bool {
        self.pieces.iter().any(|piece| piece.now == *name || piece.now.is_below(name))
    }

    /// Whether the store can do this, with all that moves along.
    fn is_possible(&self, from: &MailboxName, to: &MailboxName) -> bool {
        let holds = |piece: &Piece| {
            let matters = piece.wanted.is_some() && (piece.now == *from || piece.now.is_below(from));
            !matters || piece.now.moved(from, to).is_some_and(|moved| self.rules.holds(&moved))
        };
        !to.is_below(from) && !self.is_taken(to) && self.pieces.iter().all(holds)
    }

    fn step(&mut self, from: MailboxName, to: MailboxName) {
        for piece in &mut self.pieces {
            if let Some(now) = piece.now.moved(&from, &to) {
                piece.now = now;
            }
        }
        self.steps.push((from, to));
    }

    /// Moves one piece. Whether one could be.
    fn advance(&mut self) -> bool {
        let mut astray: Vec<_> = self
            .pieces
            .iter()
            .filter_map(|piece| piece.wanted.as_ref().map(|wanted| (piece.was_aside, wanted, &piece.now)))
            .filter(|(_, wanted, now)| wanted != now)
            .collect();
        // What made room would be in the way again, so it comes last.
        astray.sort();
        // Parents first: a place is taken if something is below it.
        let waits = |wanted: &MailboxName| astray.iter().any(|(_, above, _)| wanted.is_below(above));
        let next = astray.iter().find(|(_, wanted, now)| !waits(wanted) && self.is_possible(now, wanted));
        if let Some((_, wanted, now)) = next {
            let (now, wanted) = ((*now).clone(), (*wanted).clone());
            self.step(now, wanted);
            return true;
        }
        let mut names = (1u32..).filter_map(|number| MailboxName::new([format!("dsync-temp-{number}")]));
        let Some(aside) = names.find(|name| !self.is_taken(name)) else { return false };
        // Children first: what is below moves along, and that may be what cannot be done.
        let moves_along =
            |piece: &&Piece| astray.iter().any(|(_, _, now)| piece.now == **now || piece.now.is_below(now));
        let known = self.pieces.iter().filter(|piece| piece.wanted.is_some() && !piece.was_aside);
        let in_the_way = known.filter(moves_along).filter(|piece| self.is_possible(&piece.now, &aside));
        let Some(now) = in_the_way.map(|piece| piece.now.clone()).max() else { return false };
        for piece in self.pieces.iter_mut().filter(|piece| piece.now == now) {
            piece.was_aside = true;
        }
        self.step(now, aside);
        true
    }
}

#[cfg(test)]
mod tests {
    use dsync_core::model::MailboxGuid;

    use super::*;
    use crate::list::layout::{Layout, Naming};
    use crate::names::AlternativeCharacter;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    /// Mailboxes by stored and original name, levels without a second one.
    fn view(nodes: &[(&str, &str)]) -> View {
        let guid = |index: usize| MailboxGuid::new([u8::try_from(index).unwrap() + 1; 16]);
        let mut stored = MailboxTree::new();
        let mut entries = Vec::new();
        for (index, (place, original)) in nodes.iter().enumerate() {
            let kind = match *original {
                "" => NodeKind::Directory,
                _ => NodeKind::Mailbox { guid: guid(index), uid_validity: None },
            };
            stored.insert(name(place), MailboxNode { kind, subscribed: false });
            if !original.is_empty() {
                entries.push(Entry { guid: guid(index), stored: name(place), original: name(original) });
            }
        }
        View::new(stored, &entries, true, AlternativeCharacter::default())
    }

    #[track_caller]
    fn assert_steps(rules: NameRules, nodes: &[(&str, &str)], from: &str, to: &str, expected: &[(&str, &str)]) {
        let mapping = Mapping { rules, alternative: AlternativeCharacter::default() };
        let renaming = plan(&mapping, &view(nodes), &BTreeMap::new(), &name(from), &name(to)).unwrap();
        let steps: Vec<_> = renaming.steps.iter().map(|(from, to)| (from.join('/'), to.join('/'))).collect();
        let steps: Vec<_> = steps.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(steps, expected);
    }

    fn plus() -> NameRules {
        NameRules::of(Naming { layout: Layout::MaildirPlusPlus, utf8: false }, "subscriptions")
    }

    fn mbox() -> NameRules {
        NameRules::of(Naming { layout: Layout::Mbox, utf8: false }, ".subscriptions")
    }

    #[test]
    fn what_lies_as_usual_moves_in_one_step() {
        assert_steps(plus(), &[("a", "a"), ("a/b", "a/b"), ("c", "c")], "a", "x", &[("a", "x")]);
        assert_steps(plus(), &[("a/b", "a/b"), ("a/c", "a/c")], "a", "x", &[("a", "x")]);
        assert_steps(plus(), &[("a_b", "a.b"), ("a_b/c_d", "a.b/c.d")], "a.b", "x.y", &[("a_b", "x_y")]);
        assert_steps(plus(), &[("a_b", "a.b"), ("c", "c")], "a.b", "a_b", &[]);
        assert_steps(mbox(), &[("A", ""), ("A/b", "A/b")], "A", "B", &[("A", "B")]);
    }

    #[test]
    fn what_lies_elsewhere_follows() {
        assert_steps(
            mbox(),
            &[("Work", "Work"), ("Work_Reports", "Work/Reports")],
            "Work",
            "Job",
            &[("Work", "Job"), ("Work_Reports", "Job_Reports")],
        );
        assert_steps(mbox(), &[("A", ""), ("A/b", "A/b"), ("A_", "A")], "A", "B", &[("A_", "B"), ("A/b", "B_b")]);
    }

    #[test]
    fn what_would_get_too_long_is_moved_by_itself() {
        let (long, below) = ("x".repeat(120), "y".repeat(120));
        let (from, child) = ("a".to_owned(), format!("a/{below}"));
        let to = format!("{long}/z{}", "z".repeat(20));
        let nodes = [(from.as_str(), from.as_str()), (&child, &child)];
        let mapping = Mapping { rules: plus(), alternative: AlternativeCharacter::default() };
        let renaming = plan(&mapping, &view(&nodes), &BTreeMap::new(), &name("a"), &name(&to)).unwrap();
        assert_eq!(renaming.steps.len(), 3, "{:?}", renaming.steps);
        assert!(renaming.steps.iter().all(|(from, to)| plus().holds(from) && plus().holds(to)));
    }

    #[test]
    fn what_cannot_move_along_goes_aside_meanwhile() {
        let long = format!("_/{}", ["b"; 125].join("/"));
        let to = "x".repeat(100);
        assert_steps(
            plus(),
            &[("_", "_"), (&long, "other")],
            "_",
            &to,
            &[(&long, "dsync-temp-1"), ("_", &to), ("dsync-temp-1", &long)],
        );
    }

    #[test]
    fn what_only_lies_there_stays() {
        let nodes = [("x_y", "x.y"), ("x_y/z", "x_y/z"), ("x_y/z_", "x.y/z")];
        assert_steps(plus(), &nodes, "x.y", "q", &[("x_y", "q"), ("q/z", "x_y/z"), ("q/z_", "q/z")]);
    }
}
