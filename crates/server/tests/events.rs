//! The event stream over the wire: no gap, no duplicate, whatever breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use kinglet_client::{ClientError, EventStream, StreamItem};
use kinglet_model::event::{Event, LiveEvent, Object};
use kinglet_model::{Image, Progress, Revision};
use kinglet_registry::Txn;
use support::{Server, image};

async fn next(stream: &mut EventStream) -> StreamItem {
    let item = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    item.expect("no event came")
        .expect("the stream ended")
        .unwrap()
}

async fn next_event(stream: &mut EventStream) -> Event {
    loop {
        if let StreamItem::Event(event) = next(stream).await {
            return event;
        }
    }
}

#[tokio::test]
async fn changes_come_in_order_with_what_may_be_done() {
    let server = Server::start().await;
    let since = server.registry.current_revision();
    let mut stream = server.client().events(Some(since), false);
    let mut stored = image(&server.registry, "debian-12", 1).await;
    let Event::Put {
        revision,
        object: Object::Image(sent),
    } = next_event(&mut stream).await
    else {
        panic!("not an image")
    };
    assert_eq!(
        (revision, &sent.metadata),
        (stored.metadata.revision, &stored.metadata)
    );
    assert!(!sent.status.actions.is_empty());
    stored
        .metadata
        .labels
        .insert("a".to_owned(), "b".to_owned());
    server.registry.update(&mut stored).await.unwrap();
    assert!(matches!(next_event(&mut stream).await, Event::Put { .. }));
    let gone = server.registry.remove(&stored).await.unwrap();
    let expected = Event::Delete {
        revision: gone.revision,
        kind: "Image".to_owned(),
        id: stored.metadata.id,
    };
    assert_eq!(next_event(&mut stream).await, expected);
}

#[tokio::test]
async fn stream_goes_on_over_restarts_without_a_gap_and_without_a_duplicate() {
    let mut server = Server::start().await;
    let port = server.address().port();
    let client = server.client();
    let mut stream = client.events(Some(Revision::ZERO), false);
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    let mut n = 0;
    for round in 0..6 {
        for _ in 0..=round {
            // Several objects in one transaction, so that a stream can break in the middle of one.
            let images: Vec<Image> = (0..3)
                .map(|part| {
                    n += 1;
                    Image::seen(
                        format!("image-{n}-{part}").parse().unwrap(),
                        "images",
                        &n.to_string(),
                    )
                })
                .collect();
            let txn = images
                .iter()
                .fold(Txn::new(), |txn, image| txn.create(image));
            server.registry.txn(txn).await.unwrap();
            expected.extend(images.into_iter().map(|image| image.metadata.name));
        }
        // In each round the stream is cut at another place.
        for _ in 0..(round * 5) % 7 + 1 {
            if seen.len() < expected.len() {
                seen.push(name(next_event(&mut stream).await));
            }
        }
        let (registry, folder) = server.stop().await;
        let address = ([127, 0, 0, 1], port).into();
        server = Server::on(registry, folder, |config| config.listen = Some(address)).await;
    }
    while seen.len() < expected.len() {
        seen.push(name(next_event(&mut stream).await));
    }
    assert_eq!(seen, expected);
}

fn name(event: Event) -> kinglet_model::Name {
    match event {
        Event::Put {
            object: Object::Image(image),
            ..
        } => image.metadata.name,
        other => panic!("{other:?}"),
    }
}

/// The ids of the frames and what they hold, read without a client that would hide them.
async fn frames(server: &Server, last_id: &str, count: usize) -> Vec<(String, String)> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::UnixStream::connect(server.socket())
        .await
        .unwrap();
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {last_id}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut id, mut frames) = (String::new(), Vec::new());
    while frames.len() < count {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let line = line
            .expect("no frame came")
            .unwrap()
            .expect("the stream ended");
        match line.split_once(": ") {
            Some(("id", new)) => id = new.to_owned(),
            Some(("data", data)) => frames.push((id.clone(), data.to_owned())),
            _ => {}
        }
    }
    frames
}

#[tokio::test]
async fn resuming_at_each_id_gives_exactly_the_rest() {
    let server = Server::start().await;
    for round in 0..4 {
        let images: Vec<Image> = (0..=round)
            .map(|part| {
                Image::seen(
                    format!("image-{round}-{part}").parse().unwrap(),
                    "images",
                    "x",
                )
            })
            .collect();
        let txn = images
            .iter()
            .fold(Txn::new(), |txn, image| txn.create(image));
        // Something that is not told, in the same revision and in one of its own.
        let txn = txn.put("/aaa", "1").put("/images/zzz", "2");
        server.registry.txn(txn).await.unwrap();
        server
            .registry
            .txn(Txn::new().put("/sessions/x", round.to_string()))
            .await
            .unwrap();
    }
    let all = frames(&server, "0", 10).await;
    for (index, (id, _)) in all.iter().enumerate().take(9) {
        assert_eq!(
            frames(&server, id, 9 - index).await,
            all[index + 1..],
            "after {id}"
        );
    }
}

