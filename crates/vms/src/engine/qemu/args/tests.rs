//! The arguments of a VM, as a whole.

use kinglet_model::image::Format;
use kinglet_model::vm::{Firmware, Network, VmSpec, VmStatus};
use kinglet_model::{Metadata, Size};

use super::*;

fn vm() -> Vm {
    let mut metadata = Metadata::new("web-1".parse().unwrap());
    metadata.id = "01956a3e-7c21-7f7e-9a52-3a7f0e9c4d10".parse().unwrap();
    Vm {
        kind: "Vm".to_owned(),
        metadata,
        spec: VmSpec::default(),
        status: VmStatus::default(),
    }
}

fn disk(name: &str, format: Option<Format>, read_only: bool) -> AttachedDisk {
    AttachedDisk {
        name: name.to_owned(),
        image: None,
        image_format: format,
        size: Size::gib(1),
        read_only,
    }
}

fn lines<'a>(vm: &'a Vm, change: impl FnOnce(&mut Plan<'a>)) -> String {
    let folder = Folder::of(Path::new("/d,a"), Path::new("/r"), vm.metadata.id);
    let folder: &'a Folder = Box::leak(Box::new(folder));
    let mut plan = Plan {
        vm,
        folder,
        accelerator: Accelerator::Tcg,
        uefi: None,
        has_device: &|_| true,
        vsock: None,
        sandbox: true,
        halted: false,
    };
    change(&mut plan);
    let all: Vec<String> = arguments(&plan)
        .into_iter()
        .map(|arg| arg.into_string().unwrap())
        .collect();
    all.join("\n")
        .replace("\n-", "\u{0}-")
        .replace('\n', " ")
        .replace('\u{0}', "\n")
}

#[test]
fn arguments_of_a_whole_vm_are_as_written() {
    let mut vm = vm();
    vm.spec.vcpus = 2;
    vm.spec.network.publish = vec![
        "2222:22".parse().unwrap(),
        "0.0.0.0:53:53/udp".parse().unwrap(),
    ];
    vm.spec.media = Some("01956a3e-7c21-7f7e-9a52-3a7f0e9c4d11".to_owned());
    vm.status.disks = vec![
        disk("root", Some(Format::Raw), false),
        disk("data", None, false),
        disk("tools", Some(Format::Qcow2), true),
        disk("seed", None, true),
    ];
    let written = include_str!("whole-vm.txt");
    let found = lines(&vm, |plan| plan.vsock = Some(3));
    assert_eq!(found.trim_end(), written.trim_end(), "--- found:\n{found}");
}

#[test]
fn every_device_is_paravirtual_or_has_no_paravirtual_kind() {
    let mut vm = vm();
    vm.status.disks = vec![disk("root", None, false)];
    let found = lines(&vm, |_| {});
    let devices = found
        .lines()
        .filter_map(|line| line.strip_prefix("-device "));
    for device in devices {
        let model = device.split(',').next().unwrap();
        let known = ["isa-serial", "scsi-cd", "pvpanic-pci"];
        assert!(
            model.starts_with("virtio-") || known.contains(&model),
            "{model}"
        );
    }
}

#[test]
fn firmware_kernel_network_and_accelerator_follow_the_spec() {
    let ovmf = Ovmf {
        code: "/f/code".into(),
        vars: "/f/vars".into(),
    };
    let mut vm = vm();
    vm.spec.boot = Boot::Firmware {
        firmware: Firmware::Uefi,
    };
    let uefi = lines(&vm, |plan| {
        plan.uefi = Some(&ovmf);
        plan.accelerator = Accelerator::Kvm;
        plan.sandbox = false;
        plan.halted = true;
    });
    assert!(uefi.contains("pflash0=uefi-code,pflash1=uefi-vars"));
    assert!(uefi.contains("ovmf-vars.fd") && !uefi.contains("/f/vars"));
    assert!(uefi.contains("-accel kvm\n-cpu host") && uefi.contains("\n-S"));
    assert!(!uefi.contains("-sandbox"));

    vm.spec.boot = Boot::Kernel {
        kernel: "k".to_owned(),
        initrd: Some("i".to_owned()),
        cmdline: "a,b -drive file=/etc/shadow".to_owned(),
    };
    vm.spec.network = Network {
        mode: NetworkMode::None,
        ..Network::default()
    };
    let kernel = lines(&vm, |_| {});
    assert!(kernel.contains("-append a,b -drive file=/etc/shadow\n"));
    assert!(kernel.contains("/kernel") && kernel.contains("/initrd"));
    assert!(!kernel.contains("-netdev"));

    vm.spec.network.mode = NetworkMode::Tap;
    assert!(lines(&vm, |_| {}).contains("-netdev tap,id=net,fd=5"));
}

#[test]
fn mac_is_local_unicast_and_stable() {
    let id = vm().metadata.id;
    assert_eq!(mac(id), mac(id));
    let first = u8::from_str_radix(&mac(id)[..2], 16).unwrap();
    assert_eq!(first & 0b11, 0b10);
    assert_ne!(mac(id), mac(Id::generate()));
}

#[test]
fn node_names_are_short_enough_for_qemu() {
    assert!(media_node_name(Id::generate()).len() <= 31);
}
