//! Which of two names a mailbox gets, and which of two mailboxes gets a name.
//!
//! The trees are walked side by side. Where they have different mailboxes under one name, the one that was renamed
//! later wins that name: the other side's copy of it is moved there, and what was there gets a temporary name. After each
//! move the walk begins again. What ends with a temporary name gets a final one, made from its GUID.

use std::cmp::Ordering;

use md5::{Digest, Md5};

use super::forest::{Existence, Node};
use super::{Forest, NodeId, TreeConflict};
use crate::model::Role;

/// How long a run takes at most, in seconds, from its look at both trees to the renaming that follows from it.
const LONGEST_DELAY: i64 = 60;
/// The longest part of a name that is kept in a temporary one, in bytes.
const KEPT_IN_TEMPORARY: usize = 86;
/// The longest part of a name that is kept in a final one, in bytes.
const KEPT_IN_FINAL: usize = 67;

pub(super) fn merge(forests: &mut [Forest; 2]) -> Result<(), TreeConflict> {
    // Enough for every sensible tree; more only goes round in circles.
    let limit = forests.iter().map(|forest| forest.paths().len()).sum::<usize>().saturating_mul(3).saturating_add(1);
    for _ in 0..limit {
        forests.iter_mut().for_each(Forest::spread_rename_times);
        let mut passes = 0usize;
        while (Walk { forests }).visit(Forest::ROOT, Forest::ROOT) {
            passes = passes.saturating_add(1);
            if passes > limit {
                return Err(TreeConflict::Renames);
            }
        }
        let finals = forests.iter_mut().map(|forest| give_final_names(forest, Forest::ROOT)).collect::<Vec<_>>();
        if !finals.contains(&true) {
            return Ok(());
        }
    }
    Err(TreeConflict::Renames)
}

/// The four nodes that want one name: of each side the one that has it, and its twin on the other side.
#[derive(Clone, Copy)]
struct Contest {
    /// By side: who has the name there.
    holders: [NodeId; 2],
    /// By side: the node *of that side* that is the mailbox which has the name at the other side.
    rivals: [Option<NodeId>; 2],
}

struct Walk<'a> {
    forests: &'a mut [Forest; 2],
}

