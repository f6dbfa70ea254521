//! Serial ports: which there are, which one is meant, opening one, and what to do when that fails.

use std::io;
use std::time::Duration;

use espflash::connection::Port;
use serialport::{FlowControl, SerialPort, SerialPortInfo, SerialPortType, UsbPortInfo};

use super::transport::DeviceError;

/// Bits a second at which the mask ROM listens and the firmware's console starts.
pub const DEFAULT_BAUD: u32 = 115_200;

/// Longest single wait for bytes; longer waits are made of these.
const READ_WAIT: Duration = Duration::from_millis(20);

/// An operating system, as far as advice differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux, WSL included.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The one this program was built for.
    pub const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// What went wrong with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortTrouble {
    /// No port looks like a device.
    NoneFound,
    /// The named port does not exist.
    NotFound,
    /// The user may not open it.
    Permission,
    /// Another program has it.
    Busy,
    /// Anything else.
    Other,
}

/// What to do about `trouble` on `system`.
pub fn advice(trouble: PortTrouble, system: System) -> &'static str {
    use PortTrouble::{Busy, NoneFound, NotFound, Other, Permission};
    use System::{Linux, MacOs, Windows};
    match (trouble, system) {
        (Permission, Linux) => {
            "let your user open serial ports: `sudo usermod -aG dialout $USER` (on Arch `uucp`), then log in again; \
             or install a udev rule, see docs/devices.md"
        }
        (Permission | Busy, MacOs) => {
            "close other programs that use the port (a monitor, an IDE), and name the /dev/cu.* form of it, not /dev/tty.*"
        }
        (Permission | Busy, Windows) => "close other programs that use the port (a monitor, an IDE), then try again",
        (Busy, Linux) => {
            "close other programs that use the port; `fuser PORT` names them; ModemManager may have to be stopped"
        }
        (NoneFound | NotFound, Linux) => {
            "connect the board with a cable that carries data; `dmesg` shows whether the system sees it (ttyUSB or ttyACM). \
             In WSL attach it with `usbipd attach`. The drivers are part of the kernel"
        }
        (NoneFound | NotFound, MacOs) => {
            "connect the board with a cable that carries data; if no /dev/cu.* appears, install the driver of its USB chip \
             (Silicon Labs CP210x or WCH CH34x) and allow it under Privacy & Security"
        }
        (NoneFound | NotFound, Windows) => {
            "connect the board with a cable that carries data; if the Device Manager shows an unknown device, install the \
             driver of its USB chip (Silicon Labs CP210x or WCH CH34x)"
        }
        (Other, _) => "unplug the board and connect it again, then try once more",
    }
}

fn error(message: String, trouble: PortTrouble) -> DeviceError {
    DeviceError { message, help: advice(trouble, System::current()).into() }
}

/// The ports that a board may be on, as the system lists them.
pub fn boards() -> Result<Vec<SerialPortInfo>, DeviceError> {
    let ports = serialport::available_ports()
        .map_err(|failure| error(format!("the serial ports cannot be listed: {failure}"), PortTrouble::Other))?;
    // macOS lists each port twice; opening the tty form waits for a carrier that boards do not have.
    let duplicate = |port: &SerialPortInfo| cfg!(target_os = "macos") && port.port_name.starts_with("/dev/tty.");
    let usb = ports.into_iter().filter(|port| matches!(port.port_type, SerialPortType::UsbPort(_)));
    Ok(usb.filter(|port| !duplicate(port)).collect())
}

/// Asks which of these ports is meant, and gives its index.
pub type Ask<'a> = &'a mut dyn FnMut(&[String]) -> Option<usize>;

/// The port that is meant when none was named: the only board there is, or what `ask` says. `ask` is `None` where nobody can be
/// asked.
pub fn choose(ask: Option<Ask<'_>>) -> Result<String, DeviceError> {
    let mut names: Vec<String> = boards()?.into_iter().map(|port| port.port_name).collect();
    match (names.len(), ask) {
        (0, _) => Err(error("no board was found on any serial port".into(), PortTrouble::NoneFound)),
        (1, _) => Ok(names.swap_remove(0)),
        (_, Some(ask)) => {
            let choice = ask(&names).and_then(|index| names.get(index).cloned());
            choice.ok_or_else(|| several(&names))
        }
        (_, None) => Err(several(&names)),
    }
}

fn several(names: &[String]) -> DeviceError {
    DeviceError {
        message: format!("there are several boards: {}", names.join(", ")),
        help: "name one with --port, or in ESPB_PORT".into(),
    }
}

/// A serial port that is open.
#[derive(Debug)]
pub struct OpenPort {
    /// The port.
    pub port: Port,
    /// What its USB side says of it; zeros where there is none.
    pub usb: UsbPortInfo,
    /// Whether it has the lines that reset a board. A pseudo-terminal has none.
    pub has_reset: bool,
}

/// Opens a port at `baud`.
pub fn open(name: &str, baud: u32) -> Result<OpenPort, DeviceError> {
    let builder = serialport::new(name, baud).flow_control(FlowControl::None).timeout(READ_WAIT);
    let mut port = builder.open_native().map_err(|failure| failed(name, &failure))?;
    let has_reset = port.read_clear_to_send().is_ok();
    Ok(OpenPort { port, usb: usb_info(name), has_reset })
}

fn usb_info(name: &str) -> UsbPortInfo {
    let listed = serialport::available_ports().unwrap_or_default();
    let found = listed.into_iter().find(|port| port.port_name == name).map(|port| port.port_type);
    match found {
        Some(SerialPortType::UsbPort(info)) => info,
        _ => UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None },
    }
}

fn failed(name: &str, failure: &serialport::Error) -> DeviceError {
    let trouble = match failure.kind() {
        serialport::ErrorKind::NoDevice if failure.description.contains("busy") => PortTrouble::Busy,
        serialport::ErrorKind::NoDevice | serialport::ErrorKind::Io(io::ErrorKind::NotFound) => PortTrouble::NotFound,
        serialport::ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortTrouble::Permission,
        serialport::ErrorKind::Io(io::ErrorKind::ResourceBusy) => PortTrouble::Busy,
        _ => PortTrouble::Other,
    };
    error(format!("the port {name} cannot be opened: {}", failure.description), trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_has_advice_that_fits_the_system() {
        for (trouble, system, word) in [
            (PortTrouble::Permission, System::Linux, "dialout"),
            (PortTrouble::Permission, System::MacOs, "/dev/cu."),
            (PortTrouble::Permission, System::Windows, "close other programs"),
            (PortTrouble::NoneFound, System::Linux, "dmesg"),
            (PortTrouble::NoneFound, System::MacOs, "CP210x"),
            (PortTrouble::NotFound, System::Windows, "Device Manager"),
            (PortTrouble::Busy, System::Linux, "fuser"),
        ] {
            assert!(advice(trouble, system).contains(word), "{trouble:?} on {system:?}");
        }
    }

    #[test]
    fn a_port_that_is_not_there_is_named_with_what_to_do() {
        let error = open("/dev/no-such-port", DEFAULT_BAUD).expect_err("there is no such port");
        assert!(error.message.contains("/dev/no-such-port"), "{error}");
        assert_eq!(error.help, advice(PortTrouble::NotFound, System::current()));
    }
}
