//! The ESP32-C3: its blocks of registers, its memories, its interrupt sources, put together as a [`Bus`].
//!
//! One file a block. Nothing here knows an instruction set.

mod analog_i2c;
mod apb_ctrl;
mod cache;
mod efuse;
mod gpio;
mod interrupt_matrix;
pub mod pads;
mod permissions;
mod radio_power;
pub mod regions;
mod rtc_cntl;
mod spi_memory;
mod system;
mod systimer;
mod timer_group;
mod uart;
mod usb_serial_jtag;
mod wiring;

use super::Peripheral;
use super::flash_chip::FlashChip;
use super::register_bank::RegisterBank;
use crate::chip::cpu::{Bus, NEVER, Page, Request, Ticks, Unmodelled};
use permissions::{Permission, PermissionControl};
use regions::{
    FLASH_BACKING, FLASH_DATA, FLASH_INSTRUCTION, ROM, ROM_DATA, ROM_DATA_ALIAS, RTC_FAST, SRAM0, SRAM1,
    SRAM1_INSTRUCTION,
};

pub use cache::FLASH_PAGE;
pub use uart::Sent;

/// Ticks in a second: the reference clock is the core's highest, 160 MHz.
pub const TICKS_PER_SECOND: u64 = 160_000_000;

/// Interrupt sources (TRM, table "CPU Peripheral Interrupt Source Configuration"; the PAC's `Interrupt`).
mod source {
    pub const GPIO: u32 = 16;
    pub const GPIO_NMI: u32 = 17;
    pub const UART0: u32 = 21;
    pub const UART1: u32 = 22;
    pub const TG0_T0: u32 = 32;
    pub const TG1_T0: u32 = 34;
    pub const SYSTIMER_TARGET0: u32 = 37;
    pub const FROM_CPU_INTR0: u32 = 50;
}

const UART0_FIFO: u32 = 0x6000_0000;
const UART1_FIFO: u32 = 0x6001_0000;

/// The chip.
#[derive(Debug)]
pub struct Esp32c3 {
    uarts: [uart::Uart; 2],
    spi0: RegisterBank,
    spi1: spi_memory::SpiMemory,
    gpio: gpio::Gpio,
    pads: pads::Pads,
    sigma_delta: RegisterBank,
    /// FE2, FE, NRX, BB.
    radio: [radio_power::RadioPower; 4],
    rtc_cntl: rtc_cntl::RtcCntl,
    efuse: efuse::Efuse,
    io_mux: RegisterBank,
    analog_i2c: analog_i2c::AnalogI2c,
    timer_groups: [timer_group::TimerGroup; 2],
    systimer: systimer::Systimer,
    apb_ctrl: apb_ctrl::ApbCtrl,
    usb: usb_serial_jtag::UsbSerialJtag,
    system: system::System,
    permissions: PermissionControl,
    matrix: interrupt_matrix::InterruptMatrix,
    cache: cache::CacheControl,
    mmu: cache::MmuTable,
    assist_debug: RegisterBank,
    /// The host wants to be told when UART0 has something for it.
    wake_on_output: bool,
    /// GPIO control registers of the core (0x803…0x805): output enable, input, output.
    core_gpio: [u32; 3],
}

