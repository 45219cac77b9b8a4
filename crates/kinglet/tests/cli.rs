//! The program from outside: exit codes, what goes to which stream, and what needs no daemon.

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

mod fake;

use fake::FakeDaemon;

fn kinglet() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kinglet"));
    command
        .env_remove("KINGLET_SOCKET")
        .env_remove("KINGLET_HOST")
        .env_remove("KINGLET_TOKEN_FILE")
        .env("NO_COLOR", "1");
    command
}

#[test]
fn no_daemon_is_exit_code_five() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("no.sock");
    for verb in [
        &["image", "ls"][..],
        &["vm", "ls"],
        &["run", "x", "--detach"],
        &["events"],
        &["web"],
        &["vm", "console", "x"],
    ] {
        kinglet()
            .arg("--socket")
            .arg(&socket)
            .args(verb)
            .assert()
            .code(5)
            .stdout("")
            .stderr(predicate::str::contains("kinglet serve"));
    }
}

#[test]
fn wrong_usage_is_exit_code_two() {
    for arguments in [
        &[][..],
        &["dance"],
        &["run"],
        &["vm", "create", "x", "--memory", "1X"],
        &["vm", "create", "x", "--name", "../etc"],
        &["vm", "create", "x", "--name", ""],
        &["vm", "create", "x", "--cpus", "0"],
        &["vm", "create", "x", "--publish", "99999:22"],
        &["vm", "create", "x", "--initrd", "y"],
        &["run", "x", "--rm", "--detach"],
        &["completion", "tcsh"],
        &["man", "no-such-verb"],
        &["--host", "nowhere", "vm", "ls"],
        &["--color", "sometimes", "vm", "ls"],
    ] {
        kinglet()
            .args(arguments)
            .assert()
            .code(2)
            .stdout("")
            .stderr(predicate::str::is_empty().not());
    }
}

#[test]
fn help_goes_to_standard_output() {
    kinglet()
        .arg("--help")
        .assert()
        .code(0)
        .stdout(predicate::str::contains("Exit codes:"))
        .stderr("");
}

#[test]
fn doctor_needs_no_daemon_and_agrees_with_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let output = kinglet()
        .args(["doctor", "--json", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = checks.as_array().unwrap();
    for check in checks {
        assert!(check["name"].is_string() && check["title"].is_string());
        assert!(["yes", "limited", "no"].contains(&check["verdict"].as_str().unwrap()));
        assert_eq!(check["verdict"] == "yes", check.get("remedy").is_none());
    }
    let kvm = checks.iter().find(|check| check["name"] == "kvm").unwrap();
    let detail = kvm["detail"].as_str().unwrap();
    let probe = kinglet().arg("kvm-probe").output().unwrap();
    assert!(probe.status.success());
    let last = String::from_utf8(probe.stdout).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    match last["outcome"]["kind"].as_str().unwrap() {
        "absent" => assert!(detail.contains("there is no /dev/kvm"), "{detail}"),
        "not-permitted" => assert!(detail.contains("may not be opened"), "{detail}"),
        "cannot" => {
            assert!(detail.contains("cannot run Linux"), "{detail}");
            assert!(detail.contains(last["outcome"]["why"].as_str().unwrap()));
        }
        "ran" => assert!(
            kvm["verdict"] == "yes" || detail.contains("by emulation"),
            "{detail}"
        ),
        other => panic!("{other}"),
    }
}

#[test]
fn completion_and_man_pages_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        kinglet()
            .args(["completion", shell])
            .assert()
            .code(0)
            .stdout(
                predicate::str::contains("image").and(predicate::str::contains("kvm-probe").not()),
            );
    }
    kinglet()
        .args(["man", "vm", "create"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("kinglet\\-vm\\-create"));
}

#[test]
fn refusals_and_missing_objects_have_their_exit_codes() {
    let daemon = FakeDaemon::start();
    daemon
        .command(kinglet())
        .args(["image", "show", "nothing"])
        .assert()
        .code(4)
        .stdout("");
    daemon
        .command(kinglet())
        .args(["vm", "start", "busy"])
        .assert()
        .code(3)
        .stdout("")
        .stderr(
            predicate::str::contains("Cannot start VM busy")
                .and(predicate::str::contains("possible now: stop")),
        );
}

#[test]
fn json_prints_the_api_objects_and_quiet_no_hints() {
    let daemon = FakeDaemon::start();
    let output = daemon
        .command(kinglet())
        .args(["--json", "image", "show", "debian-12"])
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown, fake::image());
    let output = daemon
        .command(kinglet())
        .args(["image", "ls", "--json"])
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed, Value::Array(vec![fake::image()]));
    daemon
        .command(kinglet())
        .args(["vm", "ls", "--quiet"])
        .assert()
        .code(0)
        .stderr("");
}

#[test]
fn tables_go_to_standard_output_without_colours_for_programs() {
    let daemon = FakeDaemon::start();
    let output = daemon
        .command(kinglet())
        .args(["image", "ls"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text:?}");
    insta::assert_snapshot!(text);
    let output = daemon
        .command(kinglet())
        .args(["--color", "always", "image", "ls"])
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains('\u{1b}'));
}

#[test]
fn deleting_unconfirmed_without_a_terminal_is_wrong_usage_and_deletes_nothing() {
    let daemon = FakeDaemon::start();
    daemon
        .command(kinglet())
        .args(["image", "rm", "debian-12"])
        .write_stdin("y\n")
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--yes"));
    assert!(!daemon.saw("DELETE"));
    daemon
        .command(kinglet())
        .args(["image", "rm", "debian-12", "--yes"])
        .assert()
        .code(0);
    assert!(daemon.saw("DELETE"));
}
