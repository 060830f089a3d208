//! A run between two ends of a connection.

use std::io::{Read, pipe};
use std::thread;
use std::time::Duration;

use dsync_core::memory::MemoryStore;
use dsync_core::report::{Report, Unobserved};
use dsync_core::session::remote::{
    Connection, ConnectionOptions, Part, RemoteSession, master_handshake, slave_handshake,
};
use dsync_core::session::{SessionError, SyncOptions};

/// How many bytes one message of a session stands for when the connection is to break off.
const BYTES: usize = 150;

/// What the master and the slave did; `None` if the connection broke off.
pub(crate) fn run(
    master: &MemoryStore,
    slave: &MemoryStore,
    options: &SyncOptions,
    cut_off: Option<usize>,
) -> Option<[Report; 2]> {
    let (master_input, slave_output) = pipe().unwrap();
    let (slave_input, master_output) = pipe().unwrap();
    // Behind the greeting, in one direction or the other.
    let heard = |which: usize| match cut_off {
        Some(messages) if messages % 2 == which => 1200 + u64::try_from(messages * BYTES).unwrap(),
        _ => u64::MAX,
    };
    let (master_input, slave_input) = (master_input.take(heard(0)), slave_input.take(heard(1)));
    let mut limits = ConnectionOptions::default();
    limits.timeout = Duration::from_secs(60);
    let (mut master, mut slave) = (master.clone(), slave.clone());
    let slave = thread::spawn(move || {
        let own = slave_handshake("slave.example");
        let (connection, peer) = Connection::open(slave_input, slave_output, &own, limits)?;
        let mut observer = Unobserved;
        let mut session = RemoteSession::slave(&mut slave, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok::<_, SessionError>(session.into_report())
    });
    let run = || {
        let own = master_handshake(Part::Both, options, "master.example")?;
        let (connection, peer) = Connection::open(master_input, master_output, &own, limits)?;
        let mut observer = Unobserved;
        let mut session =
            RemoteSession::master(&mut master, Part::Both, options.clone(), &own, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok::<_, SessionError>(session.into_report())
    };
    let outcomes = [run(), slave.join().unwrap()];
    if cut_off.is_none() {
        return Some(outcomes.map(|outcome| outcome.expect("it is carried to its end")));
    }
    let [Ok(master), Ok(slave)] = outcomes else { return None };
    Some([master, slave])
}
