//! Argon2 with memory that is asked for, not assumed, and treated as the secret that it is.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use super::Argon2Cost;
use crate::error::Error;
use crate::memory;

/// Fills `output` with the key that `password` and `salt` give.
pub(super) fn argon2(
    algorithm: Algorithm,
    cost: Argon2Cost,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
) -> Result<(), Error> {
    let wrong = |error| Error::Unsupported(format!("its Argon2 parameters are not sound: {error}"));
    let params =
        Params::new(cost.memory, cost.passes, cost.lanes, Some(output.len())).map_err(wrong)?;
    let mut blocks = Blocks::new(params.block_count())?;
    Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, output, &mut blocks.0)
        .map_err(wrong)
}

/// Argon2's memory: from it the derived key can be had, so it is treated as a secret.
struct Blocks(Vec<Block>);

impl Blocks {
    fn new(count: usize) -> Result<Self, Error> {
        let needed = count as u64 * Block::SIZE as u64;
        let mut blocks = Vec::new();
        blocks
            .try_reserve_exact(count)
            .map_err(|_| Error::OutOfMemory { needed })?;
        memory::lock(blocks.as_ptr(), blocks.capacity() * Block::SIZE);
        blocks.resize(count, Block::new());
        Ok(Self(blocks))
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.0.iter_mut().zeroize();
        memory::unlock(self.0.as_ptr(), self.0.capacity() * Block::SIZE);
    }
}
