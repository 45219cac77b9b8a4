//! What is written: one module for each kind of output. Each has the shape of the pieces it wants, an
//! encoder for the threads, and the writing in order.

pub(super) mod qcow2;
pub(super) mod raw;
pub(super) mod stream;

static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// Calls `with` with so many zeros, a part at a time.
fn each_zeros<E>(count: u64, mut with: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut rest = count;
    while rest > 0 {
        let part = rest.min(ZEROS.len() as u64);
        with(&ZEROS[..part as usize])?;
        rest -= part;
    }
    Ok(())
}
