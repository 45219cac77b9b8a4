//! The library's handle: what the rest of the program asks of it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kinglet_model::image::RefreshReport;
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Id, Image, Problem, Revision};
use kinglet_registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{FolderStatus, LibraryConfig, Watching};
use crate::error::LibraryError;
use crate::fingerprint::Fingerprint;
use crate::folder::{Root, open_file, stat_open};
use crate::inspect::{Disk, Inspect};
use crate::keeper::Keeper;
use crate::path::RelPath;
use crate::upload::{Desk, UploadAsk, Uploads};

/// Questions that wait for the keeper at most; more wait before they are put.
const WAITING: usize = 64;

/// The image library. Clones are handles of the same one.
#[derive(Clone)]
pub struct Library {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    stop: CancellationToken,
    task: Arc<Mutex<Task>>,
}

/// What handle and keeper both use.
pub(crate) struct Shared {
    pub(crate) config: LibraryConfig,
    pub(crate) roots: Vec<Root>,
    pub(crate) registry: Registry,
    pub(crate) inspect: Arc<dyn Inspect>,
    pub(crate) watching: RwLock<Vec<Watching>>,
    pub(crate) uploads: Arc<Desk>,
}

/// Something asked of the keeper.
pub(crate) enum Ask {
    /// Scan everything now.
    Refresh(oneshot::Sender<Result<RefreshReport, LibraryError>>),
    /// Check an image again.
    Check(
        Id,
        Option<Revision>,
        oneshot::Sender<Result<Image, Problem>>,
    ),
    /// Delete an image's file.
    Delete(Id, Option<Revision>, oneshot::Sender<Result<(), Problem>>),
    /// Something about an upload.
    Upload(UploadAsk),
}

enum Task {
    Waiting(mpsc::Receiver<Ask>),
    Running(JoinHandle<()>),
    Ended,
}

impl Library {
    /// Opens the folders. Nothing is watched before [`Self::start`].
    ///
    /// # Errors
    /// Two folders of one name, or one in the other. A folder that is not there is no error: it is
    /// tried again, and [`Self::folders`] says so.
    pub fn open(config: LibraryConfig, registry: Registry) -> Result<Self, LibraryError> {
        Self::with_inspector(config, registry, Arc::new(Disk))
    }