impl Esp32c3 {
    /// A chip on `board` whose flash holds `flash` and whose factory address is `mac`.
    pub fn new(flash: Vec<u8>, mac: [u8; 6], board: &pads::Board) -> Self {
        let mut chip = Self {
            pads: pads::Pads::new(board),
            uarts: [uart::Uart::new(), uart::Uart::new()],
            spi0: RegisterBank::new(
                0x400,
                &[
                    (0x08, 0x002c_2000),
                    (0x10, 0x21),
                    (0x14, 0x0003_0103),
                    (0x1c, 0x5c00_0007),
                    (0x20, 0x7000_0000),
                    (0x54, 0x0200),
                    (0xa8, 0x01),
                    (0xdc, 0x01),
                ],
            ),
            spi1: spi_memory::SpiMemory::new(FlashChip::new(flash)),
            gpio: gpio::Gpio::new(),
            sigma_delta: RegisterBank::new(0x2c, &[]),
            radio: [0xf0, 0x90, 0xd4, 0x54].map(radio_power::RadioPower::new),
            rtc_cntl: rtc_cntl::RtcCntl::new(),
            efuse: efuse::Efuse::new(mac),
            io_mux: {
                let mut bank = RegisterBank::new(0x100, &[(0x00, 0x07ff)]);
                for pin in 0..22 {
                    bank.set(4 + 4 * pin, 0x0b00);
                }
                bank
            },
            analog_i2c: analog_i2c::AnalogI2c::new(),
            timer_groups: [timer_group::TimerGroup::new(), timer_group::TimerGroup::new()],
            systimer: systimer::Systimer::new(),
            apb_ctrl: apb_ctrl::ApbCtrl::new(),
            usb: usb_serial_jtag::UsbSerialJtag::new(),
            system: system::System::new(),
            permissions: PermissionControl::new(),
            matrix: interrupt_matrix::InterruptMatrix::new(),
            cache: cache::CacheControl::new(),
            mmu: cache::MmuTable::new(),
            assist_debug: RegisterBank::new(0x200, &[(0x70, 0x80)]),
            wake_on_output: false,
            core_gpio: [0; 3],
        };
        chip.settle_pads(0);
        chip
    }

    /// Whether a store and whether an instruction fetch at this address would be allowed, to the byte.
    pub fn writable_executable(&self, address: u32) -> (bool, bool) {
        let allowed = match address {
            _ if SRAM1.contains(address) => self.permissions.data_bus(address - SRAM1.base),
            _ if SRAM1_INSTRUCTION.contains(address) => {
                self.permissions.instruction_bus(address - SRAM1_INSTRUCTION.base)
            }
            _ if RTC_FAST.contains(address) => self.permissions.rtc_fast(address - RTC_FAST.base),
            _ => return self.page(address).map_or((false, false), |page| (page.writable, page.executable)),
        };
        (allowed.write, allowed.execute)
    }

    /// The flash MMU's table, which the bootloader fills.
    pub fn map_flash_page(&mut self, window_entry: u32, flash_page: u32) {
        self.mmu.map(window_entry, flash_page);
    }

    /// Bytes of the flash chip.
    pub fn flash(&self) -> &FlashChip {
        &self.spi1.flash
    }

    /// Sends bytes to UART0's receiver, beginning now.
    pub fn send_uart_input(&mut self, now: Ticks, bytes: &[u8]) {
        let [uart0, _] = &mut self.uarts;
        uart0.receive(now, bytes);
    }

    /// Takes what UART0 had sent by `now`.
    pub fn take_uart_output(&mut self, now: Ticks) -> Vec<Sent> {
        let [uart0, _] = &mut self.uarts;
        uart0.take_sent(now)
    }

    /// Whether UART0 output asks the core to stop ([`Request::Yield`]).
    pub fn set_wake_on_output(&mut self, wake: bool) {
        self.wake_on_output = wake;
    }

    fn output_ready_at(&self) -> Ticks {
        let [uart0, _] = &self.uarts;
        if self.wake_on_output { uart0.output_ready_at() } else { NEVER }
    }

