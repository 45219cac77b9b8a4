//! `/v1/images/{image}/content`: an image's bytes, for `curl -T`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kinglet_images::NewUpload;
use kinglet_model::image::ImagePhase;
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Image, Resource};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::Routes;
use super::uploads::{announced_digest, received, refused};
use crate::app::App;
use crate::extract::{Params, Reference};
use crate::listing::present;
use crate::problem::{Answer, Refused};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(put))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Where {
    /// The watched folder's name; the first one where it is absent.
    folder: Option<String>,
}

/// Upload an image in one go
///
/// `curl -T debian-12.qcow2 …/v1/images/debian-12.qcow2/content`. Here the name is the file's. It
/// cannot go on after the connection was lost: then nothing is left. Uploads that can are at
/// `/v1/uploads`.
#[utoipa::path(put, path = "/v1/images/{image}/content", tag = "uploads", operation_id = "putImage",
    params(("image" = String, Path, description = "The name of the file to be."), Where,
        ("Content-Length" = u64, Header, description = "Bytes in all."),
        ("Repr-Digest" = Option<String>, Header, description = "The SHA-256 that they must have: `sha-256=:BASE64:` (RFC 9530).")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "The image, which is being checked.", body = Image,
        headers(("Location" = String, description = "The image.")))))]
async fn put(
    State(app): State<Arc<App>>,
    name: Reference,
    Params(place): Params<Where>,
    request: Request,
) -> Answer<Response> {
    let headers = request.headers();
    if headers.contains_key(header::CONTENT_RANGE) {
        let detail = "A part of an image cannot be put; /v1/uploads takes uploads in parts.";
        return Err(Refused::invalid("content-range", detail));
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.ok_or_else(|| {
        let detail = "How many bytes will come must be said first, to reserve their space: send \
                      Content-Length.";
        Refused::invalid("length-required", detail).with_status(StatusCode::LENGTH_REQUIRED)
    })?;
    let new = NewUpload {
        file_name: name.as_str().to_owned(),
        folder: place.folder,
        length,
        sha256: announced_digest(headers)?,
        resumable: false,
    };
    // When the client is gone, somebody has to throw away what came.
    let received = tokio::spawn(receive(Arc::clone(&app), new, request));
    let image = received.await.map_err(|_| lost())??;
    let location = HeaderValue::try_from(format!("/v1/images/{}", image.id()));
    let body = Json(present(&app.registry, image));
    let mut response = (StatusCode::CREATED, body).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn receive(app: Arc<App>, new: NewUpload, request: Request) -> Answer<Image> {
    let uploads = app.library.uploads();
    let length = new.length;
    let id = uploads.create(new).await.map_err(refused)?.id();
    if length > 0 {
        let body = received(&app, request.into_body());
        let ended = uploads.append(id, 0, None, body).await;
        let whole = ended.as_ref().is_ok_and(|state| state.offset == length);
        let left = app.registry.fetch::<Image>(id).await?;
        if !whole && left.is_some_and(|image| image.status.phase == ImagePhase::Uploading) {
            uploads.cancel(id).await.map_err(refused)?;
        }
        if !whole {
            return Err(ended.map_or_else(refused, |_| lost()));
        }
    }
    let image = app.registry.fetch::<Image>(id).await?;
    image.ok_or_else(lost)
}

fn lost() -> Refused {
    let detail = "The connection ended before all bytes came, so nothing was kept.";
    Refused::new(ProblemKind::Invalid, "upload-cut", detail)
}
