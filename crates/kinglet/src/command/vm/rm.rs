//! `kinglet vm rm`.

use clap::Args;

use super::{Named, Session};
use crate::command::confirm::Confirm;
use crate::failure::Outcome;
use crate::output::progress::Waiting;
use crate::watch;

/// Delete a VM with its disks, for good
#[derive(Debug, Args)]
#[command(visible_alias = "delete")]
pub struct Rm {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    confirm: Confirm,
}

impl Rm {
    /// Deletes it and waits until it is gone.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let vm = client.vm(&self.named.vm).await?;
        let question = format!("Delete VM {} and its disks?", vm.metadata.name);
        if !self.confirm.ask(&question, &vm.status.actions, "delete")? {
            session.out.note("Nothing was deleted.");
            return Ok(());
        }
        client
            .delete_vm(&vm.metadata.id.to_string(), Some(vm.metadata.revision))
            .await?;
        let waiting = Waiting::new(&session.out, &format!("Deleting VM {}", vm.metadata.name));
        watch::vm_gone(&client, &vm).await?;
        drop(waiting);
        session
            .out
            .note(&format!("Deleted VM {}.", vm.metadata.name));
        Ok(())
    }
}
