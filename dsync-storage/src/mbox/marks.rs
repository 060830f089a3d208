//! What was changed in a message because an mbox cannot keep it as it is.

/// What was changed in a message, so that it can be undone: noted in its `Status` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A line feed was added to the body.
    pub body_line_feed: bool,
    /// A `>` was put before the body.
    pub body_quote: bool,
    /// A line feed was added to the header, which has no end.
    pub header_line_feed: bool,
    /// Header lines with names of metadata headers got the prefix `X-Original-`.
    pub original_names: bool,
    /// From_ lines in the header got a `>`: all but the first `header_quotes - 1` that had one before. 0: none did.
    pub header_quotes: u8,
}

impl Marks {
    /// Nothing was changed.
    pub const NONE: Self = Self {
        body_line_feed: false,
        body_quote: false,
        header_line_feed: false,
        original_names: false,
        header_quotes: 0,
    };

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }
}
