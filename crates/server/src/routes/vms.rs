//! `/v1/vms`: virtual machines.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use kinglet_model::api::{MediaRequest, NewVm};
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::{VmAction, VmUsage};
use kinglet_model::{Problem, Resource, Vm};
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::extract::{Body, IfMatch, Params, Reference};
use crate::listing::{self, ListParams, present};
use crate::problem::Answer;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(restart))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(kill))
        .routes(routes!(insert_media, eject_media))
        .routes(routes!(usage))
}

/// The VMs
#[utoipa::path(get, path = "/v1/vms", tag = "vms", operation_id = "listVms", params(ListParams),
    responses((status = 200, description = "A part of the VMs.", body = Vec<Vm>, headers(
        ("X-Revision" = u64, description = "Follow the events from this revision."),
        ("X-Next-Cursor" = Option<String>, description = "Where the next part begins; absent with the last."),
        ("Link" = Option<String>, description = "The next part's address; absent with the last.")))))]
async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Params(params): Params<ListParams>,
) -> Answer<Response> {
    let part = listing::list::<Vm>(&app.registry, &params).await?;
    Ok(part.answer(&uri, &params))
}

/// Make a VM
///
/// It starts at once where `spec.power` is `on`.
#[utoipa::path(post, path = "/v1/vms", tag = "vms", operation_id = "createVm", request_body = NewVm,
    responses((status = 201, description = "The VM.", body = Vm,
        headers(("Location" = String, description = "Where it is.")))))]
async fn create(
    State(app): State<Arc<App>>,
    Body(new): Body<NewVm>,
) -> Answer<(StatusCode, HeaderMap, Json<Vm>)> {
    let vm = app.machines.create(new.name, new.labels, new.spec).await?;
    let mut headers = HeaderMap::new();
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/vms/{}", vm.id())) {
        headers.insert(header::LOCATION, place);
    }
    Ok((
        StatusCode::CREATED,
        headers,
        Json(present(&app.registry, vm)),
    ))
}

/// One VM
#[utoipa::path(get, path = "/v1/vms/{vm}", tag = "vms", operation_id = "getVm",
    params(("vm" = String, Path, description = "Its name or id.")),
    responses((status = 200, description = "The VM.", body = Vm)))]
async fn show(State(app): State<Arc<App>>, vm: Reference) -> Answer<Json<Vm>> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    Ok(Json(present(&app.registry, vm)))
}

/// Delete a VM and its disks
#[utoipa::path(delete, path = "/v1/vms/{vm}", tag = "vms", operation_id = "deleteVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It is being deleted; an event tells when it is gone.", body = Vm)))]
async fn delete(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Delete, seen).await
}

/// Start a VM
#[utoipa::path(post, path = "/v1/vms/{vm}/start", tag = "vms", operation_id = "startVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn start(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Start, seen).await
}

/// Ask the guest to shut down; after `spec.stopDeadline` seconds it is killed
#[utoipa::path(post, path = "/v1/vms/{vm}/stop", tag = "vms", operation_id = "stopVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn stop(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Stop, seen).await
}

/// Stop a VM and start it
#[utoipa::path(post, path = "/v1/vms/{vm}/restart", tag = "vms", operation_id = "restartVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn restart(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Restart, seen).await
}

/// Halt the guest between two instructions
#[utoipa::path(post, path = "/v1/vms/{vm}/pause", tag = "vms", operation_id = "pauseVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn pause(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Pause, seen).await
}

/// Let a paused guest go on
#[utoipa::path(post, path = "/v1/vms/{vm}/resume", tag = "vms", operation_id = "resumeVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn resume(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Resume, seen).await
}

/// End a VM at once, as if its plug were pulled
#[utoipa::path(post, path = "/v1/vms/{vm}/kill", tag = "vms", operation_id = "killVm",
    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It was accepted; events tell how it goes on.", body = Vm)))]
async fn kill(
    app: State<Arc<App>>,
    vm: Reference,
    seen: IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    act(app, vm, VmAction::Kill, seen).await
}

async fn act(
    State(app): State<Arc<App>>,
    vm: Reference,
    action: VmAction,
    IfMatch(revision): IfMatch,
) -> Answer<(StatusCode, Json<Vm>)> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    let vm = app.machines.act(vm.id(), action, revision).await?;
    Ok((StatusCode::ACCEPTED, Json(present(&app.registry, vm))))
}

/// Put a disc into the drive
#[utoipa::path(put, path = "/v1/vms/{vm}/media", tag = "vms", operation_id = "insertMedia",

    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")), request_body = MediaRequest,
    responses((status = 200, description = "The VM.", body = Vm)))]
async fn insert_media(
    State(app): State<Arc<App>>,
    vm: Reference,
    IfMatch(revision): IfMatch,
    Body(media): Body<MediaRequest>,
) -> Answer<Json<Vm>> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    let vm = app
        .machines
        .insert_media(vm.id(), &media.image, revision)
        .await?;
    Ok(Json(present(&app.registry, vm)))
}

/// Take the disc out of the drive
#[utoipa::path(delete, path = "/v1/vms/{vm}/media", tag = "vms", operation_id = "ejectMedia",

    params(("vm" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 200, description = "The VM.", body = Vm)))]
async fn eject_media(
    State(app): State<Arc<App>>,
    vm: Reference,
    IfMatch(revision): IfMatch,
) -> Answer<Json<Vm>> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    let vm = app.machines.eject_media(vm.id(), revision).await?;
    Ok(Json(present(&app.registry, vm)))
}

/// What a VM uses right now
#[utoipa::path(get, path = "/v1/vms/{vm}/usage", tag = "vms", operation_id = "getVmUsage",
    params(("vm" = String, Path, description = "Its name or id.")),
    responses((status = 200, description = "The figures.", body = VmUsage)))]
async fn usage(State(app): State<Arc<App>>, vm: Reference) -> Answer<Json<VmUsage>> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    if let Some(usage) = app.machines.usage(vm.id()).await? {
        return Ok(Json(usage));
    }
    let detail = format!("VM {} is {}; it uses nothing.", vm.name(), vm.status.phase);
    let refused = Problem::new(ProblemKind::Refused, "vm-state", detail);
    Err(refused
        .with_state(vm.status.phase.as_str(), vm.actions())
        .into())
}
