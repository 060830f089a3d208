//! Changing the data of extensions, which records announce with an intro. What they may claim is bounded.
#![deny(clippy::indexing_slicing, clippy::unwrap_used)]

use std::sync::Arc;

use super::{Contradiction, Current, IndexView, KEYWORDS};
use crate::index::bytes::{Reader, padded, put};
use crate::index::log::{ExtensionIntro, ExtensionTarget};
use crate::index::main_index::Extension;
use crate::index::modseqs::MODSEQ;

/// No extension has more data than this, for its header or one message.
const LARGEST_HEADER: u32 = (16 << 20) - 1;
const LARGEST_RECORD: u16 = 32767;
/// No message has more data of all extensions together, and no index more of all messages and headers, so that a small
/// hostile log cannot claim much memory.
const LARGEST_WIDTH: usize = 2048;
const LARGEST_TOTAL: usize = 1 << 30;

impl IndexView {
    pub(super) fn introduce(&mut self, intro: &ExtensionIntro) -> Result<(), Contradiction> {
        self.current = None;
        let number = match &intro.target {
            ExtensionTarget::Number(number) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                if number >= self.index.extensions.len() {
                    return Err(Contradiction("an unknown extension is used"));
                }
                number
            }
            ExtensionTarget::Name(name) => {
                match self.index.extensions.iter().position(|extension| extension.name == *name) {
                    Some(number) => number,
                    None => self.add_extension(name, intro)?,
                }
            }
        };
        let count = self.index.messages.len();
        let Some(extension) = self.index.extensions.get_mut(number) else { return Ok(()) };
        if extension.name == KEYWORDS.as_bytes() {
            return Err(Contradiction("the keywords are changed as an extension"));
        }
        let before = (extension.record_size, extension.header.len());
        check_sizes(intro)?;
        // The new size counts as soon as it is known, not when it has been reserved.
        let (mut width, mut headers) =
            (usize::from(intro.record_size), usize::try_from(intro.header_size).unwrap_or(0));
        (width, headers) = (width.max(before.0.into()), headers.max(before.1));
        let others = self.index.extensions.iter().enumerate().filter(|(other, _)| *other != number);
        for (_, other) in others {
            width = width.saturating_add(other.record_size.into());
            headers = headers.saturating_add(other.header.len());
        }
        within_limits(width, headers, count)?;
        let Some(extension) = self.index.extensions.get_mut(number) else { return Ok(()) };
        resize(extension, intro, count);
        self.current = Some(Current { number, up_to_date: extension.reset_id == intro.reset_id });
        Ok(())
    }

    fn add_extension(&mut self, name: &[u8], intro: &ExtensionIntro) -> Result<usize, Contradiction> {
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' ');
        if name.is_empty() || name.len() > 63 || !name.iter().all(valid) || self.index.extensions.len() >= 256 {
            return Err(Contradiction("an extension has an impossible name"));
        }
        let extension = Extension { name: name.to_vec(), reset_id: intro.reset_id, ..Extension::default() };
        self.index.extensions.push(extension);
        Ok(self.index.extensions.len().saturating_sub(1))
    }

    pub(super) fn check_size(&self, count: usize) -> Result<(), Contradiction> {
        let widths = self.index.extensions.iter().map(|extension| usize::from(extension.record_size));
        let headers = self.index.extensions.iter().map(|extension| extension.header.len());
        within_limits(widths.sum(), headers.sum(), count)
    }

    fn current_extension(&mut self) -> Result<Option<&mut Extension>, Contradiction> {
        match self.current {
            None => Err(Contradiction("data of an extension come without saying of which")),
            Some(Current { up_to_date: false, .. }) => Ok(None),
            Some(Current { number, .. }) => Ok(self.index.extensions.get_mut(number)),
        }
    }

    pub(super) fn reset_extension(&mut self, reset_id: u32, preserve: bool) {
        // A reset is about the extension whatever reset id the intro knew.
        if let Some(current) = &mut self.current
            && let Some(extension) = self.index.extensions.get_mut(current.number)
        {
            current.up_to_date = extension.reset_id == reset_id || current.up_to_date;
            extension.reset_id = reset_id;
            if !preserve {
                extension.header.fill(0);
                Arc::make_mut(&mut extension.records).fill(0);
            }
        }
    }

    pub(super) fn patch_extension_header(&mut self, at: u32, bytes: &[u8]) -> Result<(), Contradiction> {
        let is_modseq = match self.current_extension()? {
            None => return Ok(()),
            Some(extension) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let end = start.saturating_add(bytes.len());
                if end > extension.header.len() {
                    return Err(Contradiction("a change of an extension's header lies outside of it"));
                }
                put(&mut extension.header, start, bytes);
                extension.name == MODSEQ.as_bytes()
            }
        };
        if is_modseq {
            self.fill_unknown_modseqs();
        }
        Ok(())
    }

    /// From now on messages have their own modseqs: those that have none yet get the highest of the header.
    fn fill_unknown_modseqs(&mut self) {
        let count = self.index.messages.len();
        if let Some(extension) = self.extension_mut(MODSEQ) {
            let highest = Reader(&extension.header).u64().unwrap_or(0).to_le_bytes();
            for place in 0..count {
                let record = extension.record_mut(place);
                if record.iter().all(|byte| *byte == 0) {
                    put(record, 0, &highest);
                }
            }
        }
    }

    pub(super) fn set_extension_records(&mut self, bytes: &[u8]) -> Result<(), Contradiction> {
        let next_uid = self.next_uid();
        let Some(size) = self.current_extension()?.map(|extension| usize::from(extension.record_size)) else {
            return Ok(());
        };
        let entry = padded(size, 4).saturating_add(4);
        for entry in bytes.chunks_exact(entry) {
            let mut reader = Reader(entry);
            let (Some(uid), Some(data)) = (reader.u32(), reader.take(size)) else { continue };
            if uid == 0 || uid >= next_uid {
                return Err(Contradiction("data are set for a UID that was never given"));
            }
            if let Some(place) = self.index_of(uid)
                && let Some(extension) = self.current_extension()?
            {
                put(extension.record_mut(place), 0, data);
            }
        }
        Ok(())
    }

    pub(super) fn increment(&mut self, uid: u32, difference: i32) -> Result<(), Contradiction> {
        let Some(place) = self.index_of(uid) else { return Ok(()) };
        let Some(extension) = self.current_extension()? else { return Ok(()) };
        let record = extension.record_mut(place);
        let mut wide = [0; 8];
        put(&mut wide, 0, record);
        let most = match record.len() {
            1 => u64::from(u8::MAX),
            2 => u64::from(u16::MAX),
            4 => u64::from(u32::MAX),
            8 => u64::MAX,
            _ => return Err(Contradiction("a number of an impossible size is counted")),
        };
        let sum = u64::from_le_bytes(wide).checked_add_signed(difference.into()).filter(|sum| *sum <= most);
        let sum = sum.ok_or(Contradiction("a counter leaves its range"))?.to_le_bytes();
        let length = record.len();
        put(record, 0, sum.get(..length).unwrap_or_default());
        Ok(())
    }
}

