//! The floor: what the kernel asks of a server that does nothing but hand bytes over. epoll and `write`, one thread, messages
//! framed once, a burst as one contiguous buffer for all. It keeps no rule of WebSocket beyond what a client needs to read it.
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::{SocketFlags, sockopt},
};
use std::{
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
};
use wse_bench::{
    Doing, Result,
    control::{Command, Lines, Pace, READY, input},
    handshake,
    inbound::Inbound,
    scan, stamp,
};

const INPUT: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;
const READ_BYTES: usize = 256 << 10;

struct Connection {
    socket: OwnedFd,
    upgraded: bool,
    inbound: Inbound,
    /// Of a frame that is not whole.
    carry: Vec<u8>,
    /// What its socket did not take of answers to the client.
    unsent: Vec<u8>,
    /// How much of the run it has been sent.
    sent: usize,
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    input: OwnedFd,
    lines: Lines,
    pace: Pace,
    connections: Vec<Option<Connection>>,
    /// Numbers of connections that have ended.
    free: Vec<usize>,
    /// The frames of the turn under way, and how many connections have not been sent all of them.
    run: Vec<u8>,
    behind: usize,
    handled: u64,
    /// How frames of clients are read.
    reader: Option<String>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

fn main() -> Result<()> {
    let port = wse_bench::cli::port()?;
    wse_bench::machine::raise_descriptors();
    let listener = TcpListener::bind(("127.0.0.1", port)).doing("listen")?;
    rustix::net::listen(&listener, 4096).doing("listen")?;
    listener.set_nonblocking(true).doing("listen")?;
    let (epoll, input) = (epoll::create(epoll::CreateFlags::CLOEXEC).doing("epoll")?, input()?);
    epoll::add(&epoll, &input, epoll::EventData::new_u64(INPUT), epoll::EventFlags::IN).doing("epoll")?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN).doing("epoll")?;
    let (lines, pace, connections, free) = Default::default();
    let (run, buffer, out, reader) = (Vec::new(), vec![0; READ_BYTES], Vec::new(), std::env::var("READER").ok());
    Floor { epoll, listener, input, lines, pace, connections, free, run, behind: 0, handled: 0, reader, buffer, out }.serve()
}

