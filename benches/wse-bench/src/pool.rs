//! Many client connections over one epoll: opened with a bounded number under way, read through one shared buffer.
use crate::{BenchError, Doing, Result, handshake, scan};
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
};
use socket2::SockRef;
use std::{
    fmt,
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const READ_BYTES: usize = 256 << 10;
const EVENTS: usize = 512;
const NARROW_BUFFER: usize = 4 << 10;
const NARROW_SEGMENT: u32 = 536;
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// How a client becomes a receiver on a server.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Path and query of the endpoint.
    pub path: String,
    /// The first text frame, if the server wants one.
    pub hello: Option<String>,
    /// A text that the server's last message before it is ready contains; none: ready with the 101.
    pub ready: Option<String>,
}

impl Opening {
    /// What its request offers: a WSE server waits for a hello that was promised by its subprotocol.
    fn subprotocol(&self) -> Option<&'static str> {
        self.hello.as_ref().is_some_and(|hello| hello.contains("client_hello")).then_some("wse.v2")
    }
}

/// What is told of arriving messages.
pub trait Sink {
    /// Bytes are about to be parsed that were read from a socket at once.
    fn reading(&mut self) {}
    /// A whole message arrived on a connection; `wire` counts its frames with their headers.
    fn message(&mut self, connection: usize, payload: &[u8], wire: usize);
}

/// Takes no notice.
#[derive(Debug)]
pub struct Ignore;

impl Sink for Ignore {
    fn message(&mut self, _: usize, _: &[u8], _: usize) {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Upgrading,
    Greeting,
    Open,
    Closed,
}

#[derive(Debug)]
struct Connection {
    socket: Option<OwnedFd>,
    phase: Phase,
    /// The front of a frame, or of the HTTP answer, whose rest is still to come.
    carry: Vec<u8>,
    /// The fragments of a message so far, and the bytes of their frames.
    fragments: (Vec<u8>, usize),
    /// Bytes that the socket did not take yet.
    unsent: Vec<u8>,
    /// The first text frame, where it is another than the pool's.
    hello: Option<Box<str>>,
}

/// Client connections to one server.
pub struct Pool {
    server: SocketAddr,
    opening: Opening,
    request: Vec<u8>,
    accept: String,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
    under_way: usize,
    open: usize,
    closed: Option<String>,
    /// Those that became ready since they were last asked for.
    ready: Vec<usize>,
    /// Reads that brought bytes.
    pub reads: u64,
    narrow: bool,
}

impl Pool {
    /// A pool without connections.
    ///
    /// # Errors
    /// No epoll to be had.
    pub fn new(server: SocketAddr, opening: Opening) -> Result<Self> {
        let request = handshake::request(server, &opening.path, opening.subprotocol());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing("epoll")?;
        let blank = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let (events, buffer) = (vec![blank; EVENTS], vec![0; READ_BYTES]);
        let (connections, accept) = (Vec::new(), handshake::expected_accept());
        Ok(Self {
            server,
            opening,
            request,
            accept,
            epoll,
            connections,
            events,
            buffer,
            under_way: 0,
            open: 0,
            closed: None,
            ready: Vec::new(),
            reads: 0,
            narrow: false,
        })
    }

    /// Little fits between the server and connections that are opened from now on: some 50 KB, where the kernel's own buffers take
    /// megabytes over loopback, whose segments are 64 KB.
    pub fn narrow(&mut self) {
        self.narrow = true;
    }

    /// Connections that are open and ready.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Connections that are being opened.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Another opening, for the connections that are opened from now on.
    pub fn set_path(&mut self, path: &str) {
        self.opening.path = path.into();
        self.request = handshake::request(self.server, path, self.opening.subprotocol());
    }

    /// Opens connections until there are `total`, at most `most` of them under way at a time.
    ///
    /// # Errors
    /// One was refused, or they were not ready in time.
    pub fn open_to(&mut self, total: usize, most: usize, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.open < total {
            while self.under_way < most && self.open + self.under_way < total {
                self.start()?;
            }
            self.turn(Some(Duration::from_millis(50)), &mut Ignore)?;
            if Instant::now() > deadline {
                let text = format!("has made {} of {total} connections ready within {} s", self.open, limit.as_secs());
                return Err(BenchError::Server(text));
            }
        }
        Ok(())
    }

