//! Reading with a look ahead.
