//! Sessions of real programs: every item is understood, and written again byte for byte. See `data/wire/README.md`.

// A helper that fails is a test that fails.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use dsync_core::wire::{BodyEncoder, Decoder, Encoder, Incoming, Item};

/// What a side said, read and written again, and how many items it were.
fn again(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut decoder = Decoder::new();
    let (mut encoder, mut body) = (Encoder::default(), BodyEncoder::default());
    let mut input = bytes;
    let mut items = 0;
    while let Some(incoming) = decoder.next(&mut input).expect("what a real program says means something") {
        match incoming {
            Incoming::Greeting(minor_version) => {
                encoder = Encoder::new(decoder.layouts().clone());
                encoder.greeting_of(minor_version, &mut out);
            }
            Incoming::Item(item) => {
                items += 1;
                body = BodyEncoder::default();
                encoder.item(&item, &mut out);
            }
            Incoming::EndOfList => encoder.end_of_list(&mut out),
            Incoming::Body(content) => body.push(&content, &mut out),
            Incoming::BodyEnd => out.extend(BodyEncoder::END),
        }
    }
    assert!(decoder.is_between_rows(), "it ends with a whole row");
    (out, items)
}

fn recorded() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "raw"));
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[test]
fn every_item_comes_back_byte_for_byte() {
    let recorded = recorded();
    assert!(recorded.len() >= 20, "the recordings are there");
    for (name, bytes) in recorded {
        let (written, items) = again(&bytes);
        assert!(items > 0, "{name} says nothing");
        let same = written.iter().zip(&bytes).take_while(|(left, right)| left == right).count();
        let shown =
            |bytes: &[u8]| bytes.iter().skip(same).take(60).copied().collect::<Vec<_>>().escape_ascii().to_string();
        assert!(written == bytes, "{name} from byte {same} on: {} / {}", shown(&written), shown(&bytes));
    }
}

#[test]
fn every_server_says_that_it_is_done_unless_it_fails() {
    for (name, bytes) in recorded().into_iter().filter(|(name, _)| name.contains("slave-to-master")) {
        let mut decoder = Decoder::new();
        let (mut input, mut last) = (bytes.as_slice(), Vec::new());
        while let Some(incoming) = decoder.next(&mut input).unwrap() {
            if let Incoming::Item(item) = incoming {
                last.push(item);
            }
        }
        let is_done = matches!(last.as_slice(), [.., Item::Finish(_), Item::Done]);
        assert_eq!(is_done, !name.contains("fails") && !name.contains("rejects"), "{name}");
    }
}
