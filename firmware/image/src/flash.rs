//! The contents of a flash chip: written pieces in an erased rest. Knows nothing of what the pieces mean.

use crate::ImageError;
use std::{fmt, ops::Range};

/// Bytes of flash that an image may fill; every supported module and board has at least this.
pub const FLASH_SIZE: u32 = 4 << 20;

/// Bytes that flash erases at once.
pub const SECTOR_SIZE: usize = 0x1000;

/// What erased flash reads as.
pub(crate) const ERASED: u8 = 0xff;

/// A byte offset from the start of the flash chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlashOffset(pub u32);

impl fmt::Display for FlashOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FlashOffset {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Bytes to be written to one place of the flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the first byte goes.
    pub offset: FlashOffset,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Segment {
    fn range(&self) -> Range<usize> {
        self.offset.index()..self.offset.index() + self.data.len()
    }

    /// The part of the segment within `window`, if there is any.
    fn within(&self, window: &Range<usize>) -> Option<Self> {
        let own = self.range();
        let (start, end) = (own.start.max(window.start), own.end.min(window.end));
        let data = self.data.get(start.checked_sub(own.start)?..end.checked_sub(own.start)?)?;
        let offset = FlashOffset(u32::try_from(start).ok()?);
        (!data.is_empty()).then(|| Self { offset, data: data.to_vec() })
    }
}

/// Everything that a chip needs in its flash. Segments are in order of their offsets and do not overlap; what no
/// segment covers is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashImage {
    segments: Vec<Segment>,
}

impl FlashImage {
    /// An image of these pieces, which do not overlap.
    pub fn from_segments(mut segments: Vec<Segment>) -> Self {
        segments.sort_by_key(|segment| segment.offset);
        Self { segments }
    }

    /// Reads an image that covers the flash from its start, as `merged` gives it. Erased sectors become gaps between
    /// the segments, so that flashing skips them.
    ///
    /// # Errors
    /// `TooLong` when it does not fit the flash.
    pub fn from_merged(bytes: &[u8]) -> Result<Self, ImageError> {
        if bytes.len() > FLASH_SIZE as usize {
            return Err(ImageError::TooLong { length: bytes.len(), capacity: FLASH_SIZE });
        }
        let mut segments: Vec<Segment> = Vec::new();
        let sectors = bytes.chunks(SECTOR_SIZE);
        for (sector, offset) in sectors.zip((0..FLASH_SIZE).step_by(SECTOR_SIZE)) {
            if sector.iter().all(|&byte| byte == ERASED) {
                continue;
            }
            match segments.last_mut() {
                Some(last) if last.range().end == offset as usize => last.data.extend_from_slice(sector),
                _ => segments.push(Segment { offset: FlashOffset(offset), data: sector.to_vec() }),
            }
        }
        Ok(Self { segments })
    }

    /// The pieces to write, in order of their offsets.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The whole flash, `FLASH_SIZE` bytes, erased where nothing is written.
    pub fn merged(&self) -> Vec<u8> {
        let mut flash = vec![ERASED; FLASH_SIZE as usize];
        for segment in &self.segments {
            // A segment lies within the flash: espflash checks the firmware's, `place` the others'.
            if let Some(place) = flash.get_mut(segment.range()) {
                place.copy_from_slice(&segment.data);
            }
        }
        flash
    }

    /// The bytes from `offset` to the end of the segment that holds it.
    pub(crate) fn written_from(&self, offset: FlashOffset) -> Option<&[u8]> {
        let segment = self.segments.iter().find(|segment| segment.range().contains(&offset.index()))?;
        segment.data.get(offset.index() - segment.offset.index()..)
    }

    /// Erases `length` bytes at `offset` and writes `data` at their start. `data` is not longer than that.
    pub(crate) fn place(&mut self, offset: FlashOffset, length: u32, data: Vec<u8>) {
        let before = 0..offset.index();
        let after = offset.index() + length as usize..FLASH_SIZE as usize;
        let kept = self.segments.iter().flat_map(|segment| [segment.within(&before), segment.within(&after)]);
        let placed = Segment { offset, data };
        *self = Self::from_segments(kept.flatten().chain([placed]).collect());
    }
}
