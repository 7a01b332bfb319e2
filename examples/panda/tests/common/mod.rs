//! Drives the real program, in homes of their own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "every test program uses a part of it")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder for homes; removed at the end.
pub(crate) struct Place(TempDir);

/// A home, which need not have been made.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    runtime: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn empty_home(&self, name: &str) -> Home {
        let runtime = self.path("runtime");
        std::fs::create_dir_all(&runtime).unwrap();
        Home { path: self.path(name), runtime }
    }

    /// A home with a key.
    pub(crate) fn home(&self, name: &str) -> Home {
        let home = self.empty_home(name);
        home.json(&["init"]);
        home
    }

    /// A file with this text.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Home {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panda"));
        command.arg("--home").arg(&self.path).args(args).env("XDG_RUNTIME_DIR", &self.runtime);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The answer for people of a command that succeeds.
    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "panda {args:?} failed: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The answer of a command that succeeds; one JSON value and nothing else.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.text(&[args, &["--json"]].concat());
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("panda {args:?}: {error}: {text}"))
    }

    /// What a command that fails says; it prints no answer.
    pub(crate) fn refusal(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "panda {args:?} should fail: {message}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "panda {args:?}");
        assert!(message.starts_with("panda: "), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        message
    }

    /// The id in the answer of a command, under this key.
    pub(crate) fn id(&self, key: &str, args: &[&str]) -> String {
        let value = self.json(args);
        value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
    }

    pub(crate) fn fingerprint(&self) -> Value {
        self.json(&["fingerprint"])
    }

    /// Founds a festival; its ticket.
    pub(crate) fn found(&self, title: &str) -> String {
        self.id("ticket", &["festival", "create", title, "--zone", "Europe/Berlin"])
    }

    pub(crate) fn serve(&self) -> Served {
        Served::start(self, &[])
    }

    /// One exchange with another home, which is served for so long.
    pub(crate) fn meet(&self, other: &Self) -> Value {
        let served = other.serve();
        let stats = self.json(&["sync", &served.address]);
        served.stop();
        stats
    }
}

/// A home that another process serves.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
    /// Its URL, where it was asked to listen for WebSocket.
    pub(crate) websocket: Option<String>,
}

impl Served {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        Self::announced(home, &[&["--no-lan"], args].concat())
    }

    /// The same, told to the local network if the arguments do not say otherwise.
    pub(crate) fn announced(home: &Home, args: &[&str]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0", "--json"], args].concat();
        let mut child =
            home.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut message = String::new();
            child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
            panic!("panda serve said nothing: {message}");
        }
        let value: Value = serde_json::from_str(&line).unwrap();
        let websocket = value["websocket"].as_str().map(|address| format!("ws://{address}"));
        let expected = [&["listening"][..], &["websocket"]].concat();
        assert_eq!(keys(&value), expected[..1 + usize::from(websocket.is_some())]);
        let address = value["listening"].as_str().unwrap().to_owned();
        Self { child, address, websocket }
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "serve ends well when it is asked to");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The keys of an object, in order of the alphabet.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A frab schedule of these events: guid, title, start in minutes from ten o'clock, minutes, room.
pub(crate) fn schedule(events: &[(&str, &str, u32, u32, &str)]) -> String {
    let mut rooms = serde_json::Map::new();
    for (guid, title, start, minutes, room) in events {
        let (hour, minute) = (10 + start / 60, start % 60);
        let event = serde_json::json!({
            "guid": guid,
            "title": title,
            "date": format!("2026-08-20T{hour:02}:{minute:02}:00+02:00"),
            "duration": format!("{}:{:02}", minutes / 60, minutes % 60),
            "room": room,
        });
        let room = rooms.entry(*room).or_insert_with(|| Value::Array(Vec::new()));
        room.as_array_mut().unwrap().push(event);
    }
    serde_json::json!({"schedule": {"conference": {
        "acronym": "meadow",
        "title": "Meadow",
        "time_zone_name": "Europe/Berlin",
        "days": [{"index": 1, "date": "2026-08-20", "rooms": rooms}],
    }}})
    .to_string()
}

/// A file of the real schedules that are not part of this repository, or `None`, which it says.
/// `P2PANDA_DATA` names their folder where it is not beside the workspace.
pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("P2PANDA_DATA").map_or(beside, PathBuf::from).join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: the real schedule {} is not here", path.display());
    None
}
