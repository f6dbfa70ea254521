//! ESP-IDF's log: a level for each tag of an instance, formatted lines, and dumps of memory.

use core::{cell::RefCell, fmt::Write, ptr};

use critical_section::Mutex;
use espb_vm::{Memory, Trap};

use super::{Call, Registration, conversion::Arguments, memory::byte, native, own, stdio};
use crate::{
    console,
    instance::Running,
    kernel::{self, ffi},
};

pub const TABLE: &[Registration] = &[
    own("esp_log_write", |call| write(call, Arguments::after(call.vm, 3))),
    own("esp_log_writev", |call| write(call, Arguments::list(call.vm, 3))),
    own("esp_log_level_set", set_level),
    own("esp_log_level_get", |call| Ok(level(call.running, call.vm.memory(), call.word(0))?.into())),
    native!("esp_log_timestamp", ffi::xTaskGetTickCount),
    native!("esp_log_early_timestamp", ffi::xTaskGetTickCount),
    own("esp_log_buffer_hex_internal", |call| dump(call, Form::Hex)),
    own("esp_log_buffer_char_internal", |call| dump(call, Form::Characters)),
    own("esp_log_buffer_hexdump_internal", |call| dump(call, Form::HexDump)),
];

/// Tags that may have levels of their own at once, of all instances. What is set beyond them has no effect.
const MAX_TAGS: usize = 32;
/// Bytes of a tag that are looked at.
const TAG_BYTES: usize = 24;
/// `ESP_LOG_INFO`: the level of tags for which nothing was set.
const DEFAULT_LEVEL: u8 = 3;
/// The tag that stands for all others.
const ALL_TAGS: &[u8] = b"*";

type Tag = heapless::Vec<u8, TAG_BYTES>;

struct Setting {
    /// Address of the instance.
    owner: u32,
    tag: Tag,
    level: u8,
}

static SETTINGS: Mutex<RefCell<heapless::Vec<Setting, MAX_TAGS>>> = Mutex::new(RefCell::new(heapless::Vec::new()));

fn identity(running: &'static Running) -> u32 {
    ptr::from_ref(running) as u32
}

fn read_tag(memory: Memory<'_>, address: u32) -> Result<Tag, Trap> {
    let length = memory.string_length(address)?.min(TAG_BYTES as u32);
    let mut tag = Tag::new();
    // No longer than its room.
    let _ = tag.resize(length as usize, 0);
    memory.read(address, &mut tag)?;
    Ok(tag)
}

/// The most talkative level that a tag of the instance shows.
fn level(running: &'static Running, memory: Memory<'_>, tag: u32) -> Result<u8, Trap> {
    let (owner, tag) = (identity(running), read_tag(memory, tag)?);
    Ok(critical_section::with(|cs| {
        let settings = SETTINGS.borrow_ref(cs);
        let of = |wanted: &[u8]| {
            settings.iter().find(|setting| setting.owner == owner && setting.tag == wanted).map(|setting| setting.level)
        };
        of(&tag).or_else(|| of(ALL_TAGS)).unwrap_or(DEFAULT_LEVEL)
    }))
}

/// `esp_log_level_set(tag, level)`; `*` sets all tags.
fn set_level(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (owner, tag) = (identity(call.running), read_tag(call.vm.memory(), call.word(0))?);
    let level = call.word(1).min(u8::MAX.into()) as u8;
    critical_section::with(|cs| {
        let mut settings = SETTINGS.borrow_ref_mut(cs);
        settings.retain(|setting| setting.owner != owner || (setting.tag != tag && tag != ALL_TAGS));
        let _ = settings.push(Setting { owner, tag, level });
    });
    Ok(0)
}

/// Forgets the levels of an instance.
pub fn forget(running: &'static Running) {
    let owner = identity(running);
    critical_section::with(|cs| SETTINGS.borrow_ref_mut(cs).retain(|setting| setting.owner != owner));
}

fn write(call: &Call<'_, '_>, arguments: Arguments<'_, '_>) -> Result<u64, Trap> {
    if call.word(0) <= level(call.running, call.vm.memory(), call.word(1))?.into() {
        stdio::print_formatted(call, call.word(2), arguments)
    } else {
        Ok(0)
    }
}

/// How a dump shows bytes.
#[derive(Clone, Copy)]
enum Form {
    Hex,
    Characters,
    HexDump,
}

/// Bytes in a line of a dump.
const LINE: u32 = 16;

/// `esp_log_buffer_…_internal(tag, buffer, length, level)`.
fn dump(call: &mut Call<'_, '_>, form: Form) -> Result<u64, Trap> {
    let (tag, buffer, length, at_level) = (call.word(0), call.word(1), call.word(2), call.word(3));
    let memory = call.vm.memory();
    if at_level > level(call.running, memory, tag)?.into() {
        return Ok(0);
    }
    let letter = b"NEWIDV".get(at_level as usize).copied().unwrap_or(b'?');
    for start in (0..length).step_by(LINE as usize) {
        let bytes = LINE.min(length - start);
        let mut line = heapless::Vec::<u8, { LINE as usize }>::new();
        for at in 0..bytes {
            // No more than its room.
            let _ = line.push(byte(memory, buffer.wrapping_add(start + at))?);
        }
        let mut head = heapless::String::<32>::new();
        // The widest number fits.
        let _ = write!(head, "{} ({}) ", char::from(letter), kernel::tick_count());
        let mut text = heapless::String::<96>::new();
        // The widest form, a dump, has 14 + 3 × 16 + 3 + 16 characters.
        let _ = show(&mut text, form, buffer.wrapping_add(start), &line);
        console::transaction(|output| {
            output.text(head.as_bytes());
            stdio::copy_string(call.vm, tag, output)?;
            output.text(b": ");
            output.text(text.as_bytes());
            output.text(b"\n");
            Ok(())
        })?;
    }
    Ok(0)
}

fn show(text: &mut impl Write, form: Form, address: u32, line: &[u8]) -> core::fmt::Result {
    let visible = |byte: u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
    match form {
        Form::Hex => line.iter().try_for_each(|byte| write!(text, "{byte:02x} ")),
        Form::Characters => line.iter().try_for_each(|byte| text.write_char(visible(*byte))),
        Form::HexDump => {
            write!(text, "{address:#010x}  ")?;
            for at in 0..LINE as usize {
                match line.get(at) {
                    Some(byte) => write!(text, "{byte:02x} ")?,
                    None => text.write_str("   ")?,
                }
                if at == 7 {
                    text.write_char(' ')?;
                }
            }
            text.write_str(" |")?;
            line.iter().try_for_each(|byte| text.write_char(visible(*byte)))?;
            text.write_char('|')
        }
    }
}