impl Walk<'_> {
    /// Whether something was moved; the walk ends with the first move.
    fn visit(&mut self, master: NodeId, slave: NodeId) -> bool {
        let names = |forest: &Forest, id| -> Vec<String> {
            forest.children(id).iter().map(|child| forest[*child].name.clone()).collect()
        };
        let mut all = names(&self.forests[0], master);
        all.extend(names(&self.forests[1], slave));
        all.sort_unstable();
        all.dedup();
        for name in all {
            let [first, second] = self.ensure_both([master, slave], &name);
            if self.compare(first, second) || self.visit(first, second) {
                return true;
            }
        }
        false
    }

    /// The children of that name. Where one tree lacks it, it gets an absent one, temporary if the other is.
    fn ensure_both(&mut self, parents: [NodeId; 2], name: &str) -> [NodeId; 2] {
        let known = [0, 1].map(|side: usize| self.forests[side].child(parents[side], name));
        let temporary = |side: usize| known[side].is_some_and(|node| self.forests[side][node].temporary);
        let other_is_temporary = [temporary(1), temporary(0)];
        [0, 1].map(|side: usize| {
            known[side].unwrap_or_else(|| {
                let node = self.forests[side].ensure_child(parents[side], name);
                self.forests[side][node].temporary = other_is_temporary[side];
                node
            })
        })
    }

    fn compare(&mut self, master: NodeId, slave: NodeId) -> bool {
        let guids = [self.forests[0][master].guid, self.forests[1][slave].guid];
        let rivals = match guids {
            [None, None] => {
                let rivals = [self.branch(Role::Slave, slave), self.branch(Role::Master, master)];
                match rivals {
                    [Some(first), Some(second)] if self.forests[0].path(first) != self.forests[1].path(second) => {
                        rivals
                    }
                    _ => return false,
                }
            }
            [first, second] if first == second => return false,
            [first, second] => {
                let rivals = [
                    second.and_then(|guid| self.forests[0].by_guid(guid)),
                    first.and_then(|guid| self.forests[1].by_guid(guid)),
                ];
                let present = |side: usize| {
                    rivals[side].is_some_and(|node| self.forests[side][node].existence == Existence::Present)
                };
                if !present(0) && !present(1) {
                    return false;
                }
                rivals
            }
        };
        self.contest(Contest { holders: [master, slave], rivals })
    }

    /// The node of the other side under which the first mailbox below `id` lies there.
    fn branch(&self, role: Role, id: NodeId) -> Option<NodeId> {
        let (own, other) = (&self.forests[role.index()], &self.forests[role.other().index()]);
        own.children(id).iter().find_map(|child| match own[*child].guid {
            Some(guid) => other[other.by_guid(guid)?].parent,
            None => self.branch(role, *child).and_then(|found| other[found].parent),
        })
    }

    fn contest(&mut self, contest: Contest) -> bool {
        let untouchable = |side: usize| {
            [Some(contest.holders[side]), contest.rivals[side]].into_iter().flatten().any(|node| {
                let forest = &self.forests[side];
                node == Forest::ROOT || (forest[node].parent == Some(Forest::ROOT) && forest[node].name == "INBOX")
            })
        };
        if untouchable(0) || untouchable(1) {
            return false;
        }
        let winner = if self.master_wins(contest) { Role::Master } else { Role::Slave };
        self.enforce(winner, contest)
    }

    fn master_wins(&self, contest: Contest) -> bool {
        let [masters, slaves] = [0, 1].map(|side: usize| {
            let forest = &self.forests[side];
            let nodes = [Some(contest.holders[side]), contest.rivals[side]].into_iter().flatten();
            let counted =
                nodes.filter(|node| forest[*node].existence == Existence::Present && !forest[*node].temporary);
            counted.map(|node| forest[node].renamed.saturating_add(1)).max().unwrap_or(0)
        });
        let went_on = Role::BOTH.map(|role| self.went_on(role, contest));
        match masters.cmp(&slaves) {
            // Times are those of this second, and those of a side that followed are when it did.
            Ordering::Greater if went_on == [false, true] && masters.saturating_sub(slaves) <= LONGEST_DELAY => false,
            Ordering::Less if went_on == [true, false] && slaves.saturating_sub(masters) <= LONGEST_DELAY => true,
            Ordering::Equal if went_on[0] != went_on[1] => went_on[0],
            Ordering::Equal => self.compare_lists(contest.holders) != Ordering::Greater,
            order => order == Ordering::Greater,
        }
    }

    fn went_on(&self, role: Role, contest: Contest) -> bool {
        let nodes = [Some(contest.holders[role.index()]), contest.rivals[role.index()]];
        let forest = &self.forests[role.index()];
        nodes.into_iter().flatten().any(|node| forest[node].guid.is_some_and(|guid| forest.was_renamed_on(guid)))
    }

    /// Some order between both sides that depends on nothing but the trees.
    fn compare_lists(&self, holders: [NodeId; 2]) -> Ordering {
        let lists = [0, 1].map(|side: usize| {
            let forest = &self.forests[side];
            let siblings = forest[holders[side]].parent.map_or(&[][..], |parent| forest.children(parent));
            let from = siblings.iter().position(|node| *node == holders[side]).unwrap_or(0);
            &siblings[from..]
        });
        let by_guid = |node: &Node| {
            let absent = node.existence != Existence::Present;
            (absent, node.guid.map_or([0; 16], |guid| *guid.as_bytes()), String::new())
        };
        let by_name = |node: &Node| (false, [0; 16], node.name.clone());
        self.compare_siblings(lists, &by_guid).then_with(|| self.compare_siblings(lists, &by_name))
    }

    fn compare_siblings(&self, lists: [&[NodeId]; 2], key: &impl Fn(&Node) -> (bool, [u8; 16], String)) -> Ordering {
        let [masters, slaves] = lists;
        for (master, slave) in masters.iter().zip(slaves) {
            let order = key(&self.forests[0][*master]).cmp(&key(&self.forests[1][*slave])).then_with(|| {
                self.compare_siblings([self.forests[0].children(*master), self.forests[1].children(*slave)], key)
            });
            if order != Ordering::Equal {
                return order;
            }
        }
        // A list that ends first comes last.
        slaves.len().cmp(&masters.len())
    }

    /// Gives the winner's side its way. Whether anything was moved.
    fn enforce(&mut self, winner: Role, contest: Contest) -> bool {
        let (win, lose) = (winner.index(), winner.other().index());
        let (holder, rival) = (contest.holders[win], contest.rivals[win]);
        let (losing_holder, losing_rival) = (contest.holders[lose], contest.rivals[lose]);
        if rival.is_none() || losing_rival.is_some_and(|node| node != losing_holder) {
            return match losing_rival {
                Some(moving) => {
                    self.take_name(lose, losing_holder, moving, win, holder);
                    true
                }
                None => false,
            };
        }
        if losing_rival == Some(losing_holder) {
            return false;
        }
        let rival = rival.unwrap_or(holder);
        let forest = &mut self.forests[win];
        if forest.is_within(holder, rival) {
            let parent = forest[rival].parent.unwrap_or(Forest::ROOT);
            make_temporary(forest, holder, parent);
            return true;
        }
        if forest.is_within(rival, holder) {
            let parent = forest[holder].parent.unwrap_or(Forest::ROOT);
            make_temporary(forest, rival, parent);
            return true;
        }
        if forest[holder].existence == Existence::Present {
            let forest = &mut self.forests[lose];
            let parent = forest[losing_holder].parent.unwrap_or(Forest::ROOT);
            make_temporary(forest, losing_holder, parent);
            return true;
        }
        false
    }

    /// In the tree of `side`, moves `aside` away and `moving` to the place that `model` has in the other tree.
    fn take_name(&mut self, side: usize, aside: NodeId, moving: NodeId, other: usize, model: NodeId) {
        let [parent_path, name] = {
            let forest = &self.forests[other];
            let parent = forest[model].parent.unwrap_or(Forest::ROOT);
            [forest.path(parent), vec![forest[model].name.clone()]]
        };
        let (renamed, temporary) = (self.forests[other][model].renamed, self.forests[other][model].temporary);
        let forest = &mut self.forests[side];
        let parent = forest.ensure(&parent_path);
        if forest.is_within(parent, moving) {
            make_temporary(forest, moving, Forest::ROOT);
            return;
        }
        let beside = forest[aside].parent.unwrap_or(Forest::ROOT);
        make_temporary(forest, aside, beside);
        forest.relocate(moving, parent, name.concat());
        forest[moving].renamed = renamed;
        forest[moving].temporary = temporary;
    }
}

