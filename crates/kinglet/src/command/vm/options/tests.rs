//! From flags to a spec.

use clap::Parser;

use super::*;
use crate::failure::Code;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn new_vm(flags: &[&str]) -> Outcome<NewVm> {
    let line = Line::try_parse_from([&["x"], flags].concat()).unwrap();
    line.options.new_vm(Some("debian-12".to_owned()), Power::On)
}

#[test]
fn no_flags_are_the_defaults_of_the_api() {
    let spec = new_vm(&[]).unwrap().spec;
    assert_eq!(
        spec,
        VmSpec {
            image: Some("debian-12".to_owned()),
            power: Power::On,
            ..VmSpec::default()
        }
    );
}

#[test]
fn flags_come_to_a_spec() {
    let vm = new_vm(&[
        "--name",
        "web-1",
        "--memory",
        "1.5G",
        "-c",
        "4",
        "-p",
        "2222:22",
        "-p",
        "53:53/udp",
        "--label",
        "team=a=b",
        "--kernel",
        "vmlinuz",
        "--initrd",
        "initrd",
        "--cmdline",
        "-- console=ttyS0",
    ])
    .unwrap();
    assert_eq!(vm.name.unwrap().as_str(), "web-1");
    assert_eq!(vm.labels["team"], "a=b");
    assert_eq!((vm.spec.memory, vm.spec.vcpus), (Size::mib(1536), 4));
    assert_eq!(vm.spec.network.publish.len(), 2);
    assert_eq!(
        vm.spec.boot,
        Boot::Kernel {
            kernel: "vmlinuz".to_owned(),
            initrd: Some("initrd".to_owned()),
            cmdline: "-- console=ttyS0".to_owned(),
        }
    );
}

#[test]
fn a_bridge_is_a_tap_network() {
    let network = new_vm(&["--network", "bridge=br0"]).unwrap().spec.network;
    assert_eq!(network.mode, NetworkMode::Tap);
    assert_eq!(network.bridge.as_deref(), Some("br0"));
    assert!(Line::try_parse_from(["x", "--network", "bridge="]).is_err());
}

#[test]
fn what_the_model_refuses_is_wrong_usage() {
    for flags in [["--cpus", "0"], ["--memory", "1M"], ["--disk-size", "100"]] {
        assert_eq!(new_vm(&flags).unwrap_err().code(), Code::Usage, "{flags:?}");
    }
}

#[test]
fn keys_are_read_from_files_and_private_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "# mine\nssh-ed25519 AAAA ada\n\nssh-rsa BBBB bob\n").unwrap();
    let seed = new_vm(&["--ssh-key", path]).unwrap().spec.seed.unwrap();
    assert_eq!(seed.ssh_keys, ["ssh-ed25519 AAAA ada", "ssh-rsa BBBB bob"]);
    std::fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    let refusal = new_vm(&["--ssh-key", path]).unwrap_err();
    assert!(refusal.to_string().contains("private key"), "{refusal}");
    std::fs::write(&file, "# nothing\n").unwrap();
    assert_eq!(
        new_vm(&["--ssh-key", path]).unwrap_err().code(),
        Code::Usage
    );
    assert_eq!(
        new_vm(&["--user-data", "/no/such/file"])
            .unwrap_err()
            .code(),
        Code::Usage
    );
}
