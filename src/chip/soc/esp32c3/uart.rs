//! UART0 and UART1: FIFOs, baud rate, interrupts. Register facts: ESP32-C3 TRM, chapter "UART Controller", and the PAC.
//!
//! Bytes take their real time on the line, in both directions. Not here: flow control, RS485, IrDA, break, autobaud, AT
//! commands; their registers hold what is written.

use std::collections::VecDeque;

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::{NEVER, Ticks};

const FIFO_BYTES: usize = 128;

const FIFO: u32 = 0x00;
const INT_RAW: u32 = 0x04;
const INT_ST: u32 = 0x08;
const INT_ENA: u32 = 0x0c;
const INT_CLR: u32 = 0x10;
const CLKDIV: u32 = 0x14;
const STATUS: u32 = 0x1c;
const CONF0: u32 = 0x20;
const CONF1: u32 = 0x24;
const MEM_CONF: u32 = 0x60;
const FSM_STATUS: u32 = 0x6c;
const CLK_CONF: u32 = 0x78;
const ID: u32 = 0x80;
const BLOCK_BYTES: u32 = 0x84;

const RX_FULL: u32 = 1 << 0;
const TX_EMPTY: u32 = 1 << 1;
const RX_OVERFLOW: u32 = 1 << 4;
const RX_TIMEOUT: u32 = 1 << 8;
const TX_DONE: u32 = 1 << 14;
/// RX FIFO full and TX FIFO empty are levels: clearing them has no effect while the cause lasts.
const LEVELS: u32 = RX_FULL | TX_EMPTY;

const CONF0_LOOPBACK: u32 = 1 << 14;
const CONF0_RX_RESET: u32 = 1 << 17;
const CONF0_TX_RESET: u32 = 1 << 18;
const CONF1_RX_TIMEOUT_ENABLE: u32 = 1 << 21;
const ID_UPDATE: u32 = 1 << 31;

/// A byte that left the chip, and when its stop bit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The moment at which the receiver has it.
    pub at: Ticks,
    /// The byte.
    pub byte: u8,
}

/// One UART.
#[derive(Debug)]
pub struct Uart {
    registers: RegisterBank,
    raw: u32,
    receive: VecDeque<u8>,
    /// Bytes on their way to the receiver, with their arrival.
    incoming: VecDeque<Sent>,
    last_received: Ticks,
    timeout_reported: bool,
    /// End of the stop bit of each byte not yet out.
    outgoing: VecDeque<Ticks>,
    line_free_at: Ticks,
    done_reported: bool,
    sent: VecDeque<Sent>,
    /// Changes of TXD still to come, with their moments.
    line: VecDeque<(Ticks, bool)>,
    line_level: bool,
    put: Option<Sent>,
}