/// Gives the node a name that nothing else has.
fn make_temporary(forest: &mut Forest, id: NodeId, parent: NodeId) {
    let node = &forest[id];
    let stem = match node.name.rfind('-') {
        Some(end) if node.temporary => node.name[..end].to_owned(),
        _ => node.name.clone(),
    };
    let stem = cut(&stem, KEPT_IN_TEMPORARY).to_owned();
    let name = (1u64..)
        .map(|number| format!("{stem}-temp-{number:x}"))
        .find(|name| forest.child(parent, name).is_none())
        .unwrap_or_default();
    forest.relocate(id, parent, name);
    forest[id].renamed = 0;
    forest[id].temporary = true;
}

/// Bottom-up. Whether a name was given.
fn give_final_names(forest: &mut Forest, id: NodeId) -> bool {
    let mut given = false;
    for child in forest.children(id).to_vec() {
        given |= give_final_names(forest, child);
        if !forest[child].temporary {
            continue;
        }
        let is_mailbox = |node: &Node| node.is_mailbox();
        if !is_mailbox(&forest[child]) && !forest.has_below(child, is_mailbox) {
            forest.forget(child);
            continue;
        }
        let name = final_name(forest, child);
        let parent = forest[child].parent.unwrap_or(Forest::ROOT);
        forest.relocate(child, parent, name);
        forest[child].temporary = false;
        given = true;
    }
    given
}

fn final_name(forest: &Forest, id: NodeId) -> String {
    let node = &forest[id];
    let stem = node.name.rfind('-').map_or(node.name.as_str(), |end| &node.name[..=end]);
    let mut identity = match node.guid {
        Some(guid) => *guid.as_bytes(),
        None => identity_of_directory(forest, id),
    };
    loop {
        let digits: String = identity.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{}{digits}", cut(stem, KEPT_IN_FINAL));
        let parent = node.parent.unwrap_or(Forest::ROOT);
        if forest.child(parent, &name).is_none_or(|other| other == id) {
            return name;
        }
        identity[15] = identity[15].wrapping_add(1);
    }
}

/// A directory has no GUID, so one is made from the first mailbox below it.
fn identity_of_directory(forest: &Forest, id: NodeId) -> [u8; 16] {
    fn first(forest: &Forest, id: NodeId) -> Option<NodeId> {
        forest.children(id).iter().find_map(|child| {
            if forest[*child].existence == Existence::Present { Some(*child) } else { first(forest, *child) }
        })
    }
    let mut hash = Md5::new();
    if let Some(node) = first(forest, id).map(|id| &forest[id]) {
        hash.update(node.guid.map_or([0; 16], |guid| *guid.as_bytes()));
        hash.update(node.name.as_bytes());
    }
    hash.finalize().into()
}

/// At most `length` bytes, whole characters.
fn cut(text: &str, length: usize) -> &str {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    &text[..end]
}
