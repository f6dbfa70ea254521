//! `espb flash` and `espb image` against a chip's serial bootloader: what arrives, what is skipped, what stays, what is refused.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use espb::chip::{Machine, MachineOptions, Until};

use crate::bootloader::Peer;
use crate::compile::to_ir;
use crate::messages;
use crate::program::{Finished, espb};

const ESP32C3: u32 = 5;
/// FLASH_DATA and FLASH_DEFL_DATA.
const WRITES: [u8; 2] = [0x03, 0x11];

fn module(folder: &Path, name: &str, says: &str) -> PathBuf {
    let source = folder.join(name).with_extension("c");
    let text = format!("#include <stdio.h>\nint app_main(void) {{ printf(\"{says}\\n\"); return 0; }}\n");
    fs::write(&source, text).expect("a temporary file");
    let module = folder.join(name).with_extension("espb");
    let built = espb(["build".into(), to_ir(&source, folder).into(), "-o".into(), OsString::from(&module)]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    module
}

fn flash(peer: &Peer, options: &[&str], module: Option<&Path>) -> Finished {
    let fixed = ["flash", "--port", peer.port(), "--non-interactive", "--message-format", "json"];
    let all = fixed.iter().chain(options).map(OsString::from);
    let finished = espb(all.chain(module.map(|module| module.as_os_str().to_owned())));
    messages::check(&finished);
    finished
}

fn image(module: &Path, options: &[&str]) -> Vec<u8> {
    let output = module.with_extension("bin");
    let fixed = ["image".into(), "-o".into(), OsString::from(&output), module.into()];
    let made = espb(fixed.into_iter().chain(options.iter().map(OsString::from)));
    assert_eq!(made.code, 0, "{}", made.transcript());
    fs::read(output).expect("the image was written")
}

/// What a chip with this flash prints within a virtual second, a check of signatures included.
fn printed(flash: Vec<u8>) -> String {
    let mut machine = Machine::esp32c3(flash, MachineOptions::default()).expect("the flash holds an application");
    machine.run(Until { deadline: Some(5 * Machine::TICKS_PER_SECOND), ..Until::default() });
    let bytes: Vec<u8> = machine.take_uart_output().iter().map(|sent| sent.byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn what_arrives_is_the_image_and_it_runs_the_module() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = module(folder.path(), "hello", "it runs");
    let image = image(&module, &[]);
    for options in [&["--baud", "921600"][..], &["--no-stub"]] {
        let peer = Peer::new(&[], ESP32C3);
        let finished = flash(&peer, options, Some(&module));
        assert_eq!(finished.code, 0, "{}", finished.transcript());
        let seen = peer.seen();
        assert!(seen.flash == image, "{options:?}: the flash differs from the image\n{}", finished.transcript());
        if options[0] == "--baud" {
            assert_eq!(seen.bauds, [(921_600, 921_600)], "{}", finished.transcript());
        }
        let [device] = &finished.objects("device")[..] else { panic!("{}", finished.transcript()) };
        assert_eq!(device["chip"], "esp32c3");
    }
    assert!(printed(image).contains("it runs"));
}

#[test]
fn what_is_there_is_skipped_and_other_modules_stay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (module(folder.path(), "old", "the old one"), module(folder.path(), "new", "the new one"));
    let peer = Peer::new(&image(&old, &[]), ESP32C3);
    let again = flash(&peer, &[], None);
    assert_eq!(again.code, 0, "{}", again.transcript());
    assert!(!peer.seen().commands.iter().any(|command| WRITES.contains(command)), "nothing had to be written");
    assert!(printed(peer.seen().flash).contains("the old one"), "new firmware keeps the module");

    let peer = Peer::new(&peer.seen().flash, ESP32C3);
    let finished = flash(&peer, &["--module-only"], Some(&new));
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    assert_eq!(finished.objects("flashed")[0]["slot"], 1, "the other slot is the one that is needed least");
    assert!(peer.seen().data_bytes < 0x4000, "{} bytes were sent", peer.seen().data_bytes);
    let text = printed(peer.seen().flash);
    assert!(text.contains("the new one") && !text.contains("the old one"), "{text}");
}

#[test]
fn flash_that_does_not_hold_what_was_written_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = module(folder.path(), "hello", "it runs");
    let file = folder.path().join("image.bin");
    let image = image(&module, &[]);
    // One bit of the application that is to be set never comes up again.
    let worn = (0x1_2000..).find(|at| image[*at] & 0x10 != 0).expect("a bit that is set");
    fs::write(&file, image).expect("a temporary file");
    let peer = Peer::worn(worn, 0x10);
    let finished = flash(&peer, &["--image", &file.display().to_string()], None);
    assert_eq!(finished.code, 3, "{}", finished.transcript());
    assert!(finished.stdout.contains("erif"), "{}", finished.transcript());
}

#[test]
fn another_chip_or_no_chip_is_named_with_what_to_do() {
    let peer = Peer::new(&[], ESP32C3);
    let silent = espb(["flash", "--port", peer.port(), "--chip", "esp32s9"]);
    assert_eq!(silent.code, 2, "{}", silent.transcript());
    // 9 is the ESP32-S3.
    let finished = flash(&Peer::new(&[], 9), &[], None);
    assert_eq!(finished.code, 3, "{}", finished.transcript());
    assert!(finished.stdout.contains("esp32s3") && finished.stdout.contains("esp32c3"), "{}", finished.transcript());
    let missing = espb(["flash", "--port", "/dev/no-such-port", "--non-interactive"]);
    assert_eq!(missing.code, 3, "{}", missing.transcript());
    assert!(missing.stderr.contains("/dev/no-such-port"), "{}", missing.transcript());
}

#[test]
fn only_signed_modules_go_into_an_image_with_a_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unsigned = module(folder.path(), "hello", "it runs");
    let (key, signed) = (folder.path().join("key.pem"), folder.path().join("signed.espb"));
    // The private key of RFC 8410, section 10.3, in PKCS #8.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    fs::write(&key, pem).expect("a temporary file");
    let path = |path: &Path| path.display().to_string();
    let sealed = espb(["sign", &path(&unsigned), "--key", &path(&key), "--module-version", "2", "-o", &path(&signed)]);
    assert_eq!(sealed.code, 0, "{}", sealed.transcript());
    let flash = image(&signed, &["--public-key", &path(&key)]);
    assert!(printed(flash.clone()).contains("it runs"));
    let refused = espb(["image", &path(&unsigned), "--public-key", &path(&key), "-o", &path(&folder.path().join("x"))]);
    assert_eq!(refused.code, 1, "{}", refused.transcript());
    assert!(refused.stderr.contains("signed"), "{}", refused.transcript());
    // The chip itself refuses: one bit of the signature in the slot's header, its checksum made to fit, and no record.
    let mut forged = flash;
    let header = espb_slots::SlotHeader::decode(&forged[0x20_0000..]).expect("a header");
    let mut seal = header.seal;
    seal.signature.as_mut().expect("it is signed")[5] ^= 1;
    forged[0x20_0000..][..128].copy_from_slice(&espb_slots::SlotHeader { seal, ..header }.encode());
    forged[0x3e_0000..0x3e_2000].fill(0xff);
    let text = printed(forged);
    assert!(!text.contains("it runs"), "{text}");
}
