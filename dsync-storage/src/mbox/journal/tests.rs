use proptest::prelude::*;

use super::*;

struct Case {
    dir: tempfile::TempDir,
    mbox: File,
}

impl Case {
    fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mbox"), bytes).unwrap();
        let mbox = File::options().read(true).write(true).open(dir.path().join("mbox")).unwrap();
        Self { dir, mbox }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mbox")
    }

    fn write(&self, offset: usize, new: &[u8]) {
        self.mbox.write_all_at(new, offset as u64).unwrap();
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    fn journal(&self, writes: &[(usize, Vec<u8>)], new_length: usize) {
        let old = self.bytes().len() as u64;
        let journal = path_in(self.dir.path());
        write_journal(
            &self.mbox,
            &self.path(),
            &journal,
            of(writes),
            (old, new_length as u64),
            &Permissions::PRIVATE,
        )
        .map(drop)
        .unwrap();
    }

    fn recover(&self) {
        let told = recover(&self.mbox, &self.path(), self.dir.path(), &Permissions::PRIVATE).unwrap();
        assert_eq!(told, None);
        assert!(!path_in(self.dir.path()).exists());
    }
}

fn of(writes: &[(usize, Vec<u8>)]) -> Vec<Write<'_>> {
    let write = |(offset, bytes): &'_ (usize, Vec<u8>)| Write {
        offset: *offset as u64,
        length: bytes.len() as u64,
        bytes: Box::new(io::Cursor::new(bytes.clone())),
    };
    writes.iter().map(write).collect()
}

fn changed(old: &[u8], writes: &[(usize, Vec<u8>)], new_length: usize) -> Vec<u8> {
    let mut new = old.to_vec();
    new.resize(new_length.max(old.len()), 0);
    for (offset, bytes) in writes {
        new[*offset..*offset + bytes.len()].copy_from_slice(bytes);
    }
    new.truncate(new_length);
    new
}

#[test]
fn bytes_change_in_place() {
    let case = Case::new(b"0123456789");
    let writes = [(2, b"xy".to_vec()), (8, b"abcd".to_vec())];
    let journal = path_in(case.dir.path());
    rewrite(&case.mbox, &case.path(), &journal, of(&writes), 12, &Permissions::PRIVATE).unwrap();
    assert_eq!(case.bytes(), b"01xy4567abcd");
    assert!(!journal.exists());
}

#[test]
fn an_incomplete_journal_means_that_nothing_was_begun() {
    let case = Case::new(b"0123456789");
    case.journal(&[(0, b"xxxx".to_vec())], 10);
    let journal = path_in(case.dir.path());
    let whole = std::fs::read(&journal).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&journal, &whole[..length]).unwrap();
        case.recover();
        assert_eq!(case.bytes(), b"0123456789");
    }
}

#[test]
fn what_was_appended_to_half_a_message_stays_behind_all_of_ours() {
    let (ours, theirs) = ("From ours\n\nbody\n\nFrom ours again\n\nbody\n\n", "From theirs\n\nbody\n\n");
    for cut in 0..=ours.len() {
        let case = Case::new(b"one\n");
        case.journal(&[(0, b"ONE".to_vec()), (4, ours.as_bytes().to_vec())], 4 + ours.len());
        case.write(4, &ours.as_bytes()[..cut]);
        let is_line = ours[..cut].is_empty() || ours[..cut].ends_with('\n');
        case.write(4 + cut, format!("{}{theirs}", if is_line { "" } else { "\n" }).as_bytes());
        case.recover();
        let all = format!("ONE\n{ours}{theirs}");
        let expected = if cut == 0 { format!("one\n{theirs}") } else { all };
        assert_eq!(String::from_utf8(case.bytes()).unwrap(), expected, "after {cut} bytes");
    }
}

/// Somebody appends at the old end, and a server gives the message a UID.
#[test]
fn what_others_have_changed_stays_as_they_left_it() {
    let old = b"uid 01 message.";
    let case = Case::new(old);
    case.journal(&[(4, b"02".to_vec()), (15, b"another one".to_vec())], 26);
    case.write(15, b"a delivery that is longer");
    case.write(4, b"07");
    let before = case.bytes();
    let told = recover(&case.mbox, &case.path(), case.dir.path(), &Permissions::PRIVATE).unwrap();
    assert!(told.is_some_and(|told| told.contains("dsync-rewrite.aside")));
    assert_eq!(case.bytes(), before);
    assert!(!path_in(case.dir.path()).exists());
}

proptest! {
    /// First the file grows, then the other writes reach it in their order, each perhaps in part.
    #[test]
    fn a_rewriting_that_was_cut_off_anywhere_is_finished_and_what_was_appended_stays(
        old in prop::collection::vec(any::<u8>(), 1..40),
        pieces in prop::collection::vec((0usize..40, prop::collection::vec(any::<u8>(), 1..12)), 1..4),
        new_length in 1usize..60,
        stop in 0usize..70,
        is_delivered in any::<bool>(),
        appended in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut writes: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut place = 0;
        for (gap, bytes) in pieces {
            let offset = (place + gap).min(old.len());
            if offset + bytes.len() <= new_length && offset >= place {
                place = offset + bytes.len();
                writes.push((offset, bytes));
            }
        }
        // A file that grows grows by what is written.
        let new_length = if new_length > old.len() { place.max(old.len()) } else { new_length };
        let new = changed(&old, &writes, new_length);
        let case = Case::new(&old);
        case.journal(&writes, new_length);
        let mut steps = stop;
        let growth = new.get(old.len()..).unwrap_or_default();
        let count = steps.min(growth.len());
        case.write(old.len(), &growth[..count]);
        steps -= count;
        for (offset, bytes) in &writes {
            let inside = &bytes[..bytes.len().min(old.len().saturating_sub(*offset))];
            let count = steps.min(inside.len());
            case.write(*offset, &inside[..count]);
            steps -= count;
        }
        if steps > 0 && new_length < old.len() {
            case.mbox.set_len(new_length as u64).unwrap();
        }
        let end = case.bytes().len();
        let line_end: &[u8] = if case.bytes().ends_with(b"\n") { b"" } else { b"\n" };
        let delivered: Vec<u8> = if is_delivered { [b"From x", &appended[..]].concat() } else { Vec::new() };
        if is_delivered {
            case.write(end, &[line_end, &delivered].concat());
        }
        let before = case.bytes();
        case.recover();
        let result = case.bytes();
        let with = |bytes: &[u8], between: &[u8]| [bytes, between, &delivered].concat();
        let line_end = if is_delivered { line_end } else { b"" };
        let acceptable =
            [with(&old, b""), with(&new, b""), with(&old, line_end), with(&new, line_end)];
        prop_assert!(acceptable.contains(&result), "{before:?} -> {result:?}, not {acceptable:?}");
    }
}
