//! `kinglet run`: create, start and attach in one go.

use std::time::Duration;

use clap::Args;
use kinglet_client::{Client, ConsoleFrom};
use kinglet_model::vm::{Accelerator, Power, VmAction, VmPhase};
use kinglet_model::{Image, Vm};

use super::Session;
use super::vm::{failed, options::Options};
use crate::attach::{self, Manner};
use crate::failure::Outcome;
use crate::output::progress::Waiting;
use crate::watch;

/// Create a VM from an image, start it, and sit at its console
///
/// Waits while the image is still arriving or being checked. Ctrl-] leaves the console; the VM goes
/// on.
#[derive(Debug, Args)]
pub struct Run {
    /// The image that its first disk begins as
    image: String,
    #[command(flatten)]
    options: Options,
    /// Return once it runs instead of attaching to its console
    #[arg(long, short)]
    detach: bool,
    /// Delete the VM with its disks when its console ends, also when it is left
    #[arg(long, conflicts_with = "detach")]
    rm: bool,
}

impl Run {
    /// Runs.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let new = self.options.new_vm(Some(self.image.clone()), Power::On)?;
        image_ready(session, &client, &self.image).await?;
        let created = client.create_vm(&new).await?;
        let name = created.metadata.name.clone();
        let waiting = Waiting::new(&session.out, &format!("Starting VM {name}"));
        let vm = if created.status.phase == VmPhase::Running {
            created
        } else {
            watch::vm(&client, created, &waiting, has_started).await?
        };
        drop(waiting);
        if vm.status.phase == VmPhase::Failed {
            session
                .out
                .note(&format!("Look at it with: kinglet vm show {name}"));
            return Err(failed(&vm));
        }
        if self.detach {
            return report(session, &vm);
        }
        session.out.note(&introduction(&vm));
        let name = vm.metadata.name.as_str();
        let end = attach::attach(&client, name, manner(), &session.out).await;
        if self.rm {
            remove(session, &client, &vm).await?;
            session.out.note(&format!("\nRemoved VM {name}."));
            return end.map(drop);
        }
        attach::farewell(&session.out, name, end?);
        Ok(())
    }
}

/// From the first byte: nobody saw it boot yet.
const fn manner() -> Manner {
    Manner {
        from: ConsoleFrom::Offset(0),
        types: true,
        steals: false,
        linger: Duration::from_secs(2),
    }
}

/// Waits while the image is on its way. What it is then is for the daemon to judge.
async fn image_ready(session: &Session, client: &Client, name: &str) -> Outcome<Image> {
    let image = client.image(name).await?;
    let waiting = Waiting::new(&session.out, &format!("Image {name}"));
    watch::image(client, image, &waiting, |image| {
        !image.status.phase.is_on_its_way()
    })
    .await
}

/// A guest may be off again before it was seen running.
fn has_started(vm: &Vm) -> bool {
    match vm.status.phase {
        VmPhase::Running | VmPhase::Failed => true,
        VmPhase::Stopped => vm.status.exit.is_some(),
        VmPhase::Waiting
        | VmPhase::Starting
        | VmPhase::Paused
        | VmPhase::Stopping
        | VmPhase::Deleting => false,
    }
}

fn report(session: &Session, vm: &Vm) -> Outcome {
    session
        .out
        .result(vm, || format!("{}\n", vm.metadata.name))?;
    session.out.note(&introduction(vm));
    session.out.note(&format!(
        "Its console: kinglet vm console {}",
        vm.metadata.name
    ));
    Ok(())
}

fn introduction(vm: &Vm) -> String {
    let mut text = format!("VM {} is {}", vm.metadata.name, vm.status.phase);
    if let Some(engine) = &vm.status.engine {
        let accelerator = match engine.accelerator {
            Accelerator::Kvm => "KVM",
            Accelerator::Tcg => "emulation",
        };
        text.push_str(&format!(" on {} by {accelerator}", engine.name));
    }
    for publish in &vm.spec.network.publish {
        text.push_str(&format!(", {publish}"));
    }
    text.push('.');
    text
}

async fn remove(session: &Session, client: &Client, vm: &Vm) -> Outcome {
    let id = vm.metadata.id.to_string();
    let waiting = Waiting::new(&session.out, &format!("Removing VM {}", vm.metadata.name));
    let off = |vm: &Vm| matches!(vm.status.phase, VmPhase::Stopped | VmPhase::Failed);
    let mut now = client.vm(&id).await?;
    if !off(&now) {
        let stopping = now.status.phase == VmPhase::Stopping;
        if !stopping {
            now = client.act_vm(&id, VmAction::Kill, None).await?;
        }
        if !off(&now) {
            now = watch::vm(client, now, &waiting, off).await?;
        }
    }
    client.delete_vm(&id, None).await?;
    watch::vm_gone(client, &now).await
}
