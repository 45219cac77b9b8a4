//! Sitting at a VM's serial console: what the guest writes is shown, what is typed goes to it.

use std::io::{self, Write};
use std::time::Duration;

use kinglet_client::{Client, ConsoleFrame, ConsoleFrom, ConsoleSocket};
use kinglet_model::api::ConsoleNotice;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::terminal::{self, Raw};

/// Ctrl-]: leaves.
const LEAVE: u8 = 0x1d;

/// How a console is attached to.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// From where it is shown.
    pub from: ConsoleFrom,
    /// Whether typing is asked for.
    pub types: bool,
    /// Whether typing is taken from whoever has it.
    pub steals: bool,
    /// How long the guest may be silent after the end of what was piped in.
    pub linger: Duration,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The person left; the VM goes on.
    Left,
    /// The VM is off.
    Off,
}

/// Says how to come back, or that there is nothing to come back to.
pub fn farewell(out: &Output, vm: &str, end: End) {
    out.note(&match end {
        End::Left => format!("\nLeft. Come back with: kinglet vm console {vm}"),
        End::Off => format!("\nVM {vm} is off."),
    });
}

/// Attaches until the person leaves, the VM is off, or nothing more comes after the end of the
/// input. The terminal is what it was before, whatever happens.
pub async fn attach(client: &Client, vm: &str, manner: Manner, out: &Output) -> Outcome<End> {
    let mut socket = client.console(vm, manner.from).await?;
    if manner.types {
        socket.claim(manner.steals).await?;
    }
    let raw = if manner.types { Raw::take()? } else { None };
    if raw.is_some() {
        out.note(&format!("At the console of {vm}; Ctrl-] leaves.\r"));
    }
    let end = exchange(&mut socket, manner, raw.is_some(), out).await;
    drop(raw);
    // The daemon sees the end of the connection in any case.
    let _ = socket.close().await;
    end
}

async fn exchange(
    socket: &mut ConsoleSocket,
    manner: Manner,
    terminal: bool,
    out: &Output,
) -> Outcome<End> {
    let mut typed = manner.types.then(terminal::typed);
    let mut screen = io::stdout();
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // What is typed before the right to type came is kept back, so that nothing piped in is lost.
    let mut may_type = false;
    loop {
        let lingers = typed.is_none() && manner.types && !terminal;
        tokio::select! {
            frame = socket.next() => match frame.transpose()? {
                Some(ConsoleFrame::Output(bytes)) => show(&mut screen, &bytes)?,
                Some(ConsoleFrame::Notice(ConsoleNotice::Writer { granted, reason })) => {
                    may_type = granted;
                    if !granted {
                        let why = reason.unwrap_or_else(|| "somebody else types".to_owned());
                        out.note(&format!("Only watching: {why}. --steal takes it over.\r"));
                        if !terminal {
                            typed = None;
                        }
                    }
                }
                Some(ConsoleFrame::Notice(ConsoleNotice::Ended)) | None => return Ok(End::Off),
                Some(ConsoleFrame::Notice(ConsoleNotice::Offset { .. })) => {}
            },
            keys = next_keys(&mut typed), if may_type || terminal => match keys {
                Some(keys) => {
                    let leave = terminal.then(|| keys.iter().position(|key| *key == LEAVE)).flatten();
                    let keys = &keys[..leave.unwrap_or(keys.len())];
                    if may_type && !keys.is_empty() {
                        socket.send(keys.to_vec()).await?;
                    }
                    if leave.is_some() {
                        return Ok(End::Left);
                    }
                }
                None => typed = None,
            },
            () = tokio::time::sleep(manner.linger), if lingers => return Ok(End::Left),
            _ = hangup.recv() => return Ok(End::Left),
            _ = terminate.recv() => return Ok(End::Left),
        }
    }
}

async fn next_keys(typed: &mut Option<tokio::sync::mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

fn show(screen: &mut io::Stdout, bytes: &[u8]) -> Outcome {
    screen
        .write_all(bytes)
        .and_then(|()| screen.flush())
        .map_err(|error| Failure::failed(format!("cannot show the console ({error})")))
}
