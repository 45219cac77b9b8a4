//! What is wanted of a VM.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use super::Publish;
use crate::{Name, Size};

/// The least memory that a guest can have.
pub const MIN_MEMORY: Size = Size::mib(16);
/// The most vCPUs that a guest can have.
pub const MAX_VCPUS: u32 = 255;
/// The most bytes of cloud-init user data.
pub const MAX_USER_DATA: usize = 64 << 10;

/// What is wanted of a VM. Images are named by name or by id; the answer has ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmSpec {
    /// The image that its first disk is a copy-on-write overlay of. Without one, `diskSize` makes an
    /// empty disk, and with neither it has no disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Virtual CPUs: 1 to 255.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 255)]
    pub vcpus: u32,
    /// Guest memory: at least 16 MiB, at most what the host has.
    #[serde(default = "default_memory")]
    pub memory: Size,
    /// Size of the first disk, where it should be larger than its image, or stand without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<Size>,
    /// Further disks.
    #[serde(default)]
    pub disks: Vec<DataDisk>,
    /// The ISO image in its CD-ROM drive. The drive is always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// How it boots.
    #[serde(default)]
    pub boot: Boot,
    /// Its network.
    #[serde(default)]
    pub network: Network,
    /// What cloud-init in the guest is told at first boot (NoCloud).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
    /// Which VMM runs it.
    #[serde(default)]
    pub engine: EngineChoice,
    /// Whether it needs hardware virtualisation.
    #[serde(default)]
    pub accelerator: AcceleratorChoice,
    /// Seconds that a guest has to shut down by itself before it is killed: 0 to 3600.
    #[serde(default = "default_stop_deadline")]
    #[schema(default = 60, maximum = 3600)]
    pub stop_deadline: u32,
    /// Whether it should run.
    #[serde(default)]
    pub power: Power,
    /// Raised by one with each wanted restart.
    #[serde(default)]
    pub restarts: u32,
}

const fn one() -> u32 {
    1
}

const fn default_memory() -> Size {
    Size::mib(512)
}

const fn default_stop_deadline() -> u32 {
    60
}

impl Default for VmSpec {
    fn default() -> Self {
        Self {
            image: None,
            vcpus: one(),
            memory: default_memory(),
            disk_size: None,
            disks: Vec::new(),
            media: None,
            boot: Boot::default(),
            network: Network::default(),
            seed: None,
            engine: EngineChoice::Auto,
            accelerator: AcceleratorChoice::Auto,
            stop_deadline: default_stop_deadline(),
            power: Power::Off,
            restarts: 0,
        }
    }
}

/// Whether a VM should run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// It should not. A guest that shuts itself down sets this.
    #[default]
    Off,
    /// It should, also after the host boots again.
    On,
    /// It should be there, halted.
    Paused,
}

/// A further disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataDisk {
    /// Its name within the VM; the guest sees it as the disk's serial number (its first 20 bytes).
    pub name: Name,
    /// An image, attached read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// An empty disk of this size, the VM's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// How a VM boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    tag = "mode",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Boot {
    /// By firmware from its disks or media.
    Firmware {
        /// Which firmware.
        #[serde(default)]
        firmware: Firmware,
    },
    /// A Linux kernel from the library, without firmware.
    Kernel {
        /// A kernel image of the library.
        kernel: String,
        /// An initramfs image of the library.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        initrd: Option<String>,
        /// The kernel's command line, at most 2047 bytes.
        #[serde(default)]
        cmdline: String,
    },
}

impl Default for Boot {
    fn default() -> Self {
        Self::Firmware {
            firmware: Firmware::Auto,
        }
    }
}

/// A PC firmware.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// UEFI where the disk can only boot so, else BIOS.
    #[default]
    Auto,
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

/// A VM's network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Of which kind.
    #[serde(default)]
    pub mode: NetworkMode,
    /// The host's bridge that a tap device joins (mode `tap`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Published ports (mode `user`).
    #[serde(default)]
    pub publish: Vec<Publish>,
}

