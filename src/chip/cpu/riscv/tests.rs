//! The core on the smallest of chips: one alarm on line 5, one page of handlers, one of code. Programs are words as
//! `llvm-mc -triple=riscv32` makes them, with their assembly beside.

use super::super::Page;
use super::*;

const HANDLERS: u32 = 0x1000;
const CODE: u32 = 0x2000;
const REGISTERS: u32 = 0x6000_0000;
const LINE: u8 = 5;

/// Register 0 sets the alarm (absolute time), register 4 acknowledges it, all others are not modelled.
#[derive(Default)]
struct OneAlarm {
    alarm: Option<Ticks>,
    raised: bool,
    heard: Ticks,
}

impl OneAlarm {
    /// Chips rely on time that never runs backwards.
    fn hear(&mut self, now: Ticks) {
        assert!(now >= self.heard, "time went back from {} to {now}", self.heard);
        self.heard = now;
    }
}

impl Bus for OneAlarm {
    fn read(&mut self, now: Ticks, address: u32, _size: u8) -> Result<u32, Unmodelled> {
        self.hear(now);
        match address - REGISTERS {
            0 => Ok(now as u32),
            _ => Err(Unmodelled { address, name: String::from("nothing") }),
        }
    }

    fn write(&mut self, now: Ticks, address: u32, _size: u8, value: u32) -> Result<(), Unmodelled> {
        self.hear(now);
        match address - REGISTERS {
            0 => self.alarm = Some(Ticks::from(value)),
            4 => self.raised = false,
            _ => return Err(Unmodelled { address, name: String::from("nothing") }),
        }
        Ok(())
    }

    fn interrupt(&mut self, now: Ticks) -> Option<u8> {
        self.hear(now);
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
            self.raised = true;
        }
        self.raised.then_some(LINE)
    }

    fn next_event(&mut self, now: Ticks) -> Ticks {
        self.alarm.map_or(NEVER, |at| at.max(now + 1))
    }

    fn page(&self, address: u32) -> Option<Page> {
        let register = address & !0xfff == REGISTERS;
        let memory = (HANDLERS..0x4000).contains(&address);
        (memory || register).then_some(Page { backing: address & !0xfff, writable: register, executable: memory })
    }

    fn core_register(&mut self, _number: u16, _value: Option<u32>) -> Option<u32> {
        None
    }

    fn ticks_per_cycle(&self) -> u64 {
        1
    }

    fn take_request(&mut self, _now: Ticks) -> Option<Request> {
        None
    }

    fn has_request(&self, _now: Ticks) -> bool {
        false
    }
}

fn core(code: &[u32], handlers: &[(u32, &[u32])]) -> RiscV<OneAlarm> {
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut core = RiscV::new(OneAlarm::default()).expect("an engine");
    core.map_memory(HANDLERS, 0x3000).expect("memory");
    core.map_registers(REGISTERS, 0x1000).expect("registers");
    core.load(CODE, &bytes(code)).expect("code");
    for (offset, handler) in handlers {
        core.load(HANDLERS + offset, &bytes(handler)).expect("a handler");
    }
    core.start_at(CODE, 0, false).expect("a start");
    core
}

const A0: u8 = 10;
const A1: u8 = 11;
const A2: u8 = 12;
const A3: u8 = 13;

/// csrr a1, mcause; csrr a2, mepc; csrr a3, mtval; j .
const REPORT: &[u32] = &[0x3420_25f3, 0x3410_2673, 0x3430_26f3, 0x0000_006f];

#[test]
fn an_alarm_interrupts_a_loop_at_its_exact_cycle_and_the_loop_goes_on() {
    let program = [
        0x6000_0437, // lui s0, 0x60000
        0x3e80_0293, // li t0, 1000
        0x0054_2023, // sw t0, 0(s0)
        0x0000_12b7, // lui t0, 1
        0x3052_9073, // csrw mtvec, t0
        0x3004_6073, // csrsi mstatus, 8
        0x0015_0513, // 1: addi a0, a0, 1
        0xffdf_f06f, // j 1b
    ];
    // csrr a1, mcause; csrr a2, mepc; sw x0, 4(s0); mret
    let handler = [0x3420_25f3, 0x3410_2673, 0x0004_2223, 0x3020_0073];
    let mut core = core(&program, &[(4 * u32::from(LINE), &handler)]);
    assert_eq!(core.run(1000), CpuStop::Deadline);
    assert_eq!((core.now(), core.instructions(), core.register(A1)), (1000, 1000, 0), "not yet");
    assert_eq!(core.run(1004), CpuStop::Deadline);
    assert_eq!(core.register(A1), 1 << 31 | u32::from(LINE));
    assert_eq!(core.register(A2), CODE + 24);
    assert_eq!(core.register(A0), 497, "(1000 - 6) / 2 rounds");
    assert_eq!(core.run(2004), CpuStop::Deadline);
    assert_eq!((core.register(A0), core.instructions()), (997, 2004), "4 instructions of handler, no second interrupt");
}

