//! A server under test: a process that the runner starts on its core, tells what to do, and ends.
use crate::{BenchError, Doing, Result, control::Command, machine};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const START_TIME: Duration = Duration::from_secs(30);
const ANSWER_TIME: Duration = Duration::from_secs(10);
const END_TIME: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// How a server is started; it is given `--port N` behind its other arguments.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to its environment.
    pub environment: Vec<(String, String)>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts it on `core` and waits until it listens.
    ///
    /// # Errors
    /// It is not there, or does not listen in time: with the end of what it printed.
    pub fn start(name: &str, launch: &Launch, core: Option<usize>) -> Result<Self> {
        let address = free_address()?;
        let log = std::env::temp_dir().join(format!("wse-bench-{}-{name}.log", std::process::id()));
        let errors = File::create(&log).doing("the server's log")?;
        let mut command = std::process::Command::new(&launch.program);
        command.args(&launch.arguments).args(["--port", &address.port().to_string()]).envs(launch.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = on_core(core, || command.spawn().doing(&launch.program.to_string_lossy()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = mpsc::channel();
        if let Some(output) = output {
            thread::spawn(move || BufReader::new(output).lines().map_while(|line| line.ok()).try_for_each(|line| sender.send(line)));
        }
        let mut server = Self { address, child, input, lines, log };
        server.await_start(name)?;
        Ok(server)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Holds it: it gets no CPU until it is resumed, so that servers that are not measured disturb nobody.
    ///
    /// # Errors
    /// It has ended.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It has ended.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).doing("a signal to the server")
    }

    /// Tells it something.
    ///
    /// # Errors
    /// It has ended.
    pub fn tell(&mut self, command: Command) -> Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        input.write_all(format!("{command}\n").as_bytes()).map_err(|_| BenchError::Server(format!("has ended\n{}", log_end(&self.log))))
    }

    /// The number in an answer that has come: `{"published":5}` is 5. What else it prints is passed over.
    pub fn answer(&mut self, name: &str) -> Option<u64> {
        let lines = std::iter::from_fn(|| self.lines.try_recv().ok());
        lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok()?.get(name)?.as_u64()).last()
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// None came in time.
    pub fn ask(&mut self, command: Command, name: &str) -> Result<u64> {
        self.tell(command)?;
        let deadline = Instant::now() + ANSWER_TIME;
        while Instant::now() < deadline {
            if let Some(answer) = self.answer(name) {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(BenchError::Server(format!("did not answer {command:?}")))
    }

    fn await_start(&mut self, name: &str) -> Result<()> {
        let deadline = Instant::now() + START_TIME;
        while TcpStream::connect_timeout(&self.address, PAUSE).is_err() {
            let ended = self.child.try_wait().doing("the server")?.is_some();
            if ended || Instant::now() > deadline {
                let what = if ended { "has ended while it started" } else { "does not listen" };
                return Err(BenchError::Server(format!("{name} {what}\n{}", log_end(&self.log))));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.resume();
        self.input = None;
        let deadline = Instant::now() + END_TIME;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        // These fail only on a process that has ended, or a log that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).doing("a port")?;
    listener.local_addr().doing("a port")
}

/// Runs something with this thread on a core, which its children inherit from their first instruction on.
fn on_core<T>(core: Option<usize>, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(core) = core else { return start() };
    let before = rustix::thread::sched_getaffinity(None).doing("affinity")?;
    machine::pin(core)?;
    let started = start();
    rustix::thread::sched_setaffinity(None, &before).doing("affinity")?;
    started
}

fn log_end(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
