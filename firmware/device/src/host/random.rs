//! Random numbers from the chip's generator.

use esp_hal::rng::Rng;
use espb_vm::Trap;

use super::{Call, Registration, own};

pub const TABLE: &[Registration] =
    &[own("esp_random", |_| Ok(Rng::new().random().into())), own("esp_fill_random", fill)];

/// `esp_fill_random(buffer, length)`.
fn fill(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let mut chunk = [0; 32];
    let mut done = 0;
    while done < call.word(1) {
        let now = (call.word(1) - done).min(chunk.len() as u32);
        let part = chunk.get_mut(..now as usize).unwrap_or_default();
        Rng::new().read(part);
        memory.write(call.word(0).wrapping_add(done), part)?;
        done += now;
    }
    Ok(0)
}
