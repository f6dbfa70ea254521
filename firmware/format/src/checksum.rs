//! The one checksum of modules, slots and link frames: CRC-32 as in IEEE 802.3 (reflected, initial value and final xor all ones).

/// The remainders of half a byte. The `crc` crate has tables of a byte, 1 KB of the chip's flash, or none, which takes four times as long.
static REMAINDERS: [u32; 16] = {
    let polynomial = crc::CRC_32_ISO_HDLC.poly.reverse_bits();
    let mut remainders = [0; 16];
    let mut half = 0;
    while half < remainders.len() {
        let (mut remainder, mut bit) = (half as u32, 0);
        while bit < 4 {
            remainder = remainder >> 1 ^ if remainder & 1 == 0 { 0 } else { polynomial };
            bit += 1;
        }
        remainders[half] = remainder;
        half += 1;
    }
    remainders
};

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let half = |crc: u32| crc >> 4 ^ REMAINDERS[crc as usize & 0xf];
    !bytes.iter().fold(!0, |crc, byte| half(half(crc ^ u32::from(*byte))))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_checksum_of_the_catalogue() {
        assert_eq!(super::crc32(b"123456789"), crc::CRC_32_ISO_HDLC.check);
        let all: std::vec::Vec<u8> = (0..=u8::MAX).rev().collect();
        assert_eq!(super::crc32(&all), crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&all));
        assert_eq!(super::crc32(b""), 0);
    }
}
