//! Making a VM: everything that can be refused is refused before anything is made; then the folder
//! with its disks; then one transaction that makes it exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kinglet_disk::overlay::{self, Backing, CreateError};
use kinglet_model::image::ImageAction;
use kinglet_model::vm::{AttachedDisk, Boot, Firmware, NetworkMode, Power, VmSpec, VmStatus};
use kinglet_model::{Condition, Image, Metadata, Name, Problem, Resource, Size, Vm};
use kinglet_registry::{Txn, TxnError};

use crate::folder::Folder;
use crate::images::{Needed, find_for};
use crate::machines::Machines;
use crate::media::busy;
use crate::problem::{internal, invalid, io as io_problem, refused, registry as registry_problem};
use crate::reference::{Hold, hold};
use crate::{engine::qemu::args, firmware, ports, seed};

const TRIES: usize = 16;

/// The images of a spec, found and allowed.
#[derive(Clone)]
struct Found {
    root: Option<Image>,
    disks: Vec<Option<Image>>,
    media: Option<Image>,
    kernel: Option<Image>,
    initrd: Option<Image>,
}

impl Machines {
    /// Makes a VM. Without a name it gets its image's, with a number where that is taken.
    ///
    /// # Errors
    /// Where the spec makes no sense, the host cannot give what it wants, an image is not ready, the
    /// name or a port is taken, or there is no space. Then nothing was changed.
    pub async fn create(
        &self,
        name: Option<Name>,
        labels: BTreeMap<String, String>,
        spec: VmSpec,
    ) -> Result<Vm, Problem> {
        spec.validate().map_err(|error| {
            let code = format!(
                "invalid-{}",
                error.field.replace('.', "-").to_ascii_lowercase()
            );
            invalid(&code, crate::problem::sentence(&error.to_string()))
        })?;
        ports::possible(&spec.network)?;
        self.engine().choose(&spec)?;
        let _one_at_a_time = self.creating().lock().await;
        for _ in 0..TRIES {
            let found = self.find_images(&spec).await?;
            let free = self.free_name(name.as_ref(), found.root.as_ref()).await?;
            if spec.power != Power::Off {
                ports::free(&spec.network)?;
            }
            if let Some(vm) = self.try_create(free, labels.clone(), &spec, found).await? {
                return Ok(vm);
            }
        }
        Err(busy())
    }

    async fn find_images(&self, spec: &VmSpec) -> Result<Found, Problem> {
        let registry = self.registry();
        let find = async |reference: Option<&String>, action| match reference {
            Some(reference) => find_for(registry, reference, action).await.map(Some),
            None => Ok(None),
        };
        let (kernel, initrd) = match &spec.boot {
            Boot::Kernel { kernel, initrd, .. } => (Some(kernel), initrd.as_ref()),
            Boot::Firmware { .. } => (None, None),
        };
        let mut disks = Vec::new();
        for disk in &spec.disks {
            disks.push(find(disk.image.as_ref(), ImageAction::AttachDisk).await?);
        }
        Ok(Found {
            root: find(spec.image.as_ref(), ImageAction::CreateVm).await?,
            disks,
            media: find(spec.media.as_ref(), ImageAction::InsertMedia).await?,
            kernel: find(kernel, ImageAction::BootKernel).await?,
            initrd: find(initrd, ImageAction::BootInitrd).await?,
        })
    }

    /// The name asked for, or the first free one made from the image's.
    async fn free_name(
        &self,
        wanted: Option<&Name>,
        root: Option<&Image>,
    ) -> Result<Name, Problem> {
        let taken = async |name: &Name| {
            let found = self.registry().fetch_by_name::<Vm>(name).await;
            found
                .map(|vm| vm.is_some())
                .map_err(|error| registry_problem(&error))
        };
        if let Some(name) = wanted {
            if taken(name).await? {
                return Err(name_taken(name));
            }
            return Ok(name.clone());
        }
        let base = root.map_or_else(
            || Name::from_lossy("vm", "vm"),
            |image| image.name().clone(),
        );
        if !taken(&base).await? {
            return Ok(base);
        }
        for number in 2..u32::MAX {
            let name = base.numbered(number);
            if !taken(&name).await? {
                return Ok(name);
            }
        }
        Err(name_taken(&base))
    }

    /// One attempt; `None`: an image or the name changed meanwhile.
    async fn try_create(
        &self,
        name: Name,
        labels: BTreeMap<String, String>,
        spec: &VmSpec,
        found: Found,
    ) -> Result<Option<Vm>, Problem> {
        let mut vm = new_vm(name, labels, spec, &found)?;
        vm.status.vsock_cid = self.free_cid().await?;
        let folder = self.folder(vm.metadata.id);
        let maker = Maker {
            folder: folder.clone(),
            files: self.files(),
            vars: self.host().ovmf.as_ref().map(|ovmf| ovmf.vars.clone()),
        };
        let images = found.clone();
        let made = tokio::task::spawn_blocking(move || {
            let made = maker.make(&mut vm, &images);
            (made, vm)
        });
        let (made, mut vm) = made
            .await
            .map_err(|_| internal("Making the disks was cut off."))?;
        let stored = match made {
            Ok(()) => self.store(&vm, found).await,
            Err(problem) => Err(problem),
        };
        match stored {
            Ok(Some(revision)) => {
                vm.metadata.revision = revision;
                self.adopt(vm.metadata.id);
                Ok(Some(vm))
            }
            other => {
                if let Err(error) = folder.remove() {
                    tracing::warn!(%error, "the folder of a VM that was not made stays until the next start");
                }
                other.map(|_| None)
            }
        }
    }

