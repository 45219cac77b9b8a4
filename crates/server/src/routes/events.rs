//! `/v1/events`: what changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use kinglet_model::event::{Event, LiveEvent};
use kinglet_model::problem::ProblemKind;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::events::{Feed, Position};
use crate::extract::Params;
use crate::problem::{Answer, Refused};

/// How often a stream on which nothing happens says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(30);

pub fn routes() -> Routes {
    Routes::new().routes(routes!(follow))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Follow {
    /// Begin after this revision, the `X-Revision` of a list. `Last-Event-ID` goes before it.
    /// Without either, the stream begins now.
    #[param(pattern = "^[0-9]{1,19}([.][0-9]{1,9})?$")]
    since: Option<String>,
    /// Whether to send the figures that are never stored, as `event: live`. While somebody asks for
    /// them, the use of CPU, memory, disks and network is measured.
    #[serde(default)]
    live: bool,
}

/// What one message of the stream holds.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum EventData {
    /// `event: put`, `delete` or `reset`.
    Stored(Event),
    /// `event: live`, without an id.
    Live(LiveEvent),
}

/// Follow what changes
///
/// Server-sent events. A message's id is where it stands in the log: a client that comes back with
/// it as `Last-Event-ID` (browsers do so by themselves) misses none and gets none twice. Where the
/// log no longer reaches back so far, `reset` says to list everything again.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "followEvents",
    params(Follow, ("Last-Event-ID" = Option<String>, Header, description = "The last message's id.")),
    responses((status = 200, description = "The stream; its messages' data is EventData.",
        body = EventData, content_type = "text/event-stream")))]
async fn follow(
    State(app): State<Arc<App>>,
    Params(params): Params<Follow>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Frame, Infallible>>>> {
    let since = position(&headers, params.since.as_deref())?;
    let permit = permit(&app)?;
    let watching = params.live.then(|| app.usage.watch());
    let feed = Feed::new(
        app.registry.clone(),
        since,
        watching,
        permit,
        app.ending.clone(),
    );
    let frames = stream::unfold(feed, |mut feed| async move {
        let frame = feed.next().await?;
        Some((Ok(frame), feed))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Ok(Sse::new(frames).keep_alive(heartbeat))
}

fn position(headers: &HeaderMap, since: Option<&str>) -> Answer<Option<Position>> {
    let header = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or("?"));
    let Some(text) = header.or(since).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = "since and Last-Event-ID take a revision, or the id of a message.";
        Refused::invalid("position-invalid", detail)
    })
}

fn permit(app: &App) -> Answer<OwnedSemaphorePermit> {
    Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let detail = "Too many clients follow the events already; close some.";
        Refused::new(ProblemKind::Refused, "too-many-streams", detail)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    })
}