/// A kind of network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// Behind the host's own connections, no privilege needed; reached by published ports.
    #[default]
    User,
    /// A tap device on a bridge of the host.
    Tap,
    /// None.
    None,
}

/// What cloud-init is told at first boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// The guest's host name; the VM's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Name>,
    /// A user with `sudo`, for whom the keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// OpenSSH public keys, a line each.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// A user-data document of one's own, given as it is; at most 64 KiB. Excludes `user` and `sshKeys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
}

/// Which VMM is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// The best one that can run it.
    #[default]
    Auto,
    /// QEMU.
    Qemu,
}

/// Whether hardware virtualisation is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcceleratorChoice {
    /// KVM where the doctor proved it, else TCG.
    #[default]
    Auto,
    /// KVM or nothing.
    Kvm,
    /// Emulation, even where KVM works.
    Tcg,
}

/// What is wrong with a spec, whatever the state of anything.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {why}")]
pub struct SpecError {
    /// The member that is wrong, as a JSON path: `network.publish`.
    pub field: &'static str,
    /// Why, and what is possible.
    pub why: String,
}

impl VmSpec {
    /// Checks everything that can be checked without looking at the host or the library.
    pub fn validate(&self) -> Result<(), SpecError> {
        let fail = |field, why: &str| {
            Err(SpecError {
                field,
                why: why.to_owned(),
            })
        };
        if self.vcpus == 0 || self.vcpus > MAX_VCPUS {
            return fail("vcpus", "a VM has 1 to 255 vCPUs");
        }
        if self.memory < MIN_MEMORY {
            return fail("memory", "a VM has at least 16 MiB of memory");
        }
        if !self.memory.bytes().is_multiple_of(1 << 20) {
            return fail("memory", "memory is given in whole mebibytes");
        }
        if self.stop_deadline > 3600 {
            return fail("stopDeadline", "a guest has at most 3600 s to shut down");
        }
        if self
            .disk_size
            .is_some_and(|size| !size.bytes().is_multiple_of(512) || size.0 == 0)
        {
            return fail(
                "diskSize",
                "a disk has a whole number of 512-byte sectors, at least one",
            );
        }
        self.validate_disks()?;
        self.validate_boot()?;
        self.validate_network()?;
        self.seed.as_ref().map_or(Ok(()), Seed::validate)
    }

    fn validate_disks(&self) -> Result<(), SpecError> {
        let fail = |why: &str| {
            Err(SpecError {
                field: "disks",
                why: why.to_owned(),
            })
        };
        if self.disks.len() > 16 {
            return fail("a VM has at most 16 further disks");
        }
        for (index, disk) in self.disks.iter().enumerate() {
            if self.disks[..index]
                .iter()
                .any(|other| other.name == disk.name)
            {
                return fail("two disks have the same name");
            }
            if disk.name.as_str() == "root" || disk.name.as_str() == "seed" {
                return fail("the names `root` and `seed` are taken by the VM's own disks");
            }
            if disk.image.is_some() == disk.size.is_some() {
                return fail("a further disk has either an image or a size");
            }
            if disk
                .size
                .is_some_and(|size| size.0 == 0 || !size.bytes().is_multiple_of(512))
            {
                return fail("a disk has a whole number of 512-byte sectors, at least one");
            }
        }
        Ok(())
    }

    fn validate_boot(&self) -> Result<(), SpecError> {
        match &self.boot {
            Boot::Kernel { cmdline, .. } if cmdline.len() > 2047 => Err(SpecError {
                field: "boot.cmdline",
                why: "a kernel command line has at most 2047 bytes".to_owned(),
            }),
            Boot::Kernel { cmdline, .. } if cmdline.chars().any(char::is_control) => {
                Err(SpecError {
                    field: "boot.cmdline",
                    why: "a kernel command line has no control characters".to_owned(),
                })
            }
            Boot::Firmware { .. } | Boot::Kernel { .. } => Ok(()),
        }
    }

