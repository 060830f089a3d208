//! A message as clients see it.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::scan::ScannedMessage;

/// Reads a message as clients see it.
#[derive(Debug)]
pub struct VisibleMessage {
    file: Arc<File>,
}

impl VisibleMessage {
    /// The message of `file` that was found by [`scan`](super::scan::scan).
    #[must_use]
    pub fn new(file: Arc<File>, _message: &ScannedMessage) -> Self {
        Self { file }
    }
}

impl Read for VisibleMessage {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        todo!("{:?}", self.file)
    }
}
