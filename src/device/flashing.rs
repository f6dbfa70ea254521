//! Writing a chip's flash through its serial bootloader, with the espflash library: what is there is skipped, what was written
//! is verified, installed modules stay.

use std::fs;

use espb_image::{Chip, FlashImage, FlashOffset, Placement, Region, SECTOR_SIZE, Segment, SlotIndex, SlotLayout};
use espflash::connection::{Connection, Port, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::Flasher;
use espflash::target::ProgressCallbacks;

use super::port::OpenPort;
use super::transport::DeviceError;

/// Bytes of flash that one read command of the mask ROM gives.
const ROM_READ: u32 = 64;
/// Bytes of flash that the stub sends before it waits for an acknowledgement.
const STUB_READ: u32 = 0x1000;
/// Where the partition table lies, and how many bytes of it count.
const TABLE: Region = Region { offset: FlashOffset(0x8000), size: 0xc00 };

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// The chip that must be there; `None` takes what is found.
    pub chip: Option<Chip>,
    /// Bits a second once connected; `None` stays at what the ROM starts with.
    pub baud: Option<u32>,
    /// Whether to run the flasher stub in the chip's RAM: faster, compresses.
    pub stub: bool,
}

/// What became of a piece of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its place.
    pub offset: FlashOffset,
    /// Its length in bytes.
    pub length: usize,
    /// It held these bytes already.
    pub skipped: bool,
}

/// Who wants to know how far the writing is.
pub trait Progress {
    /// A piece begins, in `steps` steps.
    fn begin(&mut self, offset: FlashOffset, steps: usize);
    /// So many steps are done.
    fn step(&mut self, done: usize);
    /// The piece is written and is read back now.
    fn verify(&mut self);
    /// The piece is done.
    fn done(&mut self, written: Written);
}

/// A chip in its serial bootloader.
pub struct Bootloader {
    flasher: Flasher,
    chip: Chip,
    stub: bool,
}

impl Bootloader {
    /// Resets the chip into its bootloader, finds out what it is and connects.
    pub fn connect(port: OpenPort, options: &ConnectOptions) -> Result<Self, DeviceError> {
        let (before, after) = match port.has_reset {
            true => (ResetBeforeOperation::DefaultReset, ResetAfterOperation::HardReset),
            false => (ResetBeforeOperation::NoReset, ResetAfterOperation::NoResetNoStub),
        };
        let connection = Connection::new(port.port, port.usb, after, before, super::port::DEFAULT_BAUD);
        let flasher = Flasher::connect(connection, options.stub, true, true, None, options.baud).map_err(failed)?;
        let found = flasher.chip();
        let chip = Chip::ALL.into_iter().find(|chip| chip.name() == found.to_string()).ok_or_else(|| DeviceError {
            message: format!("the chip is an {found}, for which there is no firmware"),
            help: format!("connect one of these: {}", Chip::ALL.map(Chip::name).join(", ")),
        })?;
        if let Some(wanted) = options.chip.filter(|wanted| *wanted != chip) {
            return Err(DeviceError {
                message: format!("the chip is an {chip}, not an {wanted}"),
                help: "connect the right board, or leave out --chip".into(),
            });
        }
        Ok(Self { flasher, chip, stub: options.stub })
    }

    /// The chip that was found.
    pub fn chip(&self) -> Chip {
        self.chip
    }

    /// Sets the whole flash to 0xFF.
    pub fn erase(&mut self) -> Result<(), DeviceError> {
        if self.stub {
            return self.flasher.erase_flash().map_err(failed);
        }
        Err(DeviceError {
            message: "the mask ROM alone cannot erase the whole flash".into(),
            help: "leave out --no-stub or --erase".into(),
        })
    }

    /// The pieces that store a module beside what the chip's slots and record hold now. `firmware` is what will be written
    /// with it, if anything.
    pub fn store(
        &mut self,
        firmware: Option<&FlashImage>,
        placement: &Placement<'_>,
    ) -> Result<(SlotIndex, Vec<Segment>), DeviceError> {
        let refused = |error: espb_image::ImageError| DeviceError {
            message: error.to_string(),
            help: "without --module-only the firmware and its partition table are written too".into(),
        };
        let present = self.read(TABLE)?;
        let ours = match firmware {
            Some(image) => Some(image.slot_layout().map_err(refused)?),
            None => None,
        };
        let there = SlotLayout::from_table(&present).map_err(refused);
        let (table, layout) = match (firmware, ours, there) {
            // What lies where another partition table has other things is nobody's.
            (Some(image), Some(ours), there) if there.as_ref().ok() != Some(&ours) => (bytes_of(image, TABLE), None),
            (_, _, there) => (present, Some(there?)),
        };
        let mut pieces = vec![Segment { offset: TABLE.offset, data: table }];
        for region in layout.iter().flat_map(regions_to_know) {
            pieces.push(Segment { offset: region.offset, data: self.read(region)? });
        }
        FlashImage::from_segments(pieces).store(placement).map_err(refused)
    }

