//! `/v1/vms/{vm}/console`: a VM's serial console.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Resource, Vm};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::console::{self, From};
use crate::extract::{Params, Reference};
use crate::problem::{Answer, Refused};

/// The most history that one answer holds.
const MAX_LOG: usize = 4 << 20;

/// The largest frame that a client may send: what a person types or pastes.
const MAX_INPUT: usize = 64 << 10;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(attach)).routes(routes!(log))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Attach {
    /// `tail` for the last screen or so, or an offset in all that the console ever said.
    #[param(default = "tail", pattern = "^(tail|[0-9]+)$")]
    from: Option<String>,
}

/// Attach to the console (WebSocket)
///
/// Binary frames are output from the server and input from the client. Text frames are JSON:
/// ConsoleNotice from the server, ConsoleRequest from the client. Only one connection types at a
/// time: the one whose `claim` was granted.
#[utoipa::path(get, path = "/v1/vms/{vm}/console", tag = "console", operation_id = "attachConsole",
    params(("vm" = String, Path, description = "Its name or id."), Attach),
    responses((status = 101, description = "The console, as a WebSocket.")))]
async fn attach(
    State(app): State<Arc<App>>,
    vm: Reference,
    Params(params): Params<Attach>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let from = from(params.from.as_deref())?;
    let vm = vm.find::<Vm>(&app.registry).await?;
    let upgrade = upgrade.map_err(|_| {
        let detail = "The console is a WebSocket; console/log is its text.";
        Refused::invalid("websocket-needed", detail).with_status(StatusCode::UPGRADE_REQUIRED)
    })?;
    let permit = Arc::clone(&app.consoles).try_acquire_owned().map_err(|_| {
        let detail = "Too many consoles are open already; close some.";
        Refused::new(ProblemKind::Refused, "too-many-consoles", detail)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    })?;
    let console = app.machines.console(vm.id())?;
    let upgrade = upgrade
        .max_message_size(MAX_INPUT)
        .max_frame_size(MAX_INPUT);
    Ok(upgrade.on_upgrade(move |socket| async move {
        console::view(&app, vm.id(), console, from, socket).await;
        drop(permit);
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Log {
    /// An offset in all that the console ever said. Without, as far back as it is kept.
    from: Option<u64>,
}

/// What the console said
#[utoipa::path(get, path = "/v1/vms/{vm}/console/log", tag = "console", operation_id = "getConsoleLog",
    params(("vm" = String, Path, description = "Its name or id."), Log),
    responses((status = 200, description = "The bytes that the guest wrote, at most 4 MiB.",
        body = String, content_type = "text/plain",
        headers(("X-Console-Offset" = u64, description = "Where the first byte stands.")))))]
async fn log(
    State(app): State<Arc<App>>,
    vm: Reference,
    Params(params): Params<Log>,
) -> Answer<impl IntoResponse> {
    let vm = vm.find::<Vm>(&app.registry).await?;
    let console = app.machines.console(vm.id())?;
    let read =
        tokio::task::spawn_blocking(move || console::history(&console, params.from, MAX_LOG));
    let (offset, output) = read
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| {
            let detail = format!("The console's log cannot be read: {error}.");
            Refused::new(ProblemKind::Internal, "console-unreadable", detail)
        })?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            HeaderName::from_static("x-console-offset"),
            offset.to_string(),
        ),
    ];
    Ok((headers, output))
}

fn from(text: Option<&str>) -> Answer<From> {
    match text {
        None | Some("tail") => Ok(From::Tail),
        Some(offset) => offset.parse().map(From::Offset).map_err(|_| {
            Refused::invalid("from-invalid", "from is `tail`, or an offset in bytes.")
        }),
    }
}
