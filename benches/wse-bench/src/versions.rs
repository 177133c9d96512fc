//! The versions of what is measured.
use crate::subject::Places;
use std::{collections::BTreeMap, fs, path::Path, process::Command};

const PYTHON: &str = "import importlib.metadata as m, platform
print('Python', platform.python_version())
for name in ('wse-server', 'uvicorn', 'uvloop', 'fastapi', 'websockets', 'picows', 'socketify'):
    try: print(name, m.version(name))
    except m.PackageNotFoundError: pass";

/// By name; what is not installed is not in it.
#[must_use]
pub fn read(places: &Places) -> BTreeMap<String, String> {
    let python = output(Command::new(&places.python).args(["-c", PYTHON]));
    let mut versions: BTreeMap<String, String> = python.lines().filter_map(pair).collect();
    let node = output(Command::new("node").arg("--version"));
    versions.extend((!node.is_empty()).then(|| ("Node".into(), node.trim_start_matches('v').trim().into())));
    versions.extend(["ws", "socket.io"].into_iter().filter_map(|name| Some((name.into(), package(&places.modules.join(name))?))));
    versions.extend(pair(&format!("wse-bench {}", env!("CARGO_PKG_VERSION"))));
    versions.extend(pair(output(Command::new("rustc").arg("--version")).split('(').next().unwrap_or_default()));
    versions
}

fn output(command: &mut Command) -> String {
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn pair(line: &str) -> Option<(String, String)> {
    line.trim().split_once(' ').map(|(name, version)| (name.into(), version.into()))
}

fn package(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("package.json")).ok()?;
    Some(serde_json::from_str::<serde_json::Value>(&text).ok()?["version"].as_str()?.to_owned())
}
