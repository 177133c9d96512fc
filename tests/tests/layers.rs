//! The layers of the architecture: which crate may have which in its dependency tree.
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    process::Command,
};

/// Crate, what of ours it may import, what must not be anywhere in its tree.
const LAYERS: [(&str, &[&str], &[&str]); 7] = [
    ("wse-protocol", &[], &["tokio", "ring", "hyper", "redis", "pyo3"]),
    ("wse-crypto", &[], &["tokio", "hyper", "redis", "pyo3"]),
    ("wse-core", &["wse-protocol", "wse-crypto"], &["tokio", "hyper", "redis", "pyo3"]),
    ("wse-pubsub", &["wse-protocol", "wse-core", "wse-crypto"], &["hyper", "fastwebsockets", "pyo3"]),
    ("wse-server", &["wse-protocol", "wse-core", "wse-crypto", "wse-pubsub"], &["fastwebsockets", "pyo3"]),
    ("wse-python", &["wse-protocol", "wse-core", "wse-crypto", "wse-pubsub", "wse-server"], &[]),
    ("rust-service", &["wse-protocol", "wse-core", "wse-crypto", "wse-pubsub", "wse-server"], &["pyo3"]),
];

/// Crates that test and measure, and that nobody imports.
const OUTSIDE: [&str; 3] = ["wse-tests", "wse-micro", "wse-bench"];

/// Every package's normal dependencies, by name, with all features that the workspace turns on.
fn dependencies() -> HashMap<String, HashSet<String>> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: HashMap<String, String> = list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let is_normal = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let of_node = |node: &Value| {
        let deps = list(&node["deps"]).iter().filter(|dep| is_normal(dep)).map(|dep| names[&text(&dep["pkg"])].clone()).collect();
        (names[&text(&node["id"])].clone(), deps)
    };
    list(&metadata["resolve"]["nodes"]).iter().map(of_node).collect()
}

fn tree(of: &str, dependencies: &HashMap<String, HashSet<String>>) -> HashSet<String> {
    let (mut seen, mut next) = (HashSet::new(), vec![of.to_owned()]);
    while let Some(name) = next.pop() {
        let new = dependencies[&name].iter().filter(|dep| seen.insert((*dep).clone()));
        next.extend(new.cloned());
    }
    seen
}

#[test]
fn no_crate_has_in_its_tree_what_its_layer_forbids() {
    let dependencies = dependencies();
    for (name, ours, forbidden) in LAYERS {
        let tree = tree(name, &dependencies);
        let found: Vec<_> = forbidden.iter().filter(|f| tree.contains(**f)).collect();
        assert!(found.is_empty(), "{name} has {found:?} in its tree");
        let foreign: Vec<_> = tree.iter().filter(|dep| dep.starts_with("wse-") && !ours.contains(&dep.as_str())).collect();
        assert!(foreign.is_empty(), "{name} imports {foreign:?}, which is not below it");
    }
}

#[test]
fn every_crate_of_the_workspace_has_its_layer() {
    let is_ours = |name: &String| name.starts_with("wse-") && !OUTSIDE.contains(&name.as_str());
    let unnamed: Vec<_> = dependencies().into_keys().filter(is_ours).collect();
    assert!(unnamed.iter().all(|n| LAYERS.iter().any(|(name, ..)| name == n)), "{unnamed:?}");
}
