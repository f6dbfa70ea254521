//! A peer that speaks the serial protocol of the ESP32-C3's mask ROM and of the flasher stub, over a pseudo-terminal: what
//! esptool's documentation says of commands, answers and checksums ("Serial Protocol"). Holds a flash; knows no image.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flate2::write::ZlibDecoder;
use md5::{Digest, Md5};
use serialport::{SerialPort, TTYPort};

const END: u8 = 0xc0;
const ESC: u8 = 0xdb;
const FLASH_BYTES: usize = 4 << 20;
/// `SPI_MEM_CMD_REG` and `SPI_MEM_W0_REG` of SPI1: how the host asks for the flash's identification.
const SPI_COMMAND: u32 = 0x6000_2000;
const SPI_DATA: u32 = 0x6000_2058;
/// Manufacturer, type, log2 of the size: 4 MB.
const FLASH_ID: u32 = 0x0016_40c8;

/// What the peer saw and holds.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The flash.
    pub flash: Vec<u8>,
    /// Numbers of the commands, in order.
    pub commands: Vec<u8>,
    /// Bytes of data that came with write commands.
    pub data_bytes: usize,
    /// Speeds that were asked for, each with the line's speed when the next command came.
    pub bauds: Vec<(u32, u32)>,
}

/// A running peer; it ends when dropped.
pub struct Peer {
    name: String,
    says: Mutex<TTYPort>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// A chip in its bootloader whose flash holds `flash`, padded with 0xFF; `chip_id` as the ROM reports it (5 is the ESP32-C3).
    pub fn new(flash: &[u8], chip_id: u32) -> Self {
        Self::start(flash, chip_id, None)
    }

    /// An ESP32-C3 with an erased flash in which the bits of `mask` at `offset` cannot be set any more.
    pub fn worn(offset: usize, mask: u8) -> Self {
        Self::start(&[], 5, Some((offset, mask)))
    }

