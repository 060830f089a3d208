//! What is in a message, as a checksum.

use sha1::{Digest, Sha1};

use crate::store::MessageBody;

/// What the message is, whatever line ends its store uses. `None` if it cannot be read: it is like no other, then.
pub(crate) fn content(mut body: MessageBody) -> Option<[u8; 16]> {
    let mut hash = Sha1::new();
    let mut buffer = [0; 16 * 1024];
    let mut after_cr = false;
    loop {
        let length = std::io::Read::read(&mut body, &mut buffer).ok()?;
        if length == 0 {
            break;
        }
        let mut plain = Vec::with_capacity(length.saturating_add(1));
        for byte in buffer.get(..length)? {
            if after_cr && *byte != b'\n' {
                plain.push(b'\r');
            }
            after_cr = *byte == b'\r';
            if !after_cr {
                plain.push(*byte);
            }
        }
        hash.update(&plain);
    }
    if after_cr {
        hash.update(b"\r");
    }
    hash.finalize().first_chunk().copied()
}
