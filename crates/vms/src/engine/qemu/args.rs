//! QEMU's arguments: a pure function of the VM and its files.
//!
//! Every disk is a chain of `-blockdev` nodes whose drivers are named, down to the last file: nothing
//! is left for QEMU to detect, and no file is opened because another names it. Every device is
//! virtio; what a PC has besides (a serial port, a CD-ROM behind virtio-scsi) has no virtio kind.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kinglet_disk::overlay::qemu_driver;
use kinglet_host::firmware::Ovmf;
use kinglet_model::vm::publish::Protocol;
use kinglet_model::vm::{Accelerator, AttachedDisk, Boot, NetworkMode};
use kinglet_model::{Id, Vm};
use serde_json::{Value, json};

use crate::folder::{Folder, serial};

/// The descriptors that the process inherits.
pub const LOCK_FD: i32 = 3;
/// The listening control socket.
pub const QMP_FD: i32 = 4;
/// The tap device.
pub const TAP_FD: i32 = 5;

/// The CD-ROM drive's device id.
pub const DRIVE: &str = "cdrom";

/// What the arguments depend on.
pub struct Plan<'a> {
    /// The VM.
    pub vm: &'a Vm,
    /// Its files.
    pub folder: &'a Folder,
    /// What executes it.
    pub accelerator: Accelerator,
    /// The firmware, where it boots by UEFI.
    pub uefi: Option<&'a Ovmf>,
    /// The device models of this build; a device that it lacks is left out where the VM can do without.
    pub has_device: &'a dyn Fn(&str) -> bool,
    /// Its vsock address, where the host has vsock.
    pub vsock: Option<u32>,
    /// Whether unneeded system calls are forbidden.
    pub sandbox: bool,
    /// Begin halted.
    pub halted: bool,
}

/// The arguments, without the program's name.
#[must_use]
pub fn arguments(plan: &Plan<'_>) -> Vec<OsString> {
    let mut args = Arguments::default();
    machine(&mut args, plan);
    boot(&mut args, plan);
    control(&mut args, plan);
    for (index, disk) in plan.vm.status.disks.iter().enumerate() {
        add_disk(&mut args, plan, index, disk);
    }
    drive(&mut args, plan);
    network(&mut args, plan);
    small_devices(&mut args, plan);
    args.0
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) {
        self.0.push(option.into());
        self.0.push(value.into());
    }

    fn device(&mut self, value: impl Into<OsString>) {
        self.pair("-device", value);
    }

    fn blockdev(&mut self, node: &Value) {
        self.pair("-blockdev", node.to_string());
    }
}

