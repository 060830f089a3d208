//! The reference load for measurements.
