//! The description of the API: what the routes do not say of themselves.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, License, OpenApi, Paths, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use kinglet_model::api::{ConsoleNotice, ConsoleRequest};
use kinglet_model::{ActionState, Problem, problem::ProblemKind};

const ABOUT: &str = "Kinglet turns a Linux machine into a VM host. Every refusal is a problem \
    document (RFC 9457). An object's `status.actions` says what may be done with it now. Changes \
    take `If-Match: REVISION`. What changes is told by `/v1/events`.\n\nOver the unix socket no \
    sign-in is needed.";

/// Adds what all operations have in common.
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Kinglet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            License::builder()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    let components = document.components.get_or_insert_default();
    add_shared(components);
    add_security(components);
    operations(&mut document.paths).for_each(add_refusals);
    document.security = Some(vec![
        SecurityRequirement::new("token", Vec::<String>::new()),
        SecurityRequirement::new("session", Vec::<String>::new()),
    ]);
    document
}

/// All operations of a document.
pub fn operations(paths: &mut Paths) -> impl Iterator<Item = &mut Operation> {
    paths.paths.values_mut().flat_map(|item| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.options,
            &mut item.head,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
    })
}

fn add_shared(components: &mut Components) {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    schemas.push((ProblemKind::name().into_owned(), ProblemKind::schema()));
    schemas.push((ActionState::name().into_owned(), ActionState::schema()));
    // What goes over the console's WebSocket, which no operation can name.
    schemas.push((ConsoleNotice::name().into_owned(), ConsoleNotice::schema()));
    schemas.push((
        ConsoleRequest::name().into_owned(),
        ConsoleRequest::schema(),
    ));
    components.schemas.extend(schemas);
    let content = ContentBuilder::new()
        .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
        .build();
    let response = ResponseBuilder::new()
        .description("Why it was not done.")
        .content("application/problem+json", content)
        .build();
    components
        .responses
        .insert("Problem".to_owned(), response.into());
}

fn add_security(components: &mut Components) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token in the daemon's token file."))
        .build();
    let cookie = ApiKeyValue::with_description(
        "kinglet_session_PORT",
        "A browser's session, from `POST /v1/session`. PORT is the daemon's.",
    );
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}

fn add_refusals(operation: &mut Operation) {
    for range in ["4XX", "5XX"] {
        let refusal = RefOr::Ref(Ref::from_response_name("Problem"));
        operation
            .responses
            .responses
            .insert(range.to_owned(), refusal);
    }
}
