//! `kinglet vm show`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::Timestamp;
use kinglet_client::{Client, ClientError};
use kinglet_model::Vm;
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::{Boot, Firmware, Isolation};

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
        let client = session.client()?;
        let vm = client.vm(&self.named.vm).await?;
        if session.out.is_json() {
            return session.out.json(&vm);
        }
        let names = image_names(&client, &vm).await?;
        session.out.print(&describe(&vm, &names, Timestamp::now()))
    }
}

/// Names of images by their ids, which is how a VM knows them.
type Names = BTreeMap<String, String>;

/// The names of the images that `vm` has. One that is gone keeps its id.
async fn image_names(client: &Client, vm: &Vm) -> Outcome<Names> {
    let mut ids: BTreeSet<String> = vm
        .spec
        .image
        .iter()
        .chain(&vm.spec.media)
        .cloned()
        .collect();
    if let Boot::Kernel { kernel, initrd, .. } = &vm.spec.boot {
        ids.extend(initrd.iter().chain([kernel]).cloned());
    }
    let mut names = Names::new();
    for id in ids {
        match client.image(&id).await {
            Ok(image) => {
                names.insert(id, image.metadata.name.to_string());
            }
            Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(names)
}

fn describe(vm: &Vm, names: &Names, now: Timestamp) -> String {
    let named = |id: &String| names.get(id).unwrap_or(id).clone();
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
        .add_some("Image", spec.image.as_ref().map(named))
        .add_each("Boot", boot(&spec.boot, named))
        .add_some("CD-ROM", spec.media.as_ref().map(named))
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
            format!("{} ({})", exit.message, ago(exit.at, now)),
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

fn boot(boot: &Boot, named: impl Fn(&String) -> String) -> Vec<String> {
    match boot {
        Boot::Firmware { firmware } => vec![
            match firmware {
                Firmware::Auto => "by the firmware that its disk needs",
                Firmware::Bios => "by BIOS",
                Firmware::Uefi => "by UEFI",
            }
            .to_owned(),
        ],
        Boot::Kernel {
            kernel,
            initrd,
            cmdline,
        } => {
            let mut lines = vec![format!("kernel {}", named(kernel))];
            lines.extend(
                initrd
                    .iter()
                    .map(|initrd| format!("initrd {}", named(initrd))),
            );
            lines.extend((!cmdline.is_empty()).then(|| cmdline.clone()));
            lines
        }
    }
}
