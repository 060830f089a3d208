//! The reference load: 20,000 messages as a Maildir that Dovecot has made.

use std::collections::BTreeMap;

use dsync_benches::Load;

use crate::programs::Programs;
use crate::run::Cost;
use crate::{Effort, Outcome, table};

/// What is backed up where.
const PAIRS: [(&str, &str); 6] = [
    ("maildir", "maildir"),
    ("maildir", "sdbox"),
    ("maildir", "mdbox"),
    ("maildir", "mbox"),
    ("mdbox", "maildir"),
    ("mdbox", "mdbox"),
];

/// The measurements of one pair.
#[derive(Default)]
struct Pair {
    first: Vec<Cost>,
    idle: Vec<Cost>,
    dovecot_first: Vec<Cost>,
    dovecot_idle: Vec<Cost>,
}

pub(crate) fn compare(programs: &Programs, effort: Effort) -> Outcome<()> {
    let Load { messages, mailboxes } = Load::REFERENCE;
    let raw = programs.path("raw").display().to_string();
    programs.prepare(&["generate", &raw, &messages.to_string(), &mailboxes.to_string()])?;
    if programs
        .doveadm("backup -R".split(' ').collect::<Vec<_>>().as_slice(), "maildir:from-maildir", "maildir:raw")?
        .is_none()
    {
        programs.dsync(&["backup"], "maildir:raw", "maildir:from-maildir")?;
    }
    programs.dsync(&["backup"], "maildir:from-maildir", "mdbox:from-mdbox")?;

    let mut copies = Vec::new();
    let mut mbsync = Pair::default();
    let mut pairs: BTreeMap<(&str, &str), Pair> = BTreeMap::new();
    // Nothing is removed before all is measured: without a journal ext4 searches long for inodes that were not in use a minute ago.
    for round in 0..effort.rounds {
        for (from, to) in PAIRS {
            let pair = pairs.entry((from, to)).or_default();
            let (source, name) = (format!("{from}:from-{from}"), format!("{from}-{to}"));
            copies.push(programs.copy("from-maildir", &format!("copy-{round}-{name}"))?);
            pair.first.push(programs.dsync(&["backup"], &source, &format!("{to}:{name}-{round}"))?);
            if round < effort.slow_rounds {
                let destination = format!("{to}:dovecot-{name}-{round}");
                pair.dovecot_first.extend(programs.doveadm(&["backup"], &source, &destination)?);
            }
        }
        if round < effort.slow_rounds {
            mbsync.first.extend(programs.mbsync("from-maildir", &format!("mbsync-{round}"))?);
        }
    }
    for round in 0..effort.quick_rounds {
        for (from, to) in PAIRS {
            let pair = pairs.entry((from, to)).or_default();
            let (source, name) = (format!("{from}:from-{from}"), format!("{from}-{to}"));
            pair.idle.push(programs.dsync(&["backup"], &source, &format!("{to}:{name}-0"))?);
            if round < effort.slow_rounds {
                let destination = format!("{to}:dovecot-{name}-0");
                pair.dovecot_idle.extend(programs.doveadm(&["backup"], &source, &destination)?);
            }
        }
        if round < effort.slow_rounds {
            mbsync.idle.extend(programs.mbsync("from-maildir", "mbsync-0")?);
        }
    }
    print(&copies, &pairs, &mbsync);
    Ok(())
}

fn print(copies: &[Cost], pairs: &BTreeMap<(&str, &str), Pair>, mbsync: &Pair) {
    let dash = || "-".to_owned();
    let mut rows = vec![vec![
        "`cp -a` and `sync -f` of the Maildir".to_owned(),
        table::time(copies),
        table::cpu(copies),
        "1.00".to_owned(),
        dash(),
        dash(),
    ]];
    for (from, to) in PAIRS {
        let Some(pair) = pairs.get(&(from, to)) else { continue };
        rows.push(vec![
            format!("{from} to {to}"),
            table::time(&pair.first),
            table::cpu(&pair.first),
            table::ratio(&pair.first, copies),
            table::time(&pair.dovecot_first),
            table::ratio(&pair.dovecot_first, &pair.first),
        ]);
    }
    if !mbsync.first.is_empty() {
        let (time, cpu) = (table::time(&mbsync.first), table::cpu(&mbsync.first));
        rows.push(vec![
            "mbsync, Maildir to Maildir".to_owned(),
            time,
            cpu,
            table::ratio(&mbsync.first, copies),
            dash(),
            dash(),
        ]);
    }
    let head = ["first backup", "time", "processor", "of the copy", "doveadm backup", "times dsync's"];
    table::print("20,000 messages, 320 MB, 8 mailboxes: the first backup", &head, &rows);

    let mut rows = Vec::new();
    for (from, to) in PAIRS {
        let Some(pair) = pairs.get(&(from, to)) else { continue };
        rows.push(vec![
            format!("{from} to {to}"),
            table::time(&pair.idle),
            table::cpu(&pair.idle),
            table::time(&pair.dovecot_idle),
            table::ratio(&pair.dovecot_idle, &pair.idle),
        ]);
    }
    if !mbsync.idle.is_empty() {
        let (time, cpu) = (table::time(&mbsync.idle), table::cpu(&mbsync.idle));
        rows.push(vec!["mbsync, Maildir to Maildir".to_owned(), time, cpu, dash(), dash()]);
    }
    let head = ["nothing to do", "time", "processor", "doveadm backup", "times dsync's"];
    table::print("The same mail, nothing to do", &head, &rows);
}