    /// Begins one connection.
    ///
    /// # Errors
    /// No socket to be had.
    pub fn start(&mut self) -> Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).doing("socket")?;
        sockopt::set_tcp_nodelay(&socket, true).doing("nodelay")?;
        if self.narrow {
            sockopt::set_socket_recv_buffer_size(&socket, NARROW_BUFFER).doing("a buffer")?;
            SockRef::from(&socket).set_tcp_mss(NARROW_SEGMENT).doing("a segment")?;
        }
        match rustix::net::connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error).doing("connect"),
        }
        let data = epoll::EventData::new_u64(self.connections.len() as u64);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::OUT).doing("epoll")?;
        let (carry, fragments, unsent, hello) = Default::default();
        self.connections.push(Connection { socket: Some(socket), phase: Phase::Connecting, carry, fragments, unsent, hello });
        self.under_way += 1;
        Ok(())
    }

    /// Begins one whose first text frame is its own; its number.
    ///
    /// # Errors
    /// As [`Pool::start`].
    pub fn start_saying(&mut self, hello: String) -> Result<usize> {
        self.start()?;
        let number = self.connections.len() - 1;
        self.connections[number].hello = Some(hello.into());
        Ok(number)
    }

    /// Waits for something to happen, at most `limit` (none: without end), and handles all that has.
    ///
    /// # Errors
    /// A connection ended, or a server broke the framing.
    #[inline]
    pub fn turn(&mut self, limit: Option<Duration>, sink: &mut impl Sink) -> Result<()> {
        let timeout = limit.map(|limit| Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) });
        let count = match epoll::wait(&self.epoll, &mut self.events[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error).doing("epoll"),
        };
        for at in 0..count {
            let epoll::Event { flags, data } = self.events[at];
            let number = data.u64() as usize;
            if flags.contains(epoll::EventFlags::OUT) {
                self.writable(number)?;
            }
            if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                self.readable(number, sink)?;
            }
        }
        self.closed.take().map_or(Ok(()), |text| Err(BenchError::Server(text)))
    }

    /// Sends a client's text frame.
    ///
    /// # Errors
    /// The connection ended.
    pub fn send_text(&mut self, number: usize, payload: &[u8]) -> Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        scan::push_client_frame(&mut frame, 1, payload, MASK);
        self.send(number, &frame)
    }

    /// Sends bytes that are frames already; what the socket does not take is kept and sent when it can be.
    ///
    /// # Errors
    /// The connection ended.
    pub fn send(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let connection = &mut self.connections[number];
        let taken = if connection.unsent.is_empty() { write(connection.socket.as_ref(), bytes)? } else { 0 };
        connection.unsent.extend_from_slice(&bytes[taken..]);
        if taken < bytes.len() {
            self.interest(number, epoll::EventFlags::IN | epoll::EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Bytes that wait for a connection's socket.
    #[must_use]
    pub fn unsent(&self, number: usize) -> usize {
        self.connections[number].unsent.len()
    }

    /// Ends a connection with a reset, which leaves no port behind.
    pub fn reset(&mut self, number: usize) {
        if let Some(socket) = self.connections[number].socket.take() {
            // Fails on a socket that the peer has reset already, which comes to the same.
            let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
            self.forget(number);
        }
    }

    /// Ends every connection that is ready with a reset; how many there were.
    pub fn reset_ready(&mut self) -> usize {
        let ready = std::mem::take(&mut self.ready);
        ready.iter().for_each(|number| self.reset(*number));
        ready.len()
    }

    /// Says goodbye on every connection, waits for the server's and ends them.
    pub fn close(mut self) {
        let mut frame = Vec::new();
        scan::push_client_frame(&mut frame, 8, &1000_u16.to_be_bytes(), MASK);
        for number in 0..self.connections.len() {
            if self.connections[number].phase == Phase::Open {
                let _ = self.send(number, &frame);
            }
        }
        let deadline = Instant::now() + CLOSE_TIME;
        while self.open > 0 && Instant::now() < deadline {
            // Ends are what is waited for here.
            let _ = self.turn(Some(Duration::from_millis(20)), &mut Ignore);
        }
        (0..self.connections.len()).for_each(|number| self.reset(number));
    }

    /// Ends every connection with a reset, without a word.
    pub fn abandon(mut self) {
        (0..self.connections.len()).for_each(|number| self.reset(number));
    }

    fn interest(&self, number: usize, flags: epoll::EventFlags) -> Result<()> {
        let Some(socket) = &self.connections[number].socket else { return Ok(()) };
        epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(number as u64), flags).doing("epoll")
    }

    fn writable(&mut self, number: usize) -> Result<()> {
        let connection = &mut self.connections[number];
        if connection.phase == Phase::Connecting {
            if let Some(Err(error)) = connection.socket.as_ref().and_then(|socket| sockopt::socket_error(socket).ok()) {
                return Err(error).doing("connect");
            }
            connection.phase = Phase::Upgrading;
            connection.unsent.clone_from(&self.request);
        }
        let unsent = std::mem::take(&mut connection.unsent);
        let taken = write(connection.socket.as_ref(), &unsent)?;
        connection.unsent.extend_from_slice(&unsent[taken..]);
        if connection.unsent.is_empty() { self.interest(number, epoll::EventFlags::IN) } else { Ok(()) }
    }

    #[inline]
    fn readable(&mut self, number: usize, sink: &mut impl Sink) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let connection = &mut self.connections[number];
        let Some(socket) = &connection.socket else {
            self.buffer = buffer;
            return Ok(());
        };
        let kept = connection.carry.len();
        if buffer.len() < kept + READ_BYTES {
            buffer.resize(kept + READ_BYTES, 0);
        }
        buffer[..kept].copy_from_slice(&connection.carry);
        let outcome = match rustix::io::read(socket, &mut buffer[kept..]) {
            Ok(0) | Err(Errno::CONNRESET) => {
                self.ended(number, "closed a connection");
                Ok(())
            }
            Ok(read) => {
                self.reads += 1;
                sink.reading();
                self.take(number, &buffer[..kept + read], sink)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error).doing("read"),
        };
        self.buffer = buffer;
        outcome
    }

    /// Takes all that is whole in `bytes` and keeps the rest.
    #[inline]
    fn take(&mut self, number: usize, bytes: &[u8], sink: &mut impl Sink) -> Result<()> {
        let mut at = 0;
        if self.connections[number].phase == Phase::Upgrading {
            at = handshake::judge(bytes, &self.accept).map_err(BenchError::Server)?.unwrap_or(0);
            if at > 0 {
                self.upgraded(number)?;
            }
        }
        if self.connections[number].phase != Phase::Upgrading {
            while let Some((frame, used)) = scan::next_frame(&bytes[at..]).map_err(|error| BenchError::Server(error.to_string()))? {
                at += used;
                if frame.last && matches!(frame.opcode, 1 | 2) && self.connections[number].phase == Phase::Open {
                    sink.message(number, frame.payload, used);
                } else {
                    self.rare(number, frame, used, sink)?;
                }
            }
        }
        let carry = &mut self.connections[number].carry;
        carry.clear();
        carry.extend_from_slice(&bytes[at..]);
        Ok(())
    }

    fn upgraded(&mut self, number: usize) -> Result<()> {
        self.connections[number].phase = Phase::Greeting;
        let own = self.connections[number].hello.take().map(String::from);
        if let Some(hello) = own.or_else(|| self.opening.hello.clone()) {
            self.send_text(number, hello.as_bytes())?;
        }
        if self.opening.ready.is_none() {
            self.became_ready(number);
        }
        Ok(())
    }

    fn became_ready(&mut self, number: usize) {
        self.connections[number].phase = Phase::Open;
        self.ready.push(number);
        self.under_way -= 1;
        self.open += 1;
    }

    #[cold]
    fn rare(&mut self, number: usize, frame: scan::Frame<'_>, wire: usize, sink: &mut impl Sink) -> Result<()> {
        match frame.opcode {
            8 => {
                let code = frame.payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
                let reason = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default()).into_owned();
                self.ended(number, &format!("closed a connection with {code} {reason}"));
                Ok(())
            }
            9 => {
                let mut pong = Vec::new();
                scan::push_client_frame(&mut pong, 10, frame.payload, MASK);
                self.send(number, &pong)
            }
            10 => Ok(()),
            _ => {
                self.data(number, frame, wire, sink);
                Ok(())
            }
        }
    }

    /// A fragment, or a message before the connection is ready.
    fn data(&mut self, number: usize, frame: scan::Frame<'_>, wire: usize, sink: &mut impl Sink) {
        let (mut message, mut total) = std::mem::take(&mut self.connections[number].fragments);
        message.extend_from_slice(frame.payload);
        total += wire;
        if !frame.last {
            self.connections[number].fragments = (message, total);
        } else if self.connections[number].phase == Phase::Open {
            sink.message(number, &message, total);
        } else if self.opening.ready.as_ref().is_some_and(|ready| memchr::memmem::find(&message, ready.as_bytes()).is_some()) {
            self.became_ready(number);
        }
    }

    fn ended(&mut self, number: usize, text: &str) {
        if self.connections[number].phase != Phase::Closed {
            self.closed.get_or_insert_with(|| text.into());
            self.connections[number].socket = None;
            self.forget(number);
        }
    }

    fn forget(&mut self, number: usize) {
        match self.connections[number].phase {
            Phase::Open => self.open -= 1,
            Phase::Closed => {}
            _ => self.under_way -= 1,
        }
        let connection = &mut self.connections[number];
        connection.phase = Phase::Closed;
        (connection.carry, connection.fragments, connection.unsent) = Default::default();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("server", &self.server).field("open", &self.open).finish_non_exhaustive()
    }
}

fn write(socket: Option<&OwnedFd>, bytes: &[u8]) -> Result<usize> {
    let Some(socket) = socket else { return Ok(bytes.len()) };
    match rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
        Ok(taken) => Ok(taken),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error).doing("send"),
    }
}
