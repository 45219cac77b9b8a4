//! zram: swap in compressed memory (Documentation/admin-guide/blockdev/zram.rst).
//!
//! Kinglet's own device is known by the label in its swap header. Devices of others, such as those of
//! systemd's zram-generator, are never touched.

mod device;
mod error;
mod stat;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::memory::{ZramSpec, ZramStatus};
use kinglet_model::{ActionState, Size};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use self::device::Device;
pub use self::error::ZramError;
pub use self::stat::{MmStat, algorithms, mm_stat};
use crate::proc::{self, ActiveSwap};

/// Above any swap file.
const PRIORITY: u16 = 100;
/// The smallest device.
const LEAST: Size = Size::mib(1);

/// Keeps the host's zram as it is wanted. Blocks; switching off can take minutes.
#[derive(Debug, Clone)]
pub struct ZramKeeper {
    proc: PathBuf,
    sys: PathBuf,
    dev: PathBuf,
}

impl ZramKeeper {
    /// A keeper of this host's zram. Nothing is touched yet.
    #[must_use]
    pub fn of_host() -> Self {
        Self::at("/proc".into(), "/sys".into(), "/dev".into())
    }

    /// The same, with the kernel's file systems elsewhere.
    #[must_use]
    pub fn at(proc: PathBuf, sys: PathBuf, dev: PathBuf) -> Self {
        Self { proc, sys, dev }
    }

    /// Brings the host to `spec`: a new device is on before an old one goes off, and what a crash left
    /// is taken away.
    ///
    /// # Errors
    /// A refusal with nothing changed, or the step that failed, with what was new taken back.
    pub fn reconcile(&self, spec: &ZramSpec) -> Result<(), ZramError> {
        // Also on a kernel without zram, where off is what it is.
        if !spec.enabled && !self.devices().iter().any(Device::is_ours) {
            return Ok(());
        }
        self.supported()?;
        let _lock = self.lock()?;
        let own = self.own()?;
        if !spec.enabled {
            return self.fall(&own, None);
        }
        self.check(spec)?;
        let kept = own
            .iter()
            .find(|(device, active)| self.is_as_wanted(device, active.as_ref(), spec));
        if let Some((kept, _)) = kept {
            return self.fall(&own, Some(kept));
        }
        // What must go off later is checked before anything new is made.
        self.check_off(&own, None, spec.size)?;
        let device = self.rise(spec)?;
        self.fall(&own, Some(&device))
    }

    /// What is.
    ///
    /// # Errors
    /// Where `/proc/swaps` cannot be read.
    pub fn status(&self) -> Result<ZramStatus, ZramError> {
        if let Err(error) = self.supported() {
            return Ok(ZramStatus {
                reason: Some(error.to_string()),
                ..ZramStatus::default()
            });
        }
        let own = self.own()?;
        let on = own
            .iter()
            .find(|(_, active)| active.is_some())
            .or_else(|| own.first());
        let Some((device, active)) = on else {
            let algorithms = self
                .devices()
                .first()
                .map_or_else(Vec::new, Device::algorithms);
            return Ok(ZramStatus {
                supported: true,
                algorithms,
                ..ZramStatus::default()
            });
        };
        let stat = device.mm_stat().unwrap_or_default();
        Ok(ZramStatus {
            supported: true,
            reason: None,
            active: active.is_some(),
            device: Some(device.name()),
            size: device.size(),
            used: active.as_ref().map_or(Size(0), |active| active.used),
            priority: active.as_ref().map(|active| active.priority),
            algorithm: device.algorithm(),
            algorithms: device.algorithms(),
            stored: stat.stored,
            compressed: stat.compressed,
            memory_cost: stat.memory,
            ratio: stat.ratio(),
            incompressible: Size(stat.incompressible_pages.saturating_mul(page_size())),
            write_back: Some(device.write_back()),
        })
    }

    fn supported(&self) -> Result<(), ZramError> {
        if self.sys.join("class/zram-control/hot_add").exists() {
            return Ok(());
        }
        let release = proc::word(&self.proc.join("sys/kernel/osrelease")).unwrap_or_default();
        let modules = Path::new("/lib/modules").join(&release);
        let listed = fs::read_to_string(modules.join("modules.dep"))
            .is_ok_and(|text| text.lines().any(|line| is_module_of(line, "zram")));
        Err(ZramError::Unsupported(if listed {
            "The kernel's zram module is not loaded; load it with \"modprobe zram\", and name it in \
             /etc/modules-load.d/zram.conf to have it after a reboot."
                .to_owned()
        } else {
            format!("This kernel ({release}) has no zram; use a swap file, or another kernel.")
        }))
    }

