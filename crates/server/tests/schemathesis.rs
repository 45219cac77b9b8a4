//! A second opinion: schemathesis reads the description and asks what it likes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Stdio;

use support::Server;

/// Needs the Python package `schemathesis` (`KINGLET_SCHEMATHESIS` names the program where it is not
/// in `PATH`).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis; cargo nextest run -p kinglet-server --run-ignored only"]
async fn schemathesis_finds_nothing() {
    let server = Server::running().await;
    let program =
        std::env::var("KINGLET_SCHEMATHESIS").unwrap_or_else(|_| "schemathesis".to_owned());
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml");
    let output = tokio::process::Command::new(&program)
        .args(["--config-file", settings, "run"])
        .arg(format!("http://{}/v1/openapi.json", server.authority()))
        .args([
            "--header",
            &format!("Authorization: Bearer {}", server.token),
        ])
        .args(["--max-examples", "15", "--workers", "1", "--seed", "1"])
        .args(["--request-timeout", "10"])
        .current_dir(server.folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