fn within_limits(width: usize, headers: usize, count: usize) -> Result<(), Contradiction> {
    let total = width.saturating_add(8).saturating_mul(count).saturating_add(headers);
    if width > LARGEST_WIDTH || total > LARGEST_TOTAL {
        return Err(Contradiction("the data of its extensions are larger than those of any mailbox"));
    }
    Ok(())
}

fn check_sizes(intro: &ExtensionIntro) -> Result<(), Contradiction> {
    let impossible = Contradiction("an extension has an impossible size");
    if intro.header_size > LARGEST_HEADER || intro.record_size > LARGEST_RECORD {
        return Err(impossible);
    }
    if intro.record_size > 0
        && (!(1..=8).contains(&intro.record_align) || !intro.record_size.is_multiple_of(intro.record_align))
    {
        return Err(impossible);
    }
    Ok(())
}

fn resize(extension: &mut Extension, intro: &ExtensionIntro, count: usize) {
    let never_shrink = intro.flags & 1 != 0;
    let header_size = usize::try_from(intro.header_size).unwrap_or(0);
    if header_size > extension.header.len() || !never_shrink {
        extension.header.resize(header_size, 0);
    }
    if intro.record_size > extension.record_size || !never_shrink && intro.record_size != extension.record_size {
        widen(extension, intro.record_size, count);
        extension.record_align = intro.record_align;
    }
}

/// Gives the data of each message another size.
pub(super) fn widen(extension: &mut Extension, size: u16, count: usize) {
    let (old, new) = (usize::from(extension.record_size), usize::from(size));
    let mut records = vec![0; new.saturating_mul(count)];
    if old > 0 && new > 0 {
        for (from, to) in extension.records.chunks_exact(old).zip(records.chunks_exact_mut(new)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    extension.records = Arc::new(records);
    extension.record_size = size;
}
