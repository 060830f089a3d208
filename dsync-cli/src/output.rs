//! Long answers on stdout.

use std::io::{self, BufWriter, Stdout, Write};

/// Where the answer of a command goes.
pub(crate) enum Output {
    /// To stdout as it comes.
    Stream(BufWriter<Stdout>),
    /// To stdout when all of it is there: processes for several users write to the same place.
    AtOnce(Vec<u8>),
}

impl Output {
    pub(crate) fn new(is_one_of_several: bool) -> Self {
        match is_one_of_several {
            true => Self::AtOnce(Vec::new()),
            false => Self::Stream(BufWriter::new(io::stdout())),
        }
    }

    /// Sees to it that everything has been written.
    ///
    /// # Errors
    /// If that fails.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::AtOnce(all) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&std::mem::take(all))?;
                stdout.flush()
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::AtOnce(all) => all.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::AtOnce(_) => Ok(()),
        }
    }
}
