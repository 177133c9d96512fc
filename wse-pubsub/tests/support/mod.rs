//! A real Redis server of one test: on a free port, in a directory of its own, killed by its pid.
use std::{
    io,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net,
    time::sleep,
};
use wse_pubsub::RedisConfig;

pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    dir: TempDir,
}

#[allow(dead_code, reason = "each test binary uses a part")]
impl RedisServer {
    /// Starts an empty server without persistence and waits until it answers.
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let dir = TempDir::new().expect("a temporary directory");
        let child = spawn(port, &dir);
        let server = Self { child, port, dir };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The settings that tests share: proofs are quick.
    pub(crate) fn config(&self) -> RedisConfig {
        RedisConfig::new(self.url()).canary_interval(Duration::from_secs(1))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    /// In the place of a killed server: takes connections and ends them at once; returns how many came within `time`.
    pub(crate) fn hang_up_for(&self, time: Duration) -> usize {
        let door = TcpListener::bind(("127.0.0.1", self.port)).expect("the killed server's port");
        door.set_nonblocking(true).expect("a socket");
        let (began, mut came) = (Instant::now(), 0);
        while began.elapsed() < time {
            match door.accept() {
                Ok(_) => came += 1,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        came
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT: it answers everything that was sent meanwhile.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Another address of the server, by which each connection has its answers at so many bytes a second.
    pub(crate) async fn slow_door(&self, rate: usize) -> String {
        let (door, port) = (net::TcpListener::bind("127.0.0.1:0").await.expect("a free port"), self.port);
        let url = format!("redis://{}", door.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                tokio::spawn(Self::carry(client, port, rate));
            }
        });
        url
    }

    async fn carry(mut client: net::TcpStream, port: u16, rate: usize) -> io::Result<()> {
        let mut server = net::TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut asks, mut hears) = client.split();
        let (mut answers, mut is_asked) = server.split();
        let slowly = async {
            let mut some = [0; 8 << 10];
            loop {
                let read = answers.read(&mut some).await?;
                if read == 0 {
                    return Ok(());
                }
                hears.write_all(&some[..read]).await?;
                sleep(Duration::from_secs(1).mul_f64(read as f64 / rate as f64)).await;
            }
        };
        tokio::select! {
            ended = slowly => ended,
            ended = copy(&mut asks, &mut is_asked) => ended.map(drop),
        }
    }

    /// Starts again on the same port from what is in the directory.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port, &self.dir);
        self.wait();
    }

    /// One command; panics on an error.
    pub(crate) fn command(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(self.url()).expect("an address");
        let mut connection = client.get_connection().expect("connected");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection).expect("an answer")
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen within 10 s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, dir: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is needed: install it with `sudo apt-get install redis-server` (or `brew install redis`)")
}
