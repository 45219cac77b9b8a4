//! The tools that judge what this crate does: `qemu-img`, `qemu-io` and others. A tool that is missing
//! fails the test, naming it.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

/// Runs a tool, which has to succeed; returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `qemu-img`.
pub fn qemu_img(arguments: &[&str]) -> String {
    run("qemu-img", arguments)
}

/// `qemu-img info`, with a format or detecting it.
pub fn qemu_info(path: &Path, format: Option<&str>) -> serde_json::Value {
    let mut arguments = vec!["info", "--output=json"];
    if let Some(format) = format {
        arguments.extend(["-f", format]);
    }
    arguments.push(path.to_str().unwrap());
    serde_json::from_str(&qemu_img(&arguments)).unwrap()
}

/// Runs `qemu-io` with commands; a pattern that does not match fails.
pub fn io(path: &Path, commands: &[&str]) {
    let mut arguments = Vec::new();
    for command in commands {
        arguments.extend(["-c", command]);
    }
    arguments.push(path.to_str().unwrap());
    let output = run("qemu-io", &arguments);
    assert!(!output.contains("failed"), "{output}");
}
