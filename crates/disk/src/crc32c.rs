//! CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): the checksum of VHDX and EROFS.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0x82F6_3B78
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// Goes on from `register` over `bytes`, with no inversion before or after (EROFS's form).
pub(crate) fn update(register: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(register, |register, byte| {
        (register >> 8) ^ TABLE[usize::from((register as u8) ^ byte)]
    })
}

/// The usual CRC-32C of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    !update(!0, bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn checksum_of_the_check_string_is_as_published() {
        assert_eq!(super::checksum(b"123456789"), 0xE306_9283);
    }
}
