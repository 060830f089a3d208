//! Running a program and finding out what that took.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

use crate::Outcome;

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processor time, that of all its processes.
    pub(crate) cpu: f64,
    /// The most memory that one of its processes had at once, in bytes.
    pub(crate) peak: f64,
}

/// Runs `command` and prints what it took. A process of its own, because only then the peak is that of the command alone.
pub(crate) fn measure(command: &[&str]) -> Outcome<()> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let started = Instant::now();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    let wall = started.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| -> Outcome<f64> {
        Ok(f64::from(i32::try_from(time.tv_sec())?) + f64::from(i32::try_from(time.tv_usec())?) / 1e6)
    };
    let cpu = seconds(usage.user_time())? + seconds(usage.system_time())?;
    println!("{wall} {cpu} {}", usage.max_rss());
    Ok(())
}

/// Reads what [`measure`] has printed.
pub(crate) fn parse(text: &str) -> Outcome<Cost> {
    let numbers: Vec<f64> = text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers.as_slice() {
        [wall, cpu, kilobytes] => Ok(Cost { wall: *wall, cpu: *cpu, peak: kilobytes * 1024.0 }),
        _ => Err(format!("no measurement: {text}").into()),
    }
}

/// The middle of several measurements of one thing, each quantity by itself.
pub(crate) fn median(costs: &[Cost]) -> Option<Cost> {
    let middle = |quantity: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(quantity).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some(Cost { wall: middle(|cost| cost.wall)?, cpu: middle(|cost| cost.cpu)?, peak: middle(|cost| cost.peak)? })
}
