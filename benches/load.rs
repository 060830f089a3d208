//! The load that is measured: a Maildir with mailboxes of messages whose sizes spread like those of real mail.

pub mod filled;

use std::fs;
use std::io;
use std::path::Path;

/// How much mail to make.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Messages in all.
    pub messages: u32,
    /// Mailboxes to spread them over.
    pub mailboxes: u32,
}

impl Load {
    /// 20,000 messages in 8 mailboxes, 320 MB.
    pub const REFERENCE: Self = Self { messages: 20_000, mailboxes: 8 };

    /// Writes the mail below `root`, the same on every call.
    ///
    /// # Errors
    /// As the system.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for mailbox in 0..self.mailboxes.max(1) {
            let directory = if mailbox == 0 { root.to_owned() } else { root.join(format!(".Box{mailbox}")) };
            for subdirectory in ["cur", "new", "tmp"] {
                fs::create_dir_all(directory.join(subdirectory))?;
            }
            for number in (mailbox..self.messages).step_by(self.mailboxes.max(1) as usize) {
                let bytes = message(number, random.size());
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
                let name = format!(
                    "{}.M{number}P1.load.example,S={},W={}:2,S",
                    1_600_000_000 + number,
                    bytes.len(),
                    bytes.len() + lines
                );
                fs::write(directory.join("cur").join(name), bytes)?;
            }
        }
        Ok(())
    }
}

fn message(number: u32, size: usize) -> Vec<u8> {
    let mut bytes = format!("Subject: message {number}\nMessage-ID: <{number}@load.example>\n\n").into_bytes();
    while bytes.len() < size {
        bytes.extend_from_slice(b"The quick brown fox jumps over the lazy dog and back again, all day long.\n");
    }
    bytes
}

/// Repeatable numbers (xorshift); quality does not matter here.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1, but neither.
    fn fraction(&mut self) -> f64 {
        f64::from((self.next() >> 32) as u32 | 1) / (f64::from(u32::MAX) + 1.0)
    }

    /// Sizes have a log-normal distribution with a mean of 16 KiB and a median of 6 KiB, as real mail has about.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within bounds")]
    fn size(&mut self) -> usize {
        let normal = (-2.0 * self.fraction().ln()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos();
        (6144.0 * (1.4 * normal).exp()).clamp(300.0, 4_194_304.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test may panic")]
    fn all_messages_are_there() {
        let directory = tempfile::tempdir().unwrap();
        Load { messages: 10, mailboxes: 3 }.write(directory.path()).unwrap();
        let count = |path: &str| fs::read_dir(directory.path().join(path)).unwrap().count();
        assert_eq!((count("cur"), count(".Box1/cur"), count(".Box2/cur")), (4, 3, 3));
    }
}
