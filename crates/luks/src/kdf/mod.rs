//! From a passphrase to the key of a slot, at a cost that is bounded on both sides: high enough to
//! make guessing slow, never more than the host can give.

mod memory_hard;

use std::time::{Duration, Instant};

use argon2::{Algorithm, Params};

use crate::error::Error;
use crate::hash::Hash;
use crate::metadata::SlotNumber;
use crate::secret::Secret;
use memory_hard::argon2;

/// Passes that new slots have at least.
const FEWEST_PASSES: u32 = 4;
/// KiB that new slots use at least, also where that is more than half of the memory.
const LEAST_MEMORY: u32 = 16 << 10;
/// KiB that new slots use at most.
const MOST_MEMORY: u32 = 1 << 20;

/// What deriving a key costs, and by which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Argon2id, what new key slots use.
    Argon2id(Argon2Cost),
    /// Argon2i, read only: `cryptsetup` made it from 2017 to 2022.
    Argon2i(Argon2Cost),
    /// PBKDF2 with HMAC.
    Pbkdf2 {
        /// The hash under the HMAC.
        hash: Hash,
        /// Rounds, at least 1000 for new slots.
        iterations: u32,
    },
}

/// The three figures of Argon2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes that may run at once.
    pub lanes: u32,
}

/// What a header may ask of this host. Checked before anything is allocated or computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most memory for Argon2, in bytes.
    pub memory: u64,
    /// Most work for Argon2: bytes of memory times passes.
    pub work: u64,
    /// Most lanes of Argon2.
    pub lanes: u32,
    /// Most rounds of PBKDF2.
    pub iterations: u32,
}

impl Limits {
    /// For a host with `memory` bytes to spare: half of that for a key, and some ten times the work
    /// that `cryptsetup` puts into a key slot.
    #[must_use]
    pub fn for_memory(memory: u64) -> Self {
        Self {
            memory: memory / 2,
            work: 64 << 30,
            lanes: 64,
            iterations: 50_000_000,
        }
    }
}

impl Cost {
    /// As `cryptsetup` chooses: Argon2id over at most 1 GiB and at most half of `memory` bytes, four
    /// passes or more, one lane a processor and at most four; the memory lowered until it takes about
    /// `target` on this machine.
    #[must_use]
    pub fn measured(target: Duration, memory: u64, processors: usize) -> Self {
        let lanes = u32::try_from(processors.clamp(1, 4)).unwrap_or(1);
        let most = ((memory / 2) >> 10).clamp(u64::from(LEAST_MEMORY), u64::from(MOST_MEMORY));
        // KiB that the machine goes through in the target time.
        let affordable = u64::try_from(affordable(lanes, target)).unwrap_or(u64::MAX);
        let memory = (affordable / u64::from(FEWEST_PASSES)).clamp(u64::from(LEAST_MEMORY), most);
        let passes = (affordable / memory).clamp(u64::from(FEWEST_PASSES), 1 << 10);
        Self::Argon2id(Argon2Cost {
            memory: u32::try_from(memory).unwrap_or(MOST_MEMORY),
            passes: u32::try_from(passes).unwrap_or(FEWEST_PASSES),
            lanes,
        })
    }

    /// Refuses what is more than `limits`, with the figures.
    pub(crate) fn check(&self, slot: SlotNumber, limits: &Limits) -> Result<(), Error> {
        let refuse = |asked: String, allowed: String| {
            Err(Error::TooCostly {
                slot,
                asked,
                allowed,
            })
        };
        match *self {
            Self::Argon2id(cost) | Self::Argon2i(cost) => {
                let memory = u64::from(cost.memory) << 10;
                let work = u128::from(memory) * u128::from(cost.passes);
                if memory > limits.memory {
                    refuse(
                        format!("{} of memory", mebibytes(u128::from(memory))),
                        mebibytes(u128::from(limits.memory)),
                    )
                } else if work > u128::from(limits.work) {
                    refuse(
                        format!(
                            "{} passes over {}",
                            cost.passes,
                            mebibytes(u128::from(memory))
                        ),
                        format!("{} in all", mebibytes(u128::from(limits.work))),
                    )
                } else if cost.lanes > limits.lanes {
                    refuse(format!("{} lanes", cost.lanes), limits.lanes.to_string())
                } else {
                    Ok(())
                }
            }
            Self::Pbkdf2 { iterations, .. } if iterations > limits.iterations => refuse(
                format!("{iterations} rounds of PBKDF2"),
                limits.iterations.to_string(),
            ),
            Self::Pbkdf2 { .. } => Ok(()),
        }
    }

    /// Refuses what Argon2 or PBKDF2 cannot be called with.
    pub(crate) fn is_sound(&self) -> bool {
        match *self {
            Self::Argon2id(cost) | Self::Argon2i(cost) => {
                Params::new(cost.memory, cost.passes, cost.lanes, None).is_ok()
            }
            Self::Pbkdf2 { iterations, .. } => iterations > 0,
        }
    }

    /// Derives a key of `length` bytes.
    pub(crate) fn derive(
        &self,
        passphrase: &Secret,
        salt: &[u8],
        length: usize,
    ) -> Result<Secret, Error> {
        let mut key = Secret::zeroed(length);
        let password = passphrase.expose();
        match *self {
            Self::Argon2id(cost) => {
                argon2(Algorithm::Argon2id, cost, password, salt, key.expose_mut())?;
            }
            Self::Argon2i(cost) => {
                argon2(Algorithm::Argon2i, cost, password, salt, key.expose_mut())?;
            }
            Self::Pbkdf2 { hash, iterations } => {
                hash.pbkdf2(password, salt, iterations, key.expose_mut());
            }
        }
        Ok(key)
    }
}

/// KiB times passes that Argon2 does here in `target`, from a small sample.
fn affordable(lanes: u32, target: Duration) -> u128 {
    let sample = Argon2Cost {
        memory: LEAST_MEMORY,
        passes: 1,
        lanes,
    };
    let start = Instant::now();
    let mut output = [0_u8; 32];
    match argon2(
        Algorithm::Argon2id,
        sample,
        b"sample",
        &[0; 32],
        &mut output,
    ) {
        Ok(()) => {
            let took = start.elapsed().as_nanos().max(1);
            u128::from(sample.memory) * target.as_nanos() / took
        }
        Err(_) => 0,
    }
}

fn mebibytes(bytes: u128) -> String {
    if bytes < 1 << 20 {
        format!("{bytes} bytes")
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

#[cfg(test)]
mod tests;
