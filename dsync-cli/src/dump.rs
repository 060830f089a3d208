//! `dsync dump`: files of a mail store as text.

use std::io::Write;
use std::path::Path;

use dsync_storage::dump::{DumpError, dump};

use crate::exit::{self, Failure};
use crate::messages;
use crate::output::Output;

/// Says on stdout what is in some files. The exit status is that of the last file that could not be shown as a whole.
pub(crate) fn dump_all(files: &[String]) -> Result<u8, Failure> {
    let mut output = Output::new(false);
    let mut status = exit::SUCCESS;
    for file in files {
        if files.len() > 1 {
            writeln!(output, "{}:", messages::harmless(file)).map_err(Failure::Output)?;
        }
        match dump(Path::new(file), &mut output) {
            Ok(()) => {}
            Err(DumpError::Output(error)) => return Err(Failure::Output(error)),
            Err(error) => {
                // What is said about a file stands behind what could be shown of it.
                output.finish().map_err(Failure::Output)?;
                messages::error(&error);
                status = match error {
                    DumpError::Read(_) => exit::NO_INPUT,
                    _ => exit::DATA,
                };
            }
        }
    }
    output.finish().map_err(Failure::Output)?;
    Ok(status)
}
