//! `/v1/uploads`: uploads that can go on after anything, by tus 1.0.0 (<https://tus.io/protocols/resumable-upload>)
//! with the extensions creation, creation-with-upload, checksum, expiration and termination.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kinglet_images::{Checksum, MAX_UPLOAD, NewUpload, UploadState};
use kinglet_model::{Digest, Id, Problem, Resource};
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::extract::Reference;
use crate::problem::{Answer, Refused, quoted};

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSION: HeaderName = HeaderName::from_static("tus-version");
const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const DEFER: HeaderName = HeaderName::from_static("upload-defer-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// RFC 9530.
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");

const PROTOCOL: HeaderValue = HeaderValue::from_static("1.0.0");
const BYTES: &str = "application/offset+octet-stream";

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(discover, create))
        .routes(routes!(state, append, cancel, overridden))
        .route_layer(from_fn(speak))
}

/// What the uploads can do
///
/// Any tus 1.0.0 client works here.
#[utoipa::path(options, path = "/v1/uploads", tag = "uploads", operation_id = "discoverUploads",
    responses((status = 204, description = "The protocol's version and extensions, in headers.", headers(
        ("Tus-Version" = String, description = "The versions that are spoken."),
        ("Tus-Extension" = String, description = "The extensions that are spoken."),
        ("Tus-Max-Size" = u64, description = "The largest upload, in bytes."),
        ("Tus-Checksum-Algorithm" = String, description = "What Upload-Checksum may be made with.")))))]
async fn discover() -> Response {
    let headers = [
        (VERSION, PROTOCOL),
        (
            EXTENSION,
            HeaderValue::from_static(
                "creation,creation-with-upload,checksum,expiration,termination",
            ),
        ),
        (MAX_SIZE, HeaderValue::from(MAX_UPLOAD)),
        (ALGORITHMS, HeaderValue::from_static("sha256,sha1")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Announce an upload
///
/// Its space is reserved and its image is there at once, in the phase `uploading`. Metadata:
/// `filename` (or `name`), and as one may wish `folder` (a watched folder's name) and `sha256` (what
/// the whole must be). Repeated before any byte came, it is the same upload. A body of
/// `application/offset+octet-stream` is the first bytes.
#[utoipa::path(post, path = "/v1/uploads", tag = "uploads", operation_id = "createUpload",
    params(("Tus-Resumable" = String, Header, description = "The protocol's version: 1.0.0."),
        ("Upload-Length" = u64, Header, description = "Bytes in all."),
        ("Upload-Metadata" = String, Header, description = "Pairs of a key and its value in Base64, with commas between."),
        ("Upload-Checksum" = Option<String>, Header, description = "Of this request's bytes: `sha256` or `sha1`, a space, the digest in Base64.")),
    responses((status = 201, description = "Announced.", headers(
        ("Location" = String, description = "The upload."),
        ("Upload-Offset" = u64, description = "Bytes that are on disk."),
        ("Upload-Expires" = Option<String>, description = "When it is thrown away if nothing more comes.")))))]
async fn create(State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let headers = request.headers();
    let new = announced(headers)?;
    let first = is_bytes(headers).then(|| checksum(headers)).transpose()?;
    let uploads = app.library.uploads();
    let image = uploads.create(new).await.map_err(refused)?;
    let id = image.id();
    let state = match first {
        Some(checksum) => {
            let body = received(&app, request.into_body());
            uploads.append(id, 0, checksum, body).await
        }
        None => uploads.state(id).await,
    };
    let mut response = answer(StatusCode::CREATED, &state.map_err(refused)?);
    let location = HeaderValue::try_from(format!("/v1/uploads/{id}"));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// How far an upload is
#[utoipa::path(head, path = "/v1/uploads/{upload}", tag = "uploads", operation_id = "getUpload",
    params(("upload" = String, Path, description = "Its id, which is the image's."),
        ("Tus-Resumable" = String, Header, description = "The protocol's version: 1.0.0.")),
    responses((status = 200, description = "So far.", headers(
        ("Upload-Offset" = u64, description = "Bytes that are on disk."),
        ("Upload-Length" = u64, description = "Bytes in all."),
        ("Upload-Expires" = Option<String>, description = "When it is thrown away if nothing more comes."),
        ("Repr-Digest" = Option<String>, description = "SHA-256 of the bytes that are on disk (RFC 9530).")))))]
async fn state(State(app): State<Arc<App>>, upload: Reference) -> Answer<Response> {
    let id = id(&upload)?;
    let state = app.library.uploads().state(id).await.map_err(refused)?;
    let mut response = answer(StatusCode::OK, &state);
    let name = file_name(&app, id).await;
    let headers = response.headers_mut();
    headers.insert(LENGTH, state.length.into());
    if let Some(metadata) = name
        .and_then(|name| HeaderValue::try_from(format!("filename {}", STANDARD.encode(name))).ok())
    {
        headers.insert(METADATA, metadata);
    }
    Ok(response)
}

