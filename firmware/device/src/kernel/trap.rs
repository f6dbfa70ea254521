//! Trap ownership: from the scheduler's start on, mtvec points to the kernel port's handlers. See docs/decisions/0008.
//! Only dispatch lives here; what an interrupt means is its driver's business.

use core::{arch::global_asm, ffi::CStr};

use esp_hal::peripherals::{INTERRUPT_CORE0, Interrupt};

use super::{ffi, tick};

// The C3 jumps to mtvec + 4 × line for interrupt lines 1–31 and to mtvec for exceptions; the table is aligned to 256.
// The port's handlers save and restore the whole context and call the two functions below.
global_asm!(
    ".section .text.espb_vectors, \"ax\"",
    ".option push",
    ".option norvc",
    ".balign 256",
    ".globl espb_vectors",
    "espb_vectors:",
    "j freertos_risc_v_exception_handler",
    ".rept 31",
    "j freertos_risc_v_interrupt_handler",
    ".endr",
    ".option pop",
);

unsafe extern "C" {
    static espb_vectors: u8;
}

/// A CPU interrupt line that this firmware uses; esp-hal leaves lines 2–16 to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    /// SYSTIMER comparator 0: the kernel's tick.
    Tick = 2,
    /// UART0: received bytes.
    Console = 3,
    /// The GPIO pins.
    Gpio = 4,
    /// SYSTIMER comparator 1: esp_timer's alarm.
    Alarm = 5,
    /// UART1: bytes received, room to send.
    Uart = 6,
    /// The permission control: a forbidden access.
    Protection = 16,
}

/// Interrupt priority of every line: above the threshold esp-hal leaves (0); lines do not nest.
const PRIORITY: u8 = 1;

/// Routes peripheral interrupt `source` to `line` and enables the line (level-triggered).
pub fn route(source: Interrupt, line: Line) {
    let matrix = INTERRUPT_CORE0::regs();
    let number = line as u8;
    critical_section::with(|_| {
        // SAFETY: any line number 0–31 is legal in a map register.
        matrix.core_0_intr_map(source as usize).write(|w| unsafe { w.bits(u32::from(number)) });
        // SAFETY: bit = line; 0 selects level-triggered.
        matrix.cpu_int_type().modify(|r, w| unsafe { w.bits(r.bits() & !(1 << number)) });
        // SAFETY: priorities are 0–15.
        matrix.cpu_int_pri(usize::from(number)).write(|w| unsafe { w.map().bits(PRIORITY) });
        // SAFETY: bit = line.
        matrix.cpu_int_enable().modify(|r, w| unsafe { w.bits(r.bits() | (1 << number)) });
    });
}

/// Points mtvec to the kernel's vectors. Interrupts must be off and a task must be current.
pub(super) fn take_over() {
    let table = (&raw const espb_vectors) as usize;
    // SAFETY: the table is 256-byte aligned; bit 0 selects vectored mode, the only one of this chip.
    unsafe { core::arch::asm!("csrw mtvec, {}", in(reg) table | 1) };
}

/// Called by the port with the interrupted task's context saved, on the interrupt stack.
#[unsafe(no_mangle)]
extern "C" fn freertos_risc_v_application_interrupt_handler(cause: u32) {
    let switch = match cause & 0x1f {
        line if line == Line::Tick as u32 => tick::on_interrupt(),
        line if line == Line::Console as u32 => crate::console::on_interrupt(),
        line if line == Line::Gpio as u32 => crate::drivers::gpio::on_interrupt(),
        line if line == Line::Alarm as u32 => crate::drivers::alarm::on_interrupt(),
        line if line == Line::Uart as u32 => crate::drivers::uart::on_interrupt(),
        line if line == Line::Protection as u32 => crate::protection::on_violation(),
        line => panic!("interrupt on CPU line {line}, which nobody uses"),
    };
    if switch {
        // SAFETY: interrupts are off and the interrupted task's context is saved, as the port requires.
        unsafe { ffi::vTaskSwitchContext() };
    }
}

/// Called by the port for exceptions other than the yield's `ecall`; `next` is the faulting address + 4.
#[unsafe(no_mangle)]
extern "C" fn freertos_risc_v_application_exception_handler(cause: u32, next: u32) {
    let address: u32;
    // SAFETY: reads a CSR.
    unsafe { core::arch::asm!("csrr {}, mtval", out(reg) address) };
    // SAFETY: the port has saved the context of the current task on its stack, and the place in the first word of its block.
    crate::panic::note_interrupted(unsafe { *ffi::pxCurrentTCB.cast::<u32>() });
    // SAFETY: null asks for the current task, whose name the kernel keeps terminated.
    let name = unsafe { CStr::from_ptr(ffi::pcTaskGetName(core::ptr::null_mut())) };
    panic!("CPU exception {cause} at {:#010x}, value {address:#010x}, in task {:?}", next.wrapping_sub(4), name);
}
