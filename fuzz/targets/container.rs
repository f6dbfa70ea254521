//! libFuzzer around [`espb_fuzz::container`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espb_fuzz::container::attack(data);
});