#[test]
fn a_pending_line_is_taken_right_behind_the_instruction_that_enables_interrupts() {
    let program = [
        0x6000_0437, // lui s0, 0x60000
        0x0000_12b7, // lui t0, 1
        0x3052_9073, // csrw mtvec, t0
        0x0004_2023, // sw x0, 0(s0): the line rises now
        0x0010_0513, // li a0, 1
        0x3004_6073, // csrsi mstatus, 8
        0x0020_0513, // li a0, 2
        0x0000_006f, // j .
    ];
    let mut core = core(&program, &[(4 * u32::from(LINE), REPORT)]);
    core.run(100);
    assert_eq!((core.register(A0), core.register(A2)), (1, CODE + 24));
}

#[test]
fn exceptions_arrive_with_the_chips_causes_and_exact_addresses() {
    let set_up = [0x0000_12b7, 0x3052_9073]; // lui t0, 1; csrw mtvec, t0
    let cases = [
        (0x0000_0073, 11, 0, "ecall"),
        (0x0010_0073, 3, CODE + 12, "ebreak"),
        (0xffff_ffff, 2, 0xffff_ffff, "an illegal instruction"),
        (0xff80_2783, 5, 0xffff_fff8, "lw a5, -8(x0)"),
        (0x00f0_2623, 7, 12, "sw a5, 12(x0)"),
    ];
    for (instruction, cause, value, what) in cases {
        // Two instructions follow that must be neither executed nor counted.
        let program = [set_up[0], set_up[1], 0x0000_0013, instruction, 0x0070_0513, 0x0000_006f];
        let mut core = core(&program, &[(0, REPORT)]);
        assert_eq!(core.run(8), CpuStop::Deadline, "{what}");
        assert_eq!(core.register(A1), cause, "{what}");
        assert_eq!((core.register(A2), core.register(A3)), (CODE + 12, value), "{what}");
        assert_eq!((core.register(A0), core.instructions()), (0, 8), "{what}");
    }
    // jr x0
    let mut jump = core(&[set_up[0], set_up[1], 0x0000_0067], &[(0, REPORT)]);
    jump.run(8);
    assert_eq!((jump.register(A1), jump.register(A2), jump.register(A3)), (1, 0, 0));
    let mut without_handler = core(&[0x0000_0073], &[]);
    let CpuStop::Fault(fault) = without_handler.run(8) else { panic!("no fault") };
    assert_eq!((fault.pc, fault.what.contains("no trap handler")), (CODE, true));
}

#[test]
fn sleep_jumps_to_the_next_event_and_reports_when_none_will_come() {
    let program = [
        0x6000_0437, // lui s0, 0x60000
        0x3e80_0293, // li t0, 1000
        0x0054_2023, // sw t0, 0(s0)
        0x1050_0073, // wfi
        0x0004_2223, // sw x0, 4(s0)
        0x0050_0513, // li a0, 5
        0x1050_0073, // wfi
        0x0060_0513, // li a0, 6
        0x0000_006f, // j .
    ];
    let mut core = core(&program, &[]);
    assert_eq!(core.run(500), CpuStop::Deadline);
    assert_eq!((core.now(), core.instructions()), (500, 4));
    assert_eq!(core.run(10_000), CpuStop::Idle);
    // The store to the register saw the time of its block's end, two instructions behind wfi: time stays there.
    assert_eq!((core.now(), core.instructions(), core.register(A0)), (1005, 7, 5));
}

#[test]
fn an_unmodelled_register_stops_the_core_at_the_access() {
    // lui s0, 0x60000; li a0, 3; lw a1, 0x7c(s0); j .
    let mut core = core(&[0x6000_0437, 0x0030_0513, 0x07c4_2583, 0x0000_006f], &[]);
    let CpuStop::Fault(fault) = core.run(1000) else { panic!("no fault") };
    assert_eq!((fault.pc, fault.address, fault.name.as_str()), (CODE + 8, REGISTERS + 0x7c, "nothing"));
    assert_eq!(fault.what, "load from an unmodelled register");
}

#[test]
fn the_performance_counter_counts_instructions_exactly() {
    let program = [
        0x7e01_5073, // csrwi mpcer, 2
        0x7e10_d073, // csrwi mpcmr, 1
        0x7e20_5073, // csrwi mpccr, 0
        0x0000_0013, // nop
        0x0000_0013, // nop
        0x7e20_2573, // csrr a0, mpccr
        0x0000_006f, // j .
    ];
    let mut core = core(&program, &[]);
    core.run(100);
    assert_eq!(core.register(A0), 3, "from behind the write to and with the read");
}

#[test]
fn dispatches_are_counted_within_their_range_only() {
    // auipc a5, 0; addi a0, a0, 1; jr a5
    let program = [0x0000_0797, 0x0015_0513, 0x0007_8067];
    let mut core = core(&program, &[]);
    core.run(300);
    assert_eq!(core.dispatches(), 0, "no range yet");
    core.count_dispatches(CODE + 8..CODE + 12);
    core.run(600);
    assert_eq!(core.dispatches(), 100);
    core.count_dispatches(CODE..CODE + 8);
    core.run(900);
    assert_eq!(core.dispatches(), 0, "the jump lies outside");
}
