//! The rules of ARCHITECTURE.md that concern files: who may depend on whom, and who may name what.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The longest source file, in lines.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below some folders of the repository: path from its root, and content.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                waiting.push(path);
            } else if name.ends_with(".rs") {
                let content = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                files.push((path, content));
            }
        }
    }
    assert!(!files.is_empty(), "no sources below {folders:?}");
    files
}

/// The names in the sections of a manifest whose headings end with `dependencies`, dev ones apart.
fn dependencies(package: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let mut names = Vec::new();
    let mut counts = false;
    for line in manifest.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_end_matches(']');
            counts = heading.ends_with("dependencies") && !heading.contains("dev-");
        } else if counts
            && let Some((name, _)) = line.split_once(['.', '=', ' '])
            && !name.starts_with('#')
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn the_crates_know_only_the_layers_below_them() {
    let ours = |package| -> Vec<String> {
        dependencies(package).into_iter().filter(|name| name.starts_with("p2panda-")).collect()
    };
    assert_eq!(ours("p2panda-core"), [""; 0]);
    assert_eq!(ours("p2panda-policy"), ["p2panda-core"]);
    assert_eq!(ours("p2panda-sync"), ["p2panda-core"]);
    assert_eq!(ours("examples/interchange"), ["p2panda-core"]);
}

#[test]
fn automerge_has_one_door() {
    for package in ["p2panda-policy", "p2panda-sync", "examples/interchange", "examples/panda"] {
        let names = dependencies(package);
        assert!(!names.iter().any(|name| name == "automerge" || name == "hexane"), "{package}");
    }
    for (path, content) in sources(&["p2panda-core/src"]) {
        let door = path.starts_with("p2panda-core/src/document");
        assert!(door || !content.contains("automerge::"), "{path} names Automerge");
    }
}

#[test]
fn no_library_but_the_transports_knows_an_async_runtime() {
    for package in ["p2panda-core", "p2panda-policy", "examples/interchange"] {
        assert!(!dependencies(package).iter().any(|name| name.starts_with("tokio")), "{package}");
    }
    let allowed = ["clock", "stream", "tcp", "websocket"]
        .map(|name| format!("p2panda-sync/src/transport/{name}.rs"));
    for (path, content) in sources(&["p2panda-sync/src"]) {
        assert!(allowed.contains(&path) || !names_tokio(&content), "{path} names tokio");
    }
}

fn names_tokio(content: &str) -> bool {
    ["tokio::", "tokio_util::", "tokio_tungstenite::"].iter().any(|name| content.contains(name))
}

#[test]
fn no_client_speaks_without_encryption() {
    let plain = ["TcpTransport", "features = [\"tcp\"", "\"tcp\","];
    for folder in ["examples/panda", "examples/quickstart"] {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let sources = sources(&[folder]);
        for (path, content) in sources.iter().chain([&(format!("{folder}/Cargo.toml"), manifest)]) {
            assert!(!plain.iter().any(|name| content.contains(name)), "{path} names plain TCP");
        }
    }
}

#[test]
fn core_and_policy_have_no_clock_no_socket_and_no_randomness_of_their_own() {
    for (path, content) in sources(&["p2panda-core/src", "p2panda-policy/src"]) {
        for name in ["SystemTime", "std::time::Instant", "std::net", "getrandom", "thread_rng"] {
            assert!(!content.contains(name), "{path} names {name}");
        }
    }
}

#[test]
fn files_are_short_enough_to_be_read_at_once() {
    let ours = ["p2panda-core", "p2panda-policy", "p2panda-sync"];
    let folders = [&ours[..], &["examples", "benches", "fuzz", "vectors"]].concat();
    for (path, content) in sources(&folders) {
        let lines = content.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines: split it by meaning");
    }
}
