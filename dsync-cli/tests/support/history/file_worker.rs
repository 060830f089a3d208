//! Carries operations out on the files of a Maildir.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Store, mbox};

use super::file_generator;
use super::file_operation::{FileOperation, letter};
use super::journal::Journal;
use super::operation::How;
use super::random::Random;
use super::side::Side;
use super::worker::message;

/// What programs find when they work on a store without Dovecot.
#[derive(Clone, Copy, Debug)]
pub enum Files {
    /// Maildirs; the function gives the directory of a mailbox, from the root of the store.
    Maildir(fn(&str) -> String),
    /// Files to which they can append.
    Mbox,
}

/// A program at one side. It works only while Dovecot does not.
pub struct FileWorker<'a> {
    pub name: &'a str,
    pub store: &'a Store,
    pub files: Files,
}

/// A message as a file.
struct MailFile {
    path: PathBuf,
    base: String,
    /// What follows `:2,`.
    letters: String,
}

impl FileWorker<'_> {
    /// Does `count` random things and enters them in `side`.
    pub fn work(&self, random: &mut Random, count: usize, side: &mut Side, journal: &mut Journal) {
        for number in 1..=count {
            let new_id = format!("<{}.file.{number}@example.org>", self.name);
            let operation = match self.files {
                Files::Maildir(_) => file_generator::next(random, side, &new_id),
                Files::Mbox => file_generator::plain_delivery(random, side, &new_id),
            };
            journal.note(format_args!("{}, files: {operation}", self.name));
            self.perform(&operation);
            side.apply_in_files(&operation);
        }
        self.store.adopt();
    }

    fn perform(&self, operation: &FileOperation) {
        match operation {
            FileOperation::Deliver { mailbox, message_id, .. } if matches!(self.files, Files::Mbox) => {
                mbox::deliver(self.store, mailbox, &message(message_id));
            }
            FileOperation::Deliver { mailbox, message_id, flags } => {
                let mailbox = self.mailbox(mailbox);
                // Such agents write the lines of their own system.
                let bytes: Vec<_> = message(message_id).into_iter().filter(|byte| *byte != b'\r').collect();
                let base = new_base(message_id);
                let unfinished = mailbox.join("tmp").join(&base);
                fs::write(&unfinished, bytes).unwrap();
                let place = match changed("", How::Add, flags).as_str() {
                    "" => mailbox.join("new").join(base),
                    letters => in_cur(&mailbox, &base, letters),
                };
                fs::rename(unfinished, place).unwrap();
            }
            FileOperation::Flag { mailbox, message_id, how, flags } => {
                let file = self.find(mailbox, message_id);
                let place = in_cur(&self.mailbox(mailbox), &file.base, &changed(&file.letters, *how, flags));
                fs::rename(file.path, place).unwrap();
            }
            FileOperation::Remove { mailbox, message_id } => {
                fs::remove_file(self.find(mailbox, message_id).path).unwrap();
            }
            FileOperation::Move { mailbox, message_id, to } => {
                let file = self.find(mailbox, message_id);
                fs::rename(&file.path, in_cur(&self.mailbox(to), &file.base, &file.common_letters())).unwrap();
            }
            FileOperation::Copy { mailbox, message_id, to, new_id } => {
                let file = self.find(mailbox, message_id);
                let place = in_cur(&self.mailbox(to), &new_base(new_id), &file.common_letters());
                fs::copy(&file.path, place).unwrap();
            }
        }
    }

    fn mailbox(&self, name: &str) -> PathBuf {
        let Files::Maildir(directory) = self.files else { panic!("{name} is a file") };
        let directory = directory(name);
        self.store.make_maildir(&directory);
        self.store.path().join(directory)
    }

    /// # Panics
    /// If there is not one such file.
    fn find(&self, mailbox: &str, message_id: &str) -> MailFile {
        let head = format!("Message-ID: {message_id}");
        let directory = self.mailbox(mailbox);
        let files = ["new", "cur"].into_iter().flat_map(|it| fs::read_dir(directory.join(it)).unwrap());
        let paths = files.map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = paths.filter(|path| fs::read(path).unwrap().starts_with(head.as_bytes())).collect();
        assert_eq!(found.len(), 1, "{message_id} in {mailbox}: {found:?}");
        MailFile::at(found.remove(0))
    }
}

impl MailFile {
    fn at(path: PathBuf) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (base, letters) = name.split_once(":2,").unwrap_or((name, ""));
        let (base, letters) = (base.to_owned(), letters.to_owned());
        Self { path, base, letters }
    }

    /// Those that mean the same in every mailbox.
    fn common_letters(&self) -> String {
        self.letters.chars().filter(char::is_ascii_uppercase).collect()
    }
}

/// Letters after a change of flags. Those of keywords stay, as no program but Dovecot knows what they mean.
fn changed(letters: &str, how: How, flags: &[&str]) -> String {
    let named: Vec<_> = flags.iter().map(|flag| letter(flag)).collect();
    let stays = |it: &char| match how {
        How::Add | How::Remove => !named.contains(it),
        How::Replace => it.is_ascii_lowercase(),
    };
    let mut changed: Vec<_> = letters.chars().filter(stays).collect();
    if how != How::Remove {
        changed.extend(named);
    }
    changed.sort_unstable();
    changed.into_iter().collect()
}

fn in_cur(mailbox: &Path, base: &str, letters: &str) -> PathBuf {
    mailbox.join(format!("cur/{base}:2,{letters}"))
}

/// A base name that no other file has.
fn new_base(message_id: &str) -> String {
    format!("1700000000.{}.mx", message_id.trim_matches(['<', '>']).replace("@example.org", ""))
}
