//! A message header, and metadata: parsed, printed and parsed again.
#![no_main]

use dsync_core::model::MessageGuid;
use dsync_storage::dbox::message_file::{Metadata, NewMetadata, decode_message_header, encode_message_header};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(size) = decode_message_header(bytes, 0) {
        assert_eq!(decode_message_header(&encode_message_header(size), 0).ok(), Some(size));
    }
    let magic = [b"\n\x01\x03\n", bytes].concat();
    if let Ok((metadata, length)) = Metadata::decode(&magic) {
        assert!(length <= magic.len());
        let printed = metadata.encode();
        assert_eq!(Metadata::decode(&printed), Ok((metadata.clone(), printed.len())));
        let _ = metadata.attachments();
        // What we say in our own words comes back too.
        let guid = metadata.guid().or(MessageGuid::new(b"x")).expect("it is valid");
        let ends_in_cr = |value: &[u8]| value.ends_with(b"\r");
        let mut new = NewMetadata {
            received: metadata.received(),
            plain_size: metadata.plain_size(),
            virtual_size: metadata.virtual_size().unwrap_or_default(),
            pop3_uidl: metadata.pop3_uidl().filter(|uidl| !ends_in_cr(uidl.as_bytes())),
            pop3_order: metadata.pop3_order(),
            guid: &guid,
            first_mailbox: metadata.first_mailbox().filter(|mailbox| !ends_in_cr(mailbox)),
        };
        new.received.0 = new.received.0.max(0);
        let printed = Metadata::new(&new).encode();
        let (again, length) = Metadata::decode(&printed).expect("what is written can be read");
        assert_eq!(length, printed.len());
        assert_eq!((again.received(), again.virtual_size()), (new.received, Some(new.virtual_size)));
        assert_eq!(again.plain_size(), new.plain_size);
        assert_eq!((again.pop3_uidl(), again.pop3_order()), (new.pop3_uidl, new.pop3_order));
        assert_eq!((again.guid().as_ref(), again.first_mailbox()), (Some(new.guid), new.first_mailbox));
    }
});
