//! The two sides of a run.

/// One of the two sides of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that began the run. It wins where nothing else decides.
    Master,
    /// The other one.
    Slave,
}

impl Role {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Master, Self::Slave];

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Master => Self::Slave,
            Self::Slave => Self::Master,
        }
    }

    /// Its place in a pair, master first.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Master => 0,
            Self::Slave => 1,
        }
    }
}
