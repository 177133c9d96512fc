//! The servers that are compared: how each is started, and how its clients speak.
use crate::{
    BenchError, Result,
    control::READY,
    load::{Speech, Target},
    pool::Opening,
    server::{Launch, Server},
};
use std::path::{Path, PathBuf};

/// The topic that is published to.
pub const TOPIC: &str = "bench";

/// Those whose sockets are written with `write` or `writev` (a call trace shows it); the others use `send` or `sendmsg`.
const WRITE: [&str; 6] = ["floor", "wse-frames", "bare", "fastapi", "ws", "socket.io"];

/// What each runs with that is not its default.
const SETTINGS: [(&str, &str); 14] = [
    ("wse", "`messages_per_second` and `bytes_per_second` none"),
    ("wse-python", "`messages_per_second` and `bytes_per_second` none, `takeover=\"always\"`; uvicorn without access log, backlog 4,096"),
    ("wse-dicts", "as wse-python"),
    ("wse-mimalloc", "as wse; mimalloc for the program's allocator"),
    ("wse-paced", "as wse; `flush_interval` 16 ms"),
    ("wse-packed", "as wse; `formats` msgpack in the client's hello"),
    ("wse-python-packed", "as wse-python; `formats` msgpack in the client's hello"),
    ("websockets", "`compression=None`, backlog 4,096"),
    ("fastapi", "`ws_per_message_deflate=False`, no access log, backlog 4,096"),
    ("uvicorn", "`ws_per_message_deflate=False`, no access log, backlog 4,096"),
    ("picows", "backlog 4,096"),
    ("socketify", "`idle_timeout` 0, `max_backpressure` 64 MiB, `max_payload_length` 1 MiB"),
    ("ws", "`perMessageDeflate: false`, backlog 4,096"),
    ("socket.io", "`transports: ['websocket']`, pings every 120 s, backlog 4,096"),
];

