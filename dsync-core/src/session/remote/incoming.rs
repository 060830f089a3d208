//! What was read and is not understood yet, and the bodies in it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::streams::{Shared, Streams};
use crate::session::SessionError;
use crate::wire::{Decoder, Incoming};

/// What was read, and how much of it was understood.
pub(super) struct Input {
    pub(super) decoder: Decoder,
    pub(super) chunk: Vec<u8>,
    /// How much of `chunk` was taken.
    pub(super) taken: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) timeout: Duration,
}

impl Input {
    /// What the peer said next, if it is here already.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, SessionError> {
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
    pub(super) fn next_or_wait(&mut self) -> Result<Incoming, SessionError> {
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
    pub(super) fn has_ended(&self) -> Result<bool, SessionError> {
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
pub(super) struct BodyReader {
    pub(super) input: Arc<Mutex<Input>>,
    pub(super) state: Arc<Mutex<BodyState>>,
}

#[derive(Default)]
pub(super) struct BodyState {
    pub(super) bytes: u64,
    pub(super) rest: VecDeque<u8>,
    pub(super) ended: bool,
    pub(super) failure: Option<SessionError>,
}

impl BodyReader {
    /// Reads what is left. What has failed while somebody else was reading comes out here.
    pub(super) fn drain(&mut self) -> Result<(), SessionError> {
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
