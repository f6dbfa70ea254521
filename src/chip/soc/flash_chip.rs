//! The SPI NOR flash chip: contents, status, and the commands that every such chip has.
//!
//! Knows no SPI controller. Programming only clears bits and erasing sets them, as in the real part; both take no time.

use std::ops::Range;

/// Bytes of the smallest erasable unit.
const SECTOR: u32 = 0x1000;
const BLOCK_32K: u32 = 0x8000;
const BLOCK_64K: u32 = 0x10000;
/// Bytes that one program command can reach.
const PROGRAM_PAGE: u32 = 0x100;
/// Manufacturer and type of the identification (a common 3.3 V NOR part); the third byte is log2 of the size.
const MANUFACTURER: u32 = 0xc8;
const KIND: u32 = 0x40;

const STATUS_WRITE_ENABLED: u32 = 1 << 1;

/// A flash chip.
#[derive(Debug)]
pub struct FlashChip {
    contents: Vec<u8>,
    status: u32,
    /// What changed since it was last asked for.
    changed: Vec<Range<u32>>,
    /// Every change, if they are kept.
    history: Option<Vec<FlashChange>>,
}

/// What one program or erase command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashChange {
    /// First byte of the page, sector or block.
    pub offset: u32,
    /// Its contents afterwards.
    pub contents: Vec<u8>,
}

impl FlashChip {
    /// A chip that holds `image`, whose length is the chip's size: a power of two.
    pub fn new(image: Vec<u8>) -> Self {
        Self { contents: image, status: 0, changed: Vec::new(), history: None }
    }

    /// Size in bytes.
    pub fn size(&self) -> u32 {
        self.contents.len() as u32
    }

    /// The bytes of `range`, cut at the chip's end.
    pub fn bytes(&self, range: Range<u32>) -> &[u8] {
        let end = range.end.min(self.size()) as usize;
        self.contents.get(range.start as usize..end).unwrap_or_default()
    }

    /// A range programmed or erased and not yet taken.
    pub fn take_changed(&mut self) -> Option<Range<u32>> {
        self.changed.pop()
    }

    /// Keeps every change from now on.
    pub fn keep_history(&mut self) {
        self.history = Some(Vec::new());
    }

    /// The changes that were kept.
    pub fn history(&self) -> &[FlashChange] {
        self.history.as_deref().unwrap_or_default()
    }

    fn note_change(&mut self, range: Range<u32>) {
        let contents = self.bytes(range.clone()).to_vec();
        if let Some(history) = &mut self.history {
            history.push(FlashChange { offset: range.start, contents });
        }
        self.changed.push(range);
    }

    /// Whether [`FlashChip::take_changed`] has something.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Executes one command. `input` is the data phase to the chip; `output` the length of the one from it. `None` if the
    /// chip does not know the command.
    pub fn command(&mut self, code: u8, address: u32, input: &[u8], output: usize) -> Option<Vec<u8>> {
        // Address bits above the chip's size are not connected.
        let address = address % self.size().max(1);
        let mut answer = Vec::new();
        match code {
            // write enable, write disable
            0x06 => self.status |= STATUS_WRITE_ENABLED,
            0x04 => self.status &= !STATUS_WRITE_ENABLED,
            // read status 1, 2, 3; write status
            0x05 => answer = vec![self.status as u8],
            0x35 => answer = vec![(self.status >> 8) as u8],
            0x15 => answer = vec![0],
            0x01 => {
                for (index, byte) in input.iter().take(2).enumerate() {
                    let shift = 8 * index as u32;
                    self.status = self.status & !(0xff << shift) | u32::from(*byte) << shift;
                }
                self.status &= !(STATUS_WRITE_ENABLED | 1);
            }
            0x31 => self.status = self.status & 0xff | u32::from(*input.first()?) << 8,
            // identification
            0x9f => {
                let id = [MANUFACTURER as u8, KIND as u8, self.size().trailing_zeros() as u8];
                answer = id.to_vec();
            }
            // reads: slow, fast, dual, quad
            0x03 | 0x0b | 0x3b | 0xbb | 0x6b | 0xeb => {
                answer = self.bytes(address..address.saturating_add(output as u32)).to_vec();
            }
            0x02 | 0x32 => self.program(address, input),
            0x20 => self.erase(address, SECTOR),
            0x52 => self.erase(address, BLOCK_32K),
            0xd8 => self.erase(address, BLOCK_64K),
            0xc7 | 0x60 => self.erase(0, self.size()),
            // power down and release, reset enable and reset: nothing observable here
            0xb9 | 0xab | 0x66 | 0x99 => {}
            _ => return None,
        }
        answer.resize(output, 0xff);
        Some(answer)
    }

    fn take_write_enable(&mut self) -> bool {
        let enabled = self.status & STATUS_WRITE_ENABLED != 0;
        self.status &= !STATUS_WRITE_ENABLED;
        enabled
    }

    fn program(&mut self, address: u32, input: &[u8]) {
        if !self.take_write_enable() {
            return;
        }
        let page = address - address % PROGRAM_PAGE;
        for (index, byte) in input.iter().enumerate() {
            // Past the page's end the address wraps within the page.
            let at = page + (address % PROGRAM_PAGE + index as u32) % PROGRAM_PAGE;
            if let Some(cell) = self.contents.get_mut(at as usize) {
                *cell &= byte;
            }
        }
        self.note_change(page..page + PROGRAM_PAGE);
    }

    fn erase(&mut self, address: u32, length: u32) {
        if !self.take_write_enable() || length == 0 {
            return;
        }
        let start = address - address % length;
        let end = start.saturating_add(length).min(self.size());
        if let Some(cells) = self.contents.get_mut(start as usize..end as usize) {
            cells.fill(0xff);
            self.note_change(start..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programming_needs_write_enable_clears_bits_only_and_wraps_in_its_page() {
        let mut chip = FlashChip::new(vec![0xff; 0x10000]);
        chip.command(0x02, 0xfe, &[1, 2, 3], 0).expect("program");
        assert_eq!(chip.bytes(0xfe..0x100), [0xff, 0xff], "not enabled");
        chip.command(0x06, 0, &[], 0).expect("write enable");
        chip.command(0x02, 0xfe, &[1, 2, 3], 0).expect("program");
        assert_eq!((chip.bytes(0xfe..0x101), chip.bytes(0..1)), ([1, 2, 0xff].as_slice(), [3].as_slice()));
        assert_eq!(chip.command(0x05, 0, &[], 1), Some(vec![0]), "enable is used up");
        chip.command(0x06, 0, &[], 0).expect("write enable");
        chip.command(0x20, 0x123, &[], 0).expect("sector erase");
        assert_eq!(chip.command(0x03, 0xfe, &[], 2), Some(vec![0xff, 0xff]));
        assert_eq!((chip.take_changed(), chip.take_changed()), (Some(0..0x1000), Some(0..0x100)));
        assert_eq!(chip.command(0x77, 0, &[], 0), None);
    }
}
