//! `kinglet vm ls`.

use clap::Args;
use kinglet_client::ListOptions;
use kinglet_model::Vm;
use kinglet_model::vm::Accelerator;

use super::{Session, tone};
use crate::failure::Outcome;
use crate::output::table::{Cell, Table};

/// List the VMs
#[derive(Debug, Args)]
#[command(visible_alias = "list")]
pub struct Ls {
    /// Show only these: name~TEXT, phase=PHASE, label.KEY=VALUE, with commas between
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Order by name, created or size; with - in front the other way round
    #[arg(
        long,
        value_name = "KEY",
        default_value = "name",
        allow_hyphen_values = true
    )]
    sort: String,
}

impl Ls {
    /// Lists.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let options = ListOptions {
            filter: self.filter,
            sort: Some(self.sort),
            ..ListOptions::default()
        };
        let vms = client.all_vms(&options).await?.items;
        session.out.result(&vms, || table(&vms))?;
        if vms.is_empty() && !session.out.is_json() {
            session.out.note("No VMs. Make one with: kinglet run IMAGE");
        }
        Ok(())
    }
}

fn table(vms: &[Vm]) -> String {
    let mut table = Table::new(&["NAME", "PHASE", "CPUS", "MEMORY", "ENGINE", "PORTS"]);
    for vm in vms {
        let phase = match &vm.status.reason {
            Some(reason) => format!("{}: {reason}", vm.status.phase),
            None => vm.status.phase.to_string(),
        };
        table.row([
            Cell::new(vm.metadata.name.to_string()),
            Cell::toned(tone(vm.status.phase), phase),
            Cell::new(vm.spec.vcpus.to_string()),
            Cell::new(vm.spec.memory.to_string()),
            Cell::new(engine(vm)),
            Cell::new(ports(vm)),
        ]);
    }
    table.render()
}

fn engine(vm: &Vm) -> String {
    vm.status.engine.as_ref().map_or_else(
        || "-".to_owned(),
        |engine| {
            let accelerator = match engine.accelerator {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "tcg",
            };
            format!("{} {accelerator}", engine.name)
        },
    )
}

fn ports(vm: &Vm) -> String {
    let ports: Vec<String> = vm
        .spec
        .network
        .publish
        .iter()
        .map(ToString::to_string)
        .collect();
    if ports.is_empty() {
        "-".to_owned()
    } else {
        ports.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use kinglet_model::vm::{VmPhase, VmSpec, VmStatus};
    use kinglet_model::{Metadata, Size};

    use super::*;

    fn vm(name: &str, phase: VmPhase) -> Vm {
        Vm {
            kind: "Vm".to_owned(),
            metadata: Metadata::new(name.parse().unwrap()),
            spec: VmSpec {
                memory: Size::gib(2),
                ..VmSpec::default()
            },
            status: VmStatus {
                phase,
                ..VmStatus::default()
            },
        }
    }

    #[test]
    fn the_table_says_what_a_person_looks_for() {
        let mut web = vm("web-1", VmPhase::Running);
        web.spec.network.publish = vec!["2222:22".parse().unwrap()];
        let mut broken = vm("broken", VmPhase::Failed);
        broken.status.reason = Some("port 80 is in use".to_owned());
        let text = table(&[web, broken]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
