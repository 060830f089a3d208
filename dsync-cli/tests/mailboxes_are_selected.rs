//! Which mailboxes take part in a run, as an administrator says it.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

mod support;

use support::build::{append, holds};
use support::{Dovecot, Snapshot, assert_equal, build};

#[test]
fn what_is_not_selected_stays_and_what_is_arrives() {
    let dovecot = Dovecot::new();
    let (first, second) = (dovecot.store("first"), dovecot.store("second"));
    build::small(&first);
    dovecot.mirror(&first, &second).assert_done();
    append(&first, "INBOX", "in-inbox");
    append(&first, "Work", "in-work");
    append(&second, "Work/Projects", "in-projects");
    let status = first.doveadm(&["-f", "flow", "mailbox", "status", "guid", "Work/Projects"]);
    let guid = status.trim().rsplit_once("guid=").unwrap().1.to_owned();

    dovecot.run_on(&["mirror", "-m", "INBOX", "-g", &guid], &first, &second).assert_refused("cannot be used with");
    dovecot.run_on(&["mirror", "-n", "Public/"], &first, &second).assert_refused("Public/");
    let nothing = dovecot.run_on(&["mirror", "--strict", "-m", "Nowhere"], &first, &second);
    assert_eq!(nothing.code, Some(68), "{nothing:?}");
    nothing.assert_refused("mailbox Nowhere");
    let would = dovecot.run_on(&["mirror", "--dry-run", "--strict", "-m", "Nowhere"], &first, &second);
    assert!(would.code == Some(68) && would.stderr.contains("mailbox Nowhere"), "{would:?}");
    for command in ["mirror", "backup"] {
        let elsewhere = dovecot.run_with_peer(&[command, "--strict", "-m", "Nowhere"], &first, &second);
        assert_eq!(elsewhere.code, Some(68), "{elsewhere:?}");
        elsewhere.assert_refused("mailbox Nowhere");
    }
    dovecot.run_on(&["mirror", "-m", "Nowhere"], &first, &second).assert_done();
    assert!(!holds(&second, "in-inbox") && !holds(&first, "in-projects"));

    // Only names: the new mailbox comes, its mail does not.
    let mut imap = first.imap();
    imap.create("New");
    imap.append("New", "()", b"Subject: in-new\r\n\r\nnew\r\n");
    imap.logout();
    dovecot.run_on(&["mirror", "-m", ""], &first, &second).assert_done();
    assert!(second.doveadm(&["mailbox", "list"]).lines().any(|name| name == "New") && !holds(&second, "in-new"));

    dovecot.run_on(&["mirror", "--strict", "-g", &guid], &first, &second).assert_done();
    assert!(holds(&first, "in-projects") && !holds(&second, "in-inbox") && !holds(&second, "in-work"));
    let special = "namespace/inbox/mailbox/New/special_use=\\Junk";
    let excluding = &["mirror", "-o", special, "-x", "Wor?", "-x", "\\Junk", "-n", ""];
    dovecot.run_on(excluding, &first, &second).assert_done();
    assert!(holds(&second, "in-inbox") && !holds(&second, "in-work") && !holds(&second, "in-new"));
    // A copy keeps what was excluded, even if the source does not have it.
    append(&second, "Work", "only-here");
    dovecot.run_on(&["backup", "-x", "Work*"], &first, &second).assert_done();
    assert!(holds(&second, "only-here") && !holds(&second, "in-work") && holds(&second, "in-new"));

    dovecot.mirror(&first, &second).assert_done();
    assert_equal(&Snapshot::of(&first), &Snapshot::of(&second));
    assert!(holds(&first, "only-here") && holds(&second, "in-work"));
    for store in [&first, &second] {
        store.assert_no_complaints();
    }
}
