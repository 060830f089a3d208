//! The files that hold messages: `m.N` of mdbox with any number of them, `u.UID` of sdbox with one. The format is the
//! same.
//!
//! ```text
//! file      2 M1e C6553f100 LF              version, size of a message header (hex), time of creation (hex)
//!           messages, up to the end of the file
//!
//! message   01 02 N SP, 8 SP, SP            message header, 30 bytes
//!           0000000000000017 LF             size of the body as it is stored (hex, 16 digits)
//!           body
//!           LF 01 03 LF                     start of the metadata; the first LF is not part of the body
//!           R59682f01 LF                    lines of a key and its value, to the first empty line:
//!           V1a LF                          see Metadata
//!           LF
//! ```
//!
//! What is written once never changes, and files only grow, so everything is read at its offset without locks. A body is
//! never read here: it may be large, compressed, or not needed. Source: observation of Dovecot 2.3.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

mod attachment_list;
mod header;
mod metadata;
mod read;

use std::io;

use thiserror::Error;

pub use attachment_list::{Attachment, AttachmentListError, Encoding, LineEnd, parse_attachments};
pub use header::{FileHeader, MESSAGE_HEADER_SIZE, decode_message_header, encode_message_header};
pub use metadata::{Metadata, MetadataError, NewMetadata};
pub use read::{ReadAt, StoredMessage, Walk, read_file_header, read_message, walk};

/// Why a file, or the message at some place of it, cannot be understood. The caller knows the path.
#[derive(Debug, Error)]
pub enum MessageFileError {
    /// The system could not read.
    #[error("reading at offset {offset} failed: {source}")]
    Read {
        /// Where in the file.
        offset: u64,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It does not begin with a line that is a file header.
    #[error("it does not begin with the header of a dbox file")]
    FileHeader,
    /// It is of a version that we do not know.
    #[error("it is a dbox file of an unknown version")]
    Version,
    /// The header does not say how large message headers are, or a size that cannot be.
    #[error("its header gives no valid size of message headers")]
    MessageHeaderSize,
    /// At this place no message begins.
    #[error("at offset {offset} there is no message header")]
    MessageHeader {
        /// Where in the file it should begin.
        offset: u64,
    },
    /// Behind a body there is something else than its metadata.
    #[error("at offset {offset} the metadata of a message should begin, but does not")]
    MetadataMagic {
        /// Where in the file the body ends.
        offset: u64,
    },
    /// The file, or the room that the message has in it, ends too early.
    #[error("the message at offset {offset} is incomplete")]
    Incomplete {
        /// Where in the file it begins.
        offset: u64,
    },
    /// No real message has so much metadata.
    #[error("the message at offset {offset} has too much metadata")]
    MetadataTooLarge {
        /// Where in the file it begins.
        offset: u64,
    },
}

#[cfg(test)]
mod tests;
