//! What was done so far, for those who have to find out why a history went wrong.

use std::fmt::Display;

/// A list of readable lines that prints itself when a test fails.
#[derive(Debug, Default)]
pub struct Journal {
    lines: Vec<String>,
}

impl Journal {
    pub fn note(&mut self, line: impl Display) {
        self.lines.push(line.to_string());
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was done:\n{}\n", self.text());
        }
    }
}