impl Floor {
    fn serve(mut self) -> Result<()> {
        let blank = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut events = [blank; 512];
        loop {
            let wait = if self.behind > 0 { None } else { self.pace.wait(stamp::now()) };
            let wait = wait.map(|wait| Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) });
            let count = match epoll::wait(&self.epoll, &mut events[..], wait.as_ref()) {
                Ok(count) => count,
                Err(Errno::INTR) => 0,
                Err(error) => return Err(error).doing("epoll"),
            };
            for event in &events[..count] {
                match event.data.u64() {
                    INPUT if !self.commands()? => return Ok(()),
                    INPUT => {}
                    LISTENER => self.accept()?,
                    number => self.connection(number as usize, event.flags),
                }
            }
            if self.behind == 0 {
                self.publish();
            }
        }
    }

    /// Takes what the runner says; false at the end.
    fn commands(&mut self) -> Result<bool> {
        let mut bytes = [0; 4096];
        let count = match rustix::io::read(&self.input, &mut bytes[..]) {
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error).doing("standard input"),
        };
        for command in self.lines.feed(&bytes[..count]) {
            if matches!(command, Command::Publish { .. }) {
                self.run.clear();
                self.connections.iter_mut().flatten().for_each(|connection| connection.sent = 0);
            }
            if let Some(answer) = self.pace.handle(command, self.handled, stamp::now()) {
                println!("{answer}");
            }
        }
        Ok(count > 0)
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let socket = match rustix::net::accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN | Errno::CONNABORTED) => return Ok(()),
                Err(error) => return Err(error).doing("accept"),
            };
            sockopt::set_tcp_nodelay(&socket, true).doing("nodelay")?;
            let number = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN).doing("epoll")?;
            let inbound = Inbound::of(self.reader.as_deref());
            let connection = Connection { socket, upgraded: false, inbound, carry: Vec::new(), unsent: Vec::new(), sent: self.run.len() };
            self.connections[number] = Some(connection);
        }
    }

    /// Frames one turn's messages, and gives them to every connection in one write each.
    fn publish(&mut self) {
        let now = stamp::now();
        let due = self.pace.due(now);
        if due == 0 {
            return;
        }
        self.run.clear();
        for _ in 0..due {
            let message = self.pace.next(now);
            scan::push_server_frame(&mut self.run, 1, &message);
        }
        for number in 0..self.connections.len() {
            if let Some(connection) = self.connections[number].as_mut().filter(|connection| connection.upgraded) {
                connection.sent = 0;
                self.behind += 1;
                self.write(number);
            }
        }
    }

    /// Sends a connection what it lacks of the run.
    fn write(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let rest = &self.run[connection.sent..];
        match rustix::io::write(&connection.socket, rest) {
            Ok(count) if count == rest.len() => {
                connection.sent += count;
                self.behind -= 1;
            }
            Ok(count) => {
                connection.sent += count;
                self.interest(number, true);
            }
            Err(Errno::AGAIN | Errno::INTR) => self.interest(number, true),
            Err(_) => self.end(number),
        }
    }

    fn connection(&mut self, number: usize, flags: epoll::EventFlags) {
        if flags.contains(epoll::EventFlags::OUT) {
            self.interest(number, false);
            self.flush(number);
            if self.connections[number].as_ref().is_some_and(|connection| connection.sent < self.run.len()) {
                self.write(number);
            }
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            self.read(number);
        }
    }

    fn read(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let kept = connection.carry.len();
        if self.buffer.len() < kept + READ_BYTES {
            self.buffer.resize(kept + READ_BYTES, 0);
        }
        self.buffer[..kept].copy_from_slice(&connection.carry);
        let count = match rustix::io::read(&connection.socket, &mut self.buffer[kept..]) {
            Ok(0) => return self.end(number),
            Ok(count) => kept + count,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.end(number),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let used = self.take(number, &mut buffer[..count]);
        if let Some(connection) = &mut self.connections[number] {
            connection.carry.clear();
            connection.carry.extend_from_slice(&buffer[used..count]);
        }
        self.buffer = buffer;
        self.flush(number);
    }

    /// Answers what is whole in `bytes`, and says how much that was.
    fn take(&mut self, number: usize, bytes: &mut [u8]) -> usize {
        let Some(connection) = &mut self.connections[number] else { return 0 };
        let mut at = 0;
        if !connection.upgraded {
            let Some((answer, used)) = handshake::answer(bytes) else { return 0 };
            connection.upgraded = true;
            connection.unsent.extend_from_slice(answer.as_bytes());
            scan::push_server_frame(&mut connection.unsent, 1, READY.as_bytes());
            at = used;
        }
        self.out.clear();
        let Some(taken) = connection.inbound.take(&mut bytes[at..], &mut self.out, &mut self.handled) else {
            self.end(number);
            return 0;
        };
        connection.unsent.extend_from_slice(&self.out);
        at + taken
    }

    fn flush(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        if connection.unsent.is_empty() {
            return;
        }
        match rustix::io::write(&connection.socket, &connection.unsent) {
            Ok(count) => drop(connection.unsent.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return self.end(number),
        }
        if !connection.unsent.is_empty() {
            self.interest(number, true);
        }
    }

    fn interest(&self, number: usize, writable: bool) {
        let Some(connection) = &self.connections[number] else { return };
        let flags = if writable { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        // Fails only for a socket that is not in the set, and each is from its start to its end.
        let _ = epoll::modify(&self.epoll, connection.socket.as_fd(), epoll::EventData::new_u64(number as u64), flags);
    }

    fn end(&mut self, number: usize) {
        if let Some(connection) = self.connections[number].take() {
            self.behind -= usize::from(connection.upgraded && connection.sent < self.run.len() && self.behind > 0);
            self.free.push(number);
        }
    }
}
