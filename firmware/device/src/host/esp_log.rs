//! ESP-IDF's log and error names. There is one level for all tags.

use core::{
    fmt::Write,
    sync::atomic::{AtomicU32, Ordering},
};

use espb_vm::{Trap, TrapKind};

use super::{Call, Registration, conversion::Arguments, native, own, stdio};
use crate::{console, kernel::ffi};

pub const TABLE: &[Registration] = &[
    own("esp_log_write", |call| write(call, Arguments::after(call.vm, 3))),
    own("esp_log_writev", |call| write(call, Arguments::list(call.vm, 3))),
    own("esp_log_level_set", set_level),
    native!("esp_log_timestamp", ffi::xTaskGetTickCount),
    native!("esp_log_early_timestamp", ffi::xTaskGetTickCount),
    native!("esp_err_to_name", error_name),
    own("_esp_error_check_failed", check_failed),
    native!("esp_get_free_heap_size", ffi::xPortGetFreeHeapSize),
    native!("esp_get_minimum_free_heap_size", ffi::xPortGetMinimumEverFreeHeapSize),
];

/// The most talkative level that is printed: `ESP_LOG_INFO` until somebody sets another.
static LEVEL: AtomicU32 = AtomicU32::new(3);

/// `esp_log_level_set(tag, level)`: one level for all tags; setting it for one tag sets it for all.
fn set_level(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    LEVEL.store(call.word(1), Ordering::Relaxed);
    Ok(0)
}

fn write(call: &Call<'_, '_>, arguments: Arguments<'_, '_>) -> Result<u64, Trap> {
    if call.word(0) <= LEVEL.load(Ordering::Relaxed) {
        stdio::print_formatted(call, call.word(2), arguments)
    } else {
        Ok(0)
    }
}

/// Names from ESP-IDF's `esp_err.h`.
extern "C" fn error_name(code: i32) -> *const core::ffi::c_char {
    let name = match code {
        0 => c"ESP_OK",
        -1 => c"ESP_FAIL",
        0x101 => c"ESP_ERR_NO_MEM",
        0x102 => c"ESP_ERR_INVALID_ARG",
        0x103 => c"ESP_ERR_INVALID_STATE",
        0x104 => c"ESP_ERR_INVALID_SIZE",
        0x105 => c"ESP_ERR_NOT_FOUND",
        0x106 => c"ESP_ERR_NOT_SUPPORTED",
        0x107 => c"ESP_ERR_TIMEOUT",
        0x108 => c"ESP_ERR_INVALID_RESPONSE",
        0x109 => c"ESP_ERR_INVALID_CRC",
        0x10A => c"ESP_ERR_INVALID_VERSION",
        0x10B => c"ESP_ERR_INVALID_MAC",
        0x10C => c"ESP_ERR_NOT_FINISHED",
        0x10D => c"ESP_ERR_NOT_ALLOWED",
        _ => c"UNKNOWN ERROR",
    };
    name.as_ptr()
}

/// `_esp_error_check_failed(code, file, line, function, expression)`: says what failed and ends the module.
fn check_failed(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let mut number = heapless::String::<40>::new();
    let _ = write!(number, "ESP_ERROR_CHECK failed: {:#x} at ", call.word(0));
    let mut line = heapless::String::<16>::new();
    let _ = write!(line, ":{} (", call.word(2));
    console::transaction(|output| {
        output.text(number.as_bytes());
        stdio::copy_string(memory, call.word(1), output)?;
        output.text(line.as_bytes());
        stdio::copy_string(memory, call.word(4), output)?;
        output.text(b")\n");
        Err(Trap::new(TrapKind::Abort, call.word(0)))
    })
}
