//! A data folder, a registry in memory, a library of a few files, and guests of 512 bytes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kinglet_host::KvmVerdict;
use kinglet_model::image::{Format, ImagePhase};
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::{Boot, ExitCause, Power, VmPhase, VmSpec};
use kinglet_model::{Id, Image, Problem, Resource, Size, Vm};
use kinglet_registry::Registry;
use kinglet_vms::{HostFacts, ImageFiles, Machines, MachinesConfig};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Opens images where their spec says.
pub struct Library(pub PathBuf);

impl ImageFiles for Library {
    fn file(&self, image: &Image) -> Result<(File, PathBuf), Problem> {
        let path = self.0.join(&image.spec.path);
        let file = File::open(&path).map_err(|error| {
            Problem::new(
                ProblemKind::Internal,
                "image-file",
                format!("{}: {error}", path.display()),
            )
        })?;
        Ok((file, path))
    }
}

/// Everything that a daemon has.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub registry: Registry,
    pub machines: Machines,
}

impl Rig {
    pub async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Registry::in_memory()).await
    }

    pub async fn on(folder: tempfile::TempDir, registry: Registry) -> Self {
        let _ = fs::create_dir(folder.path().join("images"));
        let machines = open(folder.path(), &registry).await;
        Self {
            folder,
            registry,
            machines,
        }
    }

    /// What a restart of the program does. Nothing of the former one is told.
    pub async fn reopen(&mut self) {
        self.machines.shutdown().await;
        self.machines = open(self.folder.path(), &self.registry).await;
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("images").join(name)
    }

    pub fn vm_folder(&self, id: Id) -> PathBuf {
        self.folder.path().join("data/vms").join(id.to_string())
    }

    /// An image that was checked and found to be `format`.
    pub async fn image(&self, name: &str, format: Format, content: &[u8]) -> Image {
        fs::write(self.path(name), content).unwrap();
        let mut image = Image::seen(name.parse().unwrap(), "images", name);
        image.status.phase = ImagePhase::Ready;
        image.status.format = Some(format);
        image.status.virtual_size = Some(Size(content.len() as u64));
        self.registry.create(&mut image).await.unwrap();
        image
    }

    pub async fn create(&self, spec: VmSpec) -> Vm {
        self.machines
            .create(None, BTreeMap::new(), spec)
            .await
            .unwrap()
    }

    pub async fn vm(&self, id: Id) -> Vm {
        self.registry.fetch(id).await.unwrap().unwrap()
    }

    /// Follows the registry until the VM is as wanted.
    pub async fn until(&self, id: Id, what: &str, wanted: impl Fn(&Vm) -> bool) -> Vm {
        let look = async {
            let mut watch = self
                .registry
                .watch_kind::<Vm>(self.registry.current_revision());
            loop {
                let vm = self.vm(id).await;
                if wanted(&vm) {
                    return vm;
                }
                watch.next().await.unwrap().unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(vm) => vm,
            Err(_) => panic!("not {what}: {:#?}", self.vm(id).await.status),
        }
    }

    pub async fn until_phase(&self, id: Id, phase: VmPhase) -> Vm {
        self.until(id, phase.as_str(), |vm| {
            assert!(
                vm.status.phase != VmPhase::Failed || phase == VmPhase::Failed,
                "failed: {:?}",
                vm.status.reason
            );
            vm.status.phase == phase
        })
        .await
    }

    pub async fn until_gone(&self, id: Id) {
        let mut watch = self
            .registry
            .watch_kind::<Vm>(self.registry.current_revision());
        while self.registry.fetch::<Vm>(id).await.unwrap().is_some() {
            tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
        }
    }

    /// Everything said on the console, until it contains `text`.
    pub async fn hear(&self, id: Id, from: u64, text: &str) -> String {
        use futures::StreamExt;
        let console = self.machines.console(id).unwrap();
        let mut stream = console.follow(from);
        let mut heard = String::new();
        let listen = async {
            while !heard.contains(text) {
                let (_, bytes) = stream.next().await.unwrap().unwrap();
                heard.push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        if tokio::time::timeout(PATIENCE, listen).await.is_err() {
            panic!("never heard {text:?} in {heard:?}");
        }
        heard
    }

    /// Ends every process of this rig's VMs.
    pub async fn end(self) {
        for vm in self.registry.list_all::<Vm>().await.unwrap().items {
            if let Some(process) = &vm.status.process {
                kill(process.pid);
            }
        }
        self.machines.shutdown().await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        for pid in processes_below(self.folder.path()) {
            kill(pid);
        }
    }
}

pub async fn open(folder: &Path, registry: &Registry) -> Machines {
    let host = HostFacts::find(KvmVerdict::Absent).unwrap();
    assert!(host.qemu.is_some(), "these tests need qemu-system-x86_64");
    let config = MachinesConfig::new(folder.join("data"), folder.join("run"));
    let files = Arc::new(Library(folder.join("images")));
    let machines = Machines::open(config, registry.clone(), files, host).unwrap();
    machines.start().await.unwrap();
    machines
}

/// The processes whose arguments name this folder.
pub fn processes_below(folder: &Path) -> Vec<u32> {
    let wanted = folder.to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(wanted)
        })
        .collect()
}

pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

pub fn small() -> VmSpec {
    VmSpec {
        memory: Size::mib(16),
        power: Power::On,
        ..VmSpec::default()
    }
}

pub fn from_image(image: &Image) -> VmSpec {
    VmSpec {
        image: Some(image.name().to_string()),
        ..small()
    }
}

pub fn with_kernel(kernel: &Image, initrd: &Image, cmdline: &str) -> VmSpec {
    VmSpec {
        memory: Size::mib(128),
        boot: Boot::Kernel {
            kernel: kernel.name().to_string(),
            initrd: Some(initrd.name().to_string()),
            cmdline: cmdline.to_owned(),
        },
        ..small()
    }
}

pub fn cause(vm: &Vm) -> ExitCause {
    vm.status.exit.as_ref().unwrap().cause
}

/// A boot sector that says `text` on the first serial port, then runs `then`.
pub fn boot_sector(text: &str, then: &[u8]) -> Vec<u8> {
    let mut code = vec![
        0x31, 0xc0, // xor ax, ax
        0x8e, 0xd8, // mov ds, ax
        0xbe, 0x00, 0x7d, // mov si, 0x7d00: the text
        0xac, // again: lodsb
        0x84, 0xc0, // test al, al
        0x74, 0x06, // jz done
        0xba, 0xf8, 0x03, // mov dx, COM1
        0xee, // out dx, al
        0xeb, 0xf5, // jmp again
    ];
    code.extend(then);
    assert!(code.len() <= 0x100);
    code.resize(0x100, 0x90);
    code.extend(text.bytes());
    assert!(code.len() < 510);
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    // SeaBIOS reads no disk that is smaller than a cylinder.
    code.resize(1 << 20, 0);
    code
}

/// `sti; hlt; jmp`: does nothing for ever.
pub const IDLE: &[u8] = &[0xfb, 0xf4, 0xeb, 0xfd];

/// Says each byte back that it gets from the serial port.
pub const ECHO: &[u8] = &[
    0xba, 0xfd, 0x03, // mov dx, COM1 + 5
    0xec, // wait: in al, dx
    0xa8, 0x01, // test al, 1
    0x74, 0xfb, // jz wait
    0xba, 0xf8, 0x03, // mov dx, COM1
    0xec, // in al, dx
    0xee, // out dx, al
    0xeb, 0xf1, // jmp to the start
];
