//! The end of a mailbox: what was decided is done, and said.

use super::exchange::Exchange;
use super::heard::Heard;
use super::own::OwnMailbox;
use super::points::{self, AgreedMailbox, Agreement};
use super::rows::Knowledge;
use crate::model::UidValidity;
use crate::session::SessionError;
use crate::session::reporting::Reporter;
use crate::store::MailStore;
use crate::wire::MailboxState;

impl Exchange {
    pub(super) fn commit(&mut self, reporter: &mut Reporter<'_>, store: &dyn MailStore) -> Result<(), SessionError> {
        let Some(mut planned) = self.planned.take() else { return Ok(()) };
        let missing = planned.arrivals.missing();
        if !missing.is_empty() {
            // No UID is given to a message that is not there.
            planned.plan = self.plan(&missing).0;
            self.incomplete = true;
            let text = match missing.len() {
                1 => "a message did not come from the other side".to_owned(),
                count => format!("{count} messages did not come from the other side"),
            };
            reporter.problem(Some(&self.own.name), text);
        }
        let other_status = self.other_status();
        // A commit needs room of its own.
        self.heard = Heard::new(None);
        self.known = Knowledge::default();
        let OwnMailbox { name, mailbox, .. } = &mut self.own;
        if planned.plan.needed
            && let Err(error) = planned.arrivals.commit(name, &mut **mailbox, planned.plan, reporter)
        {
            return self.fail(error, reporter, store);
        }
        if self.own.created {
            points::remember_beginning(&mut self.own, reporter, store)?;
        }
        if !self.incomplete && !self.leaves_out {
            let are_equal = planned.other_stays && *self.own.mailbox.status() == other_status;
            self.agreement = Some(if are_equal { Agreement::Counters } else { Agreement::Messages });
        }
        Ok(())
    }

    /// The mailbox, if it is to be remembered once the other side has done its part.
    pub(super) fn into_agreed(self) -> Option<AgreedMailbox> {
        let guid = self.own_info.guid;
        self.agreement.map(|agreement| AgreedMailbox { guid, own: self.own, agreement })
    }

    /// What both sides have in common now, as far as this side knows. Nothing, if anything is missing on one of them.
    pub(super) fn state(&self) -> MailboxState {
        let status = self.own.status();
        let is_done = !self.incomplete && !self.to_be_repeated;
        let is_common = is_done && !self.leaves_out && self.own.is_decided();
        let common_modseq = match self.terms.part.imports() {
            true => self.other_info.highest_modseq,
            false => self.own_info.highest_modseq,
        };
        MailboxState {
            guid: self.own_info.guid,
            uid_validity: status.identity.uid_validity.map_or(self.own_info.uid_validity, UidValidity::get),
            common_uid: if is_common { status.uid_next.get().saturating_sub(1) } else { 0 },
            common_modseq: if is_common { common_modseq } else { 0 },
            common_private_modseq: 0,
            message_count: u32::try_from(self.own.messages().len()).unwrap_or(u32::MAX),
            changes_during_sync: !is_done,
            counters: points::counters(status),
            held: false,
            to_be_repeated: self.to_be_repeated,
        }
    }
}
