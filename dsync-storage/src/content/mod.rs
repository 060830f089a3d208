//! From the bytes that a store keeps to the bytes of the message.
//!
//! Stores may keep messages compressed, or with their attachments in files of their own; nothing but the first bytes says
//! the former. What comes out here is the message as it was saved, always as a stream, in memory that does not grow with
//! it. What is not compressed stays a part of its file, so that the kernel can copy it.
//!
//! * [`open`]: a body that may be compressed; [`open_message`]: one of a dbox, with what its metadata says.
//! * `attachments`: puts a message together whose attachments are elsewhere.
//! * `compression`: the formats, how they are recognised, and what is built in. `gzip`, `bzip2`, `xz`, `zstd` and `lz4` carry them out;
//!   each is a feature of the crate. The last two are taken out of their frames here.
//! * `compress`: the other way round, for stores whose server wants new messages compressed.
//! * `exact`: a stream that has to have its length.

mod attachments;
#[cfg(feature = "bzip2")]
mod bzip2;
mod compress;
mod compression;
mod exact;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
pub mod lz4;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::io;
use std::path::Path;

use dsync_core::store::{BodySource, ErrorKind, FileRange, MessageBody, StoreError};

pub use self::attachments::AttachmentFiles;
pub use self::compress::{Compression, InvalidCompression};
use self::compression::Format;
pub use self::compression::{CompressionMethod, LZ4_MAGIC};
use self::exact::{Exact, Place};
use crate::dbox::message_file::Metadata;
use crate::fs::FsError;

/// The message that is stored as `stored`, a part of the file at `path`. `plain_size` is how many bytes the message has,
/// if the store says so; it matters only for a compressed one. What is not compressed is returned as it is.
///
/// What begins like compressed data but has the size of the message already is taken for compressed only if it can be
/// decompressed to that size: both a plain message that begins so and one that did not become smaller are possible.
///
/// A compressed message is a stream, and ends with an error of kind `InvalidData` that names the file if the data is
/// damaged or the message has another size.
///
/// # Errors
/// [`ErrorKind::Source`] if the file cannot be read, or the message is encrypted, or compressed in a way that is not built in.
pub fn open(stored: FileRange, plain_size: Option<u64>, path: &Path) -> Result<MessageBody, StoreError> {
    let place = Place { path: path.to_owned(), offset: stored.offset() };
    let format = Format::of(stored.clone())
        .map_err(|error| StoreError::new(ErrorKind::Source, FsError::new("read", path, error).to_string()))?;
    let reader = match format {
        Format::Plain => return Ok(MessageBody::from_range(stored)),
        Format::Encrypted => {
            let text = format!(
                "{place} is encrypted by Dovecot's plugin mail_crypt and left out; have a Dovecot that has the keys \
                 copy it unencrypted (mail_crypt_save_version = 0)"
            );
            return Err(StoreError::new(ErrorKind::Source, text));
        }
        Format::Compressed(method) => {
            let Some(codec) = method.codec() else {
                let text = format!(
                    "{place} is compressed with {method}, which this program was built without, so it is left out; build \
                     dsync with the feature \"compression\" (of dsync-storage: \"{}\")",
                    method.feature()
                );
                return Err(StoreError::new(ErrorKind::Source, text));
            };
            let has_its_size = plain_size == Some(stored.length());
            let mut trial = Exact::new(codec.plain(stored.clone()), plain_size, place.clone());
            if has_its_size && io::copy(&mut trial, &mut io::sink()).is_err() {
                return Ok(MessageBody::from_range(stored));
            }
            codec.plain(stored)
        }
    };
    let exact = Exact::new(reader, plain_size, place);
    Ok(MessageBody { size: plain_size, source: BodySource::Stream(Box::new(exact)) })
}

/// The message whose stored body is `stored`, a part of the dbox file at `path`, with this metadata.
///
/// # Errors
/// As [`open`]; also [`ErrorKind::Source`] if attachments are in files of their own and no directory is configured, or one
/// is missing or of the wrong size. What turns out only while the message is read ends that with an error.
pub fn open_message(
    stored: FileRange,
    metadata: &Metadata,
    files: &AttachmentFiles<'_>,
    path: &Path,
) -> Result<MessageBody, StoreError> {
    let place = Place { path: path.to_owned(), offset: stored.offset() };
    let refused = |text: String| StoreError::new(ErrorKind::Source, text);
    let attachments =
        metadata.attachments().map_err(|error| refused(format!("{place} cannot be put together: {error}")))?;
    let plain_size = metadata.plain_size();
    if !attachments.is_empty() {
        // The size of what is left without them is written nowhere.
        let rest = open(stored, None, path)?;
        return attachments::assemble(rest, attachments, files, plain_size, &place);
    }
    let body = open(stored, plain_size, path)?;
    match (plain_size, body.size) {
        (Some(plain), Some(size)) if plain != size => Err(refused(format!(
            "{place} should be a message of {plain} bytes, but {size} are stored and not compressed in a known way"
        ))),
        _ => Ok(body),
    }
}

#[cfg(test)]
mod tests;
