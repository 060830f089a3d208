//! Writing what a side says.

use super::{Item, Layouts, MAJOR_VERSION, MINOR_VERSION};

/// Turns items into bytes.
#[derive(Clone, Debug)]
pub struct Encoder {
    layouts: Layouts,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new(Layouts::standard())
    }
}

impl Encoder {
    /// One whose rows look like that.
    #[must_use]
    pub fn new(layouts: Layouts) -> Self {
        Self { layouts }
    }

    /// What comes before everything else: the version and the headers.
    pub fn greeting(&self, out: &mut Vec<u8>) {
        self.greeting_of(MINOR_VERSION, out);
    }

    /// The same with another minor version.
    pub fn greeting_of(&self, minor_version: u32, out: &mut Vec<u8>) {
        out.extend(format!("VERSION\tdsync\t{MAJOR_VERSION}\t{minor_version}\n").bytes());
        self.layouts.write(out);
        self.end_of_list(out);
    }

    /// A row. If it [has a body](Item::has_body), write that next, with a [`BodyEncoder`](super::BodyEncoder).
    pub fn item(&self, item: &Item, out: &mut Vec<u8>) {
        item.write(&self.layouts, out);
    }

    /// What comes after the last item of a list.
    pub fn end_of_list(&self, out: &mut Vec<u8>) {
        out.extend(b".\n");
    }
}
