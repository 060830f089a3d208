//! What the figures were measured on.

use std::process::Command;

use crate::Outcome;
use crate::programs::Programs;

/// Machine, system, date and versions, as a paragraph.
pub(crate) fn description(programs: &Programs) -> Outcome<String> {
    let processors = std::thread::available_parallelism()?;
    let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("").to_owned();
    let directory = programs.path("");
    let file_system = output(Command::new("findmnt").args(["-n", "-o", "FSTYPE", "-T"]).arg(&directory))?;
    let versions = [
        programs.doveadm.as_ref().map(|_| output(Command::new("dovecot").arg("--version"))).transpose()?,
        programs.mbsync.as_ref().map(|path| output(Command::new(path).arg("--version"))).transpose()?,
    ];
    let [dovecot, mbsync] = versions.map(|version| version.unwrap_or_else(|| "not installed".to_owned()));
    Ok(format!(
        "Measured on {} with {processors} processors ({model}), Linux {}, file system {file_system}, load {load} at the \
         start; Dovecot {dovecot}; {mbsync}.",
        output(Command::new("date").arg("+%Y-%m-%d"))?,
        output(Command::new("uname").arg("-r"))?,
    ))
}

fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
