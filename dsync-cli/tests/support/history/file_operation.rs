//! What deliveries and other mail programs do to the files of a Maildir.

use std::fmt;

use super::operation::How;

/// One thing that a program does to a file. Such programs know no UIDs: a message that was there before is named by its
/// Message-ID, which is in its mailbox only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOperation {
    /// Into `new`, or into `cur` if there are flags.
    Deliver { mailbox: String, message_id: String, flags: Vec<&'static str> },
    /// Changes flags by giving the file another name, which moves it to `cur` in any case.
    Flag { mailbox: String, message_id: String, how: How, flags: Vec<&'static str> },
    /// Removes the file.
    Remove { mailbox: String, message_id: String },
    /// Moves the file to the `cur` of another mailbox. It keeps its base name but not its keywords, since their letters
    /// mean something else there.
    Move { mailbox: String, message_id: String, to: String },
    /// Copies the file, under a base name made from `new_id`, likewise without keywords.
    Copy { mailbox: String, message_id: String, to: String, new_id: String },
}

/// The flags that have a letter in every Maildir.
pub const LETTERS: [(&str, char); 5] =
    [("\\Draft", 'D'), ("\\Flagged", 'F'), ("\\Answered", 'R'), ("\\Seen", 'S'), ("\\Deleted", 'T')];

/// The letter of a flag.
pub fn letter(flag: &str) -> char {
    let (_, letter) =
        LETTERS.iter().find(|(name, _)| *name == flag).expect("programs set only flags that have letters");
    *letter
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = |flags: &[&str]| flags.iter().map(|flag| letter(flag)).collect::<String>();
        match self {
            Self::Deliver { mailbox, message_id, flags } if flags.is_empty() => {
                write!(f, "in {mailbox}: deliver {message_id} to new")
            }
            Self::Deliver { mailbox, message_id, flags } => {
                write!(f, "in {mailbox}: deliver {message_id} to cur with :2,{}", letters(flags))
            }
            Self::Flag { mailbox, message_id, flags, .. } if flags.is_empty() => {
                write!(f, "in {mailbox}: move {message_id} from new to cur")
            }
            Self::Flag { mailbox, message_id, how, flags } => {
                write!(f, "in {mailbox}: rename {message_id} for {} {}", how.item(), letters(flags))
            }
            Self::Remove { mailbox, message_id } => write!(f, "in {mailbox}: remove {message_id}"),
            Self::Move { mailbox, message_id, to } => write!(f, "in {mailbox}: move {message_id} to cur of {to}"),
            Self::Copy { mailbox, message_id, to, .. } => {
                write!(f, "in {mailbox}: copy {message_id} to cur of {to} under a new name")
            }
        }
    }
}
