//! The routes: one file a group, one line here for each. The description of the API is made from the
//! same lines.
//!
//! To add an endpoint: write a typed function with `#[utoipa::path]` in its group's file and add it
//! to `routes!` there. Then `KINGLET_UPDATE=1 cargo nextest run -p kinglet-server openapi` renews
//! `docs/openapi.json`.

mod console;
mod content;
mod docs;
mod events;
mod health;
mod host;
mod images;
mod metrics;
mod session;
mod uploads;
mod vms;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::{auth, guard, openapi, page, problem};

/// The largest body that is taken: 1 MiB.
const MAX_BODY: usize = 1 << 20;

type Routes = OpenApiRouter<Arc<App>>;

/// Those that anybody may ask.
fn open() -> Routes {
    OpenApiRouter::new()
        .merge(health::routes())
        .merge(session::open_routes())
}

/// Those that answer at once, for callers who are known.
fn ordinary() -> Routes {
    OpenApiRouter::new()
        .merge(images::routes())
        .merge(vms::routes())
        .merge(host::routes())
        .merge(session::routes())
        .merge(docs::routes())
        .merge(metrics::routes())
}

/// Those that go on, for callers who are known.
fn streaming() -> Routes {
    OpenApiRouter::new()
        .merge(events::routes())
        .merge(console::routes())
        .merge(uploads::routes())
        .merge(content::routes())
}

/// The description of the API.
pub fn described() -> OpenApi {
    let all = open().merge(ordinary()).merge(streaming());
    openapi::complete(all.into_openapi())
}

/// The paths of the router itself. It tells them only in its debug form.
pub fn routed_paths() -> BTreeSet<String> {
    let (router, _) = open()
        .merge(ordinary())
        .merge(streaming())
        .split_for_parts();
    let shown = format!("{router:?}");
    let quoted = shown.split('"').skip(1).step_by(2);
    // `/` and `/__private…` are the fallback's.
    let fallback = |text: &&str| *text == "/" || text.contains("__private");
    let paths = quoted.filter(|text| text.starts_with('/') && !fallback(text));
    paths.map(str::to_owned).collect()
}

/// Everything that is served.
pub fn router(app: &Arc<App>) -> Router {
    let time = from_fn_with_state(Arc::clone(app), guard::time::limit);
    let known = from_fn_with_state(Arc::clone(app), auth::authenticate);
    let guard = from_fn_with_state(Arc::clone(app), guard::guard);
    // Those that anybody may ask have to end most of all: a body may never come.
    let api = open().route_layer(time.clone()).merge(
        ordinary()
            .route_layer(time)
            .merge(streaming())
            .route_layer(known),
    );
    let (router, description) = api.split_for_parts();
    let description = docs::Description::new(&openapi::complete(description));
    router
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(page::serve)
        .layer(Extension(description))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(guard)
        .with_state(Arc::clone(app))
}
