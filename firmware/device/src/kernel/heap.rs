//! One heap for kernel, firmware and modules: the kernel's heap_5 over all RAM that the image leaves free.
//! Nothing else may hand out RAM, so that "free heap" has one meaning. See docs/decisions/0009.

use alloc::boxed::Box;
use core::alloc::{GlobalAlloc, Layout};

use super::{OutOfMemory, ffi};

unsafe extern "C" {
    /// First byte behind the image's data (esp-hal's linker script).
    static mut _stack_end: u8;
    /// End of the RAM behind it, the bootloader's former memory included (linker/heap.x).
    static mut _espb_heap_end: u8;
}

/// heap_5 aligns every block to portBYTE_ALIGNMENT.
const ALIGNMENT: usize = 16;
/// Bytes in one piece that modules leave to the firmware; a new module task's stack comes on top.
pub const HEADROOM: usize = 4096;
/// Bytes that heap_5 puts before each block.
const HEADER: usize = 16;

/// Gives the free RAM to the allocator. Call once, before anything allocates.
///
/// The start-up stack lies inside this region. heap_5 takes blocks from the lowest address that fits, so the few
/// kilobytes allocated before the scheduler starts stay far below that stack, and after the start nobody uses it.
pub fn init() {
    let start = &raw mut _stack_end;
    let end = &raw mut _espb_heap_end;
    let regions = [
        ffi::HeapRegion { start, size: end as usize - start as usize },
        ffi::HeapRegion { start: core::ptr::null_mut(), size: 0 },
    ];
    // SAFETY: the linker gives these bytes to nobody else; the list is terminated; called before any allocation.
    unsafe { ffi::vPortDefineHeapRegions(regions.as_ptr()) };
}

/// Bytes free now.
pub fn free_bytes() -> usize {
    // SAFETY: reads a counter.
    unsafe { ffi::xPortGetFreeHeapSize() }
}

/// The smallest number of free bytes since the last [`allocate_at_end`], or since boot.
pub fn minimum_free_bytes() -> usize {
    // SAFETY: reads a counter.
    unsafe { ffi::xPortGetMinimumEverFreeHeapSize() }
}

/// Allocates at the end of the largest free block if there is more room than asked for: a large block that lives long then
/// leaves the small ones room to grow towards it. Null if nothing is large enough. Free it with [`free`].
/// [`minimum_free_bytes`] starts afresh.
pub fn allocate_at_end(bytes: usize) -> *mut u8 {
    super::without_switching(|| {
        let filler = largest_free_block().saturating_sub(bytes.next_multiple_of(ALIGNMENT) + 2 * HEADER);
        // SAFETY: plain calls of the allocator; the filler is not used and given back at once.
        unsafe {
            let filler = if filler == 0 { core::ptr::null_mut() } else { ffi::pvPortMalloc(filler) };
            let block = ffi::pvPortMalloc(bytes);
            ffi::vPortFree(filler);
            ffi::xPortResetHeapMinimumEverFreeHeapSize();
            block.cast()
        }
    })
}

/// Gives a block of [`allocate_at_end`] back.
///
/// # Safety
/// The block came from there, nobody uses it and it is freed once.
pub unsafe fn free(block: *mut u8) {
    // SAFETY: as the caller promises.
    unsafe { ffi::vPortFree(block.cast()) };
}

/// Moves a value to the heap, if there is room.
pub fn try_box<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    const { assert!(size_of::<T>() > 0, "a value without size needs no heap") };
    let layout = Layout::new::<T>();
    // SAFETY: the layout has a size. The block is large enough and aligned for a `T`, and `Box` frees it with this layout.
    unsafe {
        let block = alloc::alloc::alloc(layout).cast::<T>();
        if block.is_null() {
            return Err(OutOfMemory);
        }
        block.write(value);
        Ok(Box::from_raw(block))
    }
}

/// Whether so little memory is left that a module must get none of it: the firmware needs a few hundred bytes to go on.
pub fn is_short() -> bool {
    largest_free_block() < HEADROOM
}

/// Size of the largest free block, header included.
pub fn largest_free_block() -> usize {
    let mut stats = ffi::HeapStats::default();
    // SAFETY: fills the structure.
    unsafe { ffi::vPortGetHeapStats(&raw mut stats) };
    stats.largest_free_block
}

struct KernelHeap;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

// SAFETY: heap_5 returns blocks of at least the asked size, aligned to 16, and excludes concurrent callers itself.
// An alignment it cannot give is answered with null, which the caller must handle.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return core::ptr::null_mut();
        }
        // SAFETY: the heap was set up before the first allocation (`init`).
        unsafe { ffi::pvPortMalloc(layout.size()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller passes a block that `alloc` returned.
        unsafe { ffi::vPortFree(block.cast()) }
    }
}
