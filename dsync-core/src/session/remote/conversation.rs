//! What is said and heard, row by row.

use super::tree_rows::PeerTree;
use super::{Heard, MOST_STATES, RemoteSession, Said, State};
use crate::model::Role;
use crate::session::SessionError;
use crate::wire::{Finish, Item, MailboxInfo};

impl RemoteSession<'_> {
    /// What to say next; `None` if the other side has to speak first, or the run is over. It must not be called before the
    /// last body was read to its end, or dropped.
    ///
    /// # Errors
    /// If the own store fails. The session is over then.
    pub fn produce(&mut self) -> Result<Option<Said>, SessionError> {
        loop {
            if let Some(said) = self.outbox.pop_front() {
                return Ok(Some(said));
            }
            match std::mem::replace(&mut self.state, State::Finished) {
                State::Trees => self.state = self.bring_trees_together()?,
                State::Offer if self.awaits_repetition() => {
                    self.state = State::Offer;
                    return Ok(None);
                }
                State::Offer => {
                    let (state, said) = self.offer()?;
                    self.state = state;
                    return Ok(Some(said));
                }
                State::Exchange(mut exchange) => {
                    let said = exchange.next(&mut self.reporter, self.store)?;
                    let is_over = exchange.is_over();
                    self.state = if is_over {
                        if let Some(Said::Item(Item::MailboxState(state))) = &said {
                            self.outcomes.entry(state.guid).or_default().own(*state);
                            self.agreed_mailbox = exchange.into_agreed();
                            self.conclude(state.guid)?;
                        }
                        self.after_mailbox()
                    } else {
                        State::Exchange(exchange)
                    };
                    if said.is_some() || !is_over {
                        return Ok(said);
                    }
                }
                State::AwaitAnswer(offered) => {
                    self.state = State::AwaitAnswer(offered);
                    return self.offer_early();
                }
                State::AwaitOffer if self.unconfirmed.is_none() => match self.early.heard.pop_front() {
                    Some(info) => self.state = self.take_offer(info)?,
                    None => {
                        self.state = State::AwaitOffer;
                        return Ok(None);
                    }
                },
                waiting => {
                    self.state = waiting;
                    return Ok(None);
                }
            }
        }
    }

    /// Takes what the other side said.
    ///
    /// # Errors
    /// If it must not be said now, or the own store fails. The session is over then.
    pub fn receive(&mut self, heard: Heard) -> Result<(), SessionError> {
        if matches!(self.state, State::Trees) {
            self.state = self.bring_trees_together()?;
        }
        let state = std::mem::replace(&mut self.state, State::Finished);
        let description = state.description();
        self.state = match (state, heard) {
            (State::Finished, Heard::Item(Item::Done)) => State::Finished,
            (_, Heard::Item(Item::Done)) => return Err(SessionError::Closed),
            (State::AwaitStates(mut states), Heard::Item(Item::MailboxState(state)))
                if states.len() < MOST_STATES =>
            {
                states.insert(state.guid, state);
                State::AwaitStates(states)
            }
            (State::AwaitStates(states), Heard::EndOfList) => {
                self.remembered = states;
                State::AwaitTree(PeerTree::new(self.prefixes.clone()))
            }
            (State::AwaitTree(mut tree), Heard::Item(Item::TreeNode(node))) => {
                tree.add(node)?;
                State::AwaitTree(tree)
            }
            (State::AwaitTree(tree), Heard::EndOfList) => State::AwaitDeletions(tree),
            (State::AwaitDeletions(tree), Heard::Item(Item::Deletions(deletions))) => {
                for name in tree.foreign().iter().filter(|_| self.terms.part.imports()) {
                    let text = "the other side has it in another namespace than those of this side; it is left alone";
                    self.reporter.problem(Some(name), text);
                }
                self.other = tree.finish(&deletions);
                if self.waits_for_deletions {
                    self.tell_deletions(Some(deletions.separator));
                }
                State::Trees
            }
            (mut state, Heard::Item(Item::MailboxState(outcome))) if self.unconfirmed == Some(outcome.guid) => {
                self.hear_outcome(&mut state, outcome)?;
                state
            }
            (state @ (State::Exchange(_) | State::AwaitOffer), Heard::Item(Item::Mailbox(info)))
                if self.must_wait(&state) =>
            {
                self.early.hear(self.understood(*info))?;
                state
            }
            (State::Exchange(mut exchange), heard) => {
                exchange.receive(heard, &mut self.reporter, self.store)?;
                State::Exchange(exchange)
            }
            (State::AwaitAnswer(offered), Heard::Item(Item::Mailbox(info))) if self.unconfirmed.is_none() => {
                self.take_answer(*offered, self.understood(*info))?
            }
            (State::AwaitOffer, Heard::Item(Item::Mailbox(info))) if self.unconfirmed.is_none() => {
                self.take_offer(self.understood(*info))?
            }
            (State::AwaitOffer, Heard::EndOfList) if self.unconfirmed.is_none() && self.early.heard.is_empty() => {
                let finish = Finish { require_full_resync: self.was_lost || self.is_incomplete, ..Finish::default() };
                self.outbox.push_back(Said::Item(Item::Finish(finish)));
                self.outbox.push_back(Said::Item(Item::Done));
                State::Finished
            }
            (State::AwaitFinish, Heard::Item(Item::Finish(finish))) if self.unconfirmed.is_none() => {
                self.finish(finish)?
            }
            (_, heard) => return Err(SessionError::UnexpectedMessage { received: heard.kind(), state: description }),
        };
        Ok(())
    }

    /// Whether an offer that a slave hears now is not its turn yet.
    fn must_wait(&self, state: &State) -> bool {
        let is_at_work =
            matches!(state, State::Exchange(_)) || self.unconfirmed.is_some() || !self.early.heard.is_empty();
        self.terms.role == Role::Slave && is_at_work
    }

    /// What a row about a mailbox means. Peers of old versions do not say that they keep the GUIDs that they have.
    fn understood(&self, info: MailboxInfo) -> MailboxInfo {
        let have_save_guids = info.have_save_guids || self.terms.peer_minor < 2 && info.have_guids;
        MailboxInfo { have_save_guids, ..info }
    }

    /// How many bytes were in the body that was received last.
    pub fn count(&mut self, bytes: u64) {
        if let State::Exchange(exchange) = &mut self.state {
            exchange.count(bytes);
        }
    }
}