    fn validate_network(&self) -> Result<(), SpecError> {
        let network = &self.network;
        if network.mode != NetworkMode::User && !network.publish.is_empty() {
            return Err(SpecError {
                field: "network.publish",
                why: "ports are published only in mode `user`".to_owned(),
            });
        }
        match (&network.mode, &network.bridge) {
            (NetworkMode::Tap, None) => Err(SpecError {
                field: "network.bridge",
                why: "mode `tap` needs the name of a bridge".to_owned(),
            }),
            (NetworkMode::User | NetworkMode::None, Some(_)) => Err(SpecError {
                field: "network.bridge",
                why: "a bridge goes with mode `tap` only".to_owned(),
            }),
            (_, Some(bridge)) if !is_interface_name(bridge) => Err(SpecError {
                field: "network.bridge",
                why: "an interface name has 1 to 15 of a-z, A-Z, 0-9, '-', '_' and '.'".to_owned(),
            }),
            _ => Ok(()),
        }?;
        for (index, publish) in network.publish.iter().enumerate() {
            let clash = |other: &&Publish| {
                other.host == publish.host
                    && other.protocol == publish.protocol
                    && (other.address == publish.address
                        || other.address.is_unspecified()
                        || publish.address.is_unspecified())
            };
            if network.publish[..index].iter().any(|other| clash(&other)) {
                return Err(SpecError {
                    field: "network.publish",
                    why: format!("the host's port {} is published twice", publish.host),
                });
            }
        }
        Ok(())
    }
}

impl Seed {
    fn validate(&self) -> Result<(), SpecError> {
        if let Some(user) = &self.user
            && !is_user_name(user)
        {
            return Err(SpecError {
                field: "seed.user",
                why: "a user name has 1 to 32 of a-z, 0-9, '-' and '_' and begins with a letter"
                    .to_owned(),
            });
        }
        for key in &self.ssh_keys {
            if key.len() > 16 << 10 || key.chars().any(char::is_control) || !key.contains(' ') {
                return Err(SpecError {
                    field: "seed.sshKeys",
                    why: "a key is one line as in ~/.ssh/id_ed25519.pub".to_owned(),
                });
            }
        }
        if self.user_data.is_some() && (self.user.is_some() || !self.ssh_keys.is_empty()) {
            return Err(SpecError {
                field: "seed.userData",
                why: "give either user data of your own, or a user and keys".to_owned(),
            });
        }
        if self
            .user_data
            .as_ref()
            .is_some_and(|data| data.len() > MAX_USER_DATA)
        {
            return Err(SpecError {
                field: "seed.userData",
                why: "user data has at most 64 KiB".to_owned(),
            });
        }
        Ok(())
    }
}

fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_user_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut VmSpec)) -> &'static str {
        let mut spec = VmSpec::default();
        change(&mut spec);
        spec.validate().unwrap_err().field
    }

    #[test]
    fn an_empty_spec_is_a_vm_and_unknown_members_are_not() {
        assert_eq!(
            serde_json::from_str::<VmSpec>("{}").unwrap(),
            VmSpec::default()
        );
        assert_eq!(VmSpec::default().validate(), Ok(()));
        assert!(serde_json::from_str::<VmSpec>(r#"{"memmory": 1}"#).is_err());
    }

    #[test]
    fn validate_names_the_member_that_is_wrong() {
        assert_eq!(refused(|s| s.vcpus = 0), "vcpus");
        assert_eq!(refused(|s| s.memory = Size(1)), "memory");
        assert_eq!(refused(|s| s.memory = Size(Size::gib(1).0 + 1)), "memory");
        assert_eq!(refused(|s| s.disk_size = Some(Size(0))), "diskSize");
        assert_eq!(
            refused(|s| s.network.mode = NetworkMode::Tap),
            "network.bridge"
        );
        assert_eq!(
            refused(|s| s.network.bridge = Some("br0".into())),
            "network.bridge"
        );
        assert_eq!(
            refused(|s| {
                s.network.publish =
                    vec!["80:80".parse().unwrap(), "0.0.0.0:80:81".parse().unwrap()];
            }),
            "network.publish"
        );
        assert_eq!(
            refused(|s| s.seed = Some(Seed {
                user: Some("Root".into()),
                ..Seed::default()
            })),
            "seed.user"
        );
    }
}
