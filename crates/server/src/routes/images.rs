//! `/v1/images`: the library.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use kinglet_model::image::RefreshReport;
use kinglet_model::{Image, Resource};
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::extract::{IfMatch, Params, Reference};
use crate::listing::{self, ListParams, present};
use crate::problem::Answer;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(refresh))
        .routes(routes!(show, delete))
        .routes(routes!(check))
}

/// The images
///
/// Also has the folders looked through, without waiting for it: what is found is told as events.
#[utoipa::path(get, path = "/v1/images", tag = "images", operation_id = "listImages", params(ListParams),
    responses((status = 200, description = "A part of the images.", body = Vec<Image>, headers(
        ("X-Revision" = u64, description = "Follow the events from this revision."),
        ("X-Next-Cursor" = Option<String>, description = "Where the next part begins; absent with the last."),
        ("Link" = Option<String>, description = "The next part's address; absent with the last.")))))]
async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Params(params): Params<ListParams>,
) -> Answer<Response> {
    let part = listing::list::<Image>(&app.registry, &params).await?;
    app.refresh_soon();
    Ok(part.answer(&uri, &params))
}

/// One image
#[utoipa::path(get, path = "/v1/images/{image}", tag = "images", operation_id = "getImage",
    params(("image" = String, Path, description = "Its name or id.")),
    responses((status = 200, description = "The image.", body = Image)))]
async fn show(State(app): State<Arc<App>>, image: Reference) -> Answer<Json<Image>> {
    let image = image.find::<Image>(&app.registry).await?;
    Ok(Json(present(&app.registry, image)))
}

/// Look through the folders now
#[utoipa::path(post, path = "/v1/images/refresh", tag = "images", operation_id = "refreshImages",
    responses((status = 200, description = "What was found.", body = RefreshReport)))]
async fn refresh(State(app): State<Arc<App>>) -> Answer<Json<RefreshReport>> {
    Ok(Json(app.library.refresh().await?))
}

/// Check an image anew
#[utoipa::path(post, path = "/v1/images/{image}/check", tag = "images", operation_id = "checkImage",
    params(("image" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 202, description = "It is being checked.", body = Image)))]
async fn check(
    State(app): State<Arc<App>>,
    image: Reference,
    IfMatch(revision): IfMatch,
) -> Answer<(StatusCode, Json<Image>)> {
    let image = image.find::<Image>(&app.registry).await?;
    let image = app.library.check(image.id(), revision).await?;
    Ok((StatusCode::ACCEPTED, Json(present(&app.registry, image))))
}

/// Delete an image and its file
#[utoipa::path(delete, path = "/v1/images/{image}", tag = "images", operation_id = "deleteImage",
    params(("image" = String, Path, description = "Its name or id."),
        ("If-Match" = Option<String>, Header, description = "The revision that you have seen.", pattern = "^([0-9]{1,19}|\"[0-9]{1,19}\"|[*])$")),
    responses((status = 204, description = "It is gone.")))]
async fn delete(
    State(app): State<Arc<App>>,
    image: Reference,
    IfMatch(revision): IfMatch,
) -> Answer<StatusCode> {
    let image = image.find::<Image>(&app.registry).await?;
    app.library.delete(image.id(), revision).await?;
    Ok(StatusCode::NO_CONTENT)
}
