//! Where a mailbox of the merged tree is at one side.

use crate::model::{MailboxGuid, MailboxName, MailboxNode, MailboxTree};

/// Where a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Place {
    /// Under this name.
    At(MailboxName),
    /// It has to be made.
    New,
    /// It is not here, and will not be.
    Nowhere,
}

/// The place of the mailbox that is called `name` and has this GUID in the merged tree. `before` is what the side had when
/// the trees were merged, `now` what it has since.
///
/// # Errors
/// Why the mailbox cannot be had: what is here under its name is another one, or it was here and is gone.
pub(in crate::session) fn find(
    imports: bool,
    name: &MailboxName,
    guid: Option<MailboxGuid>,
    before: &MailboxTree,
    now: &MailboxTree,
    merged: &MailboxTree,
) -> Result<Place, String> {
    let placed_elsewhere = |guid: Option<MailboxGuid>| {
        guid.is_some() && merged.iter().any(|(other, node)| other != name && node.guid() == guid)
    };
    let had = |tree: &MailboxTree| {
        tree.iter().find(|(_, node)| guid.is_some() && node.guid() == guid).map(|(n, _)| n.clone())
    };
    if !imports {
        // Nothing was renamed here.
        let own = before.get(name).filter(|node| node.is_mailbox()).map(MailboxNode::guid);
        return Ok(match (had(before), own) {
            (Some(place), _) => Place::At(place),
            (None, Some(own)) if !placed_elsewhere(own) => Place::At(name.clone()),
            _ => Place::Nowhere,
        });
    }
    let here = now.get(name).filter(|node| node.is_mailbox()).map(MailboxNode::guid);
    match here {
        Some(here) if here == guid => Ok(Place::At(name.clone())),
        // Two mailboxes of one name that know nothing of each other become one.
        Some(here) if had(now).is_none() && !placed_elsewhere(here) => Ok(Place::At(name.clone())),
        Some(_) => {
            Err("another mailbox has its name at this side, and could not be renamed; run dsync again".to_owned())
        }
        // One that was not there before may have been between two names just then.
        None if had(before).is_some() || had(now).is_some() => {
            Err("it was renamed or deleted at this side meanwhile, or could not be renamed; run dsync again"
                .to_owned())
        }
        None => Ok(Place::New),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeKind;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '/').unwrap()
    }

    fn tree(mailboxes: &[(&str, u8)]) -> MailboxTree {
        let node = |number| MailboxNode {
            kind: NodeKind::Mailbox { guid: MailboxGuid::new([number; 16]), uid_validity: None },
            subscribed: false,
        };
        mailboxes.iter().map(|(text, number)| (name(text), node(*number))).collect()
    }

    fn place(imports: bool, before: &[(&str, u8)], now: &[(&str, u8)]) -> Result<Place, String> {
        let merged = tree(&[("x", 1), ("y", 2)]);
        find(imports, &name("x"), MailboxGuid::new([1; 16]), &tree(before), &tree(now), &merged)
    }

    #[test]
    fn a_mailbox_is_never_taken_for_another() {
        let at_x = Ok(Place::At(name("x")));
        assert_eq!(place(true, &[("x", 1)], &[("x", 1)]), at_x);
        assert_eq!(place(true, &[("x", 9)], &[("x", 9)]), at_x, "an unrelated one of the same name");
        assert_eq!(place(true, &[], &[]), Ok(Place::New));
        assert!(place(true, &[("x", 2)], &[("x", 2)]).is_err(), "it belongs to another name");
        assert!(place(true, &[("z", 1), ("x", 9)], &[("z", 1), ("x", 9)]).is_err(), "the renaming was refused");
        assert!(place(true, &[("x", 1)], &[]).is_err(), "a client has just deleted it");
        assert!(place(true, &[], &[("z", 1)]).is_err(), "it was not seen while it was being renamed");
    }

    #[test]
    fn a_side_that_is_not_changed_has_it_under_its_old_name() {
        assert_eq!(place(false, &[("z", 1)], &[]), Ok(Place::At(name("z"))));
        assert_eq!(place(false, &[("x", 2), ("y", 1)], &[]), Ok(Place::At(name("y"))));
        assert_eq!(place(false, &[("x", 2)], &[]), Ok(Place::Nowhere));
        assert_eq!(place(false, &[("x", 9)], &[]), Ok(Place::At(name("x"))));
    }
}