    /// The block that owns a register address, and the offset in it.
    fn block(&mut self, address: u32) -> Option<(&mut dyn Peripheral, u32)> {
        let offset = address & 0xfff;
        let [uart0, uart1] = &mut self.uarts;
        let [timg0, timg1] = &mut self.timer_groups;
        let [fe2, fe, nrx, bb] = &mut self.radio;
        let block: &mut dyn Peripheral = match address & !0xfff {
            0x6000_0000 => uart0,
            0x6000_2000 => &mut self.spi1,
            0x6000_3000 => &mut self.spi0,
            0x6000_4000 if offset < 0xf00 => &mut self.gpio,
            0x6000_4000 => return Some((&mut self.sigma_delta, offset - 0xf00)),
            0x6000_5000 => fe2,
            0x6000_6000 => fe,
            0x6000_8000 if offset < 0x800 => &mut self.rtc_cntl,
            0x6000_8000 => return Some((&mut self.efuse, offset - 0x800)),
            0x6000_9000 => &mut self.io_mux,
            0x6000_e000 => &mut self.analog_i2c,
            0x6001_0000 => uart1,
            0x6001_c000 if offset >= 0xc00 => return Some((nrx, offset - 0xc00)),
            0x6001_d000 => bb,
            0x6001_f000 => timg0,
            0x6002_0000 => timg1,
            0x6002_3000 => &mut self.systimer,
            0x6002_6000 => &mut self.apb_ctrl,
            0x6004_3000 => &mut self.usb,
            0x600c_0000 => &mut self.system,
            0x600c_1000 => &mut self.permissions,
            0x600c_2000 => &mut self.matrix,
            0x600c_4000 => &mut self.cache,
            0x600c_5000 => &mut self.mmu,
            0x600c_e000 => &mut self.assist_debug,
            _ => return None,
        };
        Some((block, offset))
    }

    fn advance(&mut self, now: Ticks) {
        self.advance_pads(now);
        for uart in &mut self.uarts {
            uart.advance(now);
        }
        for group in &mut self.timer_groups {
            group.advance(now);
        }
        self.systimer.advance(now);
    }

    fn sources(&self) -> interrupt_matrix::Sources {
        let [uart0, uart1] = &self.uarts;
        let [timg0, timg1] = &self.timer_groups;
        let mut sources = u64::from(self.gpio.interrupt()) << source::GPIO
            | u64::from(self.gpio.nmi()) << source::GPIO_NMI
            | u64::from(uart0.interrupt()) << source::UART0
            | u64::from(uart1.interrupt()) << source::UART1
            | u64::from(timg0.interrupt()) << source::TG0_T0
            | u64::from(timg1.interrupt()) << source::TG1_T0
            | self.system.software_interrupts() << source::FROM_CPU_INTR0;
        for index in 0..3 {
            sources |= u64::from(self.systimer.interrupt(index)) << (source::SYSTIMER_TARGET0 as usize + index);
        }
        sources
    }
}

fn unmodelled(address: u32, note: &str) -> Unmodelled {
    Unmodelled { address, name: format!("{}{note}", regions::name(address)) }
}

fn check_alignment(address: u32, size: u8) -> Result<(), Unmodelled> {
    if address.is_multiple_of(u32::from(size.max(1))) { Ok(()) } else { Err(unmodelled(address, " (misaligned)")) }
}

impl Bus for Esp32c3 {
    fn read(&mut self, now: Ticks, address: u32, size: u8) -> Result<u32, Unmodelled> {
        check_alignment(address, size)?;
        self.advance_pads(now);
        let word = match self.block(address & !3) {
            Some((block, offset)) => block.read(now, offset),
            None => None,
        };
        let word = word.ok_or_else(|| unmodelled(address, ""))?;
        let mask = if size < 4 { (1 << (8 * size)) - 1 } else { u32::MAX };
        Ok(word >> (8 * (address & 3)) & mask)
    }

    fn write(&mut self, now: Ticks, address: u32, size: u8, value: u32) -> Result<(), Unmodelled> {
        check_alignment(address, size)?;
        let word = address & !3;
        let Some((block, offset)) = self.block(word) else { return Err(unmodelled(address, "")) };
        let value = if size == 4 {
            value
        } else {
            // Compilers narrow read-modify-write accesses of one field; only a FIFO must not be read for that.
            if [UART0_FIFO, UART1_FIFO].contains(&word) {
                return Err(unmodelled(address, " (a store narrower than the FIFO register)"));
            }
            let old = block.read(now, offset).ok_or_else(|| unmodelled(address, ""))?;
            let shift = 8 * (address & 3);
            let mask = ((1 << (8 * size)) - 1) << shift;
            old & !mask | value << shift & mask
        };
        block.write(now, offset, value).ok_or_else(|| unmodelled(address, ""))?;
        match word {
            UART0_FIFO => self.deliver(0),
            UART1_FIFO => self.deliver(1),
            _ if regions::GPIO.contains(word) || regions::IO_MUX.contains(word) => self.settle_pads(now),
            _ => {}
        }
        Ok(())
    }

