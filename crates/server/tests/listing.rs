//! Lists over the wire: pages, order, filters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use kinglet_client::ListOptions;
use support::{Server, image};

fn options(limit: u32, sort: &str) -> ListOptions {
    ListOptions {
        limit: Some(limit),
        sort: Some(sort.to_owned()),
        ..ListOptions::default()
    }
}

#[tokio::test]
async fn every_object_comes_exactly_once_while_others_are_inserted_and_deleted() {
    let server = Server::start().await;
    let client = server.client();
    let mut lasting = BTreeSet::new();
    let mut passing = Vec::new();
    for n in 0..60 {
        let size = (n * 37) % 11;
        let image = image(&server.registry, &format!("image-{n:02}"), size).await;
        if n % 5 == 0 {
            passing.push(image);
        } else {
            lasting.insert(image.metadata.name);
        }
    }
    for (round, sort) in ["created", "-created", "name", "-name", "size", "-size"]
        .iter()
        .enumerate()
    {
        let mut seen = Vec::new();
        let mut options = options(7, sort);
        for page in 0.. {
            let part = client.images(&options).await.unwrap();
            assert!(part.items.len() <= 7);
            seen.extend(part.items.into_iter().map(|image| image.metadata.name));
            image(
                &server.registry,
                &format!("image-{:02}-new-{round}-{page}", page * 5),
                page,
            )
            .await;
            if let Some(gone) = passing.pop() {
                server.registry.remove(&gone).await.unwrap();
            }
            options.cursor = part.next;
            if options.cursor.is_none() {
                break;
            }
        }
        let all: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(all.len(), seen.len(), "{sort}: something came twice");
        assert!(all.is_superset(&lasting), "{sort}: something is missing");
    }
}

#[tokio::test]
async fn lists_are_sorted_as_asked() {
    let server = Server::start().await;
    for (name, size) in [("b", 30), ("d", 10), ("a", 20), ("c", 10)] {
        image(&server.registry, name, size).await;
    }
    let client = server.client();
    for (sort, expected) in [
        ("created", "b d a c"),
        ("-created", "c a d b"),
        ("name", "a b c d"),
        ("-name", "d c b a"),
        ("size", "d c a b"),
        ("-size", "b a c d"),
    ] {
        for limit in [1, 2, 3, 4, 5] {
            let all = client.all_images(&options(limit, sort)).await.unwrap();
            let names: Vec<_> = all
                .items
                .iter()
                .map(|image| image.metadata.name.as_str())
                .collect();
            assert_eq!(names.join(" "), expected, "{sort} {limit}");
        }
    }
}

#[tokio::test]
async fn filters_are_all_true_of_what_comes() {
    let server = Server::start().await;
    for name in ["debian-12", "debian-11", "alpine"] {
        let mut image = image(&server.registry, name, 1).await;
        image
            .metadata
            .labels
            .insert("os".to_owned(), name.split('-').next().unwrap().to_owned());
        server.registry.update(&mut image).await.unwrap();
    }
    for (filter, count) in [
        ("", 3),
        ("name~debian", 2),
        ("name~DEBIAN", 2),
        ("name~12,label.os=debian", 1),
        ("label.os=alpine", 1),
        ("phase=arriving", 3),
        ("phase=ready", 0),
        ("label.no=x", 0),
    ] {
        let options = ListOptions {
            filter: Some(filter.to_owned()),
            ..ListOptions::default()
        };
        let list = server.client().images(&options).await.unwrap();
        assert_eq!(list.items.len(), count, "{filter}");
        assert_eq!(list.revision, server.registry.current_revision());
    }
}

#[tokio::test]
async fn next_link_leads_on_and_a_cursor_of_another_order_is_refused() {
    let server = Server::start().await;
    for name in ["a1", "a2", "a3", "b"] {
        image(&server.registry, name, 1).await;
    }
    let bearer = format!("Bearer {}", server.token);
    let headers = [("Authorization", bearer.as_str())];
    let mut path = "/v1/images?limit=2&sort=-name&filter=name~a%2Cphase%3Darriving".to_owned();
    let mut names = Vec::new();
    loop {
        let answer = server.ask("GET", &path, &headers).await;
        let images: Vec<kinglet_model::Image> = serde_json::from_slice(&answer.body).unwrap();
        names.extend(
            images
                .into_iter()
                .map(|image| image.metadata.name.to_string()),
        );
        let Some(link) = answer.header("link") else {
            break;
        };
        path = link
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap()
            .to_owned();
    }
    assert_eq!(names, ["a3", "a2", "a1"]);
    let cursor = path
        .split("cursor=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let other = format!("/v1/images?sort=name&cursor={cursor}");
    assert_eq!(
        server.ask("GET", &other, &headers).await.problem().code,
        "cursor-invalid"
    );
}

#[tokio::test]
async fn object_is_found_by_id_and_by_name_and_sent_with_its_actions() {
    let server = Server::start().await;
    let stored = image(&server.registry, "debian-12", 1).await;
    let key = format!("/images/{}/progress", stored.metadata.id);
    server
        .registry
        .live()
        .set(key, serde_json::json!({"task": "hashing", "done": 1}));
    for reference in ["debian-12".to_owned(), stored.metadata.id.to_string()] {
        let image = server.client().image(&reference).await.unwrap();
        assert_eq!(image.metadata, stored.metadata);
        assert_eq!(image.status.progress.unwrap().task, "hashing");
        assert!(
            image
                .status
                .actions
                .iter()
                .any(|action| action.name == "create-vm")
        );
    }
    // A name that looks like an id is a name all the same.
    let odd = "0".repeat(32);
    image(&server.registry, &odd, 1).await;
    assert_eq!(
        server
            .client()
            .image(&odd)
            .await
            .unwrap()
            .metadata
            .name
            .as_str(),
        odd
    );
}
