//! One viewer of a console: frames on a WebSocket.

use axum::extract::ws::WebSocket;
use kinglet_model::Id;

use crate::app::App;
use crate::pending::Console;

/// From where a viewer is shown the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Tail,
    Offset(u64),
}

#[derive(Default)]
pub struct Seats;

pub async fn serve(_: &App, _: Id, _: Console, _: From, _: WebSocket) {}