impl Uart {
    /// In reset state, but with the baud rate of 115200 that the mask ROM sets on UART0 (from the 40 MHz crystal).
    pub fn new() -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (CLKDIV, 347 | 4 << 20),
                    (0x18, 0x08),
                    (CONF0, 0x1000_001c),
                    (CONF1, 0xc060),
                    (0x28, 0xfff),
                    (0x2c, 0xfff),
                    (0x38, 0xf0),
                    (0x3c, 0x26e0),
                    (0x40, 0x2200),
                    (0x44, 0x0a),
                    (0x48, 0x0004_0100),
                    (0x50, 0x0901),
                    (0x54, 0x0901),
                    (0x58, 0x0b),
                    (0x5c, 0x032b),
                    (MEM_CONF, 0x000a_0012),
                    (0x68, 0x0008_0100),
                    (0x70, 0xfff),
                    (0x74, 0xfff),
                    (CLK_CONF, 0x0370_0000),
                    (ID, 0x4000_0500),
                ],
            ),
            raw: 0,
            receive: VecDeque::new(),
            incoming: VecDeque::new(),
            last_received: 0,
            timeout_reported: true,
            outgoing: VecDeque::new(),
            line_free_at: 0,
            done_reported: true,
            sent: VecDeque::new(),
            line: VecDeque::new(),
            line_level: true,
            put: None,
        }
    }

    /// TXD's present level; high when nothing is sent.
    pub fn line_level(&self) -> bool {
        self.line_level
    }

    /// When TXD changes next.
    pub fn next_line_change(&self) -> Ticks {
        self.line.front().map_or(NEVER, |(at, _)| *at)
    }

    /// Carries out TXD's next change.
    pub fn change_line(&mut self) {
        if let Some((_, level)) = self.line.pop_front() {
            self.line_level = level;
        }
    }

    /// Whether what is sent comes back to this UART's own receiver (CONF0_LOOPBACK).
    pub fn loops_back(&self) -> bool {
        self.registers.get(CONF0) & CONF0_LOOPBACK != 0
    }

    /// Takes a byte that another sender puts on the line, the stop bit of which ends at `byte.at`.
    pub fn arrive(&mut self, byte: Sent) {
        let at = self.incoming.partition_point(|other| other.at <= byte.at);
        self.incoming.insert(at, byte);
    }

    /// The byte that the last store to the FIFO put into the queue, if there was room.
    pub fn take_put(&mut self) -> Option<Sent> {
        self.put.take()
    }

    /// Forgets what was sent: nobody outside listens.
    pub fn drop_sent(&mut self) {
        self.sent.clear();
    }

    /// The interrupt line's level.
    pub fn interrupt(&self) -> bool {
        self.raw & self.registers.get(INT_ENA) != 0
    }

    /// Queues bytes that the other end begins to send now, at the baud rate the chip listens at.
    pub fn receive(&mut self, now: Ticks, bytes: &[u8]) {
        let mut at = self.incoming.back().map_or(now, |last| last.at.max(now));
        for &byte in bytes {
            at += self.byte_ticks();
            self.incoming.push_back(Sent { at, byte });
        }
    }

    /// Takes the bytes whose transmission ended by `now`.
    pub fn take_sent(&mut self, now: Ticks) -> Vec<Sent> {
        let count = self.sent.iter().take_while(|sent| sent.at <= now).count();
        self.sent.drain(..count).collect()
    }

    /// When the other end has something worth waking for: the end of a line or frame, else of the last byte queued.
    pub fn output_ready_at(&self) -> Ticks {
        let end = self.sent.iter().find(|sent| sent.byte == b'\n' || sent.byte == 0);
        end.or(self.sent.back()).map_or(NEVER, |sent| sent.at)
    }

    /// Brings the state up to `now`.
    pub fn advance(&mut self, now: Ticks) {
        while let Some(next) = self.incoming.front().copied().filter(|next| next.at <= now) {
            self.incoming.pop_front();
            if self.receive.len() < FIFO_BYTES {
                self.receive.push_back(next.byte);
            } else {
                self.raw |= RX_OVERFLOW;
            }
            self.last_received = next.at;
            self.timeout_reported = false;
        }
        while self.outgoing.front().is_some_and(|end| *end <= now) {
            self.outgoing.pop_front();
        }
        if self.outgoing.is_empty() && !self.done_reported {
            self.raw |= TX_DONE;
            self.done_reported = true;
        }
        if self.timeout_at() <= now {
            self.raw |= RX_TIMEOUT;
            self.timeout_reported = true;
        }
        self.raw &= !LEVELS;
        if !self.receive.is_empty() && self.receive.len() >= self.full_threshold() {
            self.raw |= RX_FULL;
        }
        if self.waiting() < self.empty_threshold() {
            self.raw |= TX_EMPTY;
        }
    }

    /// When something that can raise the interrupt next happens, later than `now`.
    pub fn next_event(&self, now: Ticks) -> Ticks {
        let enabled = self.registers.get(INT_ENA);
        let mut next = NEVER;
        if let Some(incoming) = self.incoming.front() {
            next = next.min(incoming.at);
        }
        next = next.min(self.timeout_at());
        // Also when nobody waits for it: a chip that still sends is not idle.
        if !self.done_reported {
            next = next.min(self.line_free_at);
        }
        if enabled & TX_EMPTY != 0 {
            // The FIFO falls below the threshold when the byte behind it in the queue starts.
            let waiting = self.waiting();
            let threshold = self.empty_threshold().max(1);
            if waiting >= threshold {
                let index = self.outgoing.len() - threshold;
                if let Some(end) = self.outgoing.get(index) {
                    next = next.min(end.saturating_sub(self.byte_ticks()));
                }
            }
        }
        if next <= now { now + 1 } else { next }
    }

    /// Bytes in the transmit FIFO, once [`Uart::advance`] has dropped those sent. The one on the line has left it.
    fn waiting(&self) -> usize {
        self.outgoing.len().saturating_sub(1)
    }

    fn full_threshold(&self) -> usize {
        (self.registers.get(CONF1) & 0x1ff) as usize
    }

    fn empty_threshold(&self) -> usize {
        (self.registers.get(CONF1) >> 9 & 0x1ff) as usize
    }

    fn timeout_at(&self) -> Ticks {
        if self.timeout_reported || self.receive.is_empty() || self.registers.get(CONF1) & CONF1_RX_TIMEOUT_ENABLE == 0
        {
            return NEVER;
        }
        let bits = u64::from(self.registers.get(MEM_CONF) >> 16 & 0x3ff);
        self.last_received + bits * self.bit_sixteenths() / 16
    }

    /// One bit's duration in sixteenths of a tick.
    fn bit_sixteenths(&self) -> u64 {
        let clock = self.registers.get(CLK_CONF);
        let source_ticks = match clock >> 20 & 3 {
            1 => 2,
            2 => 9,
            _ => 4,
        };
        let prescaler = u64::from(clock >> 12 & 0xff) + 1;
        let divider = self.registers.get(CLKDIV);
        let sixteenths = u64::from(divider & 0xfff) * 16 + u64::from(divider >> 20 & 15);
        (source_ticks * prescaler * sixteenths).max(16)
    }

    fn byte_ticks(&self) -> Ticks {
        let conf = self.registers.get(CONF0);
        let data = 5 + u64::from(conf >> 2 & 3);
        let parity = u64::from(conf >> 1 & 1);
        let stop = if conf >> 4 & 3 == 3 { 2 } else { 1 };
        self.bit_sixteenths() * (1 + data + parity + stop) / 16
    }

    /// TXD's changes for one byte: start bit, data from the lowest bit on, parity, stop.
    fn put_on_line(&mut self, start: Ticks, byte: u8) {
        let conf = self.registers.get(CONF0);
        let data = 5 + (conf >> 2 & 3);
        let bits = u32::from(byte) & ((1 << data) - 1);
        let odd = conf & 1 != 0;
        let parity = (conf & 2 != 0).then_some((bits.count_ones() % 2 == 1) != odd);
        let levels = (0..data).map(|bit| bits >> bit & 1 != 0).chain(parity).chain([true]);
        let mut level = false;
        self.line.push_back((start, level));
        for (index, next) in (1..).zip(levels) {
            if next != level {
                self.line.push_back((start + self.bit_sixteenths() * index / 16, next));
                level = next;
            }
        }
    }

    fn transmit(&mut self, now: Ticks, byte: u8) {
        if self.waiting() >= FIFO_BYTES {
            return;
        }
        let start = self.line_free_at.max(now);
        let end = start + self.byte_ticks();
        self.line_free_at = end;
        self.put_on_line(start, byte);
        self.outgoing.push_back(end);
        self.done_reported = false;
        self.sent.push_back(Sent { at: end, byte });
        self.put = Some(Sent { at: end, byte });
    }
}

