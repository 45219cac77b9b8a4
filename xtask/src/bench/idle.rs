//! What the daemon costs while nothing happens: memory and wake-ups, with 1,000 images.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kinglet_tests::until;

use super::{Figure, daemon, figure};

const IMAGES: usize = 1000;
const REST: Duration = Duration::from_secs(30);

pub fn measure(program: &Path) -> Result<Vec<Figure>> {
    let mut daemon = daemon(program)?;
    daemon.launch()?;
    let empty = pss(daemon.pid()?)?;
    for index in 0..IMAGES {
        fs::File::create(daemon.images().join(format!("disk-{index}.raw")))?.set_len(1 << 20)?;
    }
    until("every image to be ready and hashed", || {
        let list = daemon.json(["image", "ls"])?;
        let done = list.as_array().map_or(0, |all| {
            all.iter()
                .filter(|image| image["status"]["phase"] == "ready")
                .filter(|image| image["status"]["sha256"].is_string())
                .count()
        });
        Ok((done == IMAGES).then_some(()))
    })?;
    let after_listing = pss(daemon.pid()?)?;
    // As a host finds itself in the morning: the daemon came up with its images, and nobody asked.
    daemon.kill()?;
    daemon.launch()?;
    std::thread::sleep(Duration::from_secs(3));
    let before = switches(daemon.pid()?)?;
    std::thread::sleep(REST);
    let woken: u64 = switches(daemon.pid()?)?
        .into_iter()
        .map(|(thread, count)| count - before.get(&thread).copied().unwrap_or(0))
        .sum();
    let resting = pss(daemon.pid()?)?;
    Ok(vec![
        figure("Pss without images", mebibytes(empty), ""),
        figure(
            "Pss with 1,000 images, just hashed and listed",
            mebibytes(after_listing),
            "≤ 24 MiB",
        ),
        figure(
            "Pss with 1,000 images, at rest",
            mebibytes(resting),
            "under 10 MiB",
        ),
        #[allow(clippy::cast_precision_loss)]
        figure(
            "wake-ups per second at rest",
            format!("{:.2}", woken as f64 / REST.as_secs_f64()),
            "under 0.2",
        ),
    ])
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{} MiB", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}

/// The daemon's share of memory in KiB.
fn pss(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    field(&text, "Pss:")
}

/// How often each thread of the daemon was put on a CPU.
fn switches(pid: u32) -> Result<HashMap<OsString, u64>> {
    let mut all = HashMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?;
        // A thread that ends meanwhile is one that does not wake up any more.
        let Ok(text) = fs::read_to_string(thread.path().join("status")) else {
            continue;
        };
        let sum = field(&text, "voluntary_ctxt_switches:")?
            + field(&text, "nonvoluntary_ctxt_switches:")?;
        all.insert(thread.file_name(), sum);
    }
    Ok(all)
}

fn field(text: &str, name: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no {name} in {text}"))
}