/// Send bytes of an upload
///
/// What is acknowledged is on disk. With the last byte the file takes its place and the image goes on
/// to `checking`.
#[utoipa::path(patch, path = "/v1/uploads/{upload}", tag = "uploads", operation_id = "appendUpload",
    params(("upload" = String, Path, description = "Its id, which is the image's."),
        ("Tus-Resumable" = String, Header, description = "The protocol's version: 1.0.0."),
        ("Upload-Offset" = u64, Header, description = "Where these bytes begin: the offset that was told last."),
        ("Upload-Checksum" = Option<String>, Header, description = "Of this request's bytes: `sha256` or `sha1`, a space, the digest in Base64.")),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "They are on disk.", headers(
        ("Upload-Offset" = u64, description = "Bytes that are on disk."),
        ("Upload-Expires" = Option<String>, description = "When it is thrown away if nothing more comes."),
        ("Repr-Digest" = Option<String>, description = "SHA-256 of the bytes that are on disk (RFC 9530).")))))]
async fn append(
    State(app): State<Arc<App>>,
    upload: Reference,
    request: Request,
) -> Answer<Response> {
    append_to(&app, id(&upload)?, request).await
}

/// Give an upload up
#[utoipa::path(delete, path = "/v1/uploads/{upload}", tag = "uploads", operation_id = "cancelUpload",
    params(("upload" = String, Path, description = "Its id, which is the image's."),
        ("Tus-Resumable" = Option<String>, Header, description = "The protocol's version: 1.0.0.")),
    responses((status = 204, description = "It is gone, and what had come of it.")))]
async fn cancel(State(app): State<Arc<App>>, upload: Reference) -> Answer<StatusCode> {
    let id = id(&upload)?;
    app.library.uploads().cancel(id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// One of the others, for clients that have only POST
#[utoipa::path(post, path = "/v1/uploads/{upload}", tag = "uploads", operation_id = "overrideUpload",
    params(("upload" = String, Path, description = "Its id, which is the image's."),
        ("Tus-Resumable" = String, Header, description = "The protocol's version: 1.0.0."),
        ("X-HTTP-Method-Override" = String, Header, description = "PATCH, DELETE or HEAD.")),
    responses((status = 200, description = "As HEAD."), (status = 204, description = "As PATCH or DELETE.")))]
async fn overridden(
    State(app): State<Arc<App>>,
    upload: Reference,
    request: Request,
) -> Answer<Response> {
    match text(request.headers(), &OVERRIDE) {
        Some("PATCH") => append_to(&app, id(&upload)?, request).await,
        Some("HEAD") => state(State(app), upload).await,
        Some("DELETE") => cancel(State(app), upload)
            .await
            .map(IntoResponse::into_response),
        _ => Err(Refused::invalid(
            "method-override",
            "Say with X-HTTP-Method-Override what is meant: PATCH, DELETE or HEAD.",
        )),
    }
}

