//! `/v1/openapi.json`: the description of the API.

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use super::Routes;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(openapi))
}

/// The description, written once.
#[derive(Clone)]
pub struct Description(Bytes);

impl Description {
    pub fn new(document: &OpenApi) -> Self {
        // A document of our own types cannot fail to be written.
        Self(Bytes::from(document.to_json().unwrap_or_default()))
    }
}

/// The description of this API (OpenAPI 3.1)
#[utoipa::path(get, path = "/v1/openapi.json", tag = "daemon", operation_id = "getOpenapi",
    responses((status = 200, description = "The document.", body = serde_json::Value,
        content_type = "application/json")))]
async fn openapi(Extension(Description(document)): Extension<Description>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
