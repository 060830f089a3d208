//! Synchronises two stores over a connection of an async runtime. Here both ends are in one process, joined by a TCP connection of
//! tokio; put TLS, a WebSocket or a queue in its place.
//!
//! A session never waits for the network: the streams belong to the runtime, and the session, which reads and writes mail, has a
//! thread of the runtime's pool for blocking work.
use std::error::Error;

use dsync_core::memory::MemoryStore;
use dsync_core::model::MailboxName;
use dsync_core::session::remote::{
    Connection, ConnectionOptions, Part, RemoteSession, master_handshake, slave_handshake,
};
use dsync_core::{MailStore, Report, SessionError, SyncOptions, Unobserved};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;

/// Begins a run with the other end of a stream.
async fn begin<S>(stream: S, mut store: MemoryStore) -> Result<Report, SessionError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (input, output) = tokio::io::split(stream);
    let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
    let work = spawn_blocking(move || {
        let options = SyncOptions::default();
        let own = master_handshake(Part::Both, &options, "home")?;
        let (connection, peer) = Connection::open(input, output, &own, ConnectionOptions::default())?;
        let mut observer = Unobserved;
        let mut session = RemoteSession::master(&mut store, Part::Both, options, &own, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok(session.into_report())
    });
    work.await.unwrap_or(Err(SessionError::Stopped))
}

/// Is the other end.
async fn answer<S>(stream: S, mut store: MemoryStore) -> Result<Report, SessionError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (input, output) = tokio::io::split(stream);
    let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
    let work = spawn_blocking(move || {
        let own = slave_handshake("work");
        let (connection, peer) = Connection::open(input, output, &own, ConnectionOptions::default())?;
        let mut observer = Unobserved;
        let mut session = RemoteSession::slave(&mut store, &peer, &mut observer)?;
        connection.run(&mut session)?;
        Ok(session.into_report())
    });
    work.await.unwrap_or(Err(SessionError::Stopped))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Clones of a store in memory share what is in it.
    let (mut home, mut work) = (MemoryStore::with_seed(1), MemoryStore::with_seed(2));
    let inbox = MailboxName::inbox();
    home.deliver(&inbox, b"Subject: to home\n\n");
    work.deliver(&inbox, b"Subject: to work\n\n");

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (at_home, at_work) = (home.clone(), work.clone());
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        answer(stream, at_work).await.map_err(|error| error.to_string())
    });
    let report = begin(TcpStream::connect(address).await?, at_home).await?;
    answering.await??;

    assert_eq!(report.exit_status(), 0);
    for store in [&mut home, &mut work] {
        assert_eq!(store.open(&inbox)?.messages().len(), 2);
    }
    eprintln!("both have 2 messages now");
    Ok(())
}
