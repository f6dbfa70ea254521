//! The console of an emulated chip on a socket, a TCP port or a pseudo-terminal, for one listener at a time.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::hosted::ConsoleLine;
use super::transport::DeviceError;

/// How long the chip waits for a listener that takes no bytes.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where an emulated chip can be reached.
pub struct Link {
    name: String,
    line: Box<dyn ConsoleLine>,
    /// What goes away with the link.
    _held: Option<Box<dyn std::any::Any>>,
}

impl Link {
    /// Opens what `name` means: `pty`, `tcp:HOST:PORT`, or the path of a Unix socket.
    pub fn open(name: &str) -> Result<Self, DeviceError> {
        let opened = match name.strip_prefix("tcp:") {
            Some(address) => tcp(address),
            None if name == "pty" => pty(),
            None => socket(name),
        };
        opened.map_err(|error| DeviceError {
            message: format!("cannot listen at {name}: {error}"),
            help: "name a socket in a folder that you may write to, tcp:HOST:PORT or pty with --link".into(),
        })
    }

    /// What the other commands take as their port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line.
    pub fn line(&mut self) -> &mut dyn ConsoleLine {
        &mut *self.line
    }
}

/// `None` while nobody has come.
fn come<S>(accepted: io::Result<S>) -> io::Result<Option<S>> {
    match accepted {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn tcp(address: &str) -> io::Result<Link> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let name = format!("tcp:{}", listener.local_addr()?);
    let accept = move || {
        let stream = come(listener.accept())?.map(|(stream, _)| stream);
        stream.as_ref().map_or(Ok(()), |stream| stream.set_nonblocking(true))?;
        Ok(stream)
    };
    Ok(Link { name, line: Box::new(Listener::new(Box::new(accept))), _held: None })
}

#[cfg(unix)]
fn socket(name: &str) -> io::Result<Link> {
    use std::os::unix::net::{UnixListener, UnixStream};

    /// Takes the socket away when the chip ends.
    struct Socket(String);
    impl Drop for Socket {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    if UnixStream::connect(name).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // What a chip that was ended by a signal left.
    let _ = std::fs::remove_file(name);
    let listener = UnixListener::bind(name)?;
    let held = Socket(name.into());
    listener.set_nonblocking(true)?;
    let accept = move || {
        let stream = come(listener.accept())?.map(|(stream, _)| stream);
        stream.as_ref().map_or(Ok(()), |stream| stream.set_nonblocking(true))?;
        Ok(stream)
    };
    Ok(Link { name: name.into(), line: Box::new(Listener::new(Box::new(accept))), _held: Some(Box::new(held)) })
}

#[cfg(unix)]
fn pty() -> io::Result<Link> {
    use serialport::{SerialPort, TTYPort};

    let (mut ours, theirs) = TTYPort::pair()?;
    let name = theirs.name().ok_or(io::ErrorKind::Unsupported)?;
    // Kept open, so that the line does not hang up between two programs, but not locked as `theirs` is.
    let held = std::fs::File::options().read(true).write(true).open(&name)?;
    drop(theirs);
    ours.set_timeout(Duration::ZERO)?;
    let mut ours = Some(ours);
    let line = Box::new(Listener::new(Box::new(move || Ok(ours.take()))));
    Ok(Link { name, line, _held: Some(Box::new(held)) })
}

#[cfg(not(unix))]
fn socket(_: &str) -> io::Result<Link> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such sockets: use tcp:HOST:PORT"))
}

#[cfg(not(unix))]
fn pty() -> io::Result<Link> {
    socket("")
}

/// A line over a stream that does not block, for one listener at a time.
pub struct Listener<S> {
    accept: Box<dyn FnMut() -> io::Result<Option<S>>>,
    stream: Option<S>,
    /// The listener did not take the last bytes in time: it is not waited for until it takes some.
    stuck: bool,
}

impl<S: Read + Write> Listener<S> {
    /// `accept` gives a new listener's stream, set not to block, if one has come. The newest one counts.
    pub fn new(accept: Box<dyn FnMut() -> io::Result<Option<S>>>) -> Self {
        Self { accept, stream: None, stuck: false }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::TimedOut)
}

impl<S: Read + Write> ConsoleLine for Listener<S> {
    fn take_input(&mut self) -> io::Result<Vec<u8>> {
        if let Some(stream) = (self.accept)()? {
            (self.stream, self.stuck) = (Some(stream), false);
        }
        let mut bytes = vec![0; 4096];
        let Some(stream) = &mut self.stream else { return Ok(Vec::new()) };
        match stream.read(&mut bytes) {
            Ok(0) => self.stream = None,
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(error) if would_block(&error) => {}
            // The listener went away; the next one is waited for.
            Err(_) => self.stream = None,
        }
        Ok(Vec::new())
    }

    fn put_output(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        while let Some(stream) = self.stream.as_mut().filter(|_| !bytes.is_empty()) {
            match stream.write(bytes) {
                Ok(0) => self.stream = None,
                Ok(length) => {
                    bytes = bytes.get(length..).unwrap_or_default();
                    self.stuck = false;
                }
                Err(error) if would_block(&error) && (self.stuck || began.elapsed() >= PATIENCE) => {
                    self.stuck = true;
                    return Ok(());
                }
                Err(error) if would_block(&error) => thread::sleep(Duration::from_millis(1)),
                Err(_) => self.stream = None,
            }
        }
        Ok(())
    }
}