    /// Keeps every other Kinglet of this host from changing zram meanwhile.
    fn lock(&self) -> Result<File, ZramError> {
        let control = self.sys.join("class/zram-control");
        let lock = || -> io::Result<Option<File>> {
            let folder = File::open(&control)?;
            match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(folder)),
                Err(Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        lock()
            .map_err(ZramError::io("lock", &control))?
            .ok_or(ZramError::Busy)
    }

    fn check(&self, spec: &ZramSpec) -> Result<(), ZramError> {
        let most = Size(self.meminfo()?.total.0.saturating_mul(2));
        if spec.size < LEAST || spec.size > most {
            return Err(ZramError::Size {
                asked: spec.size,
                least: LEAST,
                most,
            });
        }
        if let Some(priority) = spec.priority.filter(|priority| *priority > 32767) {
            return Err(ZramError::Priority(priority));
        }
        let known = self
            .devices()
            .first()
            .map_or_else(Vec::new, Device::algorithms);
        match &spec.algorithm {
            // Without any device yet, the new one will tell.
            Some(asked) if !known.is_empty() && !known.contains(asked) => {
                Err(ZramError::Algorithm {
                    asked: asked.chars().take(40).collect(),
                    known,
                })
            }
            _ => Ok(()),
        }
    }

    fn rise(&self, spec: &ZramSpec) -> Result<Device, ZramError> {
        let control = self.sys.join("class/zram-control/hot_add");
        let index: u32 = proc::read(&control)
            .and_then(|text| text.trim().parse().map_err(io::Error::other))
            .map_err(ZramError::io("add a zram device by reading", &control))?;
        let device = self.device(index);
        let size = Size(spec.size.0 - spec.size.0 % page_size());
        let priority = spec.priority.unwrap_or(PRIORITY);
        let made = device.set_up(size, spec.algorithm.as_deref(), priority);
        if let Err(error) = made {
            // What failed first is told; the device goes with its contents, of which there are none.
            let _ = device.take_away();
            return Err(ZramError::io("set up", &device.node())(error));
        }
        Ok(device)
    }

    fn fall(&self, own: &[Owned], kept: Option<&Device>) -> Result<(), ZramError> {
        self.check_off(own, kept, Size(0))?;
        for (device, active) in own.iter().filter(|(device, _)| Some(device) != kept) {
            if active.is_some() {
                device
                    .off()
                    .map_err(ZramError::io("switch off", &device.node()))?;
            }
            device
                .take_away()
                .map_err(ZramError::io("remove", &device.node()))?;
        }
        Ok(())
    }

    fn check_off(
        &self,
        own: &[Owned],
        kept: Option<&Device>,
        comes: Size,
    ) -> Result<(), ZramError> {
        let goes = |swap: &ActiveSwap| {
            own.iter()
                .any(|(device, active)| Some(device) != kept && active.as_ref() == Some(swap))
        };
        let (off, stays): (Vec<_>, Vec<_>) = self.active()?.into_iter().partition(goes);
        let used = off
            .iter()
            .fold(0, |sum: u64, swap| sum.saturating_add(swap.used.0));
        let memory = self.meminfo()?;
        let margin = (memory.total.0 / 20).max(16 << 20);
        // A new zram takes memory for what it stores: no more than a third of it is counted.
        let room = stays
            .iter()
            .fold(memory.available.0.saturating_sub(margin), |sum, swap| {
                sum.saturating_add(swap.free().0)
            })
            .saturating_add(comes.0 / 3);
        if used > room {
            return Err(ZramError::WouldNotFit {
                used: Size(used),
                room: Size(room),
                lacking: Size(used - room),
            });
        }
        Ok(())
    }

    fn is_as_wanted(&self, device: &Device, active: Option<&ActiveSwap>, spec: &ZramSpec) -> bool {
        let priority = i32::from(spec.priority.unwrap_or(PRIORITY));
        device.size().0 == spec.size.0 - spec.size.0 % page_size()
            && active.is_some_and(|active| active.priority == priority)
            && spec
                .algorithm
                .as_ref()
                .is_none_or(|asked| device.algorithm().as_ref() == Some(asked))
    }

    /// Kinglet's devices, with what the kernel says of those that are on.
    fn own(&self) -> Result<Vec<Owned>, ZramError> {
        let active = self.active()?;
        let with_state = |device: Device| {
            let on = active
                .iter()
                .find(|swap| swap.path == device.node())
                .cloned();
            (device, on)
        };
        Ok(self
            .devices()
            .into_iter()
            .filter(Device::is_ours)
            .map(with_state)
            .collect())
    }

    fn devices(&self) -> Vec<Device> {
        let mut indices: Vec<u32> = fs::read_dir(self.sys.join("block"))
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_prefix("zram")?
                    .parse()
                    .ok()
            })
            .collect();
        indices.sort_unstable();
        indices
            .into_iter()
            .map(|index| self.device(index))
            .collect()
    }

    fn device(&self, index: u32) -> Device {
        Device::new(index, &self.sys, &self.dev)
    }

    fn active(&self) -> Result<Vec<ActiveSwap>, ZramError> {
        let path = self.proc.join("swaps");
        let text = proc::read(&path).map_err(ZramError::io("read", &path))?;
        Ok(proc::swaps(&text))
    }

    fn meminfo(&self) -> Result<proc::MemInfo, ZramError> {
        let path = self.proc.join("meminfo");
        let text = proc::read(&path).map_err(ZramError::io("read", &path))?;
        let missing = || io::Error::other("it does not tell MemAvailable");
        proc::meminfo(&text)
            .ok_or_else(missing)
            .map_err(ZramError::io("read", &path))
    }
}

type Owned = (Device, Option<ActiveSwap>);

fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Whether a line of `modules.dep` is about this module: `kernel/drivers/block/zram/zram.ko.xz: …`.
fn is_module_of(line: &str, name: &str) -> bool {
    let path = line.split(':').next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    file.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(".ko"))
}

/// Whether write-back is there, for the status.
fn write_back(supported: bool) -> ActionState {
    ActionState::new(
        "write-back",
        if supported {
            Err(
                "Kinglet does not set up a write-back device yet; use a swap file beside zram."
                    .to_owned(),
            )
        } else {
            Err("This kernel's zram cannot write back (CONFIG_ZRAM_WRITEBACK is off); use a swap file \
                 beside it."
                .to_owned())
        },
    )
}

#[cfg(test)]
mod tests;
