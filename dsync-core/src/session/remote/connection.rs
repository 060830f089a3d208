//! Two byte streams, and the threads that keep them going.
//!
//! One thread reads what the peer sends, one writes what it is to be sent, each with a bounded store of bytes between it and the
//! session. The session goes on in the thread that called. It is asked for more only while little waits to be written, and never
//! while a body does, so at most one body is open. The writing thread reads that body from the store by itself. So both sides can
//! send each other bodies of any size at the same time: whatever the session of one side waits for, its writer goes on, and the
//! session of the other side, which may be taking a body just then, gets the rest of it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Heard, Peer, RemoteSession, Said};
use crate::session::SessionError;
use crate::store::{BodySource, MessageBody};
use crate::wire::{BodyEncoder, Decoder, Encoder, Handshake, Incoming, Item};

/// How much is read and written at once.
const CHUNK: usize = 64 * 1024;
/// How much of what came in may wait.
const MOST_INPUT: usize = 4 * CHUNK;
/// How much may wait to be written before nothing more is produced.
const MOST_OUTPUT: usize = 2 * CHUNK;
/// How often somebody who waits looks up whether that is still wanted.
const LOOK_UP: Duration = Duration::from_millis(200);
/// How long a side that gives up waits for its last words to be taken.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a connection is kept.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// How long the peer may be silent, and take nothing either.
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
}

/// What was read, and how much of it was understood.
struct Input {
    decoder: Decoder,
    chunk: Vec<u8>,
    /// How much of `chunk` was taken.
    taken: usize,
    shared: Arc<Shared>,
    timeout: Duration,
}

/// What the threads have in common.
#[derive(Default)]
struct Shared {
    state: Mutex<Streams>,
    changed: Condvar,
}

#[derive(Default)]
struct Streams {
    input: VecDeque<Vec<u8>>,
    input_bytes: usize,
    /// Nothing more will come: the end, or a failure.
    input_end: Option<io::Result<()>>,
    output: VecDeque<Output>,
    output_bytes: usize,
    /// The writer is at work.
    writing: bool,
    /// A body is waiting or being written.
    body_waits: bool,
    output_error: Option<io::Error>,
    /// The writer is no more.
    writer_ended: bool,
    /// Nobody is interested any more.
    closed: bool,
    /// Counts whatever moved in either direction.
    progress: u64,
}

