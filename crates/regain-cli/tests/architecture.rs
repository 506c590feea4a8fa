//! The direction of the crates, as `cargo metadata` tells it. Whoever adds an arrow has to change this file, and say why.
#![expect(clippy::expect_used, reason = "a panic is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Which crates of ours each crate may depend on.
const ARROWS: [(&str, &[&str]); 5] = [
    ("regain-core", &[]),
    ("regain-smtp", &[]),
    ("regain-store", &["regain-core"]),
    ("regain", &["regain-core", "regain-smtp", "regain-store"]),
    ("regain-cli", &["regain", "regain-core", "regain-smtp", "regain-store"]),
];

/// What each crate must not know.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    (
        "regain-core",
        &[
            "axum",
            "http",
            "hyper",
            "hyper-util",
            "rusqlite",
            "tokio-postgres",
            "rustls",
            "tokio-rustls",
            "clap",
            "toml",
        ],
    ),
    // It speaks TLS itself, towards PostgreSQL.
    ("regain-store", &["axum", "http", "hyper", "mail-builder", "clap"]),
    ("regain-smtp", &["axum", "http", "hyper", "rusqlite", "tokio-postgres", "argon2", "clap"]),
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("there are packages").clone()
}

/// What a crate depends on when it is used; what its tests and benches need is not of interest.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let normal = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a list").iter();
        all.filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    packages()
        .iter()
        .map(|package| (package["name"].as_str().expect("a name").to_owned(), normal(package)))
        .collect()
}

#[test]
fn the_crates_depend_on_each_other_in_the_direction_that_is_drawn() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, drawn, "the crates of the workspace");
    for (name, allowed) in ARROWS {
        let found: BTreeSet<&str> = dependencies[name]
            .iter()
            .map(String::as_str)
            .filter(|dependency| ours.contains(dependency))
            .collect();
        assert_eq!(found, allowed.iter().copied().collect(), "the arrows from {name}");
    }
}

#[test]
fn no_crate_knows_what_is_another_ones_business() {
    let dependencies = dependencies();
    for (name, forbidden) in FORBIDDEN {
        for library in forbidden {
            assert!(!dependencies[name].contains(*library), "{name} must not depend on {library}");
        }
    }
}

#[test]
fn the_rules_open_no_socket_and_no_file() {
    // The workspace shares one set of tokio's features, so only the sources can tell.
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../regain-core/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("a source");
            for forbidden in
                ["tokio::net", "tokio::fs", "tokio::process", "std::fs", "TcpStream", "UdpSocket"]
            {
                assert!(!text.contains(forbidden), "{} names {forbidden}", path.display());
            }
        }
    }
    assert!(files > 20, "only {files} sources were found");
}
