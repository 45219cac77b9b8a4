//! Everything that must be true, in one run. CI calls exactly this.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use kinglet_tests::Daemon;

use crate::build::{self, Profile};
use crate::setup::{self, Purpose, cargo};
use crate::tool::{run_visibly, search_path, tool};
use crate::{guest, web};

/// Runs everything, the quickest to fail first.
pub fn run() -> Result<()> {
    let start = Instant::now();
    setup::ensure(Purpose::Test)?;
    stage("the page builds, type-checks and keeps its size", page)?;
    stage("the code is formatted and has no warnings", lints)?;
    let program = stage("the program builds", || build::kinglet(Profile::Dev))?;
    let guests = stage("the guests are there", guests)?;
    stage("other people's clients are there", clients)?;
    stage(
        "unit, property, corpus, API, CLI and end-to-end tests",
        || suite(&guests),
    )?;
    stage("schemathesis plays with the API", || schemathesis(&program))?;
    stage("the page in a real browser", || {
        browser(&program, &guests.debian)
    })?;
    eprintln!(
        "test: all stages passed in {} min",
        start.elapsed().as_secs() / 60
    );
    Ok(())
}

fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\n=== {name}");
    work().with_context(|| format!("failed: {name}"))
}

fn page() -> Result<()> {
    web::build()?;
    for script in ["check", "test", "size"] {
        npm(&["run", script], &[])?;
    }
    Ok(())
}

fn lints() -> Result<()> {
    let root = web::workspace();
    run_visibly(
        cargo()?
            .current_dir(&root)
            .args(["fmt", "--all", "--check"]),
    )?;
    run_visibly(cargo()?.current_dir(&root).args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// The folders of the guests that tests boot.
struct Guests {
    debian: PathBuf,
    tiny: PathBuf,
    host: PathBuf,
}

fn guests() -> Result<Guests> {
    Ok(Guests {
        debian: guest::debian()?.folder,
        tiny: guest::tiny()?.folder,
        host: guest::host()?.folder,
    })
}

fn suite(guests: &Guests) -> Result<()> {
    run_visibly(
        setup::test_runner()?
            .current_dir(web::workspace())
            .args(["--locked", "--workspace"])
            .env("PATH", search_path())
            .env("KINGLET_GUEST_DEBIAN", &guests.debian)
            .env("KINGLET_GUEST_TINY", &guests.tiny)
            .env("KINGLET_GUEST_HOST", &guests.host),
    )
}

/// tus-js-client and tuspy, where the upload tests look for them.
fn clients() -> Result<()> {
    let clients = web::workspace().join("tests/clients");
    if !clients.join("node_modules/tus-js-client").is_dir() {
        let arguments = ["ci", "--no-audit", "--no-fund"];
        run_visibly(tool("npm")?.current_dir(&clients).args(arguments))?;
    }
    let requirements = clients.join("requirements.txt");
    let wanted = ["--requirement".as_ref(), requirements.as_os_str()];
    python(&web::workspace().join("target/test-clients/venv"), &wanted)
}

/// A Python of its own in `folder`, with what `wanted` says installed: nothing of the machine is changed.
fn python(folder: &Path, wanted: &[&OsStr]) -> Result<()> {
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(());
    }
    run_visibly(tool("python3")?.args(["-m", "venv", "--clear"]).arg(folder))?;
    run_visibly(
        std::process::Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(wanted),
    )?;
    std::fs::write(&complete, "")?;
    Ok(())
}

/// The version that the API was last played with.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

fn schemathesis(program: &Path) -> Result<()> {
    let environment = build::target().join("xtask/schemathesis");
    python(&environment, &[SCHEMATHESIS.as_ref()])?;
    let binary = environment.join("bin/schemathesis");
    let daemon = Daemon::start_program(program.to_owned())?;
    let token = std::fs::read_to_string(daemon.data().join("token"))?;
    run_visibly(
        std::process::Command::new(binary)
            .arg("--config-file")
            .arg(web::workspace().join("tests/schemathesis.toml"))
            .arg("run")
            .arg(format!("http://{}/v1/openapi.json", daemon.address()))
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", token.trim()))
            .args(["--max-examples", "15", "--workers", "1", "--seed", "1"])
            .args(["--request-timeout", "30"])
            .current_dir(daemon.scratch())
            .stdin(std::process::Stdio::null()),
    )
}

fn browser(program: &Path, debian: &Path) -> Result<()> {
    let daemon = Daemon::start_program(program.to_owned())?;
    let url = daemon.ok(["web"])?;
    npm(
        &["run", "e2e"],
        &[
            ("KINGLET_URL", url.trim().as_ref()),
            ("KINGLET_IMAGES", daemon.images().as_os_str()),
            ("KINGLET_SOCKET", daemon.socket().as_os_str()),
            ("KINGLET_PROGRAM", program.as_os_str()),
            ("KINGLET_GUEST", debian.join("debian-12.qcow2").as_os_str()),
        ],
    )
}

pub(crate) fn npm(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<()> {
    let mut npm = tool("npm")?;
    npm.current_dir(web::workspace().join("web"))
        .args(arguments);
    npm.envs(environment.iter().copied());
    run_visibly(&mut npm)
}
