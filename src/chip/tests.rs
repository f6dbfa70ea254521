//! The whole chip, from flash image to UART.

use super::boot::tests::flash_image;
use super::*;

/// Prints the byte at flash window offset 0x28 and a newline through the mask ROM's `uart_tx_one_char` (0x4004df1e),
/// then sleeps.
const PRINT_FROM_FLASH: &[u32] = &[
    0x4200_07b7, // lui a5, 0x42000
    0x0287_a503, // lw a0, 0x28(a5)
    0x4004_e2b7, // lui t0, 0x4004e
    0xf1e2_8293, // addi t0, t0, -0xe2
    0x0002_80e7, // jalr t0
    0x00a0_0513, // li a0, 10
    0x4004_e2b7, // lui t0, 0x4004e
    0xf1e2_8293, // addi t0, t0, -0xe2
    0x0002_80e7, // jalr t0
    0x1050_0073, // wfi
    0xffdf_f06f, // j back to wfi
];

fn machine(program: &[u32]) -> Machine {
    let code: Vec<u8> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
    let image = flash_image(0x4038_0000, &[(0x4200_0020, b"padding.Q\0\0\0"), (0x4038_0000, &code)]);
    Machine::esp32c3(image, MachineOptions::default()).expect("a chip")
}

fn text(sent: &[Sent]) -> String {
    sent.iter().map(|sent| char::from(sent.byte)).collect()
}

#[test]
fn a_flash_image_boots_runs_rom_code_and_prints_at_the_lines_pace() {
    let mut machine = machine(PRINT_FROM_FLASH);
    let until = Until { deadline: Some(Machine::TICKS_PER_SECOND), wake_on_output: true, ..Until::default() };
    assert_eq!(machine.run(until), Stop::Output);
    let sent = machine.take_uart_output();
    assert_eq!(text(&sent), "Q\n");
    let times: Vec<_> = sent.iter().map(|sent| sent.at).collect();
    assert_eq!(times.last(), Some(&machine.now()), "returned as soon as the line was complete");
    let byte_time = times.windows(2).map(|pair| pair[1] - pair[0]).next();
    assert!(byte_time.is_some_and(|ticks| ticks.abs_diff(13_889) < 5), "10 bits at 115200 baud: {byte_time:?}");
    assert_eq!(machine.run(until), Stop::Idle);
}

#[test]
fn the_same_run_in_slices_is_identical() {
    let mut whole = machine(PRINT_FROM_FLASH);
    let mut sliced = machine(PRINT_FROM_FLASH);
    let end = 100_000;
    whole.run(Until { deadline: Some(end), ..Until::default() });
    for deadline in (0..=end).step_by(37).chain([end]) {
        sliced.run(Until { deadline: Some(deadline), wake_on_output: true, ..Until::default() });
    }
    assert_eq!(whole.instructions(), sliced.instructions());
    assert_eq!((whole.pc(), whole.register(10)), (sliced.pc(), sliced.register(10)));
    assert_eq!(whole.take_uart_output(), sliced.take_uart_output());
}

#[test]
fn an_absent_peripheral_stops_the_chip_by_name() {
    // lui s0, 0x6003a; sw x0, 8(s0): the AES accelerator
    let mut machine = machine(&[0x6003_a437, 0x0004_2423]);
    let Stop::Fault(fault) = machine.run(Until::default()) else { panic!("no fault") };
    assert_eq!((fault.name.as_str(), fault.address, fault.pc), ("AES+0x8", 0x6003_a008, 0x4038_0004));
    assert_eq!(fault.what, "store to an unmodelled register");
}

#[test]
fn images_that_cannot_boot_are_refused_with_a_remedy() {
    let refusal = |image| Machine::esp32c3(image, MachineOptions::default()).err().map(|error| error.to_string());
    assert!(refusal(Vec::new()).is_some_and(|reason| reason.contains("full flash image")));
    assert!(refusal(vec![0; 17 << 20]).is_some_and(|reason| reason.contains("16 MB")));
}
