//! ESP-IDF's error codes: values and names from `esp_err.h`, `nvs.h` and `esp_event.h`, and what checks them.

use core::{
    ffi::{CStr, c_char},
    fmt::Write,
};

use espb_vm::{Trap, TrapKind};

use super::{Call, Registration, native, own, stdio};
use crate::console;

pub const TABLE: &[Registration] = &[
    native!("esp_err_to_name", error_name),
    own("esp_err_to_name_r", error_name_into),
    own("_esp_error_check_failed", |call| {
        report(call)?;
        Err(Trap::new(TrapKind::Abort, call.word(0)))
    }),
    own("_esp_error_check_failed_without_abort", |call| report(call).map(|()| 0)),
];

/// What a function of ESP-IDF returns.
pub type EspErr = u64;

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $value:literal $name:literal;)*) => {
        $($(#[$doc])* #[allow(dead_code, reason = "modules ask for the names of all")] pub const $constant: EspErr = $value;)*

        fn name_of(code: u32) -> Option<&'static CStr> {
            match code {
                $($value => Some($name),)*
                _ => None,
            }
        }
    };
}

codes! {
    OK = 0 c"ESP_OK";
    FAIL = 0xFFFF_FFFF c"ESP_FAIL";
    NO_MEMORY = 0x101 c"ESP_ERR_NO_MEM";
    INVALID_ARGUMENT = 0x102 c"ESP_ERR_INVALID_ARG";
    INVALID_STATE = 0x103 c"ESP_ERR_INVALID_STATE";
    INVALID_SIZE = 0x104 c"ESP_ERR_INVALID_SIZE";
    NOT_FOUND = 0x105 c"ESP_ERR_NOT_FOUND";
    NOT_SUPPORTED = 0x106 c"ESP_ERR_NOT_SUPPORTED";
    TIMEOUT = 0x107 c"ESP_ERR_TIMEOUT";
    INVALID_RESPONSE = 0x108 c"ESP_ERR_INVALID_RESPONSE";
    INVALID_CRC = 0x109 c"ESP_ERR_INVALID_CRC";
    INVALID_VERSION = 0x10A c"ESP_ERR_INVALID_VERSION";
    INVALID_MAC = 0x10B c"ESP_ERR_INVALID_MAC";
    NOT_FINISHED = 0x10C c"ESP_ERR_NOT_FINISHED";
    NOT_ALLOWED = 0x10D c"ESP_ERR_NOT_ALLOWED";
    NVS_NOT_INITIALIZED = 0x1101 c"ESP_ERR_NVS_NOT_INITIALIZED";
    NVS_NOT_FOUND = 0x1102 c"ESP_ERR_NVS_NOT_FOUND";
    NVS_TYPE_MISMATCH = 0x1103 c"ESP_ERR_NVS_TYPE_MISMATCH";
    NVS_READ_ONLY = 0x1104 c"ESP_ERR_NVS_READ_ONLY";
    NVS_NOT_ENOUGH_SPACE = 0x1105 c"ESP_ERR_NVS_NOT_ENOUGH_SPACE";
    NVS_INVALID_NAME = 0x1106 c"ESP_ERR_NVS_INVALID_NAME";
    NVS_KEY_TOO_LONG = 0x1109 c"ESP_ERR_NVS_KEY_TOO_LONG";
    NVS_INVALID_LENGTH = 0x110C c"ESP_ERR_NVS_INVALID_LENGTH";
    NVS_NO_FREE_PAGES = 0x110D c"ESP_ERR_NVS_NO_FREE_PAGES";
    NVS_VALUE_TOO_LONG = 0x110E c"ESP_ERR_NVS_VALUE_TOO_LONG";
    NVS_PART_NOT_FOUND = 0x110F c"ESP_ERR_NVS_PART_NOT_FOUND";
}

extern "C" fn error_name(code: u32) -> *const c_char {
    name_of(code).unwrap_or(c"UNKNOWN ERROR").as_ptr()
}

/// `esp_err_to_name_r(code, buffer, length)`: of an unknown code its number; cut to the buffer.
fn error_name_into(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (code, buffer, length) = (call.word(0), call.word(1), call.word(2));
    let mut text = heapless::String::<48>::new();
    // Fits: the longest name has 27 characters.
    let _ = match name_of(code) {
        Some(name) => text.push_str(name.to_str().unwrap_or_default()),
        None => write!(text, "Unknown error 0x{code:x}({code})").map_err(|_| heapless::CapacityError::default()),
    };
    if let Some(room) = length.checked_sub(1) {
        let part = text.as_bytes().get(..room as usize).unwrap_or(text.as_bytes());
        call.vm.memory().write(buffer, part)?;
        call.vm.memory().write(buffer.wrapping_add(part.len() as u32), &[0])?;
    }
    Ok(buffer.into())
}

/// `_esp_error_check_failed…(code, file, line, function, expression)`: says what failed.
fn report(call: &Call<'_, '_>) -> Result<(), Trap> {
    let mut number = heapless::String::<40>::new();
    let mut line = heapless::String::<16>::new();
    // Both fit.
    let _ = write!(number, "ESP_ERROR_CHECK failed: {:#x} at ", call.word(0));
    let _ = write!(line, ":{} (", call.word(2));
    console::transaction(|output| {
        output.text(number.as_bytes());
        stdio::copy_string(call.vm, call.word(1), output)?;
        output.text(line.as_bytes());
        stdio::copy_string(call.vm, call.word(4), output)?;
        output.text(b")\n");
        Ok(())
    })
}
