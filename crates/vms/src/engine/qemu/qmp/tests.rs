//! The client against a server that does what a broken or hostile QEMU might.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex, split};

use super::*;

const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": [], "new": 1}}"#;

/// A connection whose other side is played by `play`, after the negotiation.
async fn against<F, Fut>(play: F) -> Qmp
where
    F: FnOnce(Server) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (ours, theirs) = duplex(64 << 10);
    tokio::spawn(async move {
        let mut server = Server(BufReader::new(theirs));
        server.say(GREETING).await;
        let hello = server.hear().await;
        assert_eq!(hello["execute"], "qmp_capabilities");
        server.answer(&hello, &json!({})).await;
        play(server).await;
    });
    let (read, write) = split(ours);
    Qmp::open(read, write).await.unwrap()
}

struct Server(BufReader<DuplexStream>);

impl Server {
    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn say(&mut self, line: &str) {
        self.0
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
    }

    async fn answer(&mut self, call: &Value, value: &Value) {
        self.say(&json!({ "return": value, "id": call["id"] }).to_string())
            .await;
    }
}

#[tokio::test]
async fn answers_find_their_calls_whatever_comes_between() {
    let qmp = against(|mut server| async move {
        let (one, two) = (server.hear().await, server.hear().await);
        server
            .say(r#"{"event": "NEW_IN_99", "data": {"x": [1]}, "timestamp": {}}"#)
            .await;
        server.say(r#"{"return": {}, "id": 4711}"#).await;
        server.say(r#"{"unknown": true}"#).await;
        server
            .answer(&two, &json!({ "n": two["execute"], "more": 1 }))
            .await;
        server.answer(&one, &json!({ "n": one["execute"] })).await;
        server.hear().await;
    })
    .await;
    let events = qmp.events();
    let (one, two) = tokio::join!(
        qmp.execute("one", Value::Null),
        qmp.execute("two", json!({}))
    );
    assert_eq!(one.unwrap()["n"], "one");
    assert_eq!(two.unwrap()["n"], "two");
    assert_eq!(*events.borrow(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let qmp = against(|mut server| async move {
        let call = server.hear().await;
        let error = json!({ "class": "GenericError", "desc": "no\u{1b} way" });
        server
            .say(&json!({ "error": error, "id": call["id"] }).to_string())
            .await;
        server.hear().await;
    })
    .await;
    let error = qmp.execute("cont", Value::Null).await.unwrap_err();
    assert_eq!(error.to_string(), "the engine refused cont: no way");
}

async fn closes(
    play: impl FnOnce(Server) -> futures::future::BoxFuture<'static, ()> + Send + 'static,
) {
    let qmp = against(play).await;
    let mut events = qmp.events();
    let answer = qmp.execute("query-status", Value::Null).await;
    assert!(matches!(answer, Err(EngineError::Closed)), "{answer:?}");
    while events.changed().await.is_ok() {}
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nobody_waits() {
    closes(|mut server| {
        Box::pin(async move {
            server.hear().await;
            server.say("\u{0}\u{1}not json").await;
        })
    })
    .await;
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_line_ends_the_connection() {
    closes(|mut server| {
        Box::pin(async move {
            server.hear().await;
            server.0.write_all(br#"{"return": {"#).await.unwrap();
        })
    })
    .await;
}

#[tokio::test]
async fn a_line_without_end_ends_the_connection() {
    closes(|mut server| {
        Box::pin(async move {
            server.hear().await;
            let piece = vec![b' '; 64 << 10];
            while server.0.write_all(&piece).await.is_ok() {}
        })
    })
    .await;
}

#[tokio::test]
async fn who_greets_otherwise_is_not_qemu() {
    for greeting in ["SSH-2.0-x\n", "{}\n", ""] {
        let (ours, mut theirs) = duplex(1024);
        theirs.write_all(greeting.as_bytes()).await.unwrap();
        drop(theirs);
        let (read, write) = split(ours);
        assert!(Qmp::open(read, write).await.is_err());
    }
}
