//! The pins' levels over virtual time as a value change dump (IEEE 1364, "VCD"), which waveform viewers open.
//!
//! Takes changes in the order of their moments and writes them as they come. Knows no chip's registers.

use std::io::{self, Write};

use vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, Writer};

use crate::chip::{Level, Machine, Pin, PinLevel};

/// A time unit of the file in picoseconds: VCD knows 1, 10 and 100 of a unit only, and a tick of 160 MHz is 6.25 ns.
const UNIT_PICOSECONDS: u32 = 10;
/// Time units in a tick.
const UNITS_PER_TICK: u64 = 1_000_000_000_000 / (Machine::TICKS_PER_SECOND * UNIT_PICOSECONDS as u64);

/// A waveform that is being written.
pub struct Waveform<W: Write> {
    writer: Writer<W>,
    wires: Vec<IdCode>,
    /// The moment written last, in time units.
    last: Option<u64>,
}

impl<W: Write> Waveform<W> {
    /// Begins a file: one wire a pin, `gpio0` and so on, in a scope named after the chip.
    pub fn new(output: W, chip: &str) -> io::Result<Self> {
        let mut writer = Writer::new(output);
        writer.version(concat!("espb ", env!("CARGO_PKG_VERSION")))?;
        writer.timescale(UNIT_PICOSECONDS, TimescaleUnit::PS)?;
        writer.add_module(chip)?;
        let wires = Pin::all()
            .map(|pin| writer.add_wire(1, &format!("gpio{}", pin.number())))
            .collect::<io::Result<Vec<IdCode>>>()?;
        writer.upscope()?;
        writer.enddefinitions()?;
        Ok(Self { writer, wires, last: None })
    }

    /// Writes changes. The first ones are taken for the state at the beginning.
    pub fn write(&mut self, changes: &[PinLevel]) -> io::Result<()> {
        let beginning = self.last.is_none() && !changes.is_empty();
        for (index, change) in changes.iter().enumerate() {
            self.moment(change.at)?;
            if beginning && index == 0 {
                self.writer.begin(SimulationCommand::Dumpvars)?;
            }
            let value = match change.level {
                Level::Low => Value::V0,
                Level::High => Value::V1,
                Level::Floating => Value::Z,
            };
            if let Some(wire) = self.wires.get(usize::from(change.pin.number())) {
                self.writer.change_scalar(*wire, value)?;
            }
            if beginning && index + 1 == self.wires.len() {
                self.writer.end()?;
            }
        }
        Ok(())
    }

    /// Ends the file at this moment, in ticks.
    pub fn finish(&mut self, now: u64) -> io::Result<()> {
        self.moment(now)?;
        self.writer.flush()
    }

    fn moment(&mut self, ticks: u64) -> io::Result<()> {
        let moment = ticks * UNITS_PER_TICK;
        if self.last != Some(moment) {
            self.writer.timestamp(moment)?;
            self.last = Some(moment);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_finds_the_pins_their_first_levels_and_each_change_at_its_time() {
        let level = |at, number, level| PinLevel { at, pin: Pin::new(number).expect("a pin"), level };
        let mut changes: Vec<PinLevel> = Pin::all().map(|pin| level(0, pin.number(), Level::Floating)).collect();
        changes.extend([level(8, 3, Level::High), level(8, 4, Level::Low), level(160_000_000, 3, Level::Low)]);
        let mut file = Vec::new();
        let mut waveform = Waveform::new(&mut file, "esp32c3").expect("memory");
        waveform.write(&changes).expect("memory");
        waveform.finish(160_000_016).expect("memory");
        drop(waveform);

        let mut parser = vcd::Parser::new(file.as_slice());
        let header = parser.parse_header().expect("a header");
        assert_eq!(header.timescale, Some((10, TimescaleUnit::PS)));
        let gpio3 = header.find_var(&["esp32c3", "gpio3"]).expect("a wire a pin").code;
        let (mut now, mut seen) = (0, Vec::new());
        for command in parser.map(|command| command.expect("a command")) {
            match command {
                vcd::Command::Timestamp(moment) => now = moment,
                vcd::Command::ChangeScalar(code, value) if code == gpio3 => seen.push((now, value)),
                _ => {}
            }
        }
        assert_eq!(seen, [(0, Value::Z), (5_000, Value::V1), (100_000_000_000, Value::V0)], "8 ticks are 50 ns");
        assert_eq!(now, 100_000_010_000);
    }
}
