//! A file with messages of an mdbox or sdbox as text: everything but the messages themselves.

use std::io::Write;

use super::{Failure, text, time};
use crate::dbox::message_file::{MessageFileError, ReadAt, read_file_header, walk};

pub(super) fn dump(file: &(impl ReadAt + ?Sized), output: &mut dyn Write) -> Result<(), Failure> {
    let damage = |error: MessageFileError| Failure::Damage(error.to_string());
    let (header, start) = read_file_header(file).map_err(damage)?;
    writeln!(output, "version: {}", header.version)?;
    writeln!(output, "header of each message: {} bytes", header.message_header_size)?;
    if let Some(created) = header.created {
        writeln!(output, "created: {}", time(created.into()))?;
    }
    for message in walk(file, header, start) {
        let message = message.map_err(damage)?;
        let metadata = &message.metadata;
        write!(
            output,
            "offset {}: {} bytes, of which {} of the message; received {}",
            message.offset,
            message.size,
            message.body_size,
            time(metadata.received().seconds())
        )?;
        if let Some(guid) = metadata.guid() {
            write!(output, "; GUID {guid}")?;
        }
        if let Some(size) = metadata.virtual_size() {
            write!(output, "; virtual size {size}")?;
        }
        if let Some(size) = metadata.plain_size() {
            write!(output, "; size when put together {size}")?;
        }
        if let Some(uidl) = metadata.pop3_uidl() {
            write!(output, "; POP3 UIDL {}", text(uidl.as_bytes()))?;
        }
        if let Some(order) = metadata.pop3_order() {
            write!(output, "; POP3 order {order}")?;
        }
        if let Some(mailbox) = metadata.first_mailbox() {
            write!(output, "; first saved to {}", text(mailbox))?;
        }
        match metadata.attachments() {
            Ok(attachments) => {
                for attachment in attachments {
                    let path = crate::text::lossy(attachment.path());
                    write!(output, "; attachment of {} bytes at {}: {path}", attachment.size, attachment.start)?;
                }
            }
            Err(error) => write!(output, "; attachments that cannot be understood: {error}")?,
        }
        writeln!(output)?;
    }
    Ok(())
}