impl Peripheral for Uart {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.advance(now);
        Some(match offset {
            FIFO => {
                let byte = self.receive.pop_front().unwrap_or(0);
                self.advance(now);
                u32::from(byte)
            }
            INT_RAW => self.raw,
            INT_ST => self.raw & self.registers.get(INT_ENA),
            INT_CLR => 0,
            // The lines idle high: TXD, RTS, DTR, RXD, CTS.
            STATUS => 0xe000_c000 | self.receive.len() as u32 | (self.waiting() as u32) << 16,
            // Transmitter state 0 is idle; any other value means that it is sending.
            FSM_STATUS => u32::from(!self.outgoing.is_empty()) << 4,
            _ => self.registers.read(now, offset)?,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.advance(now);
        match offset {
            FIFO => self.transmit(now, value as u8),
            INT_CLR => self.raw &= !value,
            INT_RAW | INT_ST | STATUS | FSM_STATUS => {}
            CONF0 => {
                if value & CONF0_RX_RESET != 0 {
                    self.receive.clear();
                }
                if value & CONF0_TX_RESET != 0 {
                    // What is not on the line yet is lost.
                    let keep = self.outgoing.len() - self.waiting();
                    let lost = self.outgoing.len() - keep;
                    self.outgoing.truncate(keep);
                    self.sent.truncate(self.sent.len() - lost.min(self.sent.len()));
                    self.line_free_at = self.outgoing.back().copied().unwrap_or(now);
                    let end = self.line_free_at;
                    self.line.retain(|(at, _)| *at < end);
                }
                self.registers.set(CONF0, value);
            }
            // The synchronisation with the UART core takes no time.
            ID => self.registers.set(ID, value & !ID_UPDATE),
            _ => self.registers.write(now, offset, value)?,
        }
        self.advance(now);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at 115200 baud: 10 bits of 1389 ticks (160 MHz / 115200), within the divider's resolution.
    const BYTE: Ticks = 13_890;

    #[test]
    fn a_byte_takes_its_time_on_the_line_and_the_fifo_drains() {
        let mut uart = Uart::new();
        for byte in *b"ab\n" {
            uart.write(1000, FIFO, u32::from(byte)).expect("FIFO");
        }
        assert_eq!(uart.read(1000, STATUS).map(|status| status >> 16 & 0x3ff), Some(2), "one byte is on the line");
        let end = uart.output_ready_at();
        assert!(end.abs_diff(1000 + 3 * BYTE) < 10, "{end}");
        assert_eq!(uart.take_sent(end - 1).len(), 2);
        assert_eq!(uart.take_sent(end), [Sent { at: end, byte: b'\n' }]);
        assert_eq!(uart.read(end, STATUS).map(|status| status >> 16 & 0x3ff), Some(0));
    }

    #[test]
    fn received_bytes_interrupt_at_the_threshold_and_after_a_pause() {
        let mut uart = Uart::new();
        uart.write(0, CONF1, 2 | CONF1_RX_TIMEOUT_ENABLE).expect("CONF1");
        uart.write(0, INT_ENA, RX_FULL | RX_TIMEOUT).expect("INT_ENA");
        uart.receive(0, b"xyz");
        let mut now = 0;
        while !uart.interrupt() {
            now = uart.next_event(now);
            uart.advance(now);
        }
        assert!(now.abs_diff(2 * BYTE) < 10, "{now}");
        assert_eq!(uart.read(now, FIFO), Some(u32::from(b'x')));
        assert!(!uart.interrupt(), "below the threshold");
        now = uart.next_event(now);
        uart.advance(now);
        assert_eq!(uart.read(now, INT_ST), Some(RX_FULL));
        assert_eq!(uart.read(now, FIFO), Some(u32::from(b'y')));
        now = uart.next_event(now);
        uart.advance(now);
        assert_eq!(uart.read(now, INT_ST), Some(RX_TIMEOUT), "10 bit times after the last byte");
        assert!(now.abs_diff(4 * BYTE) < 20, "{now}");
    }
}
