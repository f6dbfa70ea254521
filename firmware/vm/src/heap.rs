//! The module's private heap: which granules of linear memory belong to which block.
//!
//! Two bits a granule, kept where the module cannot reach: *used*, and *start of a block*. A block runs from its start to the next
//! start or unused granule. Nothing in the blocks themselves is read or written. First fit, whole words of bits at a time.
//! Never here: addresses.

use crate::layout::Granule;

/// What must survive between calls besides the bitmaps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// No granule below this one is free.
    lowest: u32,
    live: u32,
    peak: u32,
    blocks: u32,
}

/// Use of a heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUse {
    /// Bytes in live blocks, rounded up to granules.
    pub live: u32,
    /// Most bytes that were live at once.
    pub peak: u32,
    /// Live blocks.
    pub blocks: u32,
}

impl State {
    pub(crate) fn usage(&self) -> HeapUse {
        HeapUse { live: self.live * Granule::SIZE, peak: self.peak * Granule::SIZE, blocks: self.blocks }
    }
}

/// A heap of `granules` granules over its bitmaps.
pub(crate) struct Heap<'a> {
    used: &'a mut [u32],
    starts: &'a mut [u32],
    granules: u32,
    state: &'a mut State,
}

/// Granules for this many bytes: at least one, so that every block has its own address.
fn granules_for(size: u32) -> u32 {
    size.div_ceil(Granule::SIZE).max(1)
}

/// The words that hold `length` bits from `first` on, and in each the mask of those bits.
fn masks(first: u32, length: u32) -> impl Iterator<Item = (usize, u32)> {
    let end = first + length;
    (first / 32..end.div_ceil(32)).map(move |word| {
        let low = first.saturating_sub(word * 32);
        let high = (end - word * 32).min(32);
        (word as usize, (u32::MAX << low) & (u32::MAX >> (32 - high)))
    })
}

impl<'a> Heap<'a> {
    /// The heap whose bitmaps are the two halves of `words`.
    pub(crate) fn over(words: &'a mut [u32], granules: u32, state: &'a mut State) -> Self {
        let (used, starts) = words.split_at_mut(words.len() / 2);
        Self { used, starts, granules, state }
    }

    /// Makes the bits past the last granule look like a block that nobody owns. Once, on zeroed bitmaps.
    pub(crate) fn reserve_tail(&mut self) {
        let tail = self.used.len() as u32 * 32 - self.granules;
        if tail > 0 {
            self.mark(self.granules, tail, true);
            self.set_start(self.granules, true);
        }
    }

    /// Takes the first gap that holds `size` bytes; its first granule.
    pub(crate) fn allocate(&mut self, size: u32) -> Option<u32> {
        let length = granules_for(size);
        let first = self.find(length)?;
        self.mark(first, length, true);
        self.set_start(first, true);
        if first == self.state.lowest {
            self.state.lowest = first + length;
        }
        self.grow_by(length);
        self.state.blocks += 1;
        Some(first)
    }

    /// Frees the block that starts at this granule; `None` where none does.
    pub(crate) fn release(&mut self, first: u32) -> Option<()> {
        let length = self.size(first)?;
        self.set_start(first, false);
        self.mark(first, length, false);
        self.state.lowest = self.state.lowest.min(first);
        self.state.live -= length;
        self.state.blocks -= 1;
        Some(())
    }

    /// Granules of the block that starts here; `None` where none does.
    pub(crate) fn size(&self, first: u32) -> Option<u32> {
        if first >= self.granules || self.starts.get(first as usize / 32)? >> (first % 32) & 1 == 0 {
            return None;
        }
        let after = first + 1;
        let ends = |(word, mask): (usize, u32)| (self.starts[word] | !self.used[word]) & mask;
        let end = masks(after, self.granules - after).find_map(|place| {
            Some(ends(place)).filter(|bits| *bits != 0).map(|bits| place.0 as u32 * 32 + bits.trailing_zeros())
        });
        Some(end.unwrap_or(self.granules) - first)
    }

    /// Changes the size of the block in place; `None` where it cannot grow that far.
    pub(crate) fn resize(&mut self, first: u32, size: u32) -> Option<()> {
        let old = self.size(first)?;
        let new = granules_for(size);
        if new <= old {
            self.mark(first + new, old - new, false);
            self.state.live -= old - new;
            if new < old {
                self.state.lowest = self.state.lowest.min(first + new);
            }
            return Some(());
        }
        let more = new - old;
        if self.granules - first < new || masks(first + old, more).any(|(word, mask)| self.used[word] & mask != 0) {
            return None;
        }
        self.mark(first + old, more, true);
        self.grow_by(more);
        Some(())
    }

    fn grow_by(&mut self, granules: u32) {
        self.state.live += granules;
        self.state.peak = self.state.peak.max(self.state.live);
    }