    fn start(flash: &[u8], chip_id: u32, worn: Option<(usize, u8)>) -> Self {
        let (master, slave) = TTYPort::pair().expect("a pseudo-terminal");
        let name = slave.name().expect("a pseudo-terminal has a name");
        // Open as long as the peer lives, so that the line does not hang up between two programs, but not locked.
        let held = File::options().read(true).write(true).open(&name).expect("the pseudo-terminal is there");
        drop(slave);
        let mut contents = flash.to_vec();
        contents.resize(FLASH_BYTES, 0xff);
        let seen = Seen { flash: contents, commands: Vec::new(), data_bytes: 0, bauds: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let says = Mutex::new(master.try_clone_native().expect("a second handle"));
        let stop = Arc::new(AtomicBool::new(false));
        let mut chip = Chip {
            port: master,
            seen: Arc::clone(&seen),
            stop: Arc::clone(&stop),
            chip_id,
            registers: HashMap::new(),
            stub: false,
            write: None,
            worn,
        };
        let thread = thread::spawn(move || {
            chip.serve();
            drop(held);
        });
        Self { name, says, seen, stop, thread: Some(thread) }
    }

    /// The port to open.
    pub fn port(&self) -> &str {
        &self.name
    }

    /// Says something on its console.
    pub fn say(&self, text: &str) {
        self.says.lock().expect("no other user panics").write_all(text.as_bytes()).expect("the line is open");
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("the peer did not panic").clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A write in progress.
enum Writing {
    Plain { at: usize },
    Deflated { at: usize, decoder: ZlibDecoder<Vec<u8>> },
}

struct Chip {
    port: TTYPort,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    chip_id: u32,
    registers: HashMap<u32, u32>,
    stub: bool,
    write: Option<Writing>,
    worn: Option<(usize, u8)>,
}

/// The peer was told to stop.
struct Stopped;

fn word(bytes: &[u8], index: usize) -> u32 {
    bytes.get(4 * index..4 * index + 4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

impl Chip {
    fn serve(&mut self) {
        self.port.set_timeout(Duration::from_millis(5)).expect("a pseudo-terminal has timeouts");
        while let Ok(packet) = self.packet() {
            // Direction 0 is a request; anything else is noise.
            let [0, command, _, _, c0, c1, c2, c3, data @ ..] = packet.as_slice() else { continue };
            let checksum = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
            if self.carry_out(*command, checksum, data).is_err() {
                return;
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Stopped> {
        let mut byte = [0];
        loop {
            match self.port.read(&mut byte) {
                Ok(1) => return Ok(byte[0]),
                _ if self.stop.load(Ordering::Relaxed) => return Err(Stopped),
                _ => {}
            }
        }
    }

    /// The next SLIP packet that is not empty.
    fn packet(&mut self) -> Result<Vec<u8>, Stopped> {
        let mut packet = Vec::new();
        loop {
            match self.byte()? {
                END if packet.is_empty() => {}
                END => return Ok(packet),
                ESC => packet.push(if self.byte()? == 0xdc { END } else { ESC }),
                byte => packet.push(byte),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) {
        let mut bytes = vec![END];
        for byte in packet {
            match *byte {
                END => bytes.extend([ESC, 0xdc]),
                ESC => bytes.extend([ESC, 0xdd]),
                byte => bytes.push(byte),
            }
        }
        bytes.push(END);
        self.port.write_all(&bytes).expect("the line is open");
    }

    fn answer(&mut self, command: u8, value: u32, data: &[u8], error: u8) {
        let status = [u8::from(error != 0), error, 0, 0];
        let status = if self.stub { &status[..2] } else { &status[..] };
        let length = (data.len() + status.len()) as u16;
        let mut packet = vec![1, command];
        packet.extend(length.to_le_bytes());
        packet.extend(value.to_le_bytes());
        packet.extend(data);
        packet.extend(status);
        self.send(&packet);
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().expect("no other user panics"));
    }

    fn flash(&self, offset: u32, length: u32) -> Vec<u8> {
        let seen = self.seen.lock().expect("no other user panics");
        seen.flash.get(offset as usize..(offset + length) as usize).unwrap_or_default().to_vec()
    }

    fn carry_out(&mut self, command: u8, checksum: u32, data: &[u8]) -> Result<(), Stopped> {
        let line = self.port.baud_rate().unwrap_or(0);
        self.note(|seen| {
            seen.commands.push(command);
            if let Some((_, actual @ 0)) = seen.bauds.last_mut() {
                *actual = line;
            }
        });
        match command {
            // SYNC is answered eight times.
            0x08 => (0..8).for_each(|_| self.answer(command, 0, &[], 0)),
            // READ_REG
            0x0a => {
                let value = self.registers.get(&word(data, 0)).copied().unwrap_or(0);
                self.answer(command, value, &[], 0);
            }
            // WRITE_REG: address, value, mask, delay
            0x09 => {
                match word(data, 0) {
                    SPI_COMMAND => drop(self.registers.insert(SPI_DATA, FLASH_ID)),
                    address => drop(self.registers.insert(address, word(data, 1))),
                }
                self.answer(command, 0, &[], 0);
            }
            // GET_SECURITY_INFO: flags, counts and purposes, chip, revision
            0x14 => {
                let mut info = [0; 20];
                info[12..16].copy_from_slice(&self.chip_id.to_le_bytes());
                self.answer(command, 0, &info, 0);
            }
            // SPI_SET_PARAMS, SPI_ATTACH, MEM_BEGIN
            0x0b | 0x0d | 0x05 => self.answer(command, 0, &[], 0),
            // MEM_DATA
            0x07 => self.receive(command, checksum, data, |_, _| 0),
            // MEM_END: run what was loaded, the stub, which says hello.
            0x06 => {
                self.answer(command, 0, &[], 0);
                self.stub = true;
                self.send(b"OHAI");
            }
            // CHANGE_BAUDRATE: both sides change after the answer.
            0x0f => {
                self.answer(command, 0, &[], 0);
                self.note(|seen| seen.bauds.push((word(data, 0), 0)));
            }
            // FLASH_BEGIN: bytes to erase, packets, bytes a packet, offset
            0x02 => {
                let (size, offset) = (word(data, 0) as usize, word(data, 3) as usize);
                self.erase(offset, size);
                self.write = Some(Writing::Plain { at: offset });
                self.answer(command, 0, &[], 0);
            }
            // FLASH_DEFL_BEGIN: bytes unpacked, packets, bytes a packet, offset
            0x10 => {
                let (size, offset) = (word(data, 0) as usize, word(data, 3) as usize);
                self.erase(offset, size.next_multiple_of(0x1000));
                self.write = Some(Writing::Deflated { at: offset, decoder: ZlibDecoder::new(Vec::new()) });
                self.answer(command, 0, &[], 0);
            }
            0x03 | 0x11 => self.receive(command, checksum, data, Chip::program),
            // FLASH_END, FLASH_DEFL_END
            0x04 | 0x12 => {
                self.write = None;
                self.answer(command, 0, &[], 0);
            }
            // SPI_FLASH_MD5: in hexadecimal from the ROM, as bytes from the stub
            0x13 => {
                let digest = Md5::digest(self.flash(word(data, 0), word(data, 1)));
                let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                if self.stub {
                    self.answer(command, 0, &digest, 0)
                } else {
                    self.answer(command, 0, text.as_bytes(), 0)
                }
            }
            // ERASE_FLASH, of the stub only
            0xd0 if self.stub => {
                self.erase(0, FLASH_BYTES);
                self.answer(command, 0, &[], 0);
            }
            // READ_FLASH, of the stub only: packets, each acknowledged with the bytes so far, then a digest
            0xd2 if self.stub => {
                let bytes = self.flash(word(data, 0), word(data, 1));
                self.answer(command, 0, &[], 0);
                let mut sent = 0;
                for packet in bytes.chunks(word(data, 2) as usize) {
                    self.send(packet);
                    sent += packet.len() as u32;
                    assert_eq!(self.packet()?, sent.to_le_bytes(), "the host acknowledges what it has");
                }
                let digest = Md5::digest(&bytes);
                self.send(&digest);
            }
            // READ_FLASH_SLOW, of the ROM only
            0x0e if !self.stub => {
                let bytes = self.flash(word(data, 0), 64);
                self.answer(command, 0, &bytes, 0);
            }
            // "Received message is invalid"
            _ => self.answer(command, 0, &[], 5),
        }
        Ok(())
    }

    /// A packet of data: its length, its number, two words of zero, the bytes; the checksum is their exclusive or from 0xEF.
    fn receive(&mut self, command: u8, checksum: u32, data: &[u8], take: impl FnOnce(&mut Self, &[u8]) -> u8) {
        let bytes = data.get(16..).unwrap_or_default().to_vec();
        let right = bytes.iter().fold(0xef, |sum, byte| sum ^ byte);
        // "Failed to act on received message", "CRC of message is invalid"
        let error = match (word(data, 0) as usize == bytes.len(), checksum == u32::from(right)) {
            (true, true) => take(self, &bytes),
            (false, _) => 6,
            (_, false) => 7,
        };
        self.note(|seen| seen.data_bytes += bytes.len());
        self.answer(command, 0, &[], error);
    }

    fn program(&mut self, bytes: &[u8]) -> u8 {
        let (at, unpacked) = match &mut self.write {
            None => return 6,
            Some(Writing::Plain { at }) => (at, bytes.to_vec()),
            Some(Writing::Deflated { at, decoder }) => {
                if decoder.write_all(bytes).and_then(|()| decoder.flush()).is_err() {
                    return 6;
                }
                (at, std::mem::take(decoder.get_mut()))
            }
        };
        let start = *at;
        *at += unpacked.len();
        self.note(|seen| {
            let cells = seen.flash.iter_mut().skip(start);
            cells.zip(unpacked).for_each(|(cell, byte)| *cell &= byte);
            if let Some((offset, mask)) = self.worn {
                seen.flash[offset] &= !mask;
            }
        });
        0
    }

    fn erase(&mut self, offset: usize, size: usize) {
        self.note(|seen| seen.flash.iter_mut().skip(offset).take(size).for_each(|cell| *cell = 0xff));
    }
}