#[tokio::test]
async fn stream_without_a_beginning_begins_now() {
    let server = Server::start().await;
    image(&server.registry, "before", 1).await;
    let mut stream = server.client().events(None, true);
    // A live figure is the sign that the stream is open.
    server
        .registry
        .live()
        .set("/host/usage", serde_json::json!({}));
    let key = format!("/images/{}/progress", kinglet_model::Id::generate());
    let progress = Progress {
        task: "hashing".to_owned(),
        done: 1,
        total: None,
        rate: None,
    };
    server
        .registry
        .live()
        .set(key, serde_json::to_value(&progress).unwrap());
    loop {
        if matches!(
            next(&mut stream).await,
            StreamItem::Live(LiveEvent::Progress { .. })
        ) {
            break;
        }
    }
    let after = image(&server.registry, "after", 1).await;
    assert_eq!(name(next_event(&mut stream).await), after.metadata.name);
}

#[tokio::test]
async fn compacted_history_gives_a_reset_and_then_goes_on() {
    let server = Server::start().await;
    for n in 0..5 {
        image(&server.registry, &format!("image-{n}"), 1).await;
    }
    server.registry.compact(Revision(4)).await.unwrap();
    let mut stream = server.client().events(Some(Revision(1)), false);
    assert_eq!(
        next_event(&mut stream).await,
        Event::Reset {
            revision: Revision(5)
        }
    );
    let after = image(&server.registry, "after", 1).await;
    assert_eq!(name(next_event(&mut stream).await), after.metadata.name);
    // Whoever saw everything that is gone needs no reset.
    let mut stream = server.client().events(Some(Revision(4)), false);
    assert_eq!(name(next_event(&mut stream).await).as_str(), "image-4");
}

#[tokio::test]
async fn place_that_never_was_gives_a_reset() {
    let server = Server::start().await;
    image(&server.registry, "one", 1).await;
    let mut stream = server.client().events(Some(Revision(1000)), false);
    assert_eq!(
        next_event(&mut stream).await,
        Event::Reset {
            revision: Revision(1)
        }
    );
}

#[tokio::test]
async fn live_figures_come_only_when_asked_for() {
    let server = Server::start().await;
    let stored = image(&server.registry, "debian-12", 1).await;
    let key = format!("/images/{}/progress", stored.metadata.id);
    let progress = Progress {
        task: "hashing".to_owned(),
        done: 1,
        total: Some(2),
        rate: None,
    };
    server
        .registry
        .live()
        .set(&key, serde_json::to_value(&progress).unwrap());
    let mut live = server.client().events(None, true);
    let id = stored.metadata.id;
    let of_image = |progress| {
        StreamItem::Live(LiveEvent::Progress {
            kind: "Image".to_owned(),
            id,
            progress,
        })
    };
    // The figure that was there before, then that it is gone; the machine's come in between.
    let mut wanted = vec![of_image(None), of_image(Some(progress))];
    while let Some(want) = wanted.last() {
        if next(&mut live).await == *want {
            wanted.pop();
            server.registry.live().clear(&key);
        }
    }
    let usage = |item: &StreamItem| matches!(item, StreamItem::Live(LiveEvent::Host { .. }));
    while !usage(&next(&mut live).await) {}
    drop(live);
    // Nobody looks any more, so nothing is measured any more.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while server.registry.live().get("/host/usage").is_some() {
        assert!(std::time::Instant::now() < deadline, "it is still measured");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut quiet = server.client().events(Some(Revision::ZERO), false);
    assert!(matches!(
        next(&mut quiet).await,
        StreamItem::Event(Event::Put { .. })
    ));
}

#[tokio::test]
async fn stream_of_a_daemon_that_was_never_there_ends_with_why() {
    let folder = tempfile::tempdir().unwrap();
    let place = kinglet_client::Place::Socket(folder.path().join("socket"));
    let mut stream = kinglet_client::Client::new(place).events(None, false);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { why, .. } if why.contains("kinglet serve"))
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn listing_images_has_the_folder_looked_through() {
    let server = Server::running().await;
    let mut stream = server.client().events(Some(Revision::ZERO), false);
    std::fs::write(server.folder.path().join("images/debian-12.img"), [0; 4096]).unwrap();
    server
        .client()
        .images(&kinglet_client::ListOptions::default())
        .await
        .unwrap();
    assert_eq!(name(next_event(&mut stream).await).as_str(), "debian-12");
}
