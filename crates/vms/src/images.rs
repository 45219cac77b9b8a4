//! The images that a VM needs: finding them, and being entered as their user.

use std::collections::BTreeMap;

use kinglet_model::image::{ImageAction, ImagePhase, ImageUser};
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::{Boot, VmSpec};
use kinglet_model::{Id, Image, Problem, Vm};
use kinglet_registry::{Registry, Txn};

use crate::problem::registry as registry_problem;

/// The image called or numbered `reference`.
pub(crate) async fn find(registry: &Registry, reference: &str) -> Result<Image, Problem> {
    let found = match (reference.parse::<Id>(), reference.parse()) {
        (Ok(id), _) => registry.fetch::<Image>(id).await,
        (_, Ok(name)) => registry.fetch_by_name::<Image>(&name).await,
        (Err(_), Err(error)) => {
            return Err(crate::problem::invalid(
                "image-name",
                format!("There cannot be an image of this name: {error}."),
            ));
        }
    };
    found
        .map_err(|error| registry_problem(&error))?
        .ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                "image-not-found",
                format!("There is no image {reference}; see `kinglet image ls`."),
            )
        })
}

/// The image, if it allows `action`.
pub(crate) async fn find_for(
    registry: &Registry,
    reference: &str,
    action: ImageAction,
) -> Result<Image, Problem> {
    let image = find(registry, reference).await?;
    image.permit(action)?;
    Ok(image)
}

/// The images of a VM being made, each once, with the roles in which they are needed.
#[derive(Default)]
pub(crate) struct Needed {
    images: BTreeMap<Id, (Image, Vec<&'static str>)>,
}

impl Needed {
    pub(crate) fn add(&mut self, image: Image, role: &'static str) {
        let entry = self
            .images
            .entry(image.metadata.id)
            .or_insert_with(|| (image, Vec::new()));
        entry.1.push(role);
    }

    /// `txn`, with the VM entered as the user of each, if none changed since it was looked at.
    pub(crate) fn enter(&self, mut txn: Txn, vm: &Vm) -> Txn {
        for (image, roles) in self.images.values() {
            let mut image = image.clone();
            let users = roles.iter().map(|role| user(vm, role));
            image.status.users.extend(users);
            txn = txn.update(&image.stored());
        }
        txn
    }
}

/// The VM as a user.
pub(crate) fn user(vm: &Vm, role: &str) -> ImageUser {
    ImageUser {
        kind: "Vm".to_owned(),
        id: vm.metadata.id,
        name: vm.metadata.name.clone(),
        role: role.to_owned(),
    }
}

/// The images that a stored spec names.
pub(crate) fn ids(spec: &VmSpec) -> Vec<Id> {
    let boot = match &spec.boot {
        Boot::Kernel { kernel, initrd, .. } => [Some(kernel), initrd.as_ref()],
        Boot::Firmware { .. } => [None, None],
    };
    let disks = spec.disks.iter().filter_map(|disk| disk.image.as_ref());
    let mut ids: Vec<Id> = [spec.image.as_ref(), spec.media.as_ref()]
        .into_iter()
        .chain(boot)
        .flatten()
        .chain(disks)
        .filter_map(|reference| reference.parse().ok())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Why a VM cannot start yet: an image that it needs is being written or checked right now. One that
/// is gone or damaged does not matter: the VM holds the file that it was made from.
pub(crate) async fn not_ready(
    registry: &Registry,
    spec: &VmSpec,
) -> Result<Option<String>, Problem> {
    for id in ids(spec) {
        let image = registry
            .fetch::<Image>(id)
            .await
            .map_err(|error| registry_problem(&error))?;
        let Some(image) = image else { continue };
        let doing = match image.status.phase {
            ImagePhase::Arriving => "arriving".to_owned(),
            phase => match phase.doing() {
                Some(doing) => format!("being {doing}"),
                None => continue,
            },
        };
        return Ok(Some(format!(
            "Its image {} is still {doing}.",
            image.metadata.name
        )));
    }
    Ok(None)
}
