//! A load of a million small messages, and how the cost grows with messages, mailboxes and changes.

use std::path::Path;

use crate::plot::{Line, Plot};
use crate::programs::Programs;
use crate::run::{Cost, median};
use crate::{Effort, Outcome, table};

const MAILBOXES: u32 = 200;
/// Changes on each side before a mirror, and over how many mailboxes they are spread.
const CHANGES: u32 = 100;
const CHANGED_MAILBOXES: u32 = 10;

pub(crate) fn compare(programs: &Programs, effort: Effort, plots: Option<&Path>) -> Outcome<()> {
    let large = effort.large;
    let mut rows = Vec::new();
    let mut row = |what: &str, costs: &[Cost], empty: &[Cost]| {
        rows.push(vec![what.to_owned(), table::time(costs), table::cpu(costs), table::memory(costs, empty, large)]);
    };
    make(programs, "none", 0, 1)?;
    let mut empty = vec![programs.dsync(&["backup"], "mdbox:none", "mdbox:none-copy")?];
    empty.extend(repeated(2, || programs.dsync(&["mirror"], "mdbox:none", "mdbox:none-copy"))?);
    make(programs, "large", large, MAILBOXES)?;
    let first = vec![programs.dsync(&["backup"], "mdbox:large", "mdbox:large-copy")?];
    row("first backup, mdbox to mdbox", &first, &empty);
    let idle = repeated(effort.quick_rounds, || programs.dsync(&["backup"], "mdbox:large", "mdbox:large-copy"))?;
    row("nothing to do", &idle, &empty);
    let dovecot = repeated(effort.slow_rounds, || {
        programs.doveadm(&["backup"], "mdbox:large", "mdbox:large-copy").map(|cost| cost.unwrap_or(NOTHING))
    })?;
    if programs.doveadm.is_some() {
        row("the same with doveadm backup", &dovecot, &empty);
    }
    let full = repeated(effort.rounds, || programs.dsync(&["-f", "backup"], "mdbox:large", "mdbox:large-copy"))?;
    row("everything compared (`-f`)", &full, &empty);
    programs.dsync(&["mirror"], "mdbox:large", "mdbox:large-copy")?;
    let idle = repeated(effort.quick_rounds, || programs.dsync(&["mirror"], "mdbox:large", "mdbox:large-copy"))?;
    row("mirror, nothing to do", &idle, &empty);
    let mut by_changes = Vec::new();
    for changes in [1, 10, CHANGES, 1000] {
        let costs = repeated(effort.rounds, || mirrored(programs, changes))?;
        if changes == CHANGES {
            let what = format!("mirror, {CHANGES} flags changed on each side, in {CHANGED_MAILBOXES} mailboxes each");
            row(&what, &costs, &empty);
        }
        by_changes.extend(point(changes, &costs));
    }
    make(programs, "one", large, 1)?;
    let costs = vec![programs.dsync(&["backup"], "mdbox:one", "mdbox:one-copy")?];
    row("all in one mailbox: first backup", &costs, &empty);
    let costs = repeated(effort.rounds, || programs.dsync(&["backup"], "mdbox:one", "mdbox:one-copy"))?;
    row("all in one mailbox: nothing to do", &costs, &empty);
    let costs = repeated(effort.rounds, || programs.dsync(&["-f", "backup"], "mdbox:one", "mdbox:one-copy"))?;
    row("all in one mailbox: everything compared (`-f`)", &costs, &empty);
    let title = format!("{large} messages in {MAILBOXES} mailboxes, mdbox to mdbox");
    table::print(&title, &["run", "time", "processor", "peak memory"], &rows);
    match plots {
        Some(directory) => draw(programs, effort, directory, by_changes),
        None => Ok(()),
    }
}

/// What stands for a program that is not there; it is not shown.
const NOTHING: Cost = Cost { wall: 0.0, cpu: 0.0, peak: 0.0 };

fn make(programs: &Programs, name: &str, messages: u32, mailboxes: u32) -> Outcome<()> {
    let location = programs.location(&format!("mdbox:{name}"));
    programs.prepare(&["make", &location, &messages.to_string(), &mailboxes.to_string()])
}

fn repeated(rounds: usize, mut once: impl FnMut() -> Outcome<Cost>) -> Outcome<Vec<Cost>> {
    (0..rounds).map(|_| once()).collect()
}

/// A mirror after changes on both sides.
fn mirrored(programs: &Programs, changes: u32) -> Outcome<Cost> {
    let mailboxes = CHANGED_MAILBOXES.min(changes);
    for (name, first) in [("large", 0), ("large-copy", CHANGED_MAILBOXES)] {
        let location = programs.location(&format!("mdbox:{name}"));
        programs.prepare(&["flag", &location, &changes.to_string(), &mailboxes.to_string(), &first.to_string()])?;
    }
    programs.dsync(&["mirror"], "mdbox:large", "mdbox:large-copy")
}

fn point(x: u32, costs: &[Cost]) -> Option<(f64, f64)> {
    median(costs).map(|cost| (f64::from(x), cost.wall))
}

fn draw(programs: &Programs, effort: Effort, directory: &Path, by_changes: Vec<(f64, f64)>) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    let mut by_messages =
        [Line::named("first backup"), Line::named("everything compared (-f)"), Line::named("nothing to do")];
    for messages in [1_000, 10_000, 100_000] {
        grow(programs, effort, (messages, 10), messages, &mut by_messages)?;
    }
    let mut by_mailboxes = by_messages.each_ref().map(|line| Line::named(line.name));
    for mailboxes in [1, 10, 100, 1000] {
        grow(programs, effort, (50_000, mailboxes), mailboxes, &mut by_mailboxes)?;
    }
    let changes = Line { name: "mirror", points: by_changes };
    let plots = [
        ("messages", Plot { title: "mdbox to mdbox, 10 mailboxes", x: "messages", lines: &by_messages }),
        ("mailboxes", Plot { title: "mdbox to mdbox, 50,000 messages", x: "mailboxes", lines: &by_mailboxes }),
        ("changes", Plot { title: "mirror of the large load", x: "changes on each side", lines: &[changes] }),
    ];
    for (name, plot) in plots {
        std::fs::write(directory.join(format!("{name}.svg")), plot.svg())?;
    }
    Ok(())
}

/// Adds the cost of a load of so many messages and mailboxes to the lines.
fn grow(
    programs: &Programs,
    effort: Effort,
    (messages, mailboxes): (u32, u32),
    x: u32,
    lines: &mut [Line; 3],
) -> Outcome<()> {
    let name = format!("growing-{messages}-{mailboxes}");
    make(programs, &name, messages, mailboxes)?;
    let source = format!("mdbox:{name}");
    let [first, full, idle] = lines;
    let mut number = 0;
    let costs = repeated(effort.rounds, || {
        number += 1;
        programs.dsync(&["backup"], &source, &format!("{source}-copy-{number}"))
    })?;
    first.points.extend(point(x, &costs));
    let copy = format!("{source}-copy-1");
    let costs = repeated(effort.rounds, || programs.dsync(&["-f", "backup"], &source, &copy))?;
    full.points.extend(point(x, &costs));
    let costs = repeated(effort.rounds, || programs.dsync(&["backup"], &source, &copy))?;
    idle.points.extend(point(x, &costs));
    Ok(())
}
