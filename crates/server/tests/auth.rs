//! Who may ask: every way in, and every way that must not be one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use kinglet_model::api::SessionKind;
use support::Server;

#[tokio::test]
async fn tcp_without_sign_in_gets_health_and_page_and_nothing_else() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/healthz", &[]).await.status, 200);
    assert_eq!(server.ask("GET", "/", &[]).await.status, 200);
    for path in [
        "/v1/images",
        "/v1/vms",
        "/v1/host",
        "/v1/session",
        "/v1/events",
        "/v1/openapi.json",
        "/metrics",
        "/v1/vms/web/console",
    ] {
        let answer = server.ask("GET", path, &[]).await;
        assert_eq!(
            (answer.status, answer.problem().code.as_str()),
            (401, "not-signed-in"),
            "{path}"
        );
    }
    for (method, path) in [
        ("POST", "/v1/vms"),
        ("POST", "/v1/tokens"),
        ("DELETE", "/v1/images/x"),
    ] {
        assert_eq!(server.ask(method, path, &[]).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn unix_socket_needs_no_sign_in_and_only_its_owner_can_open_it() {
    let server = Server::start().await;
    assert_eq!(
        server.client().session().await.unwrap().via,
        SessionKind::Socket
    );
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.socket()), 0o600);
    assert_eq!(mode(server.socket().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn bearer_token_is_the_one_in_the_file() {
    let server = Server::start().await;
    let session = server
        .tcp_client(Some(&server.token))
        .session()
        .await
        .unwrap();
    assert_eq!(session.via, SessionKind::Token);
    for token in ["", "x", &server.token[1..], &format!("{}0", server.token)] {
        let header = format!("Bearer {token}");
        let answer = server
            .ask("GET", "/v1/images", &[("Authorization", &header)])
            .await;
        assert_eq!(answer.problem().code, "token-wrong", "{token}");
    }
    let basic = format!("Basic {}", server.token);
    assert_eq!(
        server
            .ask("GET", "/v1/images", &[("Authorization", &basic)])
            .await
            .status,
        401
    );
    let header = format!("Bearer {}", server.token);
    let answer = server
        .ask("POST", "/v1/tokens", &[("Authorization", &header)])
        .await;
    assert_eq!(answer.problem().code, "not-for-tokens");
}

#[tokio::test]
async fn one_time_token_signs_in_once() {
    let server = Server::start().await;
    let client = server.tcp_client(None);
    let token = server.one_time().await;
    let cookie = client.sign_in(&token).await.unwrap();
    let again = client.sign_in(&token).await.unwrap_err();
    assert_eq!(again.problem().unwrap().code, "token-wrong");
    let answer = server
        .ask("GET", "/v1/session", &[("Cookie", &cookie)])
        .await;
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("\"via\":\"cookie\""));
}

#[tokio::test]
async fn cookie_is_hidden_from_scripts_and_other_sites() {
    let server = Server::start().await;
    let body = format!("{{\"token\":\"{}\"}}", server.one_time().await);
    let json = [("Content-Type", "application/json")];
    let answer = server
        .send("POST", "/v1/session", &json, body.as_bytes())
        .await;
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("kinglet_session_{}=", server.address().port())));
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.split("; ").any(|have| have == part), "{cookie}");
    }
}

#[tokio::test]
async fn one_time_token_that_is_too_old_signs_nobody_in() {
    let server = Server::with(|config| config.token_time = Duration::ZERO).await;
    let token = server.one_time().await;
    let refused = server.tcp_client(None).sign_in(&token).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 401);
}

#[tokio::test]
async fn guessing_tokens_is_slowed_down() {
    let server = Server::start().await;
    let json = [("Content-Type", "application/json")];
    let mut last = None;
    for _ in 0..12 {
        last = Some(
            server
                .send("POST", "/v1/session", &json, b"{\"token\":\"guess\"}")
                .await,
        );
    }
    let last = last.unwrap();
    assert_eq!(
        (last.status, last.problem().code.as_str()),
        (429, "too-many-attempts")
    );
    assert!(last.header("retry-after").is_some());
}

#[tokio::test]
async fn sign_in_address_announced_at_start_works_once() {
    let server = Server::start().await;
    let url = server.bound.sign_in.clone().unwrap();
    let (page, token) = url.split_once("#token=").unwrap();
    assert_eq!(page, format!("http://{}/", server.authority()));
    server.tcp_client(None).sign_in(token).await.unwrap();
    assert!(server.tcp_client(None).sign_in(token).await.is_err());
}

#[tokio::test]
async fn session_survives_a_restart_and_ends_with_sign_out() {
    let server = Server::start().await;
    let port = server.address().port();
    let cookie = server.cookie().await;
    let (registry, folder) = server.stop().await;
    let server = Server::on(registry, folder, |config| {
        config.listen = Some(([127, 0, 0, 1], port).into());
    })
    .await;
    let ours = format!("http://{}", server.authority());
    let headers = [("Cookie", cookie.as_str()), ("Origin", ours.as_str())];
    assert_eq!(server.ask("GET", "/v1/images", &headers).await.status, 200);
    let answer = server.ask("DELETE", "/v1/session", &headers).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(server.ask("GET", "/v1/images", &headers).await.status, 401);
}

