//! `/healthz`: whether the daemon works. Anybody may ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kinglet_model::api::Health;
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::problem::Answer;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(health))
}

/// Whether the daemon works
#[utoipa::path(get, path = "/healthz", tag = "daemon", operation_id = "getHealth", security(()),
    responses((status = 200, description = "It does.", body = Health)))]
async fn health(State(app): State<Arc<App>>) -> Answer<Json<Health>> {
    app.registry.get("/healthz").await?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(Health {
        status: "ok".to_owned(),
        version,
    }))
}