fn machine(args: &mut Arguments, plan: &Plan<'_>) {
    let vm = plan.vm;
    args.pair("-name", format!("kinglet-{}", vm.metadata.name));
    args.pair("-uuid", vm.metadata.id.to_string());
    args.flag("-no-user-config");
    args.flag("-nodefaults");
    let pflash = if plan.uefi.is_some() {
        ",pflash0=uefi-code,pflash1=uefi-vars"
    } else {
        ""
    };
    args.pair(
        "-machine",
        format!("q35,usb=off,sata=off,vmport=off,graphics=off{pflash}"),
    );
    match plan.accelerator {
        Accelerator::Kvm => {
            args.pair("-accel", "kvm");
            args.pair("-cpu", "host");
        }
        Accelerator::Tcg => {
            args.pair("-accel", "tcg,thread=multi");
            args.pair("-cpu", "max");
        }
    }
    args.pair("-smp", vm.spec.vcpus.to_string());
    args.pair("-m", format!("{}M", vm.spec.memory.bytes() >> 20));
    args.pair("-vga", "none");
    args.pair("-display", "none");
    args.pair("-rtc", "base=utc");
    // The process waits after a shutdown or a panic, so that what happened is read from it even when
    // nobody was connected at that moment.
    args.pair("-action", "reboot=reset,shutdown=pause,panic=pause");
    if plan.sandbox {
        args.pair(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
    }
    if plan.halted {
        args.flag("-S");
    }
}

fn boot(args: &mut Arguments, plan: &Plan<'_>) {
    if let Some(ovmf) = plan.uefi {
        args.blockdev(&raw_node("uefi-code", &ovmf.code, true));
        args.blockdev(&raw_node("uefi-vars", &plan.folder.uefi_vars(), false));
    }
    if let Boot::Kernel {
        initrd, cmdline, ..
    } = &plan.vm.spec.boot
    {
        args.pair("-kernel", plan.folder.kernel());
        if initrd.is_some() {
            args.pair("-initrd", plan.folder.initrd());
        }
        args.pair("-append", cmdline.clone());
    }
}

fn control(args: &mut Arguments, plan: &Plan<'_>) {
    args.pair(
        "-chardev",
        format!("socket,id=qmp,fd={QMP_FD},server=on,wait=off"),
    );
    args.pair("-mon", "chardev=qmp,mode=control");
    // What is said goes to the log and nowhere else: with a reader behind a socket, one that stops
    // reading, or is killed, stops the guest's serial port for good.
    let mut console = OsString::from("pipe,id=console,logappend=on,path=");
    console.push(doubled_commas(&plan.folder.console_pipe()));
    console.push(",logfile=");
    console.push(doubled_commas(&plan.folder.console_log()));
    args.pair("-chardev", console);
    args.device("isa-serial,id=com1,chardev=console");
    args.device("virtio-serial-pci,id=serial");
}

fn add_disk(args: &mut Arguments, plan: &Plan<'_>, index: usize, disk: &AttachedDisk) {
    let node = format!("disk{index}");
    args.blockdev(&disk_node(plan.folder, &node, disk));
    let name = disk
        .name
        .parse()
        .map_or_else(|_| disk.name.clone(), |name| serial(&name).to_owned());
    let boot = if index == 0 { ",bootindex=1" } else { "" };
    args.device(format!(
        "virtio-blk-pci,id=blk-{},drive={node},serial={name}{boot}",
        disk.name
    ));
}

/// The node of a disk: an overlay of its own, or the held image itself, read-only.
fn disk_node(folder: &Folder, node: &str, disk: &AttachedDisk) -> Value {
    let base = disk.image_format.and_then(qemu_driver);
    match (base, disk.read_only) {
        (Some(driver), true) => image_node(Some(node), driver, &folder.base(&disk.name)),
        (None, true) => raw_node(node, &folder.disk(&disk.name), true),
        (base, false) => {
            let backing = base.map_or(Value::Null, |driver| {
                image_node(None, driver, &folder.base(&disk.name))
            });
            json!({
                "driver": "qcow2", "node-name": node, "discard": "unmap", "detect-zeroes": "unmap",
                "file": {
                    "driver": "file", "filename": text(&folder.disk(&disk.name)), "discard": "unmap",
                },
                "backing": backing,
            })
        }
    }
}

/// A held image, read-only. What it may name as its own backing file is not opened.
fn image_node(node: Option<&str>, driver: &str, path: &Path) -> Value {
    let mut value = json!({
        "driver": driver, "read-only": true,
        "file": { "driver": "file", "filename": text(path), "read-only": true },
    });
    if let Some(node) = node {
        value["node-name"] = json!(node);
    }
    if driver == "qcow2" {
        value["backing"] = Value::Null;
    }
    value
}

fn raw_node(node: &str, path: &Path, read_only: bool) -> Value {
    json!({
        "driver": "raw", "node-name": node, "read-only": read_only,
        "file": { "driver": "file", "filename": text(path), "read-only": read_only },
    })
}

fn drive(args: &mut Arguments, plan: &Plan<'_>) {
    args.device("virtio-scsi-pci,id=scsi");
    let disc = plan
        .vm
        .spec
        .media
        .as_ref()
        .and_then(|media| media.parse::<Id>().ok());
    let medium = disc.map_or(String::new(), |id| {
        args.blockdev(&media_node(id, &plan.folder.media(id)));
        format!(",drive={}", media_node_name(id))
    });
    args.device(format!("scsi-cd,id={DRIVE},bus=scsi.0,bootindex=2{medium}"));
}

/// The node of a disc.
#[must_use]
pub fn media_node(id: Id, path: &Path) -> Value {
    raw_node(&media_node_name(id), path, true)
}

/// The name of a disc's node: at most 31 bytes, so the end of the id, which is its random part.
#[must_use]
pub fn media_node_name(id: Id) -> String {
    let hex = id.uuid().simple().to_string();
    format!("media-{}", &hex[8..])
}

fn network(args: &mut Arguments, plan: &Plan<'_>) {
    let network = &plan.vm.spec.network;
    let backend = match network.mode {
        NetworkMode::None => return,
        NetworkMode::Tap => format!("tap,id=net,fd={TAP_FD}"),
        NetworkMode::User => {
            let mut backend = "user,id=net".to_owned();
            for publish in &network.publish {
                let protocol = match publish.protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                };
                backend += &format!(
                    ",hostfwd={protocol}:{}:{}-:{}",
                    publish.address, publish.host, publish.guest
                );
            }
            backend
        }
    };
    args.pair("-netdev", backend);
    let mac = plan
        .vm
        .status
        .mac
        .clone()
        .unwrap_or_else(|| mac(plan.vm.metadata.id));
    args.device(format!(
        "virtio-net-pci,id=nic,netdev=net,mac={mac},romfile="
    ));
}

fn small_devices(args: &mut Arguments, plan: &Plan<'_>) {
    args.pair("-object", "rng-random,id=entropy,filename=/dev/urandom");
    args.device("virtio-rng-pci,id=rng,rng=entropy");
    args.device("virtio-balloon-pci,id=balloon,free-page-reporting=on,deflate-on-oom=on");
    if (plan.has_device)("pvpanic-pci") {
        args.device("pvpanic-pci,id=panic");
    }
    if let Some(cid) = plan.vsock {
        args.device(format!("vhost-vsock-pci,id=vsock,guest-cid={cid}"));
    }
}

/// The hardware address of a VM: from the random part of its id, locally administered, unicast.
#[must_use]
pub fn mac(id: Id) -> String {
    let bytes = id.uuid().into_bytes();
    format!(
        "52:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        bytes[11], bytes[12], bytes[13], bytes[14], bytes[15]
    )
}

/// A path in JSON. The data folder's path is checked to be UTF-8 when the VMs are opened.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// In QEMU's lists of options a comma in a value is written twice.
fn doubled_commas(path: &Path) -> OsString {
    let mut out = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        out.push(byte);
        if byte == b',' {
            out.push(b',');
        }
    }
    std::os::unix::ffi::OsStringExt::from_vec(out)
}

#[cfg(test)]
mod tests;
