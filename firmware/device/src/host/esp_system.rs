//! ESP-IDF's view of the chip as a whole: who it is, why it started, how much memory there is, waiting without sleeping.

use core::{ffi::CStr, ffi::c_char};

use esp_hal::{
    delay::Delay,
    efuse,
    rtc_cntl::SocResetReason,
    system::{reset_reason, software_reset},
};
use espb_vm::{Trap, TrapKind};

use super::{
    Call, Registration,
    esp_err::{INVALID_ARGUMENT, OK},
    native, own, stdio,
};
use crate::{
    console,
    kernel::{self, ffi},
};

pub const TABLE: &[Registration] = &[
    native!("esp_get_free_heap_size", ffi::xPortGetFreeHeapSize),
    native!("esp_get_free_internal_heap_size", ffi::xPortGetFreeHeapSize),
    native!("esp_get_minimum_free_heap_size", ffi::xPortGetMinimumEverFreeHeapSize),
    own("heap_caps_get_free_size", |call| Ok(free_of_instance(call).into())),
    own("heap_caps_get_minimum_free_size", |call| Ok(least_free_of_instance(call).into())),
    own("xPortGetFreeHeapSize", |call| Ok(free_of_instance(call).into())),
    own("xPortGetMinimumEverFreeHeapSize", |call| Ok(least_free_of_instance(call).into())),
    native!("esp_get_idf_version", version),
    own("esp_reset_reason", |_| Ok(reason().into())),
    own("esp_chip_info", chip_info),
    own("esp_read_mac", |call| write_mac(call, call.word(1))),
    own("esp_efuse_mac_get_default", |call| write_mac(call, STATION)),
    own("esp_rom_delay_us", delay),
    own("ets_delay_us", delay),
    own("esp_restart", |_| restart()),
    own("esp_system_abort", |call| {
        console::transaction(|output| {
            stdio::copy_string(call.vm, call.word(0), output)?;
            output.text(b"\n");
            Err(Trap::new(TrapKind::Abort, 0))
        })
    }),
];

/// Resets the chip, once what was printed is out.
fn restart() -> ! {
    console::while_idle(|| {
        console::wait_sent(LAST_WORDS);
        software_reset()
    })
}

/// Milliseconds that the last of what was printed may take: more than a full FIFO at the console's first speed.
const LAST_WORDS: kernel::Ticks = 50;

/// Bytes left of the instance's own heap.
fn free_of_instance(call: &Call<'_, '_>) -> u32 {
    let instance = call.running.instance();
    instance.layout().heap.saturating_sub(instance.heap_use().live)
}

fn least_free_of_instance(call: &Call<'_, '_>) -> u32 {
    let instance = call.running.instance();
    instance.layout().heap.saturating_sub(instance.heap_use().peak)
}

/// The firmware's own name and version: it is no ESP-IDF.
extern "C" fn version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!("espb-", env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(text) => text,
        Err(_) => c"espb",
    };
    VERSION.as_ptr()
}

/// `esp_reset_reason_t`.
fn reason() -> u32 {
    match reset_reason() {
        Some(SocResetReason::ChipPowerOn) => 1,
        Some(SocResetReason::CoreSw | SocResetReason::Cpu0Sw) => 3,
        Some(SocResetReason::CoreDeepSleep) => 8,
        Some(SocResetReason::SysBrownOut) => 9,
        Some(
            SocResetReason::CoreMwdt0
            | SocResetReason::CoreMwdt1
            | SocResetReason::Cpu0Mwdt0
            | SocResetReason::Cpu0Mwdt1,
        ) => 6,
        Some(
            SocResetReason::CoreRtcWdt
            | SocResetReason::Cpu0RtcWdt
            | SocResetReason::SysRtcWdt
            | SocResetReason::SysSuperWdt,
        ) => 7,
        _ => 0,
    }
}

/// `CHIP_ESP32C3`, and `CHIP_FEATURE_WIFI_BGN | CHIP_FEATURE_BLE`.
const MODEL: u32 = 5;
const FEATURES: u32 = 1 << 1 | 1 << 4;

/// `esp_chip_info(info)`: model, features, revision (hundredths, 16 bits), cores (8 bits).
fn chip_info(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let revision = efuse::chip_revision();
    let revision = u32::from(revision.major) * 100 + u32::from(revision.minor);
    let memory = call.vm.memory();
    let words = [MODEL, FEATURES, revision | 1 << 16];
    (0..).zip(words).try_for_each(|(index, word)| memory.write_word(call.word(0).wrapping_add(4 * index), word))?;
    Ok(0)
}

/// `ESP_MAC_WIFI_STA`; the soft access point, Bluetooth and Ethernet follow, each with the next address.
const STATION: u32 = 0;
const ETHERNET: u32 = 3;

fn write_mac(call: &Call<'_, '_>, interface: u32) -> Result<u64, Trap> {
    if interface > ETHERNET {
        return Ok(INVALID_ARGUMENT);
    }
    let base = efuse::base_mac_address();
    let mut bytes = [0; 6];
    for (place, byte) in bytes.iter_mut().zip(base.as_bytes()) {
        *place = *byte;
    }
    let [.., last] = &mut bytes;
    *last = last.wrapping_add(interface as u8);
    call.vm.memory().write(call.word(0), &bytes).map(|()| OK)
}

fn delay(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    Delay::new().delay_micros(call.word(0));
    Ok(0)
}
