//! SPI1, the controller through which programs read, program and erase the flash. Register facts: ESP32-C3 TRM, chapter
//! "SPI Controller", and the PAC.
//!
//! Commands finish at once. SPI0, which feeds the cache, is plain storage.

use super::super::Peripheral;
use super::super::flash_chip::FlashChip;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const CMD: u32 = 0x00;
const ADDR: u32 = 0x04;
const USER: u32 = 0x18;
const USER1: u32 = 0x1c;
const USER2: u32 = 0x20;
const MOSI_DLEN: u32 = 0x24;
const MISO_DLEN: u32 = 0x28;
const RD_STATUS: u32 = 0x2c;
const BUFFER: u32 = 0x58;
const BUFFER_BYTES: usize = 64;
const BLOCK_BYTES: u32 = 0x400;

const USER_MOSI: u32 = 1 << 27;
const USER_MISO: u32 = 1 << 28;
const USER_ADDR: u32 = 1 << 30;

/// The SPI1 block with the flash chip on it.
#[derive(Debug)]
pub struct SpiMemory {
    registers: RegisterBank,
    /// The flash chip.
    pub flash: FlashChip,
}

impl SpiMemory {
    /// In reset state.
    pub fn new(flash: FlashChip) -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (0x08, 0x002c_a000),
                    (0x0c, 0x0ffc),
                    (0x14, 0x0003_0103),
                    (USER, 0x8000_0000),
                    (USER1, 0x5c00_0007),
                    (USER2, 0x7000_0000),
                    (0x34, 0x02),
                    (0x38, 0xffff_ffff),
                    (0x98, 0x14),
                    (0x9c, 0x0800_2000),
                    (0xa0, 0x0005_757a),
                    (0xdc, 0x01),
                ],
            ),
            flash,
        }
    }

    fn buffer(&self, length: usize) -> Vec<u8> {
        let words = (0..BUFFER_BYTES as u32 / 4).flat_map(|word| self.registers.get(BUFFER + 4 * word).to_le_bytes());
        words.take(length).collect()
    }

    fn fill_buffer(&mut self, bytes: &[u8]) {
        for (index, chunk) in bytes.chunks(4).enumerate() {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.registers.set(BUFFER + 4 * index as u32, u32::from_le_bytes(word));
        }
    }

    /// The user-defined command: code, address and data phases as configured.
    fn user_command(&mut self) -> Option<()> {
        let user = self.registers.get(USER);
        let bytes = |register: u32| ((self.registers.get(register) & 0x3ff) as usize + 1).div_ceil(8).min(BUFFER_BYTES);
        let code = self.registers.get(USER2) as u8;
        let address_bits = (self.registers.get(USER1) >> 26) + 1;
        let address = match (user & USER_ADDR != 0, address_bits) {
            (false, _) => 0,
            // Fast reads put 8 mode bits behind the 24 of the address.
            (true, 25..) if matches!(code, 0xbb | 0xeb) => self.registers.get(ADDR) >> 8,
            (true, _) => self.registers.get(ADDR),
        };
        let input = if user & USER_MOSI != 0 { self.buffer(bytes(MOSI_DLEN)) } else { Vec::new() };
        let output = if user & USER_MISO != 0 { bytes(MISO_DLEN) } else { 0 };
        let answer = self.flash.command(code, address, &input, output)?;
        if output > 0 {
            self.fill_buffer(&answer);
        }
        Some(())
    }

    /// A predefined command of the controller.
    fn command(&mut self, value: u32) -> Option<()> {
        let address = self.registers.get(ADDR) & 0xff_ffff;
        // These carry their length in bits 24..31 of the address.
        let length = (self.registers.get(ADDR) >> 24) as usize;
        let mut plain = |code: u8| self.flash.command(code, address, &[], 0).map(|_| ());
        match value & 0xfffe_0000 {
            0 => Some(()),
            bits if bits & (1 << 18) != 0 => self.user_command(),
            bits => match bits & !(1 << 17) {
                0x8000_0000 => {
                    let length = length.min(BUFFER_BYTES);
                    let answer = self.flash.command(0x03, address, &[], length)?;
                    self.fill_buffer(&answer);
                    Some(())
                }
                0x4000_0000 => plain(0x06),
                0x2000_0000 => plain(0x04),
                0x1000_0000 => {
                    let answer = self.flash.command(0x9f, 0, &[], 3)?;
                    self.fill_buffer(&answer);
                    Some(())
                }
                0x0800_0000 => {
                    let answer = self.flash.command(0x05, 0, &[], 1)?;
                    let status = answer.first().copied().unwrap_or(0);
                    self.registers.modify(RD_STATUS, 0xffff, u32::from(status));
                    Some(())
                }
                0x0400_0000 => {
                    let status = self.registers.get(RD_STATUS).to_le_bytes();
                    self.flash.command(0x01, 0, status.get(..2)?, 0).map(|_| ())
                }
                0x0200_0000 => {
                    let input = self.buffer(length.min(BUFFER_BYTES));
                    self.flash.command(0x02, address, &input, 0).map(|_| ())
                }
                0x0100_0000 => plain(0x20),
                0x0080_0000 => plain(0xd8),
                0x0040_0000 => plain(0xc7),
                0x0020_0000 => plain(0xb9),
                0x0010_0000 => plain(0xab),
                // "High performance mode" has no effect on what the chip holds.
                0x0008_0000 => Some(()),
                _ => None,
            },
        }
    }
}

impl Peripheral for SpiMemory {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        match offset {
            // Every command is finished, every state machine idle.
            CMD => Some(0),
            _ => self.registers.read(now, offset),
        }
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            CMD => self.command(value),
            _ => self.registers.write(now, offset, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_command_reads_the_flash_into_the_buffer() {
        let mut image = vec![0xff; 0x10000];
        if let Some(bytes) = image.get_mut(0x1234..0x1239) {
            bytes.copy_from_slice(b"hello");
        }
        let mut spi = SpiMemory::new(FlashChip::new(image));
        let setup = [(USER, 1 << 31 | USER_ADDR | USER_MISO), (USER1, 23 << 26), (USER2, 7 << 28 | 0x03)];
        for (offset, value) in setup.into_iter().chain([(MISO_DLEN, 5 * 8 - 1), (ADDR, 0x1234), (CMD, 1 << 18)]) {
            spi.write(0, offset, value).expect("an SPI1 register");
        }
        assert_eq!(spi.read(0, BUFFER), Some(u32::from_le_bytes(*b"hell")));
        assert_eq!(spi.read(0, BUFFER + 4), Some(u32::from(b'o')));
        assert_eq!(spi.read(0, CMD), Some(0));
    }
}
