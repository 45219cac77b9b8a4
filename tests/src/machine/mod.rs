//! Machines that the tests make for themselves, where the one that they run on lacks something: QEMU
//! with its translator, no KVM, no network.
//!
//! [`Machine`] is the hardware. [`Host`] boots a Linux on it that runs one program of ours and ends.
//! [`VolatileDisk`] is a disk that loses at a power cut what was not flushed.

mod disk;
mod host;
mod nbd;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use self::disk::VolatileDisk;
pub use self::host::{Host, Run};

/// The hardware of a machine, and what it boots.
#[derive(Debug, Clone)]
pub struct Machine {
    memory: u32,
    cpus: u32,
    kernel: Option<(PathBuf, PathBuf, String)>,
    serial: Serial,
    reboots: bool,
    devices: Vec<OsString>,
    disks: usize,
}

/// Where a machine's serial console ends.
#[derive(Debug, Clone)]
enum Serial {
    /// At QEMU's own input and output.
    Here,
    File(PathBuf),
}

impl Machine {
    /// A machine with this much memory, in MiB, whose console is QEMU's standard input and output.
    #[must_use]
    pub const fn new(memory: u32) -> Self {
        Self {
            memory,
            cpus: 1,
            kernel: None,
            serial: Serial::Here,
            reboots: true,
            devices: Vec::new(),
            disks: 0,
        }
    }

    /// So many processors.
    #[must_use]
    pub const fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Boots this kernel, not what is on the first disk.
    #[must_use]
    pub fn kernel(mut self, kernel: &Path, initrd: &Path, arguments: &str) -> Self {
        self.kernel = Some((kernel.into(), initrd.into(), arguments.to_owned()));
        self
    }

    /// Writes what is said on the console into a file.
    #[must_use]
    pub fn console_in(mut self, file: &Path) -> Self {
        self.serial = Serial::File(file.into());
        self
    }

    /// Ends instead of booting again.
    #[must_use]
    pub const fn boots_once(mut self) -> Self {
        self.reboots = false;
        self
    }

    /// A disk: a file of this format. QEMU's own caching stays out of it as far as it can: what the
    /// guest has written is in the file when QEMU is killed, flushed or not.
    #[must_use]
    pub fn disk(self, file: &Path, format: &str) -> Self {
        let mut drive = OsString::from(format!("format={format},file="));
        drive.push(file);
        self.drive(drive)
    }

    /// A disk that can lose what was not flushed.
    #[must_use]
    pub fn volatile_disk(self, disk: &VolatileDisk) -> Self {
        let mut drive = OsString::from("format=raw,file=nbd:unix:");
        drive.push(disk.socket());
        self.drive(drive)
    }

    /// A folder of this machine, which the other one can mount over 9p by its `tag`.
    #[must_use]
    pub fn share(mut self, tag: &str, folder: &Path, readonly: bool) -> Self {
        let mut device = OsString::from("local,security_model=none,multidevs=remap");
        device.push(format!(",id={tag},readonly="));
        device.push(if readonly { "on" } else { "off" });
        device.push(",path=");
        device.push(folder);
        self.devices.extend(["-fsdev".into(), device]);
        let plug = format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}");
        self.devices.extend(["-device".into(), plug.into()]);
        self
    }

    /// The command that is this machine: it runs from its start to its end, and killing it is pulling
    /// the plug.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        let threads = if self.cpus > 1 { "multi" } else { "single" };
        qemu.args(["-machine", "q35", "-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-monitor", "none", "-nic", "none"])
            .args(["-accel", &format!("tcg,tb-size=256,thread={threads}")])
            // With `erms` clearing a page is one instruction that the translator takes byte by byte.
            .args(["-cpu", "max,+svm,-erms"])
            .args(["-smp", &self.cpus.to_string()])
            .args(["-m", &self.memory.to_string()]);
        if !self.reboots {
            qemu.arg("-no-reboot");
        }
        match &self.serial {
            Serial::Here => qemu.args(["-serial", "stdio"]),
            Serial::File(file) => {
                let mut place = OsString::from("file:");
                place.push(file);
                qemu.stdin(Stdio::null()).arg("-serial").arg(place)
            }
        };
        if let Some((kernel, initrd, arguments)) = &self.kernel {
            qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
            qemu.args(["-append", arguments]);
        }
        qemu.args(&self.devices);
        qemu
    }

    fn drive(mut self, mut drive: OsString) -> Self {
        let id = format!("disk{}", self.disks);
        self.disks += 1;
        drive.push(format!(
            ",if=none,id={id},cache=writeback,werror=report,rerror=report"
        ));
        let plug = format!("virtio-blk-pci,drive={id}");
        self.devices
            .extend(["-drive".into(), drive, "-device".into(), plug.into()]);
        self
    }
}
