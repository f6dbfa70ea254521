//! ESP-IDF's error codes, as host functions return them. Values from `esp_err.h`, `nvs.h` and `esp_event.h`.

/// What a function of ESP-IDF returns.
pub type EspErr = u64;

/// `ESP_OK`.
pub const OK: EspErr = 0;
/// `ESP_ERR_NO_MEM`.
pub const NO_MEMORY: EspErr = 0x101;
/// `ESP_ERR_INVALID_ARG`.
pub const INVALID_ARGUMENT: EspErr = 0x102;
/// `ESP_ERR_INVALID_STATE`.
pub const INVALID_STATE: EspErr = 0x103;
/// `ESP_ERR_NOT_ALLOWED`.
pub const NOT_ALLOWED: EspErr = 0x10D;
