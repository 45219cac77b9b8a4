//! A VM on a bridge, in a network namespace of its own so that the host's network is left alone. Needs
//! root, `unshare` and `ip`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::process::Command;

use kinglet_model::image::Format;
use kinglet_model::vm::{Network, NetworkMode, VmAction, VmPhase, VmSpec};

use rig::*;

const INSIDE: &str = "KINGLET_TEST_IN_NAMESPACE";

fn run(program: &str, arguments: &[&str]) {
    assert!(
        Command::new(program)
            .args(arguments)
            .status()
            .unwrap()
            .success(),
        "{program}"
    );
}

#[test]
fn a_tap_is_on_its_bridge_while_the_vm_runs_and_gone_afterwards() {
    let test = "inside_a_namespace_of_its_own";
    let exe = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .arg("--net")
        .arg(exe)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// Not a test of its own: run by the one above.
#[tokio::test(flavor = "multi_thread")]
async fn inside_a_namespace_of_its_own() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["link", "add", "br-test", "type", "bridge"]);
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let network = Network {
        mode: NetworkMode::Tap,
        bridge: Some("br-test".to_owned()),
        ..Network::default()
    };
    let id = rig
        .create(VmSpec {
            network,
            ..from_image(&image)
        })
        .await
        .metadata
        .id;
    rig.until_phase(id, VmPhase::Running).await;
    assert_eq!(bridge_ports().len(), 1, "{:?}", bridge_ports());
    rig.machines.act(id, VmAction::Kill, None).await.unwrap();
    rig.until_phase(id, VmPhase::Stopped).await;
    assert!(bridge_ports().is_empty());

    let network = Network {
        mode: NetworkMode::Tap,
        bridge: Some("lo".to_owned()),
        ..Network::default()
    };
    let id = rig
        .create(VmSpec {
            network,
            ..from_image(&image)
        })
        .await
        .metadata
        .id;
    let vm = rig
        .until(id, "failed", |vm| vm.status.phase == VmPhase::Failed)
        .await;
    assert!(vm.status.reason.unwrap().contains("lo is not a bridge"));
    rig.end().await;
}

/// The interfaces on the bridge, as `ip` tells.
fn bridge_ports() -> Vec<String> {
    let output = Command::new("ip")
        .args(["-o", "link", "show", "master", "br-test"])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}
