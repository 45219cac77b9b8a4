//! Telling the service manager how it stands (sd_notify(3)). Nothing happens where none listens.

/// It answers now.
pub fn ready() {
    tell(&[sd_notify::NotifyState::Ready]);
}

/// It is ending.
pub fn stopping() {
    tell(&[sd_notify::NotifyState::Stopping]);
}

fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