enum Output {
    Bytes(Vec<u8>),
    Body(MessageBody),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, streams: MutexGuard<'a, Streams>) -> MutexGuard<'a, Streams> {
        self.changed.wait(streams).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_reached`, as long as anything moves within `timeout`. Whether it was reached.
    fn wait_for(&self, timeout: Duration, is_reached: impl Fn(&Streams) -> bool) -> bool {
        let mut streams = self.lock();
        let mut progress = streams.progress;
        let mut end = Instant::now() + timeout;
        loop {
            if is_reached(&streams) {
                return true;
            }
            if progress != streams.progress {
                progress = streams.progress;
                end = Instant::now() + timeout;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            streams = self.changed.wait_timeout(streams, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
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
        let mut connection = Self { input, shared, encoder: Encoder::default(), pending: Vec::new() };
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

impl Streams {
    /// Whether nothing waits to be written, or nothing can be written any more.
    fn is_idle(&self) -> bool {
        self.output.is_empty() && !self.writing || self.writer_ended
    }

    /// Whether more may be produced.
    fn has_room(&self) -> bool {
        !self.body_waits && self.output_bytes < MOST_OUTPUT
    }
}

impl Input {
    /// What the peer said next, if it is here already.
    fn next(&mut self) -> Result<Option<Incoming>, SessionError> {
        loop {
            let mut rest = self.chunk.get(self.taken..).unwrap_or_default();
            let before = rest.len();
            let incoming = self.decoder.next(&mut rest)?;
            self.taken = self.taken.saturating_add(before.saturating_sub(rest.len()));
            if incoming.is_some() {
                return Ok(incoming);
            }
            let mut streams = self.shared.lock();
            let Some(chunk) = streams.input.pop_front() else { return Ok(None) };
            streams.input_bytes = streams.input_bytes.saturating_sub(chunk.len());
            drop(streams);
            self.shared.changed.notify_all();
            (self.chunk, self.taken) = (chunk, 0);
        }
    }

    /// What the peer says next.
    fn next_or_wait(&mut self) -> Result<Incoming, SessionError> {
        loop {
            if let Some(incoming) = self.next()? {
                return Ok(incoming);
            }
            if self.has_ended()? {
                return Err(SessionError::Closed);
            }
            let is_here = |streams: &Streams| !streams.input.is_empty() || streams.input_end.is_some();
            if !self.shared.wait_for(self.timeout, is_here) {
                return Err(SessionError::Silent(self.timeout.as_secs()));
            }
        }
    }

    /// Whether nothing more will come.
    fn has_ended(&self) -> Result<bool, SessionError> {
        let mut streams = self.shared.lock();
        if !streams.input.is_empty() {
            return Ok(false);
        }
        match streams.input_end.take() {
            None => Ok(false),
            Some(Ok(())) => {
                streams.input_end = Some(Ok(()));
                Ok(true)
            }
            Some(Err(error)) => {
                streams.input_end = Some(Ok(()));
                Err(SessionError::Connection { doing: "receiving", error })
            }
        }
    }
}

/// The bytes of a body as they come in.
struct BodyReader {
    input: Arc<Mutex<Input>>,
    state: Arc<Mutex<BodyState>>,
}

#[derive(Default)]
struct BodyState {
    bytes: u64,
    rest: VecDeque<u8>,
    ended: bool,
    failure: Option<SessionError>,
}

impl BodyReader {
    /// Reads what is left. What has failed while somebody else was reading comes out here.
    fn drain(&mut self) -> Result<(), SessionError> {
        lock(&self.state).rest.clear();
        loop {
            if let Some(failure) = lock(&self.state).failure.take() {
                return Err(failure);
            }
            if lock(&self.state).ended {
                return Ok(());
            }
            match lock(&self.input).next_or_wait()? {
                Incoming::Body(_) => {}
                _ => lock(&self.state).ended = true,
            }
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        while state.rest.is_empty() && !state.ended {
            if state.failure.is_some() {
                return Err(io::Error::other("the other side did not send all of it"));
            }
            match lock(&self.input).next_or_wait() {
                Ok(Incoming::Body(bytes)) => {
                    state.bytes = state.bytes.saturating_add(bytes.len() as u64);
                    state.rest = bytes.into();
                }
                Ok(_) => state.ended = true,
                Err(error) => {
                    let text = error.to_string();
                    state.failure = Some(error);
                    return Err(io::Error::other(text));
                }
            }
        }
        state.rest.read(buffer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(
    doing: &'static str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<(), SessionError> {
    let shared = Arc::clone(shared);
    let started = std::thread::Builder::new().name(format!("dsync-{doing}")).spawn(move || work(&shared));
    started.map(drop).map_err(|error| SessionError::Connection { doing: "starting", error })
}

/// Reads until the end, but never far ahead.
fn read_all(mut input: impl Read, shared: &Shared) {
    loop {
        let mut streams = shared.lock();
        while streams.input_bytes >= MOST_INPUT && !streams.closed {
            streams = shared.wait(streams);
        }
        if streams.closed {
            return;
        }
        drop(streams);
        let mut chunk = vec![0; CHUNK];
        let end = match input.read(&mut chunk) {
            Ok(0) => Some(Ok(())),
            Ok(length) => {
                chunk.truncate(length);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Some(Err(error)),
        };
        let is_end = end.is_some();
        let mut streams = shared.lock();
        streams.progress = streams.progress.wrapping_add(1);
        if is_end {
            streams.input_end = end;
        } else {
            streams.input_bytes = streams.input_bytes.saturating_add(chunk.len());
            streams.input.push_back(chunk);
        }
        drop(streams);
        shared.changed.notify_all();
        if is_end {
            return;
        }
    }
}

/// Writes until nobody is interested any more.
fn write_all(mut output: impl Write, shared: &Shared) {
    loop {
        let mut streams = shared.lock();
        streams.writing = false;
        shared.changed.notify_all();
        let next = loop {
            if let Some(next) = streams.output.pop_front() {
                break next;
            }
            if streams.closed {
                return;
            }
            streams = shared.wait(streams);
        };
        streams.writing = true;
        drop(streams);
        let (length, is_body) = match &next {
            Output::Bytes(bytes) => (bytes.len(), false),
            Output::Body(_) => (0, true),
        };
        let written = match next {
            Output::Bytes(bytes) => output.write_all(&bytes).and_then(|()| output.flush()),
            Output::Body(body) => write_body(&mut output, body, shared),
        };
        let mut streams = shared.lock();
        streams.progress = streams.progress.wrapping_add(1);
        streams.output_bytes = streams.output_bytes.saturating_sub(length);
        if is_body && written.is_ok() {
            streams.body_waits = false;
        }
        if let Err(error) = written {
            (streams.writing, streams.writer_ended) = (false, true);
            streams.output.clear();
            streams.output_error = Some(error);
            drop(streams);
            shared.changed.notify_all();
            return;
        }
    }
}

fn write_body(output: &mut impl Write, mut body: MessageBody, shared: &Shared) -> io::Result<()> {
    let mut encoder = BodyEncoder::default();
    let (mut buffer, mut encoded) = (vec![0; CHUNK], Vec::with_capacity(CHUNK));
    loop {
        let length = match body.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io::Error::other(format!("a message cannot be read to its end: {error}"))),
        };
        if length == 0 {
            break;
        }
        encoder.push(buffer.get(..length).unwrap_or_default(), &mut encoded);
        output.write_all(&encoded)?;
        encoded.clear();
        let mut streams = shared.lock();
        streams.progress = streams.progress.wrapping_add(1);
    }
    drop(body);
    output.write_all(BodyEncoder::END)?;
    output.flush()
}
