//! The RISC-V ilp32 calling convention, as far as arguments go: where the words of a native call's arguments lie. For thunks (native
//! words to slots) and for host functions that call native code through a pointer (slots to native words). Never here: a call.
//!
//! Source: RISC-V ELF psABI, "Integer Calling Convention", for the soft-float ABI ilp32. A 32-bit value takes the next of a0…a7, then
//! the next stack word. A 64-bit value takes the next two words; with only a7 left its high word is the first of the stack; wholly on
//! the stack it is aligned to 8 bytes. Floating-point values travel as integers of their width. Results: a0, or a0 and a1, low first.

use espb_format::signature::{Signature, ValType};

/// Argument registers: a0…a7.
pub const REGISTERS: usize = 8;
/// Most stack words that a signature's arguments take: 24 parameters, each of two words or one and a gap.
pub const MAX_STACK_WORDS: usize = 48;

/// Where one 32-bit word of an argument lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Argument register a0 + n.
    Register(usize),
    /// Word n from the stack pointer at the call.
    Stack(usize),
}

/// The places of a signature's argument slots, in slot order.
pub fn places(signature: &Signature) -> impl Iterator<Item = Place> + use<> {
    let place = |word: usize| if word < REGISTERS { Place::Register(word) } else { Place::Stack(word - REGISTERS) };
    // Words are numbered through registers and stack; the stack starts 8-aligned at word 8, so alignment is that of the number.
    let mut next = 0;
    signature.params().flat_map(move |param: ValType| {
        let slots = usize::from(param.slots());
        if slots == 2 && next >= REGISTERS {
            next = next.next_multiple_of(2);
        }
        let first = next;
        next += slots;
        (first..next).map(place)
    })
}

/// Gathers argument slots from a native call: `registers` as they were at the entry, `stack` giving the words from the caller's stack
/// pointer on. Answers how many slots were filled; a `slots` that is too short is filled as far as it goes.
pub fn from_native(
    signature: &Signature,
    registers: &[u32; REGISTERS],
    mut stack: impl FnMut(usize) -> u32,
    slots: &mut [u32],
) -> usize {
    let mut filled = 0;
    for (slot, place) in slots.iter_mut().zip(places(signature)) {
        *slot = match place {
            Place::Register(number) => registers.get(number).copied().unwrap_or(0),
            Place::Stack(word) => stack(word),
        };
        filled += 1;
    }
    filled
}

/// Spreads argument slots over registers and stack words of a native call. Answers how many stack words it takes, rounded up so that
/// the stack pointer stays aligned to 16 bytes; `None` where `stack` is too short ([`MAX_STACK_WORDS`] always suffices).
pub fn to_native(
    signature: &Signature,
    slots: &[u32],
    registers: &mut [u32; REGISTERS],
    stack: &mut [u32],
) -> Option<usize> {
    let mut words = 0;
    for (slot, place) in slots.iter().zip(places(signature)) {
        match place {
            Place::Register(number) => *registers.get_mut(number)? = *slot,
            Place::Stack(word) => {
                *stack.get_mut(word)? = *slot;
                words = word + 1;
            }
        }
    }
    Some(words.next_multiple_of(4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{Register, Stack};
    use ValType::{F32, F64, I32, I64};
    use std::vec::Vec;

    fn signature(params: &[ValType]) -> Signature {
        Signature::new(params, None, false).expect("at most 24 parameters")
    }

    fn where_are(params: &[ValType]) -> Vec<Place> {
        places(&signature(params)).collect()
    }

    #[test]
    fn pairs_in_registers_need_no_alignment() {
        assert_eq!(where_are(&[I32, I64, F32, F64]), (0..6).map(Register).collect::<Vec<_>>());
    }

    #[test]
    fn a_pair_is_split_between_the_last_register_and_the_stack() {
        let mut expected: Vec<Place> = (0..8).map(Register).collect();
        expected.extend([Stack(0), Stack(1)]);
        assert_eq!(where_are(&[I32, I32, I32, I32, I32, I32, I32, I64, I32]), expected);
    }

    #[test]
    fn a_pair_on_the_stack_is_aligned_to_eight_bytes() {
        let mut expected: Vec<Place> = (0..8).map(Register).collect();
        expected.extend([Stack(0), Stack(2), Stack(3), Stack(4)]);
        assert_eq!(where_are(&[I64, I64, I64, I64, I32, F64, F32]), expected);
    }

    #[test]
    fn what_goes_out_comes_back() {
        for shift in 0..24 {
            let params: Vec<ValType> = (0..24).map(|n| ValType::from_code((n * 7 + shift) as u8)).collect();
            let signature = signature(&params[..=shift]);
            let slots: Vec<u32> = (1..=u32::from(signature.param_slots())).collect();
            let (mut registers, mut stack) = ([0; REGISTERS], [0; MAX_STACK_WORDS]);
            let words = to_native(&signature, &slots, &mut registers, &mut stack).expect("always suffices");
            let mut back = std::vec![0; slots.len()];
            assert_eq!(from_native(&signature, &registers, |word| stack[..words][word], &mut back), slots.len());
            assert_eq!(back, slots);
        }
    }
}