    async fn store(
        &self,
        vm: &Vm,
        found: Found,
    ) -> Result<Option<kinglet_model::Revision>, Problem> {
        let mut needed = Needed::default();
        let disks = found
            .root
            .into_iter()
            .chain(found.disks.into_iter().flatten());
        disks.for_each(|image| needed.add(image, "disk"));
        found
            .media
            .into_iter()
            .for_each(|image| needed.add(image, "media"));
        found
            .kernel
            .into_iter()
            .for_each(|image| needed.add(image, "kernel"));
        found
            .initrd
            .into_iter()
            .for_each(|image| needed.add(image, "initrd"));
        let txn = needed.enter(Txn::new().create(&vm.clone().stored()), vm);
        match self.registry().txn(txn).await {
            Ok(committed) => Ok(Some(committed.revision)),
            Err(TxnError::Conflict { .. }) => Ok(None),
            Err(TxnError::Registry(error)) => Err(registry_problem(&error.into())),
        }
    }

    /// The first vsock address that no VM has, where the host has vsock. 0 to 2 are taken by it.
    async fn free_cid(&self) -> Result<Option<u32>, Problem> {
        if !Path::new("/dev/vhost-vsock").exists() {
            return Ok(None);
        }
        let all = self
            .registry()
            .list_all::<Vm>()
            .await
            .map_err(|error| registry_problem(&error))?;
        let taken: std::collections::BTreeSet<u32> = all
            .items
            .iter()
            .filter_map(|vm| vm.status.vsock_cid)
            .collect();
        Ok((3..u32::MAX).find(|cid| !taken.contains(cid)))
    }
}

fn name_taken(name: &Name) -> Problem {
    refused(
        "name-taken",
        format!("Cannot create VM {name}: there is already a VM of this name; choose another."),
    )
}

/// The object, with ids in place of names.
fn new_vm(
    name: Name,
    labels: BTreeMap<String, String>,
    spec: &VmSpec,
    found: &Found,
) -> Result<Vm, Problem> {
    let mut metadata = Metadata::new(name);
    metadata.labels = labels;
    let mut spec = spec.clone();
    spec.restarts = 0;
    let id = |image: &Option<Image>| image.as_ref().map(|image| image.metadata.id.to_string());
    spec.image = id(&found.root);
    spec.media = id(&found.media);
    for (disk, image) in spec.disks.iter_mut().zip(&found.disks) {
        disk.image = id(image);
    }
    if let Boot::Kernel { kernel, initrd, .. } = &mut spec.boot {
        if let Some(id) = id(&found.kernel) {
            *kernel = id;
        }
        *initrd = id(&found.initrd);
    }
    let status = VmStatus {
        disks: disks(&spec, found)?,
        mac: (spec.network.mode != NetworkMode::None).then(|| args::mac(metadata.id)),
        ..VmStatus::default()
    };
    Ok(Vm {
        kind: Vm::KIND.to_owned(),
        metadata,
        spec,
        status,
    })
}

/// The disks in the order in which the guest sees them, with their formats as checked.
fn disks(spec: &VmSpec, found: &Found) -> Result<Vec<AttachedDisk>, Problem> {
    let mut disks = Vec::new();
    match (&found.root, spec.disk_size) {
        (Some(image), size) => {
            let least = virtual_size(image)?;
            let size = size.unwrap_or(least);
            if size < least {
                return Err(invalid(
                    "invalid-disksize",
                    format!(
                        "Cannot make a disk of {size} from image {}, which has {least}; choose at least that.",
                        image.name()
                    ),
                ));
            }
            disks.push(disk("root", Some(image), size, false));
        }
        (None, Some(size)) => disks.push(disk("root", None, size, false)),
        (None, None) => {}
    }
    for (wanted, image) in spec.disks.iter().zip(&found.disks) {
        let size = match (image, wanted.size) {
            (Some(image), _) => virtual_size(image)?,
            (None, size) => size.unwrap_or_default(),
        };
        disks.push(disk(
            wanted.name.as_str(),
            image.as_ref(),
            size,
            image.is_some(),
        ));
    }
    if spec.seed.is_some() {
        // Its size is known when it is written.
        disks.push(disk("seed", None, Size(0), true));
    }
    Ok(disks)
}

