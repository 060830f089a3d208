//! What a store is like: its format, where its parts are, and how Dovecot is configured for it.

/// A format, by Dovecot's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Maildir,
    Mdbox,
    Sdbox,
    Mbox,
}

/// A format with parameters and settings. `{dir}` in them stands for a directory that belongs to the store, so that
/// `:INDEX={dir}/index` goes wherever the store goes.
#[derive(Clone, Debug)]
pub struct Setup {
    pub driver: Driver,
    /// As a mail location takes them: `:LAYOUT=fs`.
    pub parameters: String,
    /// Lines for Dovecot's configuration.
    pub settings: Vec<String>,
}

impl Driver {
    /// What has to hold for every format is tried with these.
    pub const ALL: [Self; 4] = [Self::Maildir, Self::Mdbox, Self::Sdbox, Self::Mbox];

    /// Every format with every format, itself included.
    pub fn pairs() -> Vec<[Self; 2]> {
        Self::ALL.into_iter().flat_map(|left| Self::ALL.map(|right| [left, right])).collect()
    }

    /// As mail locations call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Mdbox => "mdbox",
            Self::Sdbox => "sdbox",
            Self::Mbox => "mbox",
        }
    }

    /// This format with parameters of a mail location.
    pub fn with(self, parameters: &str) -> Setup {
        Setup { driver: self, parameters: parameters.to_owned(), settings: Vec::new() }
    }

    /// This format with everything in a place of its own that can be there.
    pub fn spread(self) -> Setup {
        let parameters = ":INDEX={dir}/index:CONTROL={dir}/control";
        match self {
            Self::Maildir => self.with(parameters),
            Self::Mdbox => self.with(&format!("{parameters}:ALT={{dir}}/alt")).setting("mdbox_rotate_size = 20k"),
            Self::Sdbox => self.with(&format!("{parameters}:ALT={{dir}}/alt")),
            Self::Mbox => self.with(&format!("{parameters}:INBOX={{dir}}/spool/user")),
        }
    }

    /// This format with a line for Dovecot's configuration.
    pub fn setting(self, line: &str) -> Setup {
        self.with("").setting(line)
    }
}

impl Setup {
    /// The same with another line for Dovecot's configuration.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// Whether anything is kept beside the mails.
    pub fn is_spread(&self) -> bool {
        self.parameters.contains("{dir}")
    }
}

impl From<Driver> for Setup {
    fn from(driver: Driver) -> Self {
        driver.with("")
    }
}