    /// First of `length` free granules in a row.
    fn find(&self, length: u32) -> Option<u32> {
        let first_word = self.state.lowest / 32;
        let mut run = 0;
        for (index, word) in (first_word..).zip(self.used.get(first_word as usize..)?) {
            let start = index * 32;
            match *word {
                u32::MAX => run = 0,
                0 => {
                    run += 32;
                    if run >= length {
                        return Some(start + 32 - run);
                    }
                }
                bits => {
                    let mut place = 0;
                    while place < 32 {
                        let free = (bits >> place).trailing_zeros().min(32 - place);
                        run += free;
                        place += free;
                        if run >= length {
                            return Some(start + place - run);
                        }
                        if place < 32 {
                            run = 0;
                            place += (bits >> place).trailing_ones();
                        }
                    }
                }
            }
        }
        None
    }

    #[inline(never)]
    fn mark(&mut self, first: u32, length: u32, used: bool) {
        for (word, mask) in masks(first, length) {
            if used { self.used[word] |= mask } else { self.used[word] &= !mask }
        }
    }

    fn set_start(&mut self, granule: u32, start: bool) {
        let mask = 1 << (granule % 32);
        let word = &mut self.starts[granule as usize / 32];
        if start { *word |= mask } else { *word &= !mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    /// A small deterministic generator (xorshift), so that a failure repeats.
    fn random(state: &mut u32, below: u32) -> u32 {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state % below
    }

    /// The gap that first fit must take.
    fn first_gap(blocks: &BTreeMap<u32, u32>, granules: u32, length: u32) -> Option<u32> {
        let mut free_from = 0;
        for (first, size) in blocks {
            if first - free_from >= length {
                return Some(free_from);
            }
            free_from = first + size;
        }
        (granules - free_from >= length).then_some(free_from)
    }

    #[test]
    fn random_use_agrees_with_a_plain_model_and_leaves_nothing_behind() {
        for granules in [1u32, 31, 32, 33, 100, 1000] {
            let words = granules.div_ceil(32) as usize * 2;
            let mut bits = vec![0; words];
            let mut state = State::default();
            Heap::over(&mut bits, granules, &mut state).reserve_tail();
            let fresh = bits.clone();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            let mut seed = 0x9e37_79b9 ^ granules;
            let mut peak = 0;
            for _ in 0..20_000 {
                let mut heap = Heap::over(&mut bits, granules, &mut state);
                let size = random(&mut seed, 16 * 20);
                let length = granules_for(size);
                let victims: Vec<u32> = model.keys().copied().collect();
                let victim = (!victims.is_empty()).then(|| victims[random(&mut seed, victims.len() as u32) as usize]);
                match (random(&mut seed, 4), victim) {
                    (0 | 1, _) | (_, None) => {
                        let expected = first_gap(&model, granules, length);
                        assert_eq!(heap.allocate(size), expected);
                        expected.map(|first| model.insert(first, length));
                    }
                    (2, Some(first)) => {
                        assert_eq!(heap.release(first), Some(()));
                        model.remove(&first);
                    }
                    (_, Some(first)) => {
                        let room = model.range(first + 1..).next().map_or(granules, |next| *next.0) - first;
                        assert_eq!(heap.resize(first, size).is_some(), length <= room);
                        if length <= room {
                            model.insert(first, length);
                        }
                    }
                }
                let live: u32 = model.values().sum();
                peak = peak.max(live);
                let probe = random(&mut seed, granules + 40);
                assert_eq!(Heap::over(&mut bits, granules, &mut state).size(probe), model.get(&probe).copied());
                assert_eq!(state.usage(), HeapUse { live: live * 16, peak: peak * 16, blocks: model.len() as u32 });
            }
            for first in model.into_keys() {
                assert_eq!(Heap::over(&mut bits, granules, &mut state).release(first), Some(()));
            }
            assert_eq!(bits, fresh);
        }
    }

    #[test]
    fn what_is_no_live_block_is_refused() {
        let mut bits = [0; 4];
        let mut state = State::default();
        let mut heap = Heap::over(&mut bits, 40, &mut state);
        heap.reserve_tail();
        let block = heap.allocate(100).expect("the heap is empty");
        assert_eq!(heap.release(block + 1), None);
        assert_eq!(heap.release(40), None);
        assert_eq!(heap.release(u32::MAX), None);
        assert_eq!(heap.release(block), Some(()));
        assert_eq!(heap.release(block), None);
        assert_eq!(heap.allocate(40 * 16 + 1), None);
        assert_eq!(heap.allocate(u32::MAX), None);
        assert_eq!(heap.allocate(40 * 16), Some(0));
    }

    #[test]
    fn a_heap_without_granules_gives_nothing() {
        let mut state = State::default();
        assert_eq!(Heap::over(&mut [], 0, &mut state).allocate(1), None);
    }
}
