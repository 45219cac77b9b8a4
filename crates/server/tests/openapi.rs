//! The description of the API: checked in, and the same as the routes.

use std::path::Path;

/// `KINGLET_UPDATE=1` writes it anew.
#[test]
fn openapi_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = kinglet_server::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("KINGLET_UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == now,
        "docs/openapi.json is stale; run KINGLET_UPDATE=1 cargo nextest run -p kinglet-server openapi"
    );
}
