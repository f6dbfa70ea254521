//! A device behind a stream of bytes: a serial port, a socket of `espb emulate`, a TCP gateway. Its clock is the wall clock.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serialport::SerialPort;

use super::port;
use super::transport::{DeviceError, Received, Transport};

/// Longest single wait for bytes; longer waits are made of these.
const WAIT: Duration = Duration::from_millis(20);
/// Bytes read at once.
const CHUNK: usize = 4096;

/// A stream that can be waited on.
pub trait Line: Read + Write {
    /// Sets how long one read waits.
    fn set_wait(&mut self, wait: Duration) -> io::Result<()>;

    /// Changes the speed, where the line has one.
    fn set_speed(&mut self, baud: u32) -> io::Result<()>;
}

impl Line for Box<dyn SerialPort> {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        Ok(self.set_timeout(wait)?)
    }

    fn set_speed(&mut self, baud: u32) -> io::Result<()> {
        self.flush()?;
        Ok(self.set_baud_rate(baud)?)
    }
}

impl Line for TcpStream {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait))
    }

    fn set_speed(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
impl Line for std::os::unix::net::UnixStream {
    fn set_wait(&mut self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait))
    }

    fn set_speed(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

/// A device behind a line.
pub struct StreamTransport {
    name: String,
    line: Box<dyn Line>,
    opened: Instant,
    deadline: Option<Duration>,
    limit: Option<Instant>,
}

impl StreamTransport {
    /// Opens what `name` means: `tcp:HOST:PORT`, the path of a socket, or a serial port. `timeout` limits the whole conversation.
    pub fn open(name: &str, timeout: Option<Duration>) -> Result<Self, DeviceError> {
        let line: Box<dyn Line> = match name.strip_prefix("tcp:") {
            Some(address) => Box::new(TcpStream::connect(address).map_err(|error| unreachable(name, &error))?),
            None => match socket(name) {
                Some(line) => line?,
                None => Box::new(Box::new(port::open(name, port::DEFAULT_BAUD)?.port) as Box<dyn SerialPort>),
            },
        };
        Self::over(name, line, timeout)
    }

    /// A conversation over a line that is open; `name` is for errors.
    pub fn over(name: &str, mut line: Box<dyn Line>, timeout: Option<Duration>) -> Result<Self, DeviceError> {
        line.set_wait(WAIT).map_err(|error| lost(name, &error))?;
        let opened = Instant::now();
        let limit = timeout.map(|timeout| opened + timeout);
        Ok(Self { name: name.into(), line, opened, deadline: None, limit })
    }
}

#[cfg(unix)]
fn socket(name: &str) -> Option<Result<Box<dyn Line>, DeviceError>> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    std::fs::metadata(name).ok().filter(|found| found.file_type().is_socket())?;
    let stream = UnixStream::connect(name).map_err(|error| unreachable(name, &error));
    Some(stream.map(|stream| Box::new(stream) as Box<dyn Line>))
}

#[cfg(not(unix))]
fn socket(_: &str) -> Option<Result<Box<dyn Line>, DeviceError>> {
    None
}

fn unreachable(name: &str, error: &io::Error) -> DeviceError {
    DeviceError {
        message: format!("nobody answers at {name}: {error}"),
        help: "start the chip with `espb emulate --link SOCKET`, or check the address of the gateway".into(),
    }
}

fn lost(name: &str, error: &io::Error) -> DeviceError {
    DeviceError {
        message: format!("the connection to {name} was lost: {error}"),
        help: "check the cable or the gateway, and connect again".into(),
    }
}

impl Transport for StreamTransport {
    fn send(&mut self, bytes: &[u8]) -> Result<(), DeviceError> {
        self.line.write_all(bytes).and_then(|()| self.line.flush()).map_err(|error| lost(&self.name, &error))
    }

    fn receive(&mut self) -> Result<Received, DeviceError> {
        let mut bytes = vec![0; CHUNK];
        loop {
            // Before reading: a device that never pauses must not keep anyone waiting.
            if self.limit.is_some_and(|limit| Instant::now() >= limit) {
                return Ok(Received::Timeout);
            }
            if self.deadline.is_some_and(|deadline| self.now() >= deadline) {
                return Ok(Received::Deadline);
            }
            match self.line.read(&mut bytes) {
                Ok(0) => return Err(lost(&self.name, &io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    bytes.truncate(length);
                    return Ok(Received::Bytes(bytes));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return Err(lost(&self.name, &error)),
                },
            }
        }
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn set_deadline(&mut self, deadline: Option<Duration>) {
        self.deadline = deadline;
    }

    fn set_speed(&mut self, baud: u32) -> Result<(), DeviceError> {
        self.line.set_speed(baud).map_err(|error| lost(&self.name, &error))
    }
}
