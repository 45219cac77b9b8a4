//! `kinglet doctor`: what this machine can do for VMs. Needs no daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kinglet_host::doctor::{self, DoctorConfig};
use kinglet_model::host::{Check, Verdict};

use crate::command::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Tone;
use crate::output::table::{Cell, Table};
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
    #[arg(long, value_name = "DIR")]
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
        session.out.result(&checks, || render(&checks))?;
        Ok(ExitCode::from(u8::from(!vms_can_run(&checks))))
    }
}

/// Everything else has something that serves instead.
fn vms_can_run(checks: &[Check]) -> bool {
    checks.iter().all(|check| {
        !matches!(check.name.as_str(), "qemu" | "data") || check.verdict != Verdict::No
    })
}

/// The checks for a person: the remedy below what was seen.
fn render(checks: &[Check]) -> String {
    let mut table = Table::new(&["", "WHAT", "SEEN"]);
    for check in checks {
        let (tone, word) = match check.verdict {
            Verdict::Yes => (Tone::Good, "yes"),
            Verdict::Limited => (Tone::Busy, "limited"),
            Verdict::No => (Tone::Bad, "no"),
        };
        let seen = match &check.remedy {
            Some(remedy) => format!("{}\n→ {remedy}", check.detail),
            None => check.detail.clone(),
        };
        table.row([
            Cell::toned(tone, word),
            Cell::new(&check.title),
            Cell::new(seen),
        ]);
    }
    table.render()
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
        insta::assert_snapshot!(anstream::adapter::strip_str(&render(&checks)).to_string());
    }
}
