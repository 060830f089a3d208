//! A storage of one's own keeps the promises of the traits: this test is all that it takes to know.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use dsync_examples::sqlite::SqliteStore;

#[test]
fn the_store_in_a_database_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    dsync_core::conformance::run(&mut || {
        number += 1;
        Box::new(SqliteStore::open(&directory.path().join(number.to_string())).unwrap())
    });
}