#[tokio::test]
async fn session_that_is_not_used_ends() {
    let server = Server::with(|config| config.session_time = Duration::from_millis(300)).await;
    let cookie = server.cookie().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    // The registry tells when the lease has taken it.
    while server.registry.count("/sessions/").await.unwrap() > 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "the session does not end"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        server
            .ask("GET", "/v1/images", &[("Cookie", &cookie)])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn host_that_is_not_ours_is_refused_even_with_credentials() {
    let server = Server::with(|config| config.names = vec!["nas.lan".to_owned()]).await;
    let port = server.address().port();
    let bearer = format!("Bearer {}", server.token);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost.evil.example:{port}"),
        "127.0.0.1".to_owned(),
        String::new(),
    ] {
        for path in ["/v1/images", "/", "/healthz"] {
            let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
            let answer = server.ask("GET", path, &headers).await;
            let problem = answer.problem();
            assert_eq!(problem.code, "host-unknown", "{host} {path}");
            assert!(problem.detail.contains("`hostnames`"), "{}", problem.detail);
            assert_eq!(answer.status, 403);
        }
    }
    for host in [
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "nas.lan".to_owned(),
    ] {
        let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
        assert_eq!(
            server.ask("GET", "/v1/images", &headers).await.status,
            200,
            "{host}"
        );
    }
    let two = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil\r\nConnection: close\r\n\r\n"
    );
    assert!(matches!(server.raw(two.as_bytes()).await.status, 400 | 403));
    let none = b"GET /v1/images HTTP/1.0\r\n\r\n";
    assert_eq!(server.raw(none).await.status, 403);
}

#[tokio::test]
async fn change_with_a_cookie_must_come_from_our_own_page() {
    let server = Server::start().await;
    let cookie = server.cookie().await;
    let authority = server.authority();
    let ours = format!("http://{authority}");
    let neighbour = "http://127.0.0.1:1";
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[("Origin", &ours)], true),
        (&[("Origin", neighbour)], false),
        (&[("Origin", "http://evil.example")], false),
        (&[("Origin", "null")], false),
        (&[("Sec-Fetch-Site", "same-origin")], true),
        (&[("Sec-Fetch-Site", "none")], true),
        (&[("Sec-Fetch-Site", "same-site")], false),
        (&[("Sec-Fetch-Site", "cross-site")], false),
        (&[("Origin", &ours), ("Sec-Fetch-Site", "same-site")], false),
    ];
    for (headers, allowed) in cases {
        let headers = [&[("Cookie", cookie.as_str())], *headers].concat();
        let answer = server.ask("DELETE", "/v1/images/nothing", &headers).await;
        let expected = if *allowed {
            "image-not-found"
        } else {
            "origin-foreign"
        };
        assert_eq!(answer.problem().code, expected, "{headers:?}");
    }
    // Reading is for our page, or for nobody's: a bookmark, a link in the address bar.
    let read = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-site")];
    assert_eq!(server.ask("GET", "/v1/images", &read).await.status, 403);
    assert_eq!(
        server.ask("GET", "/v1/images", &read[..1]).await.status,
        200
    );
}

#[tokio::test]
async fn foreign_origin_is_refused_whatever_the_credentials() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Origin", "http://evil.example"),
    ];
    assert_eq!(
        server
            .ask("POST", "/v1/images/refresh", &headers)
            .await
            .status,
        403
    );
    assert_eq!(
        server
            .ask("POST", "/v1/session", &headers[1..])
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn websocket_of_another_page_is_refused() {
    let server = Server::start().await;
    let cookie = server.cookie().await;
    let ours = format!("http://{}", server.authority());
    let upgrade = [
        ("Cookie", cookie.as_str()),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (origin, code) in [
        (None, "origin-foreign"),
        (Some("http://evil.example"), "origin-foreign"),
        (Some("http://127.0.0.1:1"), "origin-foreign"),
        (Some(ours.as_str()), "vm-not-found"),
    ] {
        let origin = origin.map(|origin| ("Origin", origin));
        let headers: Vec<_> = upgrade.into_iter().chain(origin).collect();
        let answer = server.ask("GET", "/v1/vms/web/console", &headers).await;
        assert_eq!(answer.problem().code, code, "{origin:?}");
    }
}

#[tokio::test]
async fn second_daemon_is_refused_and_a_dead_ones_socket_is_replaced() {
    let server = Server::start().await;
    let socket = server.socket();
    let listen = tokio::net::UnixListener::bind(&socket).unwrap_err();
    assert_eq!(listen.kind(), std::io::ErrorKind::AddrInUse);
    let (registry, folder) = server.stop().await;
    assert!(!socket.exists());
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let server = Server::on(registry, folder, |_| {}).await;
    server.client().health().await.unwrap();
}

#[tokio::test]
async fn sign_in_whose_body_never_comes_is_given_up() {
    let server = Server::with(|config| config.request_time = Duration::from_millis(200)).await;
    let head = format!(
        "POST /v1/session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        server.authority()
    );
    let answer = server.raw(head.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.problem().code.as_str()),
        (503, "timeout")
    );
}
