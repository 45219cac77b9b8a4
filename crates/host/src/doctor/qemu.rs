//! QEMU and the firmware that its guests boot with.

use kinglet_model::host::Check;

use super::{DoctorConfig, limited, no, remedy, yes};
use crate::{firmware, qemu};

/// Device models that a VM of ours is made of.
const DEVICES: [&str; 9] = [
    "virtio-blk-pci",
    "virtio-scsi-pci",
    "virtio-net-pci",
    "virtio-rng-pci",
    "virtio-balloon-pci",
    "virtio-serial-pci",
    "virtserialport",
    "scsi-cd",
    "vhost-vsock-pci",
];

/// Which QEMU there is and whether its build has what VMs need.
pub fn qemu(_: &DoctorConfig) -> Check {
    const NAME: &str = "qemu";
    const TITLE: &str = "QEMU";
    let install = || remedy::install(&remedy::QEMU);
    let Some(qemu) = qemu::find() else {
        return no(
            NAME,
            TITLE,
            "no QEMU for x86-64 guests answers; VMs cannot run",
            install(),
        );
    };
    let lacking: Vec<&str> = DEVICES
        .into_iter()
        .filter(|device| !qemu.has_device(device))
        .collect();
    let what = format!(
        "version {} with {} ({})",
        qemu.version,
        qemu.accelerators.join(" and "),
        qemu.path.display()
    );
    if lacking.is_empty() {
        yes(NAME, TITLE, what)
    } else {
        limited(
            NAME,
            TITLE,
            format!("{what}, but this build lacks {}", lacking.join(", ")),
            install(),
        )
    }
}

/// Firmware for BIOS guests.
pub fn seabios(_: &DoctorConfig) -> Check {
    const NAME: &str = "seabios";
    const TITLE: &str = "BIOS firmware (SeaBIOS)";
    match firmware::seabios() {
        Some(file) => yes(NAME, TITLE, file.display().to_string()),
        None => limited(
            NAME,
            TITLE,
            "not found in its usual places; VMs that boot by BIOS may not start",
            remedy::install(&remedy::SEABIOS),
        ),
    }
}

/// Firmware for UEFI guests.
pub fn ovmf(_: &DoctorConfig) -> Check {
    const NAME: &str = "ovmf";
    const TITLE: &str = "UEFI firmware (OVMF)";
    match firmware::ovmf() {
        Some(pair) => yes(NAME, TITLE, pair.code.display().to_string()),
        None => no(
            NAME,
            TITLE,
            "not found; disks that boot only by UEFI cannot start",
            remedy::install(&remedy::OVMF),
        ),
    }
}
