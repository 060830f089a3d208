//! Two byte streams, and the threads that keep them going.
//!
//! One thread reads what the peer sends, one writes what it is to be sent, each with a bounded store of bytes between it and the
//! session. The session goes on in the thread that called. It is asked for more only while little waits to be written, and never
//! while a body does, so at most one body is open. The writing thread reads that body from the store by itself. So both sides can
//! send each other bodies of any size at the same time: whatever the session of one side waits for, its writer goes on, and the
//! session of the other side, which may be taking a body just then, gets the rest of it.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::incoming::{BodyReader, BodyState, Input, lock};
use super::streams::{CHUNK, MOST_OUTPUT, Output, Shared, Streams, read_all, start, write_all};
use super::{Heard, Peer, RemoteSession, Said};
use crate::session::SessionError;
use crate::store::{BodySource, MessageBody};
use crate::wire::{Decoder, Encoder, Handshake, Incoming, Item};

/// How often somebody who waits looks up whether that is still wanted.
const LOOK_UP: Duration = Duration::from_millis(200);
/// How long a side that gives up waits for its last words to be taken.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the peer may be silent while clients cannot change a mailbox: less than the two minutes that servers wait for a lock.
const MOST_SILENCE_WHILE_HELD: Duration = Duration::from_secs(60);

/// How a connection is kept. Change the fields of [`ConnectionOptions::default`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// How long the peer may be silent, and take nothing either; default: ten minutes.
    pub timeout: Duration,
}

impl Default for ConnectionOptions {
    /// Ten minutes, as with Dovecot.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(600) }
    }
}

/// A peer at the other end of two byte streams.
pub struct Connection {
    input: Arc<Mutex<Input>>,
    shared: Arc<Shared>,
    encoder: Encoder,
    /// What is to be written and was not given to the writer yet.
    pending: Vec<u8>,
    /// How long the peer may be silent.
    timeout: Duration,
}

impl Connection {
    /// Introduces this side with its handshake, and waits for that of the peer. Reading and writing is done by threads, which end
    /// when the streams do.
    ///
    /// # Errors
    /// If the streams fail, or the peer does not speak the protocol.
    pub fn open(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        own: &Handshake,
        options: ConnectionOptions,
    ) -> Result<(Self, Peer), SessionError> {
        let shared = Arc::new(Shared::default());
        start("read", &shared, move |shared| read_all(input, shared))?;
        start("write", &shared, move |shared| write_all(output, shared))?;
        let input = Input {
            decoder: Decoder::new(),
            chunk: Vec::new(),
            taken: 0,
            shared: Arc::clone(&shared),
            timeout: options.timeout,
        };
        let input = Arc::new(Mutex::new(input));
        let mut connection =
            Self { input, shared, encoder: Encoder::default(), pending: Vec::new(), timeout: options.timeout };
        connection.encoder.greeting(&mut connection.pending);
        connection.encoder.item(&Item::Handshake(Box::new(own.clone())), &mut connection.pending);
        connection.flush();
        let peer = connection.meet()?;
        Ok((connection, peer))
    }

    fn meet(&mut self) -> Result<Peer, SessionError> {
        let mut minor = None;
        loop {
            match lock(&self.input).next_or_wait()? {
                Incoming::Greeting(minor_version) => minor = Some(minor_version),
                Incoming::Item(Item::Handshake(handshake)) => {
                    let minor_version = minor.unwrap_or(0);
                    return Ok(Peer { minor_version, handshake: *handshake });
                }
                Incoming::Item(Item::Done) => return Err(SessionError::Closed),
                _ => {
                    let state = "the handshake was due";
                    return Err(SessionError::UnexpectedMessage { received: "something else", state });
                }
            }
        }
    }

    /// Lets a session and the peer talk until the run is over.
    ///
    /// # Errors
    /// If the session, the peer or the streams fail.
    pub fn run(mut self, session: &mut RemoteSession<'_>) -> Result<(), SessionError> {
        let outcome = self.talk(session);
        match &outcome {
            Ok(()) => {
                self.flush();
                // Whether the peer has taken the last words or is gone already does not matter any more.
                self.shared.wait_for(FAREWELL, Streams::is_idle);
            }
            Err(error) => self.give_up(error),
        }
        outcome
    }

    /// Tells the peer that nothing more will come. For runs that end before they have begun.
    pub fn give_up(&mut self, error: &SessionError) {
        // In the middle of a body it would be taken for a part of it, and it is nothing to say to a peer that makes no sense.
        let can_speak = !matches!(error, SessionError::Wire(_) | SessionError::Connection { .. });
        if can_speak {
            self.refuse();
        }
    }