fn disk(name: &str, image: Option<&Image>, size: Size, read_only: bool) -> AttachedDisk {
    AttachedDisk {
        name: name.to_owned(),
        image: image.map(|image| image.metadata.id),
        image_format: image.and_then(|image| image.status.format),
        size,
        read_only,
    }
}

fn virtual_size(image: &Image) -> Result<Size, Problem> {
    image.status.virtual_size.ok_or_else(|| {
        internal(format!(
            "The size of image {} is not known; check it again.",
            image.name()
        ))
    })
}

/// Fills a VM's folder.
struct Maker {
    folder: Folder,
    files: std::sync::Arc<dyn crate::ImageFiles>,
    vars: Option<std::path::PathBuf>,
}

impl Maker {
    fn make(&self, vm: &mut Vm, found: &Found) -> Result<(), Problem> {
        self.folder
            .create()
            .map_err(|e| io_problem("make the folder", self.folder.path(), &e))?;
        let mut elsewhere = Vec::new();
        let mut hold_as = |image: Option<&Image>, target: &Path| -> Result<(), Problem> {
            let Some(image) = image else { return Ok(()) };
            let (file, place) = self.files.file(image)?;
            let how = hold(&file, &place, target);
            if how.map_err(|e| io_problem("hold the image as", target, &e))? == Hold::Place {
                elsewhere.push(image.name().to_string());
            }
            Ok(())
        };
        hold_as(found.root.as_ref(), &self.folder.base("root"))?;
        for (disk, image) in vm.spec.disks.iter().zip(&found.disks) {
            hold_as(image.as_ref(), &self.folder.base(disk.name.as_str()))?;
        }
        if let Some(media) = &found.media {
            hold_as(Some(media), &self.folder.media(media.metadata.id))?;
        }
        hold_as(found.kernel.as_ref(), &self.folder.kernel())?;
        hold_as(found.initrd.as_ref(), &self.folder.initrd())?;
        if !elsewhere.is_empty() {
            vm.status.conditions.push(Condition::new(
                "image-elsewhere",
                format!(
                    "Its images ({}) lie on another file system: moving or replacing their files while \
                     it is off harms it.",
                    elsewhere.join(", ")
                ),
            ));
        }
        self.write_seed(vm)?;
        for disk in vm.status.disks.iter().filter(|disk| !disk.read_only) {
            self.make_disk(disk)?;
        }
        self.choose_firmware(vm, found)
    }

    fn make_disk(&self, disk: &AttachedDisk) -> Result<(), Problem> {
        let path = self.folder.disk(&disk.name);
        let base = self.folder.base(&disk.name);
        let made = match disk.image_format {
            Some(format) => {
                // The size of the image, not of the disk, is found again by QEMU; what is given here
                // only has to be at most that of the disk.
                let backing = Backing {
                    path: &base,
                    format,
                    size: disk.size,
                };
                overlay::create(&path, &backing, disk.size)
            }
            None => overlay::create_qcow2(&path, disk.size),
        };
        made.map_err(|error| match error {
            CreateError::Write { path, source } => io_problem("create the disk", &path, &source),
            error => invalid("disk", crate::problem::sentence(&error.to_string())),
        })
    }

    fn write_seed(&self, vm: &mut Vm) -> Result<(), Problem> {
        let Some(seed) = &vm.spec.seed else {
            return Ok(());
        };
        let path = self.folder.disk("seed");
        seed::write(&path, vm.metadata.id, &vm.metadata.name, seed).map_err(
            |error| match error {
                kinglet_disk::seed::SeedError::Write { path, source } => {
                    io_problem("write the cloud-init seed", &path, &source)
                }
                error => internal(crate::problem::sentence(&error.to_string())),
            },
        )?;
        let size = fs::metadata(&path)
            .map_err(|e| io_problem("read the seed", &path, &e))?
            .len();
        for disk in &mut vm.status.disks {
            if disk.name == "seed" {
                disk.size = Size(size);
            }
        }
        Ok(())
    }

    /// A copy of the variables is what makes a VM boot by UEFI.
    fn choose_firmware(&self, vm: &Vm, found: &Found) -> Result<(), Problem> {
        let uefi = match (&vm.spec.boot, &found.root) {
            (
                Boot::Firmware {
                    firmware: Firmware::Uefi,
                },
                _,
            ) => true,
            (
                Boot::Firmware {
                    firmware: Firmware::Auto,
                },
                Some(image),
            ) => {
                let (file, _) = self.files.file(image)?;
                image
                    .status
                    .format
                    .is_some_and(|format| firmware::needs_uefi(&file, format))
            }
            _ => false,
        };
        if !uefi {
            return Ok(());
        }
        let template = self.vars.as_ref().ok_or_else(|| {
            crate::problem::lacking(
                "ovmf-missing",
                "Cannot make the VM: its disk boots by UEFI only and OVMF is not installed; install it \
                 (Debian: apt install ovmf) and start Kinglet again.",
            )
        })?;
        let path = self.folder.uefi_vars();
        fs::copy(template, &path)
            .map(drop)
            .map_err(|e| io_problem("copy the UEFI variables to", &path, &e))
    }
}
