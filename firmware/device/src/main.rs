//! The ESPB firmware image: starts the chip, the kernel, the link and, beside them, one module at a time.
//! This file is the start-up order and nothing else.
#![no_std]
#![no_main]

extern crate alloc;

mod console;
mod counters;
mod flash;
mod heartbeat;
mod kernel;
mod link;
mod panic;

use esp_hal::{clock::CpuClock, timer::systimer::SystemTimer};

esp_bootloader_esp_idf::esp_app_desc!();

#[esp_hal::main]
fn main() -> ! {
    counters::start();
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    kernel::heap::init();
    kernel::tick::init(SystemTimer::new(peripherals.SYSTIMER).alarm0);
    console::init(peripherals.UART0, peripherals.GPIO20, peripherals.GPIO21).expect("console");
    heartbeat::start().expect("heartbeat task");
    link::start().expect("link task");
    kernel::spawn(print, c"a", 2048, 1 as _, 1).expect("a");
    kernel::spawn(print, c"b", 2048, 2 as _, 1).expect("b");
    kernel::start()
}

extern "C" fn print(x: *mut core::ffi::c_void) {
    let n = x as u32;
    loop {
        kernel::delay(1000 * n);
        let s = alloc::format!("task {} at {} beats {} free {}\n", n, kernel::tick_count(), heartbeat::count(), kernel::heap::free_bytes());
        console::write_text(s.as_bytes());
    }
}
