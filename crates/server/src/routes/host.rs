//! `/v1/host`: the machine.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kinglet_model::Host;
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::problem::Answer;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(show)).routes(routes!(doctor))
}

/// The machine, as the doctor found it last
#[utoipa::path(get, path = "/v1/host", tag = "host", operation_id = "getHost",
    responses((status = 200, description = "The machine.", body = Host)))]
async fn show(State(app): State<Arc<App>>) -> Answer<Json<Host>> {
    app.host.current().await.map(Json)
}

/// Have the doctor examine the machine anew
#[utoipa::path(post, path = "/v1/host/doctor", tag = "host", operation_id = "examineHost",
    responses((status = 200, description = "The machine.", body = Host)))]
async fn doctor(State(app): State<Arc<App>>) -> Answer<Json<Host>> {
    app.host.examine().await.map(Json)
}
