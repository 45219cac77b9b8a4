//! QEMU's control protocol (QMP, docs/interop/qmp-spec): JSON, a line each way.
//!
//! Tolerant of what newer versions add, and of nothing else: a line is bounded, what is not JSON ends
//! the connection, an answer that nobody asked for is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine::EngineError;

/// The longest line: `query-block` of a VM with many disks has a few hundred KiB.
const LONGEST_LINE: u64 = 4 << 20;

/// How long an answer may take. QEMU answers from its main loop, which a busy host can hold up.
const PATIENCE: Duration = Duration::from_secs(30);

type Answer = Result<Value, EngineError>;
type Pending = Arc<Mutex<HashMap<u64, (String, oneshot::Sender<Answer>)>>>;

/// A connection.
pub struct Qmp {
    calls: mpsc::Sender<(String, Value, oneshot::Sender<Answer>)>,
    events: watch::Receiver<u64>,
    tasks: [JoinHandle<()>; 2],
}

impl Qmp {
    /// Waits for the greeting and leaves the negotiation mode.
    ///
    /// # Errors
    /// Where the other side closes, keeps silent, or is not QEMU.
    pub async fn open<R, W>(read: R, write: W) -> Result<Self, EngineError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let mut reader = BufReader::new(read);
        let greeting = tokio::time::timeout(PATIENCE, line(&mut reader))
            .await
            .map_err(|_| EngineError::Silent("the greeting".to_owned()))?
            .ok_or(EngineError::Closed)?;
        if greeting.get("QMP").is_none() {
            return Err(EngineError::Answer("the greeting".to_owned()));
        }
        let qmp = Self::run(reader, write);
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    fn run<R, W>(reader: BufReader<R>, write: W) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let pending = Pending::default();
        let (calls, queue) = mpsc::channel(16);
        let (happened, events) = watch::channel(0);
        let tasks = [
            tokio::spawn(speak(write, queue, pending.clone())),
            tokio::spawn(listen(reader, pending, happened)),
        ];
        Self {
            calls,
            events,
            tasks,
        }
    }

    /// Gives a command and waits for its answer. `arguments` may be null.
    ///
    /// # Errors
    /// Where QEMU refuses, does not answer in time, or is gone.
    pub async fn execute(&self, command: &str, arguments: Value) -> Answer {
        let (answer, wait) = oneshot::channel();
        let call = (command.to_owned(), arguments, answer);
        self.calls
            .send(call)
            .await
            .map_err(|_| EngineError::Closed)?;
        tokio::time::timeout(PATIENCE, wait)
            .await
            .map_err(|_| EngineError::Silent(command.to_owned()))?
            .map_err(|_| EngineError::Closed)?
    }

    /// Counts events; closed when the connection is.
    #[must_use]
    pub fn events(&self) -> watch::Receiver<u64> {
        self.events.clone()
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn speak<W: AsyncWrite + Unpin>(
    mut write: W,
    mut queue: mpsc::Receiver<(String, Value, oneshot::Sender<Answer>)>,
    pending: Pending,
) {
    let mut id = 0_u64;
    while let Some((command, arguments, answer)) = queue.recv().await {
        id += 1;
        let mut message = Map::new();
        message.insert("execute".to_owned(), json!(command));
        message.insert("id".to_owned(), json!(id));
        if !arguments.is_null() {
            message.insert("arguments".to_owned(), arguments);
        }
        if answer.is_closed() {
            continue;
        }
        lock(&pending).insert(id, (command, answer));
        let text = format!("{}\n", Value::Object(message));
        if write.write_all(text.as_bytes()).await.is_err() {
            lock(&pending).remove(&id);
            return;
        }
    }
}

async fn listen<R: AsyncRead + Unpin>(
    mut reader: BufReader<R>,
    pending: Pending,
    happened: watch::Sender<u64>,
) {
    while let Some(message) = line(&mut reader).await {
        if message.get("event").is_some() {
            happened.send_modify(|count| *count = count.wrapping_add(1));
        } else {
            answer(&message, &pending);
        }
    }
    // Whoever waits for an answer is told that none will come.
    lock(&pending).clear();
}

fn answer(message: &Value, pending: &Pending) {
    let Some(id) = message.get("id").and_then(Value::as_u64) else {
        return;
    };
    let Some((command, waiting)) = lock(pending).remove(&id) else {
        return;
    };
    let result = match (message.get("return"), message.get("error")) {
        (Some(value), _) => Ok(value.clone()),
        (None, Some(error)) => {
            let why = error
                .get("desc")
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            let why = why.chars().filter(|c| !c.is_control()).take(300).collect();
            Err(EngineError::Refused { command, why })
        }
        (None, None) => Err(EngineError::Answer(command)),
    };
    // Nobody waits any more after a time-out.
    let _ = waiting.send(result);
}

/// The next message; `None` at the end, and for a line that is too long or not JSON.
async fn line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Option<Value> {
    let mut text = Vec::new();
    let read = reader
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut text)
        .await
        .ok()?;
    if read == 0 || text.last() != Some(&b'\n') {
        return None;
    }
    serde_json::from_slice(&text).ok()
}

fn lock(
    pending: &Pending,
) -> std::sync::MutexGuard<'_, HashMap<u64, (String, oneshot::Sender<Answer>)>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
