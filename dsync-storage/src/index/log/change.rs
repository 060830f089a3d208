//! What a record of a log says.

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// It has happened already; without this it is a request to the storage.
    pub external: bool,
    /// It mirrors another replica, so that a later sync does not take it for a local change.
    pub sync: bool,
    /// What changes.
    pub change: Change,
}

/// UIDs from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRange {
    /// The first UID.
    pub first: u32,
    /// The last UID; not less than the first.
    pub last: u32,
}

/// New flags for a range of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagUpdate {
    /// Which messages.
    pub uids: UidRange,
    /// Bits to set.
    pub add: u8,
    /// Bits to clear.
    pub remove: u8,
    /// Raise the modseq even if nothing changes.
    pub force: bool,
}

/// Announces an extension to which the following extension records belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionIntro {
    /// Which one.
    pub target: ExtensionTarget,
    /// Must be that of the extension, or what follows is ignored.
    pub reset_id: u32,
    /// Size of the header data.
    pub header_size: u32,
    /// Size of the data of each message.
    pub record_size: u16,
    /// Alignment of that data.
    pub record_align: u16,
    /// Bit 0: sizes only grow.
    pub flags: u16,
}

/// How an intro names its extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionTarget {
    /// By its place in the order of creation.
    Number(u32),
    /// By name; it is made if there is none.
    Name(Vec<u8>),
}

/// The change that a record describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Messages are gone.
    Expunge(Vec<UidRange>),
    /// Messages are gone; UID and 128-bit GUID, zeros if unknown.
    ExpungeGuid(Vec<(u32, [u8; 16])>),
    /// New messages: UID, flags, and the three bytes after.
    Append(Vec<(u32, u8, [u8; 3])>),
    /// Flags change.
    FlagUpdate(Vec<FlagUpdate>),
    /// Bytes of the base header change: offset and new bytes.
    HeaderUpdate(Vec<(u16, Vec<u8>)>),
    /// The following extension records are about this extension.
    ExtensionIntro(ExtensionIntro),
    /// The extension gets another reset id; its data become zero unless the flag is set.
    ExtensionReset(u32, bool),
    /// Bytes of the extension's header change.
    ExtensionHeader(Vec<(u32, Vec<u8>)>),
    /// Data of messages change: entries of UID and data, padded to 4; how long the data are is in the intro.
    ExtensionRecords(Vec<u8>),
    /// Numbers in the data of messages grow or shrink.
    ExtensionIncrement(Vec<(u32, i32)>),
    /// A keyword is set or removed.
    KeywordUpdate {
        /// Removed instead of set.
        remove: bool,
        /// Its name.
        name: Vec<u8>,
        /// Which messages.
        uids: Vec<UidRange>,
    },
    /// All keywords are removed.
    KeywordReset(Vec<UidRange>),
    /// Modseqs are raised: UID, or 0 for the mailbox, and value.
    ModSeqUpdate(Vec<(u32, u64)>),
    /// The mailbox is deleted.
    IndexDeleted,
    /// It is not deleted after all.
    IndexUndeleted,
    /// The records that follow belong together: size of all of them in bytes, this one included.
    Boundary(u32),
    /// Attributes were changed; kept as it is.
    AttributeUpdate(Vec<u8>),
}

impl ExtensionIntro {
    /// An intro that names its extension, and never makes smaller what a server may have made larger.
    #[must_use]
    pub fn named(name: &str, reset_id: u32, header_size: u32, record_size: u16, record_align: u16) -> Self {
        let target = ExtensionTarget::Name(name.into());
        Self { target, reset_id, header_size, record_size, record_align, flags: 1 }
    }
}

impl LogRecord {
    /// Something that has happened already.
    #[must_use]
    pub fn external(change: Change) -> Self {
        Self { external: true, sync: false, change }
    }

    /// Something that is to be carried out yet.
    #[must_use]
    pub fn request(change: Change) -> Self {
        Self { external: false, sync: false, change }
    }
}