    fn interrupt(&mut self, now: Ticks) -> Option<u8> {
        self.advance(now);
        self.matrix.drive(self.sources());
        self.matrix.line()
    }

    fn next_event(&mut self, now: Ticks) -> Ticks {
        let uarts = self.uarts.iter().map(|uart| uart.next_event(now));
        let groups = self.timer_groups.iter().map(|group| group.next_event(now));
        let first = self.systimer.next_event(now).min(self.pads.next_input().max(now + 1));
        let next = uarts.chain(groups).fold(first, Ticks::min);
        // Output that is ready already is a request, not an event.
        match self.output_ready_at() {
            ready if ready > now => next.min(ready),
            _ => next,
        }
    }

    fn page(&self, address: u32) -> Option<Page> {
        let page = address & !0xfff;
        let plain = |backing, writable, executable| Some(Page { backing, writable, executable });
        let permitted = |backing, permission: Permission| {
            let page = Page { backing, writable: permission.write, executable: permission.execute };
            (permission != Permission::default()).then_some(page)
        };
        let flash = |window: regions::Region, executable| {
            let offset = self.mmu.flash_offset(page - window.base)?;
            let inside = offset < self.spi1.flash.size();
            inside.then_some(Page { backing: FLASH_BACKING + offset, writable: false, executable })
        };
        match page {
            _ if SRAM1.contains(page) => {
                let all = PermissionControl::page(page - SRAM1.base, |offset| self.permissions.data_bus(offset));
                permitted(page, all)
            }
            _ if FLASH_INSTRUCTION.contains(page) => flash(FLASH_INSTRUCTION, true),
            _ if FLASH_DATA.contains(page) => flash(FLASH_DATA, false),
            _ if SRAM1_INSTRUCTION.contains(page) => {
                let start = page - SRAM1_INSTRUCTION.base;
                let all = PermissionControl::page(start, |offset| self.permissions.instruction_bus(offset));
                permitted(start + SRAM1.base, all)
            }
            _ if SRAM0.contains(page) => plain(page, true, true),
            _ if ROM.contains(page) => plain(page, false, true),
            _ if ROM_DATA.contains(page) => plain(page - ROM_DATA.base + ROM_DATA_ALIAS, false, false),
            _ if RTC_FAST.contains(page) => {
                let all = PermissionControl::page(page - RTC_FAST.base, |offset| self.permissions.rtc_fast(offset));
                permitted(page, all)
            }
            _ if regions::REGISTERS.contains(page) => plain(page, true, false),
            _ => None,
        }
    }

    fn core_register(&mut self, number: u16, value: Option<u32>) -> Option<u32> {
        let register = self.core_gpio.get_mut(usize::from(number.checked_sub(0x803)?))?;
        let old = *register;
        if let Some(value) = value {
            *register = value;
        }
        Some(old)
    }

    fn ticks_per_cycle(&self) -> u64 {
        self.system.ticks_per_cycle()
    }

    fn take_request(&mut self, now: Ticks) -> Option<Request> {
        if let Some(cause) = self.rtc_cntl.take_reset() {
            return Some(Request::Reset(cause));
        }
        if let Some(range) = self.spi1.flash.take_changed() {
            let bytes = self.spi1.flash.bytes(range.clone()).to_vec();
            return Some(Request::Fill(FLASH_BACKING + range.start, bytes));
        }
        // Both are looked at, so that one answer serves both.
        if self.mmu.take_changed() | self.permissions.take_changed() {
            return Some(Request::Remap);
        }
        (self.output_ready_at() <= now).then_some(Request::Yield)
    }

    fn has_request(&self, now: Ticks) -> bool {
        self.rtc_cntl.wants_reset()
            || self.spi1.flash.is_changed()
            || self.mmu.is_changed()
            || self.permissions.is_changed()
            || self.output_ready_at() <= now
    }
}
