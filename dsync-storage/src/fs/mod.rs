//! Durable operations on the file system.