    /// The same for a run that this side does not want.
    pub fn refuse(&mut self) {
        if !self.shared.lock().body_waits {
            self.encoder.item(&Item::Done, &mut self.pending);
            self.flush();
            self.shared.wait_for(FAREWELL, Streams::is_idle);
        }
    }

    fn talk(&mut self, session: &mut RemoteSession<'_>) -> Result<(), SessionError> {
        while !session.is_finished() {
            if session.is_to_stop() {
                return Err(SessionError::Stopped);
            }
            let mut moved = false;
            let can_produce = self.can_produce()?;
            if can_produce && let Some(said) = session.produce()? {
                self.say(said);
                moved = true;
            }
            if session.is_finished() {
                break;
            }
            lock(&self.input).timeout = match session.is_holding() {
                true => self.timeout.min(MOST_SILENCE_WHILE_HELD),
                false => self.timeout,
            };
            let incoming = lock(&self.input).next()?;
            if let Some(incoming) = incoming {
                self.hear(incoming, session)?;
                moved = true;
            }
            if !moved {
                let has_ended = lock(&self.input).has_ended()?;
                if has_ended && can_produce {
                    // Nothing is left to be said without an answer, and there will be none.
                    return Err(SessionError::Closed);
                }
                self.flush();
                self.wait(session, has_ended, can_produce)?;
            }
        }
        Ok(())
    }

    /// Whether the session may be asked for more.
    fn can_produce(&self) -> Result<bool, SessionError> {
        let mut streams = self.shared.lock();
        if let Some(error) = streams.output_error.take() {
            // What the peer has said before it went away says more.
            if streams.input.is_empty() && streams.input_end.is_some() {
                return Err(SessionError::Closed);
            }
            return Err(SessionError::Connection { doing: "sending", error });
        }
        Ok(streams.has_room() && self.pending.len() < MOST_OUTPUT)
    }

    fn say(&mut self, said: Said) {
        match said {
            Said::Item(item) => self.encoder.item(&item, &mut self.pending),
            Said::EndOfList => self.encoder.end_of_list(&mut self.pending),
            Said::Mail(mail, body) => {
                self.encoder.item(&Item::Mail(mail), &mut self.pending);
                self.flush();
                let mut streams = self.shared.lock();
                streams.body_waits = true;
                streams.output.push_back(Output::Body(body));
                drop(streams);
                self.shared.changed.notify_all();
            }
        }
        if self.pending.len() >= CHUNK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.pending);
        let mut streams = self.shared.lock();
        streams.output_bytes = streams.output_bytes.saturating_add(bytes.len());
        streams.output.push_back(Output::Bytes(bytes));
        drop(streams);
        self.shared.changed.notify_all();
    }

    fn hear(&mut self, incoming: Incoming, session: &mut RemoteSession<'_>) -> Result<(), SessionError> {
        match incoming {
            Incoming::Item(item) if item.has_body() => {
                // The other side may wait for what is not sent yet.
                self.flush();
                let count = Arc::new(Mutex::new(BodyState::default()));
                let reader = BodyReader { input: Arc::clone(&self.input), state: Arc::clone(&count) };
                let body = MessageBody { size: None, source: BodySource::Stream(Box::new(reader)) };
                session.receive(Heard::Body(item, body))?;
                BodyReader { input: Arc::clone(&self.input), state: Arc::clone(&count) }.drain()?;
                session.count(lock(&count).bytes);
                Ok(())
            }
            Incoming::Item(item) => session.receive(Heard::Item(item)),
            Incoming::EndOfList => session.receive(Heard::EndOfList),
            Incoming::Greeting(_) | Incoming::Body(_) | Incoming::BodyEnd => {
                Err(SessionError::InvalidData("bytes that belong to no row".to_owned()))
            }
        }
    }

    /// Waits until there is something to read, or room to write if there was none, or the run is to stop.
    fn wait(&self, session: &RemoteSession<'_>, has_ended: bool, has_room: bool) -> Result<(), SessionError> {
        let timeout = lock(&self.input).timeout;
        let is_reached = |streams: &Streams| {
            let input = !streams.input.is_empty() || streams.input_end.is_some() && !has_ended;
            input || streams.output_error.is_some() || !has_room && streams.has_room()
        };
        let mut progress = self.shared.lock().progress;
        let mut silence = Duration::ZERO;
        while !self.shared.wait_for(LOOK_UP.min(timeout), is_reached) {
            if session.is_to_stop() {
                return Ok(());
            }
            let now = self.shared.lock().progress;
            silence = if now == progress { silence.saturating_add(LOOK_UP) } else { Duration::ZERO };
            progress = now;
            if silence >= timeout {
                return Err(SessionError::Silent(timeout.as_secs()));
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}
