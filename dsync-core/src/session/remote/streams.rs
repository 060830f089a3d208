//! What waits to be read and to be written, and the threads that see to it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::session::SessionError;
use crate::store::MessageBody;
use crate::wire::BodyEncoder;

/// How much is read and written at once.
pub(super) const CHUNK: usize = 64 * 1024;
/// How much of what came in may wait.
const MOST_INPUT: usize = 4 * CHUNK;
/// How much may wait to be written before nothing more is produced.
pub(super) const MOST_OUTPUT: usize = 2 * CHUNK;

/// What the threads have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<Streams>,
    pub(super) changed: Condvar,
}

#[derive(Default)]
pub(super) struct Streams {
    pub(super) input: VecDeque<Vec<u8>>,
    pub(super) input_bytes: usize,
    /// Nothing more will come: the end, or a failure.
    pub(super) input_end: Option<io::Result<()>>,
    pub(super) output: VecDeque<Output>,
    pub(super) output_bytes: usize,
    /// The writer is at work.
    pub(super) writing: bool,
    /// A body is waiting or being written.
    pub(super) body_waits: bool,
    pub(super) output_error: Option<io::Error>,
    /// The writer is no more.
    pub(super) writer_ended: bool,
    /// Nobody is interested any more.
    pub(super) closed: bool,
    /// Counts whatever moved in either direction.
    pub(super) progress: u64,
}

pub(super) enum Output {
    Bytes(Vec<u8>),
    Body(MessageBody),
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Streams> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(&self, streams: MutexGuard<'a, Streams>) -> MutexGuard<'a, Streams> {
        self.changed.wait(streams).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_reached`, as long as anything moves within `timeout`. Whether it was reached.
    pub(super) fn wait_for(&self, timeout: Duration, is_reached: impl Fn(&Streams) -> bool) -> bool {
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

impl Streams {
    /// Whether nothing waits to be written, or nothing can be written any more.
    pub(super) fn is_idle(&self) -> bool {
        self.output.is_empty() && !self.writing || self.writer_ended
    }

    /// Whether more may be produced.
    pub(super) fn has_room(&self) -> bool {
        !self.body_waits && self.output_bytes < MOST_OUTPUT
    }
}

pub(super) fn start(
    doing: &'static str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<(), SessionError> {
    let shared = Arc::clone(shared);
    let started = std::thread::Builder::new().name(format!("dsync-{doing}")).spawn(move || work(&shared));
    started.map(drop).map_err(|error| SessionError::Connection { doing: "starting", error })
}

/// Reads until the end, but never far ahead.
pub(super) fn read_all(mut input: impl Read, shared: &Shared) {
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
pub(super) fn write_all(mut output: impl Write, shared: &Shared) {
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

pub(super) fn write_body(output: &mut impl Write, mut body: MessageBody, shared: &Shared) -> io::Result<()> {
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
