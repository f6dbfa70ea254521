//! From the registers of GPIO, IO MUX and UARTs to the pads, and from the pads back to inputs and receivers.
//!
//! UARTs put levels on pads bit by bit; between two UARTs, bytes travel whole, so both must be set to one baud rate.

use super::{Esp32c3, gpio, pads, uart};
use crate::chip::cpu::Ticks;

/// The matrix' signals of the UARTs' data lines, input and output alike (TRM, table "Peripheral Signals via GPIO Matrix").
const UART0_DATA: u32 = 6;
const UART1_DATA: u32 = 9;
const UART_SIGNALS: [u32; 2] = [UART0_DATA, UART1_DATA];
/// Pins whose first IO MUX function is UART0's, not GPIO's.
const UART0_RX_PIN: u32 = 20;
const UART0_TX_PIN: u32 = 21;
/// IO_MUX_GPIO0; the register of pin n follows at 4 n.
const IO_MUX_PIN: u32 = 0x04;

impl Esp32c3 {
    /// Records changes of pads from now on.
    pub fn record_pads(&mut self, now: Ticks) {
        self.pads.record(now);
    }

    /// Takes the changes of pads up to `now`.
    pub fn take_pad_edges(&mut self, now: Ticks) -> Vec<pads::PinLevel> {
        self.advance_pads(now);
        self.pads.take_edges()
    }

    /// What each pad is driven to, by the IO MUX' and the matrix' settings.
    fn drivers(&self) -> [pads::Driver; pads::PINS as usize] {
        let [uart0, uart1] = &self.uarts;
        std::array::from_fn(|pin| {
            let pin = pin as u32;
            let mux = self.io_mux.get(IO_MUX_PIN + 4 * pin);
            let bit = |number: u32| mux >> number & 1 != 0;
            let gpio::Drive { source, invert, enabled, open_drain } = match (mux >> 12 & 7, pin) {
                (0, UART0_TX_PIN) => gpio::Drive {
                    source: gpio::Source::Signal(UART0_DATA),
                    invert: false,
                    enabled: Some(true),
                    open_drain: false,
                },
                _ => self.gpio.drive(pin),
            };
            let (level, has_output) = match source {
                gpio::Source::Level(level) => (level, true),
                gpio::Source::Signal(UART0_DATA) => (uart0.line_level(), true),
                gpio::Source::Signal(UART1_DATA) => (uart1.line_level(), true),
                gpio::Source::Signal(_) => (false, false),
            };
            let high = level != invert;
            let on = has_output && enabled.unwrap_or(true) && !(open_drain && high);
            let pull = match (bit(8), bit(7)) {
                (true, false) => pads::Level::High,
                (_, true) => pads::Level::Low,
                (false, false) => pads::Level::Floating,
            };
            pads::Driver {
                output: if on { pads::Level::driven(high) } else { pads::Level::Floating },
                pull,
                input: bit(9),
            }
        })
    }

    /// Finds every pad's level anew, after something at this chip's side of the pads changed.
    pub(super) fn settle_pads(&mut self, now: Ticks) {
        let input = self.pads.settle(now, &self.drivers());
        self.gpio.sample(input);
    }

    /// Carries out what happens at the pads by itself: inputs applied from outside, and the UARTs' lines.
    pub(super) fn advance_pads(&mut self, now: Ticks) {
        loop {
            let [uart0, uart1] = &mut self.uarts;
            let next = uart0.next_line_change().min(uart1.next_line_change()).min(self.pads.next_input());
            if next > now {
                return;
            }
            for uart in [uart0, uart1] {
                if uart.next_line_change() == next {
                    uart.change_line();
                }
            }
            while self.pads.next_input() == next {
                self.pads.apply_input();
            }
            self.settle_pads(next);
        }
    }

    /// Lets a byte that UART `from` was just given arrive where its line leads.
    pub(super) fn deliver(&mut self, from: usize) {
        let Some(byte) = self.uarts.get_mut(from).and_then(uart::Uart::take_put) else { return };
        for to in 0..self.uarts.len() {
            let loops = to == from && self.uarts.get(to).is_some_and(uart::Uart::loops_back);
            let wired = self.receiving_pin(to).is_some_and(|pin| {
                (0..pads::PINS).any(|sender| self.pads.are_connected(sender, pin) && self.sends(from, sender))
            });
            if let Some(uart) = self.uarts.get_mut(to).filter(|_| loops || wired) {
                uart.arrive(byte);
            }
        }
        // UART0 is the host's, UART1 ends at the pins.
        if let Some(uart) = self.uarts.get_mut(from).filter(|_| from != 0) {
            uart.drop_sent();
        }
    }

    fn sends(&self, uart: usize, pin: u32) -> bool {
        if self.io_mux.get(IO_MUX_PIN + 4 * pin) >> 12 & 7 == 0 && pin == UART0_TX_PIN {
            return uart == 0;
        }
        UART_SIGNALS.get(uart).is_some_and(|signal| self.gpio.drive(pin).source == gpio::Source::Signal(*signal))
    }

    fn receiving_pin(&self, uart: usize) -> Option<u32> {
        let through_matrix = self.gpio.input_pad(*UART_SIGNALS.get(uart)?);
        let direct =
            (uart == 0 && self.io_mux.get(IO_MUX_PIN + 4 * UART0_RX_PIN) >> 12 & 7 == 0).then_some(UART0_RX_PIN);
        through_matrix.or(direct)
    }
}
