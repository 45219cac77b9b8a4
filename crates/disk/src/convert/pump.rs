//! The pump: threads take pieces in order, read and encode them at the same time, and hand them to one
//! writer in order. Threads that are ahead of the writer wait, so memory is bounded.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ConvertError;
use super::encode::{Encode, Encoded};
use super::feed::{Content, Feed, Piece};
use crate::source::Source;

/// Runs `feed` through encoders (one for each thread, made by `encoder`) into `write`, which gets the
/// pieces in order. The first error of any of them ends it.
pub(super) fn run<E: Encode>(
    feed: Feed<'_>,
    threads: NonZeroUsize,
    encoder: impl Fn() -> Result<E, ConvertError>,
    mut write: impl FnMut(&Encoded) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let pump = Pump {
        source: feed.source(),
        feed: Mutex::new(feed),
        state: Mutex::new(State {
            running: threads.get(),
            ..State::default()
        }),
        window: threads.get() as u64 * 2,
        room: Condvar::new(),
        ready: Condvar::new(),
    };
    let encoders: Vec<E> = (0..threads.get())
        .map(|_| encoder())
        .collect::<Result<_, _>>()?;
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&pump);
        let pump = &pump;
        for encoder in encoders {
            scope.spawn(move || pump.work(encoder));
        }
        while let Some(encoded) = pump.take() {
            let encoded = encoded?;
            write(&encoded)?;
            pump.give_back(encoded.bytes);
        }
        Ok(())
    })
}

struct Pump<'a> {
    source: Option<&'a dyn Source>,
    feed: Mutex<Feed<'a>>,
    state: Mutex<State>,
    /// Pieces between the first that is not written and the last that was taken, at most.
    window: u64,
    /// The writer took a piece, or everything stops.
    room: Condvar,
    /// The piece that is next was encoded, or a thread ended.
    ready: Condvar,
}

#[derive(Default)]
struct State {
    /// Pieces that threads took.
    taken: u64,
    /// Pieces that the writer got.
    written: u64,
    /// What was encoded, from the one after `written` on.
    slots: VecDeque<Option<Result<Encoded, ConvertError>>>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    /// Threads that still work.
    running: usize,
    stop: bool,
}

impl Pump<'_> {
    /// One thread: pieces, until there are no more.
    fn work(&self, mut encoder: impl Encode) {
        let _ended = EndedAtEnd(self);
        while let Some((index, piece)) = self.next() {
            let encoded = piece
                .and_then(|piece| self.read(piece))
                .and_then(|piece| encoder.encode(piece));
            let failed = encoded.is_err();
            self.put(index, encoded);
            if failed {
                return;
            }
        }
    }

    /// The next piece and its number, once there is room for it.
    fn next(&self) -> Option<(u64, Result<Piece, ConvertError>)> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        while !state.stop && state.taken - state.written >= self.window {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop {
            return None;
        }
        let buffer = state.spare.pop().unwrap_or_default();
        drop(state);
        let piece = feed.next(buffer).transpose()?;
        let mut state = self.state();
        let index = state.taken;
        state.taken += 1;
        Some((index, piece))
    }

    /// Reads what was not read yet.
    fn read(&self, piece: Piece) -> Result<Piece, ConvertError> {
        let content = match (piece.content, self.source) {
            (Content::Unread(mut buffer), Some(source)) => {
                buffer.resize(piece.length as usize, 0);
                source.read_exact_at(&mut buffer, piece.offset)?;
                Content::Bytes(buffer)
            }
            (content, _) => content,
        };
        Ok(Piece { content, ..piece })
    }

    fn put(&self, index: u64, encoded: Result<Encoded, ConvertError>) {
        let mut state = self.state();
        let slot = (index - state.written) as usize;
        while state.slots.len() <= slot {
            state.slots.push_back(None);
        }
        state.slots[slot] = Some(encoded);
        if slot == 0 {
            self.ready.notify_one();
        }
    }

    /// The next piece to be written; `None` after the last.
    fn take(&self) -> Option<Result<Encoded, ConvertError>> {
        let mut state = self.state();
        loop {
            if let Some(slot @ Some(_)) = state.slots.front_mut() {
                let encoded = slot.take();
                state.slots.pop_front();
                state.written += 1;
                self.room.notify_one();
                return encoded;
            }
            if state.running == 0 {
                return None;
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            self.state().spare.push(buffer);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the threads end when the writer does, whatever the reason.
struct StopAtEnd<'a, 'b>(&'a Pump<'b>);

impl Drop for StopAtEnd<'_, '_> {
    fn drop(&mut self) {
        self.0.state().stop = true;
        self.0.room.notify_all();
    }
}

/// Lets the writer know that a thread ended, whatever the reason.
struct EndedAtEnd<'a, 'b>(&'a Pump<'b>);

impl Drop for EndedAtEnd<'_, '_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
        self.0.ready.notify_one();
    }
}
