//! A daemon that knows one image: enough to see what the command line makes of answers.
#![allow(clippy::unwrap_used, reason = "a part of the tests, which may fail")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct FakeDaemon {
    folder: TempDir,
    seen: Arc<Mutex<Vec<String>>>,
}

impl FakeDaemon {
    /// Listens on a socket of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("k.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &record);
            }
        });
        Self { folder, seen }
    }

    /// The same command, talking to this daemon.
    pub fn command(&self, mut command: Command) -> Command {
        command.env("KINGLET_SOCKET", self.folder.path().join("k.sock"));
        command
    }

    /// Whether a request with this method came.
    pub fn saw(&self, method: &str) -> bool {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.starts_with(method))
    }
}

fn answer(mut stream: UnixStream, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    seen.lock().unwrap().push(request.clone());
    let path = request.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let id = image()["metadata"]["id"].as_str().unwrap().to_owned();
    let (status, body) = match (request.split(' ').next().unwrap_or_default(), path) {
        ("GET", "/v1/images") => (200, json!([image()])),
        ("GET", "/v1/vms") => (200, json!([])),
        ("GET", "/v1/images/debian-12") => (200, image()),
        ("DELETE", path) if path.ends_with(&id) => (204, Value::Null),
        ("POST", "/v1/vms/busy/start") => (409, refusal()),
        _ => (404, missing()),
    };
    let body = if status == 204 {
        String::new()
    } else {
        body.to_string()
    };
    let kind = if status < 300 {
        "application/json"
    } else {
        "application/problem+json"
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-revision: 7\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}

/// The one image.
pub fn image() -> Value {
    json!({
        "kind": "Image",
        "metadata": {
            "id": "01956a3e-7c21-7f7e-9a52-3a7f0e9c4d10",
            "name": "debian-12",
            "labels": {},
            "revision": 7,
            "created": "2026-01-01T00:00:00Z"
        },
        "spec": { "folder": "images", "path": "debian-12.qcow2" },
        "status": {
            "phase": "ready",
            "progress": null,
            "fileSize": 400_000_000,
            "allocated": 400_000_000,
            "modified": 0,
            "format": "qcow2",
            "virtualSize": 4_294_967_296_u64,
            "users": [],
            "conditions": [],
            "actions": [{ "name": "delete", "allowed": true }]
        }
    })
}

fn refusal() -> Value {
    json!({
        "kind": "refused", "status": 409, "title": "Not possible now", "code": "vm-state",
        "detail": "Cannot start VM busy: it is already running.",
        "phase": "running",
        "actions": [
            { "name": "start", "allowed": false, "reason": "it is already running" },
            { "name": "stop", "allowed": true }
        ]
    })
}

fn missing() -> Value {
    json!({
        "kind": "not-found", "status": 404, "title": "Not found", "code": "no-such-object",
        "detail": "There is no such object."
    })
}