    /// Writes what differs and verifies it, then resets the chip if the port can.
    pub fn write(&mut self, segments: &[Segment], progress: &mut dyn Progress) -> Result<Vec<Written>, DeviceError> {
        let pieces: Vec<_> = segments
            .iter()
            .map(|segment| espflash::image_format::Segment {
                addr: segment.offset.0,
                data: padded(&segment.data).into(),
            })
            .collect();
        let mut callbacks = Callbacks { segments, next: 0, written: Vec::new(), progress };
        self.flasher.write_bins_to_flash(&pieces, &mut callbacks).map_err(failed)?;
        Ok(callbacks.written)
    }

    /// Gives the port back.
    pub fn into_port(self) -> Port {
        self.flasher.into_connection().into_serial()
    }

    fn read(&mut self, region: Region) -> Result<Vec<u8>, DeviceError> {
        // The library gives what it reads as a file only.
        let file = tempfile::NamedTempFile::new().map_err(|error| DeviceError {
            message: format!("no temporary file for what the flash holds: {error}"),
            help: "make TMPDIR writable".into(),
        })?;
        let path = || file.path().to_path_buf();
        let take = || {
            fs::read(file.path()).map_err(|error| DeviceError {
                message: format!("the temporary file for what the flash holds cannot be read: {error}"),
                help: "make TMPDIR readable".into(),
            })
        };
        let FlashOffset(start) = region.offset;
        if self.stub {
            self.flasher.read_flash(start, region.size, STUB_READ, 1, path()).map_err(failed)?;
            return take();
        }
        let mut bytes = Vec::new();
        for offset in (start..start + region.size).step_by(ROM_READ as usize) {
            self.flasher.read_flash_rom(offset, ROM_READ, ROM_READ, 1, path()).map_err(failed)?;
            bytes.extend(take()?);
        }
        Ok(bytes)
    }
}

/// What decides about slots without reading whole modules: their headers and the record.
fn regions_to_know(layout: &SlotLayout) -> Vec<Region> {
    let headers = layout.slots.iter().map(|slot| Region { offset: slot.offset, size: SECTOR_SIZE as u32 });
    headers.chain([layout.record]).collect()
}

fn bytes_of(image: &FlashImage, region: Region) -> Vec<u8> {
    let start = region.offset.0 as usize;
    image.merged().get(start..start + region.size as usize).unwrap_or_default().to_vec()
}

/// The flash is written in words.
fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(4), 0xff);
    data
}

struct Callbacks<'a> {
    segments: &'a [Segment],
    next: usize,
    written: Vec<Written>,
    progress: &'a mut dyn Progress,
}

impl ProgressCallbacks for Callbacks<'_> {
    fn init(&mut self, address: u32, total: usize) {
        self.progress.begin(FlashOffset(address), total);
    }

    fn update(&mut self, current: usize) {
        self.progress.step(current);
    }

    fn verifying(&mut self) {
        self.progress.verify();
    }

    fn finish(&mut self, skipped: bool) {
        let Some(segment) = self.segments.get(self.next) else { return };
        self.next += 1;
        let written = Written { offset: segment.offset, length: segment.data.len(), skipped };
        self.written.push(written);
        self.progress.done(written);
    }
}

fn failed(error: espflash::Error) -> DeviceError {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message += &format!(": {cause}");
        source = cause.source();
    }
    let help = match &error {
        espflash::Error::Connection(_) => {
            "hold BOOT while you press RESET to start the bootloader by hand; check the cable; try a lower --baud"
                .into()
        }
        espflash::Error::VerifyFailed => "try a lower --baud, or a shorter cable; nothing of it was started".into(),
        other => match miette::Diagnostic::help(other) {
            Some(help) => help.to_string(),
            None => "try a lower --baud, or --no-stub".into(),
        },
    };
    DeviceError { message, help }
}
