//! The tables of an image, read through a small cache: no format's tables are held whole, because an
//! image may say that they are as large as it likes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Bytes, SourceError, fill};

/// Bytes that are read and held together.
const PIECE: u64 = 64 << 10;
/// Pieces that are held: 2 MiB. Reading goes forwards, with at most two levels of tables in use.
const PIECES: usize = 32;

/// Numbers in the tables of an image.
pub(super) struct Tables {
    bytes: Bytes,
    length: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    pieces: HashMap<u64, Arc<[u8]>>,
    /// The oldest first.
    order: VecDeque<u64>,
}

impl Tables {
    pub(super) fn new(bytes: Bytes, length: u64) -> Self {
        Self {
            bytes,
            length,
            held: Mutex::default(),
        }
    }

    /// The `N` bytes of entry `index` in the table at `offset`.
    pub(super) fn entry<const N: usize>(
        &self,
        offset: u64,
        index: u64,
    ) -> Result<[u8; N], SourceError> {
        let at = index
            .checked_mul(N as u64)
            .and_then(|distance| offset.checked_add(distance))
            .ok_or_else(|| SourceError::cut_short(self.length, u64::MAX))?;
        let mut entry = [0; N];
        let within = (at % PIECE) as usize;
        if within + N <= PIECE as usize {
            let piece = self.piece(at - within as u64)?;
            match piece.get(within..within + N) {
                Some(bytes) => entry.copy_from_slice(bytes),
                None => return Err(SourceError::cut_short(self.length, at + N as u64)),
            }
        } else {
            // A table that is not aligned to its entries.
            fill(&self.bytes, self.length, &mut entry, at)?;
        }
        Ok(entry)
    }

    /// The bytes from `start`, a multiple of the piece's size; fewer at the end of the image.
    fn piece(&self, start: u64) -> Result<Arc<[u8]>, SourceError> {
        if let Some(piece) = self.lock().pieces.get(&start) {
            return Ok(Arc::clone(piece));
        }
        let size = self.length.saturating_sub(start).min(PIECE) as usize;
        let mut bytes = vec![0; size];
        fill(&self.bytes, self.length, &mut bytes, start)?;
        let piece: Arc<[u8]> = bytes.into();
        let mut held = self.lock();
        if held.pieces.insert(start, Arc::clone(&piece)).is_none() {
            held.order.push_back(start);
        }
        if held.order.len() > PIECES
            && let Some(oldest) = held.order.pop_front()
        {
            held.pieces.remove(&oldest);
        }
        Ok(piece)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
