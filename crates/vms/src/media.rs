//! The disc in a VM's CD-ROM drive, as it is wanted. The keeper brings the drive to it.

use kinglet_model::image::ImageAction;
use kinglet_model::vm::VmAction;
use kinglet_model::{Id, Image, Problem, Revision, Vm};
use kinglet_registry::{Txn, TxnError};

use crate::images::{find_for, user};
use crate::machines::Machines;
use crate::problem::{internal, registry as registry_problem};
use crate::reference::hold;

const ROLE: &str = "media";
const TRIES: usize = 8;

impl Machines {
    /// Puts the ISO image called or numbered `image` into the VM's drive; what was in it is ejected.
    ///
    /// # Errors
    /// Where the VM or the image does not allow it now, or there is none.
    pub async fn insert_media(
        &self,
        id: Id,
        image: &str,
        if_match: Option<Revision>,
    ) -> Result<Vm, Problem> {
        for _ in 0..TRIES {
            let vm = self.expect(id, if_match).await?;
            vm.permit(VmAction::InsertMedia)?;
            let disc = find_for(self.registry(), image, ImageAction::InsertMedia).await?;
            let inside = vm
                .spec
                .media
                .as_ref()
                .and_then(|media| media.parse::<Id>().ok());
            if inside != Some(disc.metadata.id) {
                self.hold_disc(id, disc.clone()).await?;
            }
            if let Some(vm) = self.set_media(vm, Some(disc)).await? {
                return Ok(vm);
            }
        }
        Err(busy())
    }

    /// Takes the disc out of the VM's drive.
    ///
    /// # Errors
    /// Where the VM does not allow it now, or there is none.
    pub async fn eject_media(&self, id: Id, if_match: Option<Revision>) -> Result<Vm, Problem> {
        for _ in 0..TRIES {
            let vm = self.expect(id, if_match).await?;
            vm.permit(VmAction::EjectMedia)?;
            if let Some(vm) = self.set_media(vm, None).await? {
                return Ok(vm);
            }
        }
        Err(busy())
    }

    async fn hold_disc(&self, id: Id, disc: Image) -> Result<(), Problem> {
        let target = self.folder(id).media(disc.metadata.id);
        let files = self.files();
        let held = tokio::task::spawn_blocking(move || {
            let (file, place) = files.file(&disc)?;
            hold(&file, &place, &target)
                .map_err(|e| crate::problem::io("hold the disc as", &target, &e))
        });
        held.await
            .map_err(|_| internal("Holding the disc was cut off."))?
            .map(drop)
    }

    /// Writes what is wanted, with the VM as the disc's user instead of the former disc's. `None`: one
    /// of them changed meanwhile.
    async fn set_media(&self, mut vm: Vm, disc: Option<Image>) -> Result<Option<Vm>, Problem> {
        let former = vm
            .spec
            .media
            .take()
            .and_then(|media| media.parse::<Id>().ok());
        let wanted = disc.as_ref().map(|disc| disc.metadata.id);
        vm.spec.media = wanted.map(|id| id.to_string());
        if former == wanted {
            return Ok(Some(vm));
        }
        let mut txn = Txn::new().update(&vm.clone().stored());
        if let Some(mut disc) = disc {
            disc.status.users.push(user(&vm, ROLE));
            txn = txn.update(&disc.stored());
        }
        if let Some(former) = former {
            let image = self.registry().fetch::<Image>(former).await;
            if let Some(mut image) = image.map_err(|error| registry_problem(&error))? {
                let leaves = |other: &kinglet_model::image::ImageUser| {
                    other.id == vm.metadata.id && other.role == ROLE
                };
                image.status.users.retain(|other| !leaves(other));
                txn = txn.update(&image.stored());
            }
        }
        match self.registry().txn(txn).await {
            Ok(committed) => {
                vm.metadata.revision = committed.revision;
                self.wake(vm.metadata.id);
                Ok(Some(vm))
            }
            Err(TxnError::Conflict { .. }) => Ok(None),
            Err(TxnError::Registry(error)) => Err(registry_problem(&error.into())),
        }
    }
}

/// Somebody else changes the same objects all the time.
pub(crate) fn busy() -> Problem {
    crate::problem::refused(
        "busy",
        "The VM or its image is being changed by others all the time; try again.",
    )
}
