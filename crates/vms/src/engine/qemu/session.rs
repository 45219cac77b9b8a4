//! One VM's QEMU, spoken to.

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kinglet_model::Id;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::args::{DRIVE, media_node, media_node_name};
use super::qmp::Qmp;
use super::socket::{self, QMP};
use crate::engine::{EngineError, Figures, Guest, Session};
use crate::folder::Folder;

/// How long a guest may hold its CD-ROM drive's tray after it was asked to let go.
const TRAY: Duration = Duration::from_millis(300);

/// A connection to a QEMU.
pub(super) struct QemuSession {
    qmp: Qmp,
}

impl QemuSession {
    pub(super) async fn open(folder: &Folder) -> Result<Self, EngineError> {
        let stream = socket::connect(folder.sockets(), QMP)
            .await
            .map_err(|source| EngineError::Host {
                what: "connect to QEMU",
                source,
            })?;
        let (read, write) = stream.into_split();
        Ok(Self {
            qmp: Qmp::open(read, write).await?,
        })
    }

    async fn tell(&self, command: &str) -> Result<(), EngineError> {
        self.qmp.execute(command, Value::Null).await.map(drop)
    }

    async fn about_drive(&self, command: &str, extra: Value) -> Result<(), EngineError> {
        let mut arguments = json!({ "id": DRIVE });
        if let (Some(all), Value::Object(extra)) = (arguments.as_object_mut(), extra) {
            all.extend(extra);
        }
        self.qmp.execute(command, arguments).await.map(drop)
    }

    /// The name of the node in the drive.
    async fn medium(&self) -> Result<Option<String>, EngineError> {
        let blocks = self.qmp.execute("query-block", Value::Null).await?;
        let drive = blocks
            .as_array()
            .into_iter()
            .flatten()
            .find(|block| {
                let device = block
                    .get("qdev")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                device == DRIVE || device.ends_with(&format!("/{DRIVE}"))
            })
            .ok_or_else(|| EngineError::Answer("query-block".to_owned()))?;
        let node = drive.pointer("/inserted/node-name").and_then(Value::as_str);
        Ok(node.map(str::to_owned))
    }

    /// Takes out what is in the drive. A guest that keeps the tray locked is asked first (a desktop
    /// unmounts then), and overruled after a moment.
    async fn empty_drive(&self, node: &str) -> Result<(), EngineError> {
        if self
            .about_drive("blockdev-open-tray", json!({ "force": false }))
            .await
            .is_err()
        {
            tokio::time::sleep(TRAY).await;
        }
        self.about_drive("blockdev-open-tray", json!({ "force": true }))
            .await?;
        self.about_drive("blockdev-remove-medium", Value::Null)
            .await?;
        let gone = json!({ "node-name": node });
        self.qmp.execute("blockdev-del", gone).await.map(drop)
    }

    async fn change(&self, disc: Option<(Id, PathBuf)>) -> Result<(), EngineError> {
        if let Some(node) = self.medium().await? {
            self.empty_drive(&node).await?;
        }
        if let Some((id, path)) = disc {
            // The tray may be closed and empty, or still open after an attempt that was cut off.
            self.about_drive("blockdev-open-tray", json!({ "force": true }))
                .await?;
            let name = media_node_name(id);
            let left_over = json!({ "node-name": name });
            let _ = self.qmp.execute("blockdev-del", left_over).await;
            self.qmp
                .execute("blockdev-add", media_node(id, &path))
                .await?;
            self.about_drive("blockdev-insert-medium", json!({ "node-name": name }))
                .await?;
        }
        self.about_drive("blockdev-close-tray", Value::Null).await
    }

    async fn read_figures(&self) -> Result<Figures, EngineError> {
        let stats = self.qmp.execute("query-blockstats", Value::Null).await?;
        let sum = |what: &str| {
            stats
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|device| device.pointer(what)?.as_u64())
                .fold(0_u64, u64::saturating_add)
        };
        let balloon = self.qmp.execute("query-balloon", Value::Null).await.ok();
        Ok(Figures {
            disk_read: sum("/stats/rd_bytes"),
            disk_written: sum("/stats/wr_bytes"),
            balloon: balloon.and_then(|answer| answer.get("actual")?.as_u64()),
        })
    }
}

/// What QEMU's run state (`query-status`) means. One that is not known is taken for running: a newer
/// QEMU may have more, and a guest must not be ended because of a word.
fn guest(state: &str) -> Guest {
    let stuck = |why: &str| Guest::Stuck(why.to_owned());
    match state {
        "paused" | "prelaunch" | "suspended" => Guest::Paused,
        "shutdown" => Guest::ShutDown,
        "guest-panicked" => Guest::Panicked,
        "io-error" => stuck(
            "the host could not write to one of its disks (is its file system full?); \
             make room, then resume it",
        ),
        "internal-error" => {
            stuck("the CPU's state cannot be executed by this accelerator; kill it")
        }
        "watchdog" => stuck("its watchdog fired"),
        _ => Guest::Running,
    }
}

impl Session for QemuSession {
    fn guest(&self) -> BoxFuture<'_, Result<Guest, EngineError>> {
        async {
            let answer = self.qmp.execute("query-status", Value::Null).await?;
            let state = answer.get("status").and_then(Value::as_str);
            state
                .map(guest)
                .ok_or_else(|| EngineError::Answer("query-status".to_owned()))
        }
        .boxed()
    }

    fn pause(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.tell("stop").boxed()
    }

    fn resume(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.tell("cont").boxed()
    }

    fn power_down(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.tell("system_powerdown").boxed()
    }

    fn quit(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        self.tell("quit").boxed()
    }

    fn media(&self) -> BoxFuture<'_, Result<Option<Id>, EngineError>> {
        async {
            let answer = self.qmp.execute("query-block", Value::Null).await?;
            Ok(disc_in(&answer))
        }
        .boxed()
    }

    fn set_media(&self, disc: Option<(Id, PathBuf)>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.change(disc).boxed()
    }

    fn figures(&self) -> BoxFuture<'_, Result<Figures, EngineError>> {
        self.read_figures().boxed()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.qmp.events()
    }
}

/// The id in the file name of the disc in the drive.
fn disc_in(blocks: &Value) -> Option<Id> {
    blocks.as_array()?.iter().find_map(|block| {
        let file = block.pointer("/inserted/file")?.as_str()?;
        let (_, name) = file.rsplit_once("/media-")?;
        name.get(..36)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_run_state_does_not_end_a_guest() {
        assert_eq!(guest("running"), Guest::Running);
        assert_eq!(guest("colo"), Guest::Running);
        assert_eq!(guest("shutdown"), Guest::ShutDown);
        assert_eq!(guest("guest-panicked"), Guest::Panicked);
        assert!(matches!(guest("io-error"), Guest::Stuck(_)));
    }

    #[test]
    fn the_disc_is_known_by_its_files_name_and_nothing_else_is_taken_for_one() {
        let id = Id::generate();
        let drive = json!([
            { "qdev": "x", "inserted": { "file": "/d/root.qcow2" } },
            { "inserted": { "file": "json:{media-}" } },
            { "inserted": { "file": format!("/d/vms/media-{id}.iso") } },
        ]);
        assert_eq!(disc_in(&drive), Some(id));
        assert_eq!(
            disc_in(&json!([{ "inserted": { "file": "/d/media-é" } }])),
            None
        );
        assert_eq!(disc_in(&json!({})), None);
    }
}