async fn append_to(app: &App, id: Id, request: Request) -> Answer<Response> {
    let headers = request.headers();
    if !is_bytes(headers) {
        let detail = format!("Bytes of an upload are sent with Content-Type: {BYTES}.");
        return Err(Refused::invalid("upload-content-type", detail)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let offset = number(headers, &OFFSET)?;
    let checksum = checksum(headers)?;
    let body = received(app, request.into_body());
    let uploads = app.library.uploads();
    let state = uploads.append(id, offset, checksum, body).await;
    Ok(answer(StatusCode::NO_CONTENT, &state.map_err(refused)?))
}

/// Refuses other protocols, and says in each answer which one is spoken.
async fn speak(request: Request, next: Next) -> Response {
    // Without it nothing can be misunderstood: a plain `curl -X DELETE` is as good.
    let needed = !matches!(request.method().as_str(), "OPTIONS" | "DELETE");
    let said = request.headers().get(&RESUMABLE);
    let mut response = if said.is_none_or(|said| *said == PROTOCOL) && (said.is_some() || !needed) {
        next.run(request).await
    } else {
        let detail = "Uploads speak tus 1.0.0: send the header Tus-Resumable: 1.0.0. For a plain \
                      upload there is PUT /v1/images/NAME/content.";
        let mut response = Refused::invalid("tus-version", detail)
            .with_status(StatusCode::PRECONDITION_FAILED)
            .into_response();
        response.headers_mut().insert(VERSION, PROTOCOL);
        response
    };
    response.headers_mut().insert(RESUMABLE, PROTOCOL);
    response
}

fn announced(headers: &HeaderMap) -> Answer<NewUpload> {
    if headers.contains_key(&DEFER) {
        let detail = "The length of an upload is needed at its beginning, to reserve its space: \
                      send Upload-Length.";
        return Err(Refused::invalid("upload-length", detail));
    }
    let length = number(headers, &LENGTH)?;
    let metadata = text(headers, &METADATA).unwrap_or_default();
    let value = |wanted: &str| value(metadata, wanted).transpose();
    let file_name = match value("filename")? {
        Some(name) => Some(name),
        None => value("name")?,
    };
    let file_name = file_name.ok_or_else(|| {
        let detail = "An upload needs the name of its file: send Upload-Metadata with filename.";
        Refused::invalid("upload-name", detail)
    })?;
    let sha256 = value("sha256")?.map(|text| text.parse::<Digest>());
    let sha256 = sha256.transpose().map_err(|error| {
        Refused::invalid(
            "upload-metadata",
            format!("The sha256 in Upload-Metadata is {error}."),
        )
    })?;
    Ok(NewUpload {
        file_name,
        folder: value("folder")?,
        length,
        sha256,
        resumable: true,
    })
}

/// A value of the metadata.
fn value(metadata: &str, wanted: &str) -> Option<Answer<String>> {
    let pairs = metadata.split(',').map(str::trim);
    let encoded = pairs
        .map(|pair| pair.split_once(' ').unwrap_or((pair, "")))
        .find_map(|(key, value)| (key == wanted).then_some(value.trim()))?;
    let decoded = STANDARD.decode(encoded).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(text.ok_or_else(|| {
        let detail = format!("The {wanted} in Upload-Metadata is not UTF-8 text in Base64.");
        Refused::invalid("upload-metadata", detail)
    }))
}

fn checksum(headers: &HeaderMap) -> Answer<Option<Checksum>> {
    let Some(said) = text(headers, &CHECKSUM) else {
        return Ok(None);
    };
    let (algorithm, encoded) = said.split_once(' ').unwrap_or((said, ""));
    let bytes = STANDARD.decode(encoded.trim()).unwrap_or_default();
    let checksum = match algorithm {
        "sha256" => bytes.try_into().ok().map(Checksum::Sha256),
        "sha1" => bytes.try_into().ok().map(Checksum::Sha1),
        _ => None,
    };
    checksum.map(Some).ok_or_else(|| {
        let detail = format!(
            "{} is no checksum that is taken here: sha256 or sha1, a space, and the digest in Base64.",
            quoted(said)
        );
        Refused::invalid("upload-checksum", detail)
    })
}

fn is_bytes(headers: &HeaderMap) -> bool {
    text(headers, &header::CONTENT_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(BYTES))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Answer<u64> {
    let said = text(headers, name).filter(|said| said.bytes().all(|byte| byte.is_ascii_digit()));
    said.and_then(|said| said.parse().ok()).ok_or_else(|| {
        let detail = format!("The header {name} is needed, and is a number of bytes.");
        Refused::invalid(name.as_str(), detail)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn id(upload: &Reference) -> Answer<Id> {
    upload.id().ok_or_else(|| {
        let detail = format!("There is no upload {}.", quoted(upload.as_str()));
        Refused::new(
            kinglet_model::problem::ProblemKind::NotFound,
            "upload-not-found",
            detail,
        )
    })
}

async fn file_name(app: &App, id: Id) -> Option<String> {
    let image = app
        .registry
        .fetch::<kinglet_model::Image>(id)
        .await
        .ok()??;
    Some(image.spec.path)
}

/// A body until its end, or until the server ends: what came counts.
pub fn received(
    app: &App,
    body: Body,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let ending = app.ending.clone().cancelled_owned();
    let frames = body
        .into_data_stream()
        .map(|frame| frame.map_err(io::Error::other));
    Box::pin(frames.take_until(ending))
}

/// A refusal with the status that its clients expect.
pub fn refused(problem: Problem) -> Refused {
    let status = match problem.code.as_str() {
        "upload-busy" => Some(StatusCode::LOCKED),
        // tus: Checksum Mismatch.
        "checksum-mismatch" | "digest-mismatch" => StatusCode::from_u16(460).ok(),
        _ => None,
    };
    let refused = Refused(problem);
    match status {
        Some(status) => refused.with_status(status),
        None => refused,
    }
}

fn answer(status: StatusCode, state: &UploadState) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, state.offset.into());
    if let Some(expires) = state.expires.and_then(date) {
        headers.insert(EXPIRES, expires);
    }
    let digest = state.digest.and_then(|digest| {
        let encoded = STANDARD.encode(digest.as_bytes());
        HeaderValue::try_from(format!("sha-256=:{encoded}:")).ok()
    });
    if let Some(digest) = digest {
        headers.insert(DIGEST, digest);
    }
    response
}

/// The SHA-256 that `Repr-Digest` announces (RFC 9530).
pub fn announced_digest(headers: &HeaderMap) -> Answer<Option<Digest>> {
    let Some(said) = text(headers, &DIGEST) else {
        return Ok(None);
    };
    let found = said.split(',').find_map(|one| {
        let encoded = one.trim().strip_prefix("sha-256=:")?.strip_suffix(':')?;
        let bytes = STANDARD.decode(encoded).ok()?.try_into().ok()?;
        Some(Digest::from_bytes(bytes))
    });
    found.map(Some).ok_or_else(|| {
        let detail = "Repr-Digest must have a sha-256, as RFC 9530 writes it: sha-256=:BASE64:";
        Refused::invalid("repr-digest", format!("{detail}."))
    })
}

fn date(time: SystemTime) -> Option<HeaderValue> {
    let timestamp = Timestamp::try_from(time).ok()?;
    let text = rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&timestamp)
        .ok()?;
    HeaderValue::try_from(text).ok()
}
