//! Scanning 10,000 files, beside `find -type f` piped into `xargs stat`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use kinglet_tests::until;

use super::{Figure, daemon, figure, ratio, time};

const FILES: usize = 10_000;
const ROUNDS: usize = 7;

pub fn measure(program: &Path) -> Result<Vec<Figure>> {
    let mut daemon = daemon(program)?;
    for index in 0..FILES {
        let folder = daemon.images().join(format!("shelf-{}", index % 20));
        fs::create_dir_all(&folder)?;
        File::create(folder.join(format!("disk-{index}.raw")))?.set_len(4096)?;
    }
    let peer = time(|| find_and_stat(&daemon.images()))?;
    let first = time(|| {
        daemon.launch()?;
        daemon.ok(["image", "refresh"])
    })?;
    until("every file to be catalogued and checked", || {
        let list = daemon.json(["image", "ls"])?;
        let ready = list.as_array().map_or(0, |all| {
            all.iter()
                .filter(|image| image["status"]["phase"] == "ready")
                .count()
        });
        Ok((ready == FILES).then_some(()))
    })?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let ours = time(|| daemon.ok(["image", "refresh"]))?;
        pairs.push((ours, time(|| find_and_stat(&daemon.images()))?));
    }
    Ok(vec![
        figure(
            "start and first scan of 10,000 files, beside find | xargs stat",
            ratio(&[(first, peer)])?,
            "",
        ),
        figure(
            "a later scan of them, beside find | xargs stat",
            ratio(&pairs)?,
            "under 1",
        ),
    ])
}

fn find_and_stat(folder: &Path) -> Result<()> {
    let mut find = Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-print0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let Some(names) = find.stdout.take() else {
        anyhow::bail!("find has no output")
    };
    let stat = Command::new("xargs")
        .args(["-0", "stat", "--format=%i %s %Y"])
        .stdin(names)
        .stdout(Stdio::null())
        .status()?;
    ensure!(
        find.wait()?.success() && stat.success(),
        "find | xargs stat failed"
    );
    Ok(())
}
