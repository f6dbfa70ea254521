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

/// Answers each byte received by UART0 with the next one, asleep in between.
const ANSWER_WITH_THE_NEXT_BYTE: &[u32] = &[
    0x3004_7073, // csrci mstatus, 8: the interrupt only wakes
    0x6000_0437, // lui s0, 0x60000: UART0
    0x600c_24b7, // lui s1, 0x600c2: INTERRUPT_CORE0
    0x0030_0293, // li t0, 3
    0x0454_aa23, // sw t0, 84(s1): source 21, UART0, drives line 3
    0x1254_a023, // sw t0, 0x120(s1): at priority 3
    0x0080_0293, // li t0, 8
    0x1054_a223, // sw t0, 0x104(s1): enabled
    0x0010_0293, // li t0, 1
    0x0254_2223, // sw t0, 0x24(s0): RX full from one byte on
    0x0054_2623, // sw t0, 0x0c(s0): RX full interrupts
    0x1050_0073, // wfi
    0x0004_2503, // lw a0, 0(s0)
    0x0015_0513, // addi a0, a0, 1
    0x00a4_2023, // sw a0, 0(s0)
    0xff1f_f06f, // j back to wfi
];

#[test]
fn input_arrives_at_the_lines_pace_wakes_the_core_and_is_answered() {
    let mut machine = machine(ANSWER_WITH_THE_NEXT_BYTE);
    assert_eq!(machine.run(Until::default()), Stop::Idle);
    let begun = machine.now();
    machine.send_uart_input(b"HAL");
    assert_eq!(machine.run(Until::default()), Stop::Idle);
    let sent = machine.take_uart_output();
    assert_eq!(text(&sent), "IBM");
    let byte = 13_889;
    for (index, sent) in sent.iter().enumerate() {
        let expected = begun + byte * (index as u64 + 2);
        assert!(sent.at.abs_diff(expected) < 100, "received, then sent: {} {expected}", sent.at);
    }
    assert!(machine.instructions() < 60, "asleep while it waited");
}

/// Erases the sector at 0x300000, programs 0x12345678 there and reads it back to a1, all by the ROM's functions.
const USE_THE_ROMS_FLASH_FUNCTIONS: &[u32] = &[
    0x3fca_0137, // lui sp, 0x3fca0
    0x4004_f437, // lui s0, 0x4004f
    0x65c4_0493, // addi s1, s0, 0x65c: esp_rom_spiflash_unlock
    0x0004_80e7, // jalr s1
    0x3000_0513, // li a0, 0x300
    0x4005_04b7, // lui s1, 0x40050
    0x91a4_8493, // addi s1, s1, -0x6e6: esp_rom_spiflash_erase_sector
    0x0004_80e7, // jalr s1
    0x0030_0537, // lui a0, 0x300
    0x3fc9_05b7, // lui a1, 0x3fc90
    0x1234_52b7, // lui t0, 0x12345
    0x6782_8293, // addi t0, t0, 0x678
    0x0055_a023, // sw t0, 0(a1)
    0x0040_0613, // li a2, 4
    0x4005_04b7, // lui s1, 0x40050
    0x9924_8493, // addi s1, s1, -0x66e: esp_rom_spiflash_write
    0x0004_80e7, // jalr s1
    0x0030_0537, // lui a0, 0x300
    0x3fc9_15b7, // lui a1, 0x3fc91
    0x0040_0613, // li a2, 4
    0x4005_04b7, // lui s1, 0x40050
    0xa704_8493, // addi s1, s1, -0x590: esp_rom_spiflash_read
    0x0004_80e7, // jalr s1
    0x3fc9_15b7, // lui a1, 0x3fc91
    0x0005_a583, // lw a1, 0(a1)
    0x1050_0073, // wfi
    0xffdf_f06f, // j back to wfi
];

#[test]
fn the_roms_flash_functions_erase_program_and_read_the_chip() {
    let code: Vec<u8> = USE_THE_ROMS_FLASH_FUNCTIONS.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut image = flash_image(0x4038_0000, &[(0x4038_0000, &code)]);
    image[0x30_0000..0x30_1000].fill(0);
    let mut machine = Machine::esp32c3(image, MachineOptions::default()).expect("a chip");
    assert_eq!(machine.run(Until::default()), Stop::Idle);
    assert_eq!(machine.register(11), 0x1234_5678);
    let flash = &machine.flash()[0x30_0000..0x30_1000];
    assert_eq!(flash.get(..8), Some([0x78, 0x56, 0x34, 0x12, 0xff, 0xff, 0xff, 0xff].as_slice()));
    assert_eq!(machine.flash().get(0x30_1000), Some(&0xff), "the next sector is untouched");
}