    pub(crate) fn with_inspector(
        config: LibraryConfig,
        registry: Registry,
        inspect: Arc<dyn Inspect>,
    ) -> Result<Self, LibraryError> {
        refuse_overlap(&config)?;
        let roots: Vec<_> = config.folders.iter().cloned().map(Root::new).collect();
        let unknown = Watching::Unavailable {
            why: "it was not looked at yet".to_owned(),
        };
        let watching = RwLock::new(vec![unknown; roots.len()]);
        let (asks, inbox) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            config,
            roots,
            registry,
            inspect,
            watching,
            uploads: Arc::default(),
        });
        let task = Arc::new(Mutex::new(Task::Waiting(inbox)));
        Ok(Self {
            shared,
            asks,
            stop: CancellationToken::new(),
            task,
        })
    }

    /// Begins to watch, in tasks of its own on the current runtime: scans everything, takes up what
    /// was interrupted, then waits for changes. A second call does nothing.
    pub fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *task = match std::mem::replace(&mut *task, Task::Ended) {
            Task::Waiting(inbox) => {
                let keeper = Keeper::new(Arc::clone(&self.shared), inbox, self.stop.clone());
                tokio::spawn(self.uploads().take_up());
                Task::Running(tokio::spawn(keeper.run()))
            }
            other => other,
        };
    }

    /// Ends the tasks. What is interrupted is taken up at the next start.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let task = {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *task, Task::Ended)
        };
        if let Task::Running(handle) = task
            && let Err(error) = handle.await
        {
            tracing::error!(%error, "the image library did not end well");
        }
    }

    /// Scans all folders now; returns when what was found is in the registry (checks go on after
    /// that).
    ///
    /// # Errors
    /// The registry's, or that the library is not running.
    pub async fn refresh(&self) -> Result<RefreshReport, LibraryError> {
        self.ask(Ask::Refresh)
            .await
            .unwrap_or(Err(LibraryError::Stopped))
    }

    /// Checks and hashes an image again, if it is still at the revision. Returns when that has begun.
    ///
    /// # Errors
    /// Not found, changed, or its phase does not allow it.
    pub async fn check(&self, id: Id, if_match: Option<Revision>) -> Result<Image, Problem> {
        self.ask(|reply| Ask::Check(id, if_match, reply))
            .await
            .unwrap_or_else(|| Err(LibraryError::Stopped.into()))
    }

    /// Deletes an image's file, if the image is still at the revision and nobody uses it.
    ///
    /// # Errors
    /// Not found, changed, in use (naming who), or the file cannot be removed.
    pub async fn delete(&self, id: Id, if_match: Option<Revision>) -> Result<(), Problem> {
        self.ask(|reply| Ask::Delete(id, if_match, reply))
            .await
            .unwrap_or_else(|| Err(LibraryError::Stopped.into()))
    }

    /// What comes through the API.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads::new(Arc::clone(&self.shared), self.asks.clone())
    }

    /// The folders and how each is being watched.
    #[must_use]
    pub fn folders(&self) -> Vec<FolderStatus> {
        let watching = self
            .shared
            .watching
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let status = |(root, watching): (&Root, &Watching)| FolderStatus {
            name: root.folder.name.clone(),
            path: root.folder.path.clone(),
            watching: watching.clone(),
        };
        self.shared
            .roots
            .iter()
            .zip(watching.iter())
            .map(status)
            .collect()
    }

    /// Opens an image's file for reading: the very file that was checked, not one that took its
    /// place or was written to since.
    ///
    /// # Errors
    /// The file is gone, is another, was changed, or cannot be read.
    pub fn open_image(&self, image: &Image) -> Result<File, Problem> {
        let (root, path) = self.place(image)?;
        let directory = root.directory().map_err(|error| unopened(image, &error))?;
        let file = open_file(directory.as_fd(), &path).map_err(|error| unopened(image, &error))?;
        match stat_open(file.as_fd()) {
            Ok(Some(stat)) if is_as_checked(image, &stat.print) => Ok(file),
            Ok(_) => Err(changed(image)),
            Err(error) => Err(unopened(image, &error)),
        }
    }

    /// Where an image's file is, after [`Self::open_image`] has found it to be the one that was
    /// checked. For programs that must open it by its path, such as QEMU.
    ///
    /// # Errors
    /// As [`Self::open_image`].
    pub fn locate(&self, image: &Image) -> Result<PathBuf, Problem> {
        self.open_image(image)?;
        let (root, path) = self.place(image)?;
        Ok(root.folder.path.join(path.as_path()))
    }

    fn place(&self, image: &Image) -> Result<(&Root, RelPath), Problem> {
        let root = self
            .shared
            .roots
            .iter()
            .find(|root| root.folder.name == image.spec.folder);
        let path = RelPath::parse(&image.spec.path);
        root.zip(path).ok_or_else(|| {
            let error = format!(
                "there is no place {} in folder {}",
                image.spec.path, image.spec.folder
            );
            unopened(image, &error)
        })
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl Shared {
    /// The number of the folder with this name.
    pub(crate) fn folder(&self, name: &str) -> Option<usize> {
        self.roots.iter().position(|root| root.folder.name == name)
    }
}

fn is_as_checked(image: &Image, now: &Fingerprint) -> bool {
    let status = &image.status;
    let same_content = (status.file_size.bytes(), status.modified) == (now.size, now.modified);
    let checked: Option<Fingerprint> = status
        .fingerprint
        .as_deref()
        .and_then(|text| text.parse().ok());
    same_content && checked.is_none_or(|checked| checked.same_file(now))
}

fn unopened(image: &Image, error: &impl ToString) -> Problem {
    let detail = format!(
        "Cannot open image {} ({}): {}.",
        image.metadata.name,
        image.spec.path,
        error.to_string()
    );
    Problem::new(ProblemKind::Refused, "image-unreadable", detail)
        .with_state(image.status.phase.as_str(), image.actions())
}

fn changed(image: &Image) -> Problem {
    let detail = format!(
        "Cannot open image {}: its file {} was changed since it was checked; wait until it is checked again.",
        image.metadata.name, image.spec.path
    );
    Problem::new(ProblemKind::Refused, "image-not-ready", detail)
        .with_state(image.status.phase.as_str(), image.actions())
}

fn refuse_overlap(config: &LibraryConfig) -> Result<(), LibraryError> {
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    for (n, folder) in config.folders.iter().enumerate() {
        for other in &config.folders[n + 1..] {
            if folder.name == other.name {
                return Err(LibraryError::NameTwice(folder.name.clone()));
            }
            let (a, b) = (real(&folder.path), real(&other.path));
            if a.starts_with(&b) {
                return Err(LibraryError::Overlap { inner: a, outer: b });
            }
            if b.starts_with(&a) {
                return Err(LibraryError::Overlap { inner: b, outer: a });
            }
        }
    }
    Ok(())
}
