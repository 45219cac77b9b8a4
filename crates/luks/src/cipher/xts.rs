//! AES-XTS (IEEE 1619) for sectors that are whole blocks, many blocks a call so that the processor's
//! AES units stay full.

use aes::Block;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::cipher::{BlockSizeUser, consts::U16};

use super::Iv;

/// Blocks worked on at once: 512 bytes, the smallest sector.
const BATCH: usize = 32;

/// AES-XTS with its two keys.
pub(super) struct Xts<C> {
    data: C,
    tweak: C,
    iv: Iv,
}

impl<C> Xts<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    /// The first half of `key` encrypts data, the second the tweak.
    pub(super) fn new(key: &[u8], iv: Iv) -> Option<Self> {
        let (data, tweak) = key.split_at(key.len() / 2);
        Some(Self {
            data: C::new_from_slice(data).ok()?,
            tweak: C::new_from_slice(tweak).ok()?,
            iv,
        })
    }

    pub(super) fn encrypt(&self, sector: u64, data: &mut [u8]) {
        self.each_batch(sector, data, |blocks| self.data.encrypt_blocks(blocks));
    }

    pub(super) fn decrypt(&self, sector: u64, data: &mut [u8]) {
        self.each_batch(sector, data, |blocks| self.data.decrypt_blocks(blocks));
    }

    #[inline]
    fn each_batch(&self, sector: u64, data: &mut [u8], cipher: impl Fn(&mut [Block])) {
        let mut tweak = self.first_tweak(sector);
        let mut tweaks = [0_u128; BATCH];
        for batch in Block::slice_as_chunks_mut(data).0.chunks_mut(BATCH) {
            for place in &mut tweaks {
                *place = tweak;
                // Times x in GF(2^128).
                tweak = (tweak << 1) ^ ((tweak >> 127) * 0x87);
            }
            whiten(batch, &tweaks);
            cipher(batch);
            whiten(batch, &tweaks);
        }
    }

    fn first_tweak(&self, sector: u64) -> u128 {
        let number = match self.iv {
            Iv::Plain => sector & u64::from(u32::MAX),
            Iv::Plain64 | Iv::Essiv(_) => sector,
        };
        let mut block = Block::from(u128::from(number).to_le_bytes());
        self.tweak.encrypt_block(&mut block);
        u128::from_le_bytes(block.into())
    }
}

#[inline]
fn whiten(blocks: &mut [Block], tweaks: &[u128; BATCH]) {
    for (block, tweak) in blocks.iter_mut().zip(tweaks) {
        let bytes: &mut [u8; 16] = block.as_mut();
        *bytes = (u128::from_ne_bytes(*bytes) ^ tweak.to_le()).to_ne_bytes();
    }
}
