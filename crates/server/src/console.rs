//! One viewer of a console: output and input as frames of a WebSocket.

use std::io;
use std::pin::pin;

use axum::extract::ws::{Message, WebSocket};
use futures::StreamExt;
use futures::stream::BoxStream;
use kinglet_model::api::{ConsoleNotice, ConsoleRequest};
use kinglet_model::vm::{Power, VmPhase};
use kinglet_model::{Id, Vm};
use kinglet_registry::Registry;
use kinglet_registry::typed::object_key;
use kinglet_vms::{Console, Writer};

use crate::app::App;
use crate::problem::sentence;

/// From where a viewer is shown the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// From the last screen.
    Tail,
    /// From this byte, or the oldest that is kept.
    Offset(u64),
}

/// What a console said, at most `max` bytes, with the offset of the first. Blocks.
pub fn history(console: &Console, from: Option<u64>, max: usize) -> io::Result<(u64, Vec<u8>)> {
    let (start, first) = console.history(
        from.map(|from| from.min(console.end().unwrap_or(from))),
        max,
    )?;
    let mut said = first.to_vec();
    while !said.is_empty() && said.len() < max {
        let at = start + said.len() as u64;
        let (offset, more) = console.history(Some(at), max - said.len())?;
        // A gap: the log's head was given back while it was read.
        if more.is_empty() || offset != at {
            break;
        }
        said.extend_from_slice(&more);
    }
    Ok((start, said))
}

/// Serves a viewer until it goes, the VM is off, or the server ends.
pub async fn view(app: &App, vm: Id, console: Console, from: From, socket: WebSocket) {
    let begin = begin(&console, from);
    let output = console.follow(begin);
    let mut viewer = Viewer {
        console,
        socket,
        output,
        at: begin,
        writer: None,
    };
    let ended = tokio::select! {
        ended = viewer.serve(&app.registry, vm) => ended,
        () = app.ending.cancelled() => Ok(()),
    };
    if ended.is_ok() {
        // The client may be gone already.
        let _ = viewer.socket.send(Message::Close(None)).await;
    }
}

fn begin(console: &Console, from: From) -> u64 {
    match from {
        From::Tail => console.last_screen().unwrap_or(0),
        From::Offset(offset) => offset.min(console.end().unwrap_or(0)),
    }
}

/// Why a viewer is served no more: it is gone.
struct Gone;

impl std::convert::From<axum::Error> for Gone {
    fn from(_: axum::Error) -> Self {
        Self
    }
}

struct Viewer {
    console: Console,
    socket: WebSocket,
    output: BoxStream<'static, io::Result<(u64, bytes::Bytes)>>,
    /// The offset of the next byte that the viewer expects.
    at: u64,
    writer: Option<Writer>,
}

impl Viewer {
    async fn serve(&mut self, registry: &Registry, vm: Id) -> Result<(), Gone> {
        let mut off = pin!(until_off(registry, vm));
        self.notice(&ConsoleNotice::Offset { offset: self.at })
            .await?;
        loop {
            let taken_over = async {
                match &self.writer {
                    Some(writer) => writer.taken_over().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                said = self.output.next() => match said {
                    Some(Ok((offset, bytes))) => self.show(offset, bytes).await?,
                    Some(Err(error)) => tracing::warn!(%error, "a console's log cannot be read"),
                    None => return self.notice(&ConsoleNotice::Ended).await,
                },
                message = self.socket.recv() => self.take(message.ok_or(Gone)??).await?,
                () = off.as_mut() => return self.finish().await,
                () = taken_over => {
                    self.writer = None;
                    self.answer_claim(Err("Somebody else has taken over this console.".to_owned())).await?;
                }
            }
        }
    }

    /// Shows what was said before the end, and says that it is the end.
    async fn finish(&mut self) -> Result<(), Gone> {
        let end = self.console.end().unwrap_or(0);
        while self.at < end {
            match self.output.next().await {
                Some(Ok((offset, bytes))) => self.show(offset, bytes).await?,
                Some(Err(_)) | None => break,
            }
        }
        self.notice(&ConsoleNotice::Ended).await
    }

    async fn show(&mut self, offset: u64, bytes: bytes::Bytes) -> Result<(), Gone> {
        if offset != self.at {
            self.notice(&ConsoleNotice::Offset { offset }).await?;
        }
        self.at = offset + bytes.len() as u64;
        Ok(self.socket.send(Message::Binary(bytes)).await?)
    }

    async fn take(&mut self, message: Message) -> Result<(), Gone> {
        match message {
            Message::Binary(input) => self.type_in(&input).await,
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(ConsoleRequest::Claim { steal }) => self.claim(steal).await,
                Ok(ConsoleRequest::Release) => {
                    self.writer = None;
                    Ok(())
                }
                // A later client may know more requests.
                Err(_) => Ok(()),
            },
            Message::Close(_) => Err(Gone),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    async fn type_in(&mut self, input: &[u8]) -> Result<(), Gone> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        match writer.send(input).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.writer = None;
                self.answer_claim(Err(sentence(&error.to_string()))).await
            }
        }
    }

    async fn claim(&mut self, steal: bool) -> Result<(), Gone> {
        if self.writer.is_some() {
            return self.answer_claim(Ok(())).await;
        }
        let claimed = if steal {
            self.console.steal_writer().await
        } else {
            self.console.claim_writer().await
        };
        match claimed {
            Ok(writer) => {
                self.writer = Some(writer);
                self.answer_claim(Ok(())).await
            }
            Err(error) => self.answer_claim(Err(sentence(&error.to_string()))).await,
        }
    }

    async fn answer_claim(&mut self, granted: Result<(), String>) -> Result<(), Gone> {
        let notice = ConsoleNotice::Writer {
            granted: granted.is_ok(),
            reason: granted.err(),
        };
        self.notice(&notice).await
    }

    async fn notice(&mut self, notice: &ConsoleNotice) -> Result<(), Gone> {
        let text = serde_json::to_string(notice).map_err(|_| Gone)?;
        Ok(self.socket.send(Message::Text(text.into())).await?)
    }
}

/// Returns when a VM is off and is to stay so.
async fn until_off(registry: &Registry, vm: Id) {
    let key = object_key::<Vm>(vm);
    let mut changes = registry.watch(key.as_str(), registry.current_revision().next());
    loop {
        match registry.fetch::<Vm>(vm).await {
            Ok(Some(vm)) if !is_off(&vm) => {}
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, "a console's VM cannot be read"),
        }
        match changes.next().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                changes = registry.watch(key.as_str(), registry.current_revision().next());
            }
            None => return,
        }
    }
}

/// Whether there is nothing to show, and nobody is about to start it.
fn is_off(vm: &Vm) -> bool {
    match vm.status.phase {
        VmPhase::Failed | VmPhase::Deleting => true,
        VmPhase::Stopped => vm.spec.power == Power::Off,
        _ => false,
    }
}
