//! The chip's pads and what is connected to them outside: wires between pins, and levels that somebody applies at given times.
//!
//! A pad's level is what drives it, else what its pulls make of it. Knows no registers. Levels have no analogue side: a low
//! driver beats a high one, and a driver beats a pull.

use std::collections::VecDeque;

use crate::chip::cpu::{NEVER, Ticks};

/// Pins of the chip, GPIO0 to GPIO21.
pub const PINS: u32 = 22;

/// A bit a pin.
pub type PinMask = u32;

/// A pin by number, below [`PINS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(u8);

impl Pin {
    /// The pin of this number, if the chip has it.
    pub fn new(number: u8) -> Option<Self> {
        (u32::from(number) < PINS).then_some(Self(number))
    }

    /// Every pin.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PINS as u8).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    fn mask(self) -> PinMask {
        1 << self.0
    }
}

/// What a pad is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Level {
    /// Ground.
    Low,
    /// The supply.
    High,
    /// Neither driven nor pulled. Inputs read it as low.
    #[default]
    Floating,
}

impl Level {
    /// High or low.
    pub fn driven(high: bool) -> Self {
        if high { Self::High } else { Self::Low }
    }
}

/// A pad's level from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinLevel {
    /// The moment.
    pub at: Ticks,
    /// The pin.
    pub pin: Pin,
    /// The level.
    pub level: Level,
}

/// What is connected to the chip's pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Pairs of pins that are connected.
    pub wires: Vec<(Pin, Pin)>,
    /// What is applied from outside, each until the next for the same pin; [`Level::Floating`] lets go.
    pub inputs: Vec<PinLevel>,
}

/// What the chip does to a pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Driver {
    /// The output.
    pub output: Level,
    /// The pull-up or pull-down resistor.
    pub pull: Level,
    /// The input is on.
    pub input: bool,
}

/// All pads.
#[derive(Debug)]
pub struct Pads {
    /// For each pin, those connected with it, itself among them.
    nets: [PinMask; PINS as usize],
    applied: [Level; PINS as usize],
    levels: [Level; PINS as usize],
    inputs: VecDeque<PinLevel>,
    /// Changes not yet taken; kept only if somebody will take them.
    edges: Option<Vec<PinLevel>>,
}

impl Pads {
    /// Pads of a chip on this board.
    pub fn new(board: &Board) -> Self {
        let mut nets: [PinMask; PINS as usize] = std::array::from_fn(|pin| 1 << pin);
        for (one, other) in &board.wires {
            let net = nets.iter().filter(|net| *net & (one.mask() | other.mask()) != 0).fold(0, |all, net| all | net);
            for (pin, place) in nets.iter_mut().enumerate() {
                if net >> pin & 1 != 0 {
                    *place = net;
                }
            }
        }
        let mut inputs = board.inputs.clone();
        // Stable: of two at the same moment the later one counts.
        inputs.sort_by_key(|input| input.at);
        Self {
            nets,
            applied: [Level::Floating; PINS as usize],
            levels: [Level::Floating; PINS as usize],
            inputs: inputs.into(),
            edges: None,
        }
    }

    /// Records changes from now on, for [`Pads::take_edges`]; the present levels come first.
    pub fn record(&mut self, now: Ticks) {
        let present = Pin::all().zip(self.levels).map(|(pin, level)| PinLevel { at: now, pin, level });
        self.edges = Some(present.collect());
    }

