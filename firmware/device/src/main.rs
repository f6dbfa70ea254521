//! The ESPB firmware image: starts the chip, the kernel, the link and, beside them, one module at a time.
//! This file is the start-up order and nothing else.
#![no_std]
#![no_main]

extern crate alloc;

mod console;
mod counters;
mod drivers;
mod flash;
mod heartbeat;
mod host;
mod input;
mod instance;
mod kernel;
mod key;
mod link;
mod native_call;
mod panic;
mod protection;
mod report;
mod thunk;
mod trial;

use esp_hal::{clock::CpuClock, timer::systimer::SystemTimer};

esp_bootloader_esp_idf::esp_app_desc!();

#[esp_hal::main]
fn main() -> ! {
    counters::start();
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    kernel::heap::init();
    let timer = SystemTimer::new(peripherals.SYSTIMER);
    kernel::tick::init(timer.alarm0);
    drivers::alarm::init(timer.alarm1);
    if let Err(error) = console::init(peripherals.UART0, peripherals.GPIO20, peripherals.GPIO21) {
        panic!("the console cannot be set up: {error}");
    }
    drivers::gpio::init();
    let uart = drivers::uart::init();
    let started =
        uart.and_then(|()| heartbeat::start()).and_then(|()| link::start()).and_then(|()| instance::deferred::start());
    if started.and_then(|()| host::start()).is_err() {
        panic!("no memory for the firmware's tasks");
    }
    protection::init();
    kernel::start()
}
