//! `kinglet doctor`: what this machine can do for VMs. Needs no daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kinglet_host::doctor::{self, DoctorConfig};
use kinglet_model::host::{Check, Verdict};

use crate::command::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, Tone};
use crate::places::Surroundings;

/// How often the daemon scans folders in which inotify does not see everything.
const SCAN_INTERVAL: Duration = Duration::from_secs(3);

/// Find out what this machine can do for VMs, with a remedy for what it cannot
///
/// Tries each thing instead of guessing: KVM counts as usable only after a guest ran on it. Works
/// without a daemon. Ends with 0 when VMs can run at all, else with 1.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The data folder to judge
    #[arg(long, env = "KINGLET_DATA", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
}

impl Doctor {
    /// Examines and prints.
    pub fn run(self, session: &Session) -> Outcome<ExitCode> {
        let data = self
            .data
            .or_else(|| Surroundings::here().data())
            .ok_or_else(|| Failure::usage("say which data folder to judge: --data DIR"))?;
        let exe = std::env::current_exe()
            .map_err(|error| Failure::failed(format!("cannot find this program ({error})")))?;
        let checks = doctor::examine(&DoctorConfig {
            image_folders: vec![data.join("images")],
            data,
            scan_interval: SCAN_INTERVAL,
            exe,
        });
        session
            .out
            .result(&checks, || render(&session.out, &checks))?;
        Ok(ExitCode::from(u8::from(!vms_can_run(&checks))))
    }
}

/// Everything else has something that serves instead.
fn vms_can_run(checks: &[Check]) -> bool {
    checks.iter().all(|check| {
        !matches!(check.name.as_str(), "qemu" | "data") || check.verdict != Verdict::No
    })
}

/// The checks for a person: a line each, its remedy below.
fn render(out: &Output, checks: &[Check]) -> String {
    let width = checks
        .iter()
        .map(|check| check.title.chars().count())
        .max()
        .unwrap_or(0);
    checks
        .iter()
        .map(|check| {
            let (tone, word) = match check.verdict {
                Verdict::Yes => (Tone::Good, "yes    "),
                Verdict::Limited => (Tone::Busy, "limited"),
                Verdict::No => (Tone::Bad, "no     "),
            };
            let word = out.toned(tone, word);
            let line = format!("{word}  {:<width$}  {}\n", check.title, check.detail);
            let remedy = check
                .remedy
                .as_ref()
                .map(|remedy| format!("         {:<width$}  → {remedy}\n", ""));
            line + &remedy.unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, verdict: Verdict, remedy: Option<&str>) -> Check {
        Check {
            name: name.to_owned(),
            title: format!("The {name}"),
            verdict,
            detail: "what was seen".to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_nothing_replaces_stops_vms() {
        let no = Some("do this");
        assert!(vms_can_run(&[check("kvm", Verdict::No, no)]));
        assert!(!vms_can_run(&[check("qemu", Verdict::No, no)]));
        assert!(vms_can_run(&[check("data", Verdict::Limited, no)]));
    }

    #[test]
    fn remedies_stand_below_their_checks() {
        let checks = [
            check("qemu", Verdict::Yes, None),
            check("firmware", Verdict::Limited, Some("apt-get install ovmf")),
            check("kvm", Verdict::No, Some("modprobe kvm_amd")),
        ];
        let out = crate::output::tests::plain();
        insta::assert_snapshot!(anstream::adapter::strip_str(&render(&out, &checks)).to_string());
    }
}
