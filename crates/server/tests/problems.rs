//! Every failure leaves as a problem document, and every answer with its security headers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{Server, image};

#[tokio::test]
async fn every_failure_is_a_problem_document() {
    let server = Server::start().await;
    image(&server.registry, "debian-12", 1).await;
    let bearer = format!("Bearer {}", server.token);
    let json = "application/json";
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let cases: &[(&str, &str, &str, &str, u16, &str)] = &[
        ("GET", "/v1/nothing", "", "", 404, "no-such-path"),
        ("GET", "/v1", "", "", 404, "no-such-path"),
        ("GET", "/assets/nothing.js", "", "", 404, "no-such-path"),
        ("GET", "/v1/images/none", "", "", 404, "image-not-found"),
        (
            "GET",
            "/v1/images/..%2F..%2Fetc",
            "",
            "",
            404,
            "image-not-found",
        ),
        ("GET", "/v1/images/%ff", "", "", 400, "path-invalid"),
        (
            "GET",
            "/v1/vms/01956a3e-7c21-7f7e-9a52-3a7f0e9c4d10",
            "",
            "",
            404,
            "vm-not-found",
        ),
        ("PATCH", "/v1/images", "", "", 405, "method-not-allowed"),
        ("POST", "/v1/images", "", "", 405, "method-not-allowed"),
        ("POST", "/", "", "", 405, "method-not-allowed"),
        ("POST", "/v1/vms", "", "{}", 415, "body-not-json"),
        ("POST", "/v1/vms", "text/plain", "{}", 415, "body-not-json"),
        ("POST", "/v1/vms", json, "", 400, "body-invalid"),
        ("POST", "/v1/vms", json, "{", 400, "body-invalid"),
        ("POST", "/v1/vms", json, "[]", 400, "body-invalid"),
        (
            "POST",
            "/v1/vms",
            json,
            "{\"name\":\"../etc\"}",
            400,
            "body-invalid",
        ),
        (
            "POST",
            "/v1/vms",
            json,
            "{\"name\":\"a\\u0007\"}",
            400,
            "body-invalid",
        ),
        (
            "POST",
            "/v1/vms",
            json,
            "{\"memory\":1}",
            400,
            "body-invalid",
        ),
        ("POST", "/v1/vms", json, &long, 413, "body-too-large"),
        ("GET", "/v1/images?limit=0", "", "", 400, "limit-invalid"),
        ("GET", "/v1/images?limit=1001", "", "", 400, "limit-invalid"),
        ("GET", "/v1/images?limit=many", "", "", 400, "query-invalid"),
        ("GET", "/v1/images?sort=colour", "", "", 400, "sort-invalid"),
        (
            "GET",
            "/v1/images?filter=colour",
            "",
            "",
            400,
            "filter-invalid",
        ),
        ("GET", "/v1/images?cursor=zz", "", "", 400, "cursor-invalid"),
        (
            "GET",
            "/v1/events?since=yesterday",
            "",
            "",
            400,
            "position-invalid",
        ),
    ];
    for (method, path, kind, body, status, code) in cases {
        let mut headers = vec![("Authorization", bearer.as_str())];
        if !kind.is_empty() {
            headers.push(("Content-Type", kind));
        }
        let answer = server.send(method, path, &headers, body.as_bytes()).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(answer.problem().code, *code, "{method} {path} {shown}");
        assert_eq!(answer.status, *status, "{method} {path} {shown}");
        if *status == 405 {
            assert!(answer.header("allow").is_some(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn if_match_takes_one_revision() {
    let server = Server::start().await;
    image(&server.registry, "debian-12", 1).await;
    let bearer = format!("Bearer {}", server.token);
    for value in ["W/\"1\"", "\"one\"", "1, 2", "-1", ""] {
        let headers = [("Authorization", bearer.as_str()), ("If-Match", value)];
        let answer = server
            .ask("POST", "/v1/images/debian-12/check", &headers)
            .await;
        assert_eq!(answer.problem().code, "if-match-invalid", "{value}");
    }
}

#[tokio::test]
async fn every_answer_has_security_headers() {
    let server = Server::start().await;
    for path in [
        "/",
        "/vms/web-1/console",
        "/v1/images",
        "/healthz",
        "/v1/nothing",
    ] {
        let answer = server.ask("GET", path, &[]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'")
                && !policy.contains("unsafe")
                && policy.contains("frame-ancestors 'none'")
        );
        let scripts = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"));
        assert!(!scripts.unwrap_or_default().contains("unsafe"));
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        if !path.starts_with("/v") || path.starts_with("/vms") {
            continue;
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn page_is_served_for_its_own_places_and_validated_by_its_digest() {
    let server = Server::start().await;
    let page = server.ask("GET", "/", &[]).await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let place = server.ask("GET", "/vms/web-1/console", &[]).await;
    assert_eq!((place.status, &place.body), (200, &page.body));
    let etag = page.header("etag").unwrap();
    let known = server.ask("GET", "/", &[("If-None-Match", etag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(
        server
            .ask("GET", "/", &[("If-None-Match", "\"other\"")])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn healthz_and_metrics_tell_the_truth() {
    let server = Server::start().await;
    image(&server.registry, "one", 1).await;
    image(&server.registry, "two", 2).await;
    assert_eq!(server.client().health().await.unwrap().status, "ok");
    let metrics = server.client().metrics().await.unwrap();
    assert!(
        metrics.contains("kinglet_images{phase=\"arriving\"} 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("kinglet_registry_revision 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("process_resident_memory_bytes "),
        "{metrics}"
    );
    server.registry.close().await;
    let sick = server.ask("GET", "/healthz", &[]).await;
    assert_eq!(
        (sick.status, sick.problem().code.as_str()),
        (500, "registry-failed")
    );
}
