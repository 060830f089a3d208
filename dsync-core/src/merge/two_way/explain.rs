//! Why a merge decides as it does, in words for those who watch.
//!
//! Decisions are made by [`merge`](super::merge) alone. This looks at what came out, and says which rule it was.

use super::message::{Evidence, MarkDecision, Merger};
use super::{MergeSide, MergedMailbox, MergedMessage, believed_base};
use crate::model::{Role, SyncPoint, Uid};

/// What is decided about a mailbox and why, a sentence each: first what both sides have in common, then about each message with which
/// anything happens. `names` are what the sides are called, the master first.
#[must_use]
pub fn explain(
    sides: [&MergeSide<'_>; 2],
    names: [&str; 2],
    base: Option<&SyncPoint>,
    merged: &MergedMailbox,
) -> Vec<String> {
    let (base, _) = believed_base(sides, base);
    let explainer = Explainer { sides, names, base, merger: Merger::new(sides, base) };
    let mut told = vec![match base {
        Some(base) => {
            format!("both sides were equal at UIDNEXT {}, HIGHESTMODSEQ {}", base.uid_next, base.highest_modseq)
        }
        None => "no moment is remembered at which both sides were equal".to_owned(),
    }];
    let mut stays = sides.map(|side| vec![false; side.messages.len()]);
    for message in merged.messages.iter() {
        for (stays, place) in stays.iter_mut().zip(message.from) {
            if let Some(stays) = place.and_then(|place| stays.get_mut(place)) {
                *stays = true;
            }
        }
        explainer.message(&message, &mut told);
    }
    for role in Role::BOTH {
        let gone = stays[role.index()].iter().enumerate().filter(|(_, stays)| !**stays);
        told.extend(gone.filter_map(|(index, _)| explainer.removal(role, index)));
    }
    told
}

struct Explainer<'a> {
    sides: [&'a MergeSide<'a>; 2],
    names: [&'a str; 2],
    base: Option<&'a SyncPoint>,
    merger: Merger<'a>,
}

impl Explainer<'_> {
    fn name(&self, role: Role) -> &str {
        self.names[role.index()]
    }

    fn message(&self, message: &MergedMessage, told: &mut Vec<String>) {
        let Some(uid) = message.record.uid else { return };
        match message.from {
            [Some(master), Some(slave)] => {
                told.extend(Role::BOTH.into_iter().filter_map(|role| {
                    let own = self.uid(role, if role == Role::Master { master } else { slave });
                    let others = self.uid(role.other(), if role == Role::Master { slave } else { master });
                    self.renumbering(role, own, others, uid)
                }));
                let marks = self.merger.decisions([master, slave]);
                told.extend(marks.iter().map(|mark| format!("UID {uid}: {}", self.mark(mark))));
            }
            [Some(index), None] => told.extend(self.only(Role::Master, index, message.withheld.is_some(), uid)),
            [None, Some(index)] => told.extend(self.only(Role::Slave, index, message.withheld.is_some(), uid)),
            [None, None] => {}
        }
    }

    fn uid(&self, role: Role, index: usize) -> Option<Uid> {
        self.sides[role.index()].messages.uid_at(index)
    }

    /// Why a message has another UID than it had at one side.
    fn renumbering(&self, role: Role, own: Option<Uid>, others: Option<Uid>, uid: Uid) -> Option<String> {
        if own == Some(uid) || !self.sides[role.index()].imports {
            return None;
        }
        let (name, other) = (self.name(role), self.name(role.other()));
        Some(match own {
            None => format!("UID {uid}: in {name} it had no UID yet"),
            Some(own) if others == Some(uid) => {
                format!("UID {uid}: in {name} it was UID {own}, and it takes the UID of {other}")
            }
            Some(own) => format!(
                "UID {uid}: in {name} it was UID {own}, which stands for something else in {other}, so both sides give it a new one"
            ),
        })
    }

    /// What happens with a message that only one side has.
    fn only(&self, owner: Role, index: usize, withheld: bool, uid: Uid) -> Vec<String> {
        let (name, other) = (self.name(owner), self.name(owner.other()));
        let [side, other_side] = [owner, owner.other()].map(|role| self.sides[role.index()]);
        if withheld {
            let reason = match side.messages.is_selected(index) {
                false => "it is not selected",
                true if !other_side.complete => "the other side could not be read as a whole, so it may be there",
                true => "the other side has no UIDs left",
            };
            return vec![format!("UID {uid}: stays in {name} only: {reason}")];
        }
        let mut told = Vec::new();
        if other_side.imports {
            told.push(format!("UID {uid}: copied from {name}, because {other} does not have it"));
        }
        let own = self.uid(owner, index);
        if own != Some(uid) && side.imports {
            told.push(match own {
                None => format!("UID {uid}: in {name} it had no UID yet"),
                Some(own) => format!(
                    "UID {uid}: in {name} it was UID {own}, but {other} has counted up to UIDNEXT {} without it, so it gets a new one",
                    other_side.status.uid_next
                ),
            });
        }
        told
    }

    /// Why a message is on neither side afterwards.
    fn removal(&self, owner: Role, index: usize) -> Option<String> {
        let [side, other_side] = [owner, owner.other()].map(|role| self.sides[role.index()]);
        if !side.imports {
            return None;
        }
        let (name, other) = (self.name(owner), self.name(owner.other()));
        let uid = self.uid(owner, index);
        let message = uid.map_or_else(|| "a message without UID".to_owned(), |uid| format!("UID {uid}"));
        let is_logged = uid.is_none_or(|uid| other_side.expunged.contains_key(&uid));
        Some(match self.base {
            Some(base) if !is_logged => format!(
                "{message}: removed from {name}: {other} had it when both were equal (UIDNEXT {}), and has it no more",
                base.uid_next
            ),
            _ => format!("{message}: removed from {name}: it was expunged in {other}"),
        })
    }

    /// Which side a flag or keyword is taken from, and why.
    fn mark(&self, decision: &MarkDecision) -> String {
        let MarkDecision { name: mark, set, winner, evidence, modseqs } = decision;
        let (name, other) = (self.name(*winner), self.name(winner.other()));
        let [own, others] = [winner.index(), winner.other().index()].map(|index| evidence[index]);
        let reason = match (own, others) {
            (Evidence::Changed, Evidence::Unchanged) => {
                format!("it was changed there since both were equal, and not in {other}")
            }
            (Evidence::Changed, Evidence::Unknown) => {
                format!("it is known to have been changed there, but not in {other}")
            }
            (Evidence::Unknown, Evidence::Unchanged) => {
                format!("it was not changed in {other} since both were equal")
            }
            _ => {
                let [own, others] = [winner.index(), winner.other().index()].map(|index| modseqs[index]);
                match (own, others) {
                    (Some(own), Some(others)) if own > others => format!("modseq {own} > {others}"),
                    (None, Some(_)) => "it has only just been changed there".to_owned(),
                    _ => "both were changed last at the same modseq, and then the first store decides".to_owned(),
                }
            }
        };
        format!("{mark} is {} as in {name}: {reason}", if *set { "set" } else { "not set" })
    }
}
