//! AES-CBC with plain or ESSIV vectors, as containers of before 2013 have it.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::cipher::{BlockSizeUser, consts::U16};
use aes::{Aes256, Block};
use zeroize::Zeroizing;

use super::Iv;

/// AES-CBC with its key, each sector a chain of its own.
pub(super) struct Cbc<C> {
    data: C,
    /// Encrypts the sector's number, where vectors are ESSIV.
    salt: Option<Aes256>,
    iv: Iv,
}

impl<C> Cbc<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    pub(super) fn new(key: &[u8], iv: Iv) -> Option<Self> {
        let salt = match iv {
            Iv::Plain | Iv::Plain64 => None,
            Iv::Essiv(hash) => {
                let mut digest = Zeroizing::new([0_u8; 32]);
                hash.digest(&[key], &mut *digest);
                Some(Aes256::new_from_slice(&*digest).ok()?)
            }
        };
        let data = C::new_from_slice(key).ok()?;
        Some(Self { data, salt, iv })
    }

    pub(super) fn encrypt(&self, sector: u64, data: &mut [u8]) {
        let mut before = self.vector(sector);
        for block in Block::slice_as_chunks_mut(data).0 {
            xor(block, &before);
            self.data.encrypt_block(block);
            before = *block;
        }
    }

    pub(super) fn decrypt(&self, sector: u64, data: &mut [u8]) {
        let mut before = self.vector(sector);
        for block in Block::slice_as_chunks_mut(data).0 {
            let encrypted = *block;
            self.data.decrypt_block(block);
            xor(block, &before);
            before = encrypted;
        }
    }

    fn vector(&self, sector: u64) -> Block {
        let number = match self.iv {
            Iv::Plain => sector & u64::from(u32::MAX),
            Iv::Plain64 | Iv::Essiv(_) => sector,
        };
        let mut block = Block::from(u128::from(number).to_le_bytes());
        if let Some(salt) = &self.salt {
            salt.encrypt_block(&mut block);
        }
        block
    }
}

fn xor(block: &mut Block, with: &Block) {
    for (byte, other) in block.iter_mut().zip(with) {
        *byte ^= other;
    }
}
