//! dsync beside Dovecot's own program, mbsync and a plain copy, in turn, on the same mail.
//!
//!     cargo build --release -p dsync-cli -p dsync-benches
//!     target/release/compare [--short] [--plots DIRECTORY] [WHERE] > table.md
//!
//! Loads are made in a new directory below WHERE (default: that for temporary files), which has to be readable for everybody: as
//! root it lets all programs work as the user `nobody`, because Dovecot does not serve mail as root. Programs that are not installed
//! are left out. Every figure is the median of several rounds, in which the programs take turns, so that whatever else the machine does
//! meets all of them. What writes is measured until the data are durable. The tables are printed as Markdown; with `--plots`
//! it also draws how the cost grows.
#![allow(clippy::print_stdout, reason = "the figures are what was asked for")]

mod loads;
mod machine;
mod million;
mod plot;
mod programs;
mod reference;
mod run;
mod table;

use std::error::Error;
use std::path::PathBuf;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// How thorough to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds of what takes seconds.
    pub(crate) rounds: usize,
    /// Rounds of Dovecot's program where it takes ten times as long.
    pub(crate) slow_rounds: usize,
    /// Rounds of what takes milliseconds.
    pub(crate) quick_rounds: usize,
    /// Messages of the large load.
    pub(crate) large: u32,
}

const SHORT: Effort = Effort { rounds: 3, slow_rounds: 1, quick_rounds: 7, large: 1_000_000 };
const LONG: Effort = Effort { rounds: 7, slow_rounds: 3, quick_rounds: 15, large: 1_000_000 };

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // What is called by this program itself, as another user.
        ["measure", command @ ..] => return run::measure(command),
        ["make", location, messages, mailboxes] => {
            return loads::make(location, messages.parse()?, mailboxes.parse()?);
        }
        ["flag", location, messages, mailboxes, first] => {
            return loads::flag(location, messages.parse()?, mailboxes.parse()?, first.parse()?);
        }
        ["generate", path, messages, mailboxes] => {
            let load = dsync_benches::Load { messages: messages.parse()?, mailboxes: mailboxes.parse()? };
            return Ok(load.write(std::path::Path::new(path))?);
        }
        _ => {}
    }
    let mut effort = LONG;
    let (mut plots, mut place) = (None, std::env::temp_dir());
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        match word {
            "--short" => effort = SHORT,
            "--plots" => plots = Some(PathBuf::from(rest.next().ok_or("--plots needs a directory")?)),
            "--large" => effort.large = rest.next().ok_or("--large needs a number of messages")?.parse()?,
            path if !path.starts_with('-') => place = PathBuf::from(path),
            other => return Err(format!("{other} is no option").into()),
        }
    }
    let programs = programs::Programs::find(&place)?;
    println!("{}", machine::description(&programs)?);
    reference::compare(&programs, effort)?;
    million::compare(&programs, effort, plots.as_deref())
}
