//! Hardware virtualisation.

use kinglet_model::host::Check;

use super::{DoctorConfig, no, yes};
use crate::kvm::{self, KvmVerdict};
use crate::proc;

const NAME: &str = "kvm";
const TITLE: &str = "Hardware virtualisation (KVM)";
/// What happens without KVM.
const INSTEAD: &str = "VMs run by emulation: slower, and no security boundary";

/// What the CPU and the kernel around this one say about virtualisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cpu {
    vendor: Vendor,
    virtualises: bool,
    is_guest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Intel,
    Amd,
}

impl Vendor {
    const fn module(self) -> &'static str {
        match self {
            Self::Intel => "kvm_intel",
            Self::Amd => "kvm_amd",
        }
    }
}

/// Whether a guest that does what Linux does runs on KVM.
pub fn kvm(config: &DoctorConfig) -> Check {
    let cpu = cpu(&proc::read("/proc/cpuinfo").unwrap_or_default());
    report(&kvm::probe_in_child(&config.exe), cpu)
}

fn report(verdict: &KvmVerdict, cpu: Cpu) -> Check {
    let detail = format!("{verdict}; {INSTEAD}");
    match verdict {
        KvmVerdict::Usable => yes(
            NAME,
            TITLE,
            "a probe guest ran in long mode with CMPXCHG16B, XSAVE and exceptions",
        ),
        KvmVerdict::NotPermitted => no(
            NAME,
            TITLE,
            detail,
            format!("usermod -aG kvm {}, then sign in again", user()),
        ),
        KvmVerdict::Absent if cpu.virtualises => no(
            NAME,
            TITLE,
            detail,
            format!("modprobe {}", cpu.vendor.module()),
        ),
        KvmVerdict::Absent if cpu.is_guest => no(NAME, TITLE, detail, nested(cpu)),
        KvmVerdict::Absent => no(
            NAME,
            TITLE,
            detail,
            "switch on virtualisation (VT-x or AMD-V/SVM) in the firmware's settings of this machine",
        ),
        KvmVerdict::CannotRunLinux { .. } if cpu.is_guest => no(NAME, TITLE, detail, nested(cpu)),
        KvmVerdict::CannotRunLinux { .. } => no(
            NAME,
            TITLE,
            detail,
            "update the kernel and the machine's firmware; dmesg says more about kvm",
        ),
    }
}

fn nested(cpu: Cpu) -> String {
    let module = cpu.vendor.module();
    format!(
        "this machine is a VM itself: on its host, modprobe -r {module} && modprobe {module} \
         nested=1, and give this VM the CPU model `host` (libvirt: host-passthrough); at a cloud, \
         choose a type with nested virtualisation"
    )
}

fn user() -> String {
    let known = |name: &String| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    std::env::var("USER")
        .ok()
        .filter(known)
        .unwrap_or_else(|| "USER".to_owned())
}

fn cpu(cpuinfo: &str) -> Cpu {
    let member = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let flags = member("flags").unwrap_or_default();
    let has = |flag: &str| flags.split_ascii_whitespace().any(|other| other == flag);
    let amd = member("vendor_id").is_some_and(|vendor| vendor != "GenuineIntel");
    Cpu {
        vendor: if amd { Vendor::Amd } else { Vendor::Intel },
        virtualises: has("vmx") || has("svm"),
        is_guest: has("hypervisor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: &str = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu cx16 hypervisor\n";
    const PLAIN: &str = "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n";

    #[test]
    fn cpuinfo_is_read() {
        assert_eq!(
            cpu(GUEST),
            Cpu {
                vendor: Vendor::Amd,
                virtualises: false,
                is_guest: true
            }
        );
        assert!(cpu(PLAIN).virtualises);
        assert!(!cpu("").virtualises && !cpu(":\n:::\nflags").is_guest);
    }

    #[test]
    fn each_no_has_the_remedy_for_its_cause() {
        let remedy = |verdict: KvmVerdict, info: &str| report(&verdict, cpu(info)).remedy.unwrap();
        assert!(remedy(KvmVerdict::Absent, GUEST).contains("kvm_amd nested=1"));
        assert_eq!(remedy(KvmVerdict::Absent, PLAIN), "modprobe kvm_intel");
        assert!(remedy(KvmVerdict::Absent, "").contains("firmware"));
        assert!(remedy(KvmVerdict::NotPermitted, PLAIN).starts_with("usermod -aG kvm "));
    }

    #[test]
    fn a_kvm_that_cannot_run_linux_is_reported_as_that() {
        let why = "it stopped at CMPXCHG16B".to_owned();
        let check = report(&KvmVerdict::CannotRunLinux { why }, cpu(GUEST));
        assert!(
            check
                .detail
                .starts_with("/dev/kvm opens, but cannot run Linux: it stopped at CMPXCHG16B"),
            "{}",
            check.detail
        );
    }
}
