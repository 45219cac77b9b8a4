//! The description of the API: checked in, and the same as the routes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use support::Server;

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

fn document() -> Value {
    serde_json::to_value(kinglet_server::openapi()).unwrap()
}

/// Paths with their methods, in capitals.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[tokio::test]
async fn every_described_operation_is_routed_and_no_other_method_is() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token);
    let headers = [("Authorization", bearer.as_str())];
    for (path, methods) in described() {
        let place = path.replace(['{', '}'], "");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            if method == "GET" && path == "/v1/events" {
                continue;
            }
            let answer = server.ask(method, &place, &headers).await;
            let routed = answer.status != 405;
            assert_eq!(
                routed,
                methods.contains(method),
                "{method} {path}: {answer:?}"
            );
            if !routed {
                let allowed = answer.header("allow").unwrap();
                let allowed: BTreeSet<String> = allowed
                    .split(',')
                    .map(|one| one.trim().to_owned())
                    .collect();
                let allowed: BTreeSet<String> = allowed
                    .into_iter()
                    .filter(|method| method != "HEAD")
                    .collect();
                let said = |method: &&String| *method != "HEAD";
                let methods: BTreeSet<String> = methods.iter().filter(said).cloned().collect();
                assert_eq!(allowed, methods, "{path}");
            } else if answer.status == 404 {
                assert_ne!(answer.problem().code, "no-such-path", "{method} {path}");
            }
        }
    }
}

#[test]
fn every_route_is_described() {
    let described: BTreeSet<String> = described().into_keys().collect();
    assert_eq!(kinglet_server::routed_paths(), described);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_refusals_and_a_name() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            for range in ["4XX", "5XX"] {
                assert_eq!(
                    operation["responses"][range]["$ref"],
                    "#/components/responses/Problem"
                );
            }
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.push(reference.clone());
            }
            members
                .values()
                .for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