/// One of the servers that this tool starts.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is called on the command line and in reports.
    pub name: &'static str,
    /// What it is, in a few words.
    pub is: &'static str,
    kind: Kind,
    opening: Opening,
    speech: Speech,
    /// Added to its environment.
    environment: &'static [(&'static str, &'static str)],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A program beside this one.
    Beside(&'static str),
    /// A script in `benches/servers`, for Python or for Node.
    Python(&'static str),
    Node(&'static str),
}

/// Where the scripts and what they need are.
#[derive(Debug, Clone)]
pub struct Places {
    /// `benches/servers` of the repository.
    pub scripts: PathBuf,
    /// A Python with the peers and `wse_server` installed.
    pub python: PathBuf,
    /// A `node_modules` with the peers.
    pub modules: PathBuf,
}

impl Places {
    /// Those below a repository's root.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let work = root.join(".work/bench");
        Self { scripts: root.join("benches/servers"), python: work.join("venv/bin/python"), modules: work.join("node/node_modules") }
    }
}

/// All of them, the floor first.
#[must_use]
pub fn all() -> Vec<Subject> {
    let plain =
        |name, is, kind| Subject { name, is, kind, opening: opening("/", None, Some(READY)), speech: Speech::Plain, environment: &[] };
    let topics = format!("/wse?topics={TOPIC}");
    let wse = |name, is, kind| {
        let opening = opening(&topics, None, Some("subscription_update"));
        Subject { name, is, kind, opening, speech: Speech::Wse, environment: &[] }
    };
    let hello = format!(r#"{{"v":2,"c":"WSE","t":"client_hello","p":{{"formats":["msgpack"],"topics":["{TOPIC}"]}}}}"#);
    let packed = |name, is, kind| {
        let opening = opening("/wse", Some(&hello), Some("subscription_update"));
        Subject { name, is, kind, opening, speech: Speech::Wse, environment: &[("PAYLOADS", "msgpack")] }
    };
    let socket_io = opening("/socket.io/?EIO=4&transport=websocket", Some("40"), Some(READY));
    vec![
        plain("floor", "epoll and write of pre-framed messages, in Rust", Kind::Beside("bench-floor")),
        plain("bare", "fastwebsockets and tokio's broadcast channel, writev", Kind::Beside("bench-bare")),
        wse("wse", "the wse-server crate, publishing from inside", Kind::Beside("bench-wse")),
        wse("wse-python", "wse_server under uvicorn, native transport", Kind::Python("wse_app.py")),
        Subject {
            environment: &[("PAYLOADS", "dicts")],
            ..wse("wse-dicts", "the same, publishing dicts instead of payloads that are JSON already", Kind::Python("wse_app.py"))
        },
        Subject {
            environment: &[("FLUSH_MS", "16")],
            ..wse("wse-paced", "the wse-server crate with a flush interval", Kind::Beside("bench-wse"))
        },
        wse("wse-mimalloc", "the wse-server crate in a program that uses mimalloc", Kind::Beside("bench-wse-mimalloc")),
        Subject {
            environment: &[("READER", "checked")],
            ..plain("wse-frames", "the floor, reading frames by the wse-protocol crate", Kind::Beside("bench-floor"))
        },
        packed("wse-packed", "the wse-server crate, publishing MessagePack to clients that chose it", Kind::Beside("bench-wse")),
        packed("wse-python-packed", "the same through the Python package", Kind::Python("wse_app.py")),
        plain("websockets", "Python websockets, broadcast()", Kind::Python("websockets_server.py")),
        plain("fastapi", "FastAPI under uvicorn, a loop of send_text()", Kind::Python("fastapi_server.py")),
        plain("uvicorn", "a bare ASGI application under uvicorn", Kind::Python("uvicorn_server.py")),
        plain("picows", "Python picows, a loop of send()", Kind::Python("picows_server.py")),
        plain("socketify", "uWebSockets through Python socketify, publish()", Kind::Python("socketify_server.py")),
        plain("ws", "Node ws, a loop of send()", Kind::Node("ws_server.cjs")),
        Subject {
            name: "socket.io",
            is: "Node socket.io, emit()",
            kind: Kind::Node("socketio_server.cjs"),
            opening: socket_io,
            speech: Speech::SocketIo,
            environment: &[],
        },
    ]
}

/// Those that a list names.
///
/// # Errors
/// One is not known.
pub fn named(list: &str) -> Result<Vec<Subject>> {
    let all = all();
    let find = |name: &str| all.iter().find(|subject| subject.name == name).cloned();
    let known = || all.iter().map(|subject| subject.name).collect::<Vec<_>>().join(", ");
    list.split(',')
        .map(|name| find(name.trim()).ok_or_else(|| BenchError::Usage(format!("no server {name:?}; there are {}", known()))))
        .collect()
}

impl Subject {
    /// Whether what it needs is installed.
    #[must_use]
    pub fn is_installed(&self, places: &Places) -> bool {
        let Ok(launch) = self.launch(places) else { return false };
        match self.kind {
            Kind::Beside(_) => launch.program.exists(),
            Kind::Python(_) => {
                let module = match self.name {
                    "wse-python" | "wse-dicts" | "wse-python-packed" => "wse_server",
                    other => other,
                };
                std::process::Command::new(&launch.program)
                    .args(["-c", &format!("import {module}")])
                    .output()
                    .is_ok_and(|out| out.status.success())
            }
            Kind::Node(_) => places.modules.join(self.name).exists(),
        }
    }

    /// What it runs with that is not its default, for a report.
    #[must_use]
    pub fn settings(&self) -> Option<String> {
        let (name, differs) = SETTINGS.iter().find(|(name, _)| *name == self.name)?;
        Some(format!("{name}: {differs}"))
    }

    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self, places: &Places, core: Option<usize>) -> Result<Target> {
        let mut launch = self.launch(places)?;
        launch.environment.extend(self.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let server = Server::start(self.name, &launch, core)?;
        Ok(Target {
            address: server.address,
            opening: self.opening.clone(),
            pid: Some(server.pid()),
            server: Some(server),
            speech: self.speech,
            writes_counted: WRITE.contains(&self.name),
        })
    }

    fn launch(&self, places: &Places) -> Result<Launch> {
        let script = |name: &str| vec![places.scripts.join(name).to_string_lossy().into_owned()];
        let modules = ("NODE_PATH".to_owned(), places.modules.to_string_lossy().into_owned());
        Ok(match self.kind {
            Kind::Beside(name) => Launch { program: beside(name)?, ..Launch::default() },
            Kind::Python(name) => Launch { program: places.python.clone(), arguments: script(name), ..Launch::default() },
            Kind::Node(name) => Launch { program: "node".into(), arguments: script(name), environment: vec![modules] },
        })
    }
}

fn opening(path: &str, hello: Option<&str>, ready: Option<&str>) -> Opening {
    Opening { path: path.into(), hello: hello.map(Into::into), ready: ready.map(Into::into) }
}

/// A program in this one's folder; tests are in a folder below it.
fn beside(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(|error| BenchError::Io("finding this program".into(), error))?;
    let folders = this.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = folders.clone().find(|path| path.exists());
    found.ok_or_else(|| BenchError::Usage(format!("{name} is not built: cargo build --release -p wse-bench")))
}
