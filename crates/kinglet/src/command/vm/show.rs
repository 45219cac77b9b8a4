//! `kinglet vm show`.

use clap::Args;
use jiff::Timestamp;
use kinglet_model::Vm;
use kinglet_model::vm::{Boot, Isolation};

use super::{Named, Session};
use crate::failure::Outcome;
use crate::output::fields::Fields;
use crate::output::time::ago;

/// Show everything that is known of a VM
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    named: Named,
}

impl Show {
    /// Shows.
    pub async fn run(self, session: &Session) -> Outcome {
        let vm = session.client()?.vm(&self.named.vm).await?;
        session.out.result(&vm, || describe(&vm, Timestamp::now()))
    }
}

fn describe(vm: &Vm, now: Timestamp) -> String {
    let (spec, status) = (&vm.spec, &vm.status);
    let mut fields = Fields::default();
    fields
        .add("Name", &vm.metadata.name)
        .add("Id", vm.metadata.id)
        .add("Phase", status.phase)
        .add_some("Reason", status.reason.as_ref())
        .add("Created", ago(vm.metadata.created, now))
        .add("CPUs", spec.vcpus)
        .add("Memory", spec.memory)
        .add("Boot", boot(&spec.boot))
        .add_some("CD-ROM", spec.media.as_ref())
        .add_each("Published", &spec.network.publish)
        .add_some("MAC address", status.mac.as_ref());
    fields.add_each(
        "Disks",
        status.disks.iter().map(|disk| {
            let access = if disk.read_only { ", read-only" } else { "" };
            format!("{}: {}{access}", disk.name, disk.size)
        }),
    );
    if let Some(engine) = &status.engine {
        let isolation = match engine.isolation {
            Isolation::Hardware => "by hardware virtualisation",
            Isolation::None => "none that can be relied on: run only guests that you trust",
        };
        fields
            .add("Engine", format!("{} {}", engine.name, engine.version))
            .add("Chosen", &engine.why)
            .add("Isolation", isolation);
    }
    if let Some(exit) = &status.exit {
        fields.add(
            "Last end",
            format!("{}, {}", exit.message, ago(exit.at, now)),
        );
    }
    fields
        .add_each(
            "Conditions",
            status
                .conditions
                .iter()
                .map(|condition| format!("{}: {}", condition.name, condition.message)),
        )
        .add_each(
            "Possible now",
            status
                .actions
                .iter()
                .filter(|action| action.allowed)
                .map(|action| action.name.clone()),
        );
    fields.render()
}

fn boot(boot: &Boot) -> String {
    match boot {
        Boot::Firmware { firmware } => format!("by firmware ({firmware:?})").to_lowercase(),
        Boot::Kernel { kernel, .. } => format!("kernel {kernel}"),
    }
}