    /// Changes since the last call, in the order of their moments.
    pub fn take_edges(&mut self) -> Vec<PinLevel> {
        self.edges.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether two pins are connected.
    pub fn are_connected(&self, one: u32, other: u32) -> bool {
        self.nets.get(one as usize).is_some_and(|net| net >> other & 1 != 0)
    }

    /// When something is applied next.
    pub fn next_input(&self) -> Ticks {
        self.inputs.front().map_or(NEVER, |input| input.at)
    }

    /// Applies the next input.
    pub fn apply_input(&mut self) {
        if let Some(PinLevel { pin, level, .. }) = self.inputs.pop_front()
            && let Some(place) = self.applied.get_mut(usize::from(pin.number()))
        {
            *place = level;
        }
    }

    /// Finds the level of each pad; returns those that are high among the inputs that are on.
    pub fn settle(&mut self, now: Ticks, drivers: &[Driver; PINS as usize]) -> PinMask {
        let mut input = 0;
        for pin in Pin::all() {
            let index = usize::from(pin.number());
            let level = self.level(index, drivers);
            if let Some(place) = self.levels.get_mut(index).filter(|place| **place != level) {
                *place = level;
                if let Some(edges) = &mut self.edges {
                    edges.push(PinLevel { at: now, pin, level });
                }
            }
            if level == Level::High && drivers.get(index).is_some_and(|driver| driver.input) {
                input |= pin.mask();
            }
        }
        input
    }

    fn level(&self, pin: usize, drivers: &[Driver; PINS as usize]) -> Level {
        let net = self.nets.get(pin).copied().unwrap_or(0);
        let mut driven = Level::Floating;
        let mut pulled = Level::Floating;
        for (other, (driver, applied)) in drivers.iter().zip(&self.applied).enumerate() {
            if net >> other & 1 != 0 {
                driven = stronger(driven, stronger(driver.output, *applied));
                // Two pulls against each other are between the levels, where inputs are undefined: low here, too.
                pulled = stronger(pulled, driver.pull);
            }
        }
        if driven == Level::Floating { pulled } else { driven }
    }
}

fn stronger(one: Level, other: Level) -> Level {
    match (one, other) {
        (Level::Low, _) | (_, Level::Low) => Level::Low,
        (Level::High, _) | (_, Level::High) => Level::High,
        _ => Level::Floating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(number: u8) -> Pin {
        Pin::new(number).expect("a pin of the chip")
    }

    #[test]
    fn wires_make_nets_on_which_low_beats_high_and_a_driver_beats_a_pull() {
        let board = Board { wires: vec![(pin(1), pin(2)), (pin(3), pin(4)), (pin(4), pin(1))], inputs: Vec::new() };
        let mut pads = Pads::new(&board);
        let mut drivers = [Driver { input: true, ..Driver::default() }; PINS as usize];
        assert!(pads.are_connected(2, 3) && !pads.are_connected(2, 5));
        drivers[2].pull = Level::High;
        assert_eq!(pads.settle(0, &drivers), 0b1_1110, "pulled up, all four");
        drivers[1].output = Level::High;
        drivers[3].output = Level::Low;
        assert_eq!(pads.settle(0, &drivers), 0);
        drivers[3].output = Level::Floating;
        drivers[4].input = false;
        assert_eq!(pads.settle(0, &drivers), 0b0_1110, "an input that is off reads low");
    }

    #[test]
    fn applied_levels_hold_until_the_next_and_changes_are_recorded_with_their_moments() {
        let input = |at, level| PinLevel { at, pin: pin(9), level };
        let inputs = vec![input(30, Level::Floating), input(20, Level::Low)];
        let mut pads = Pads::new(&Board { wires: Vec::new(), inputs });
        let mut drivers = [Driver::default(); PINS as usize];
        drivers[9] = Driver { pull: Level::High, input: true, ..Driver::default() };
        pads.settle(0, &drivers);
        pads.record(0);
        assert_eq!(pads.take_edges().len(), PINS as usize);
        let mut seen = Vec::new();
        while pads.next_input() != NEVER {
            let now = pads.next_input();
            pads.apply_input();
            seen.push((now, pads.settle(now, &drivers)));
        }
        assert_eq!(seen, [(20, 0), (30, 1 << 9)]);
        assert_eq!(pads.take_edges(), [input(20, Level::Low), input(30, Level::High)]);
    }
}
