//! Whether messages are chosen to be given to the other side.

use crate::model::{MessageKey, MessageRecord, MessageSelection};
use crate::store::{Mailbox, MessageBody};

/// Whether a message of the mailbox is chosen. `sizes_count` says whether its size matters.
pub(super) fn is_selected(
    mailbox: &mut dyn Mailbox,
    (key, record): (MessageKey, &MessageRecord),
    selection: &MessageSelection,
    sizes_count: bool,
) -> bool {
    if !selection.contains_apart_from_size(record) {
        return false;
    }
    match selection.max_size.filter(|_| sizes_count) {
        // One that cannot be read is reported when it is to be copied.
        Some(max) => mailbox.body(key).ok().and_then(|body| is_larger(body, max)) != Some(true),
        None => true,
    }
}

/// How many bytes a message has when its lines end in CRLF. `None` if it cannot be read.
pub(super) fn size_for_clients(body: MessageBody) -> Option<u64> {
    counted(body, u64::MAX)
}

/// Whether a message has more bytes than `max` when its lines end in CRLF. `None` if it cannot be read.
fn is_larger(body: MessageBody, max: u64) -> Option<bool> {
    match body.size {
        Some(size) if size > max => return Some(true),
        // However many line ends there are.
        Some(size) if size.saturating_mul(2) <= max => return Some(false),
        _ => {}
    }
    counted(body, max).map(|size| size > max)
}

/// The number of bytes with CRLF at the ends of lines; it need not be counted on once it is more than `enough`.
fn counted(mut body: MessageBody, enough: u64) -> Option<u64> {
    let mut buffer = [0; 16 * 1024];
    let (mut total, mut after_cr) = (0_u64, false);
    loop {
        let length = std::io::Read::read(&mut body, &mut buffer).ok()?;
        if length == 0 || total > enough {
            return Some(total);
        }
        for byte in buffer.get(..length)? {
            total += if *byte == b'\n' && !after_cr { 2 } else { 1 };
            after_cr = *byte == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_count_as_clients_see_them() {
        let larger = |bytes: &[u8], max| {
            let known = is_larger(MessageBody::from_bytes(bytes.to_vec()), max);
            let unknown = is_larger(MessageBody { size: None, ..MessageBody::from_bytes(bytes.to_vec()) }, max);
            assert_eq!(known, unknown);
            known.unwrap()
        };
        assert!(larger(b"a\nb\n", 5) && !larger(b"a\nb\n", 6));
        assert!(larger(b"a\r\nb\n", 5) && !larger(b"a\r\nb\n", 6));
        assert!(larger(b"abc", 2) && !larger(b"abc", 3) && !larger(b"", 0));
        let long = b"x\n".repeat(100_000);
        assert!(larger(&long, 299_999) && !larger(&long, 300_000));
    }
}
