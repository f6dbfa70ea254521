//! Which request an event answers. A tag lies behind each message, so that whoever speaks another protocol version can still
//! read the Hello before it.

/// The number of a request; the events that answer it carry the same. A request that is sent again keeps its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u16);

/// Set in what the device sends, so that neither side takes its own words for the other's where a line echoes.
const FROM_DEVICE: u16 = 0x8000;

impl Tag {
    /// Of events that nobody asked for.
    pub const UNASKED: Self = Self(0);

    /// The tag of the next request: 1 to 32767, then 1 again.
    pub fn next(self) -> Self {
        Self(self.0 % (FROM_DEVICE - 1) + 1)
    }

    /// As it lies on the line.
    pub(crate) fn on_line(self, from_device: bool) -> [u8; 2] {
        (if from_device { self.0 | FROM_DEVICE } else { self.0 }).to_le_bytes()
    }

    /// The tag in what came over the line; `None` if the other side does not speak so.
    pub(crate) fn from_line(bytes: [u8; 2], from_device: bool) -> Option<Self> {
        let bits = u16::from_le_bytes(bytes);
        (from_device == (bits & FROM_DEVICE != 0)).then_some(Self(bits & !FROM_DEVICE))
    }
}
