//! `kinglet image upload`.

mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kinglet_client::{Client, ClientError, ListOptions, NewUpload, UploadState};
use kinglet_model::image::ImagePhase;
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Digest, Id, Image};
use sha2::{Digest as _, Sha256};

use super::{Session, phase};
use crate::failure::{Code, Failure, Outcome};
use crate::output::progress::Waiting;
use crate::watch;
use source::Source;

/// Tries without any progress before it is given up.
const TRIES: u32 = 12;

/// The pause after the first failure; doubled each time, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_millis(250);

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(10);

/// Upload image files; an interrupted upload goes on where it stopped
///
/// When an upload of the same name and size is unfinished, and what has come of it is the beginning
/// of the file (compared by SHA-256), it goes on from there. Whatever interrupted it, run the same
/// command again.
#[derive(Debug, Args)]
pub struct Upload {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name of the file in the image folder, if another than here
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// SHA-256 that the file must have
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Digest>,
    /// Image folder to upload to, if not the first
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// Return when all bytes are there, without waiting for the check
    #[arg(long)]
    no_wait: bool,
}

/// Why a try did not come to the end.
enum Broken {
    /// It may work the next time.
    Again(Failure),
    /// It will not.
    For(Failure),
}

impl Upload {
    /// Uploads one file after the other.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.files.len() > 1 && (self.name.is_some() || self.sha256.is_some()) {
            return Err(Failure::usage(
                "--name and --sha256 are about one file; upload the others one by one",
            ));
        }
        let client = session.client()?;
        let mut images = Vec::new();
        for file in &self.files {
            let uploading = self.upload(session, &client, file);
            let image = tokio::select! {
                image = uploading => image?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Err(Failure::failed(resume(file)));
                }
            };
            if !session.out.is_json() {
                let line = format!("{}: {}\n", image.metadata.name, phase(&image));
                session.out.print(&line)?;
            }
            images.push(image);
        }
        if session.out.is_json() {
            match images.as_slice() {
                [one] => session.out.json(one)?,
                all => session.out.json(&all)?,
            }
        }
        let bad = |image: &&Image| image.status.phase == ImagePhase::Damaged;
        images.iter().find(bad).map_or(Ok(()), |image| {
            let reason = image.status.reason.as_deref().unwrap_or("no reason given");
            let name = &image.metadata.name;
            Err(Failure::failed(format!(
                "image {name} is damaged: {reason}"
            )))
        })
    }

    async fn upload(&self, session: &Session, client: &Client, file: &Path) -> Outcome<Image> {
        let source = Source::open(file)?;
        let file_name = self.file_name(file)?;
        let waiting = Waiting::new(&session.out, &format!("Uploading {file_name}"));
        let new = NewUpload {
            file_name,
            folder: self.folder.clone(),
            length: source.length,
            sha256: self.sha256,
        };
        let id = match unfinished(client, &new).await? {
            Some(image) => image.metadata.id,
            None => client.create_upload(&new).await?,
        };
        self.persist(client, id, &source, &waiting).await?;
        let image = client.image(&id.to_string()).await?;
        if self.no_wait {
            return Ok(image);
        }
        watch::image(client, image, &waiting, |image| {
            !image.status.phase.is_on_its_way()
        })
        .await
    }

    /// Tries until all bytes are there, or it makes no sense any more.
    async fn persist(
        &self,
        client: &Client,
        id: Id,
        source: &Source,
        waiting: &Waiting,
    ) -> Outcome {
        let (mut tries, mut farthest) = (0, 0);
        loop {
            let mut offset = farthest;
            let failure = match send(client, id, source, waiting, &mut offset).await {
                Ok(()) => return Ok(()),
                Err(Broken::For(failure)) => return Err(failure),
                Err(Broken::Again(failure)) => failure,
            };
            tries = if offset > farthest { 0 } else { tries + 1 };
            farthest = farthest.max(offset);
            if tries >= TRIES {
                let message = format!("{failure} {}", resume(&source.path));
                return Err(Failure::new(failure.code(), message));
            }
            waiting.show_bytes(&format!("Trying again: {failure}"), None);
            tokio::time::sleep(PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST)).await;
        }
    }

    fn file_name(&self, file: &Path) -> Outcome<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let name = file.file_name().and_then(|name| name.to_str());
        name.map(str::to_owned).ok_or_else(|| {
            let shown = file.display();
            Failure::usage(format!("say with --name how {shown} is to be called"))
        })
    }
}

/// The unfinished upload of this name, if it is one of a file of this size.
async fn unfinished(client: &Client, new: &NewUpload) -> Outcome<Option<Image>> {
    let options = ListOptions {
        filter: Some("phase=uploading".to_owned()),
        ..ListOptions::default()
    };
    let images = client.all_images(&options).await?.items;
    let found = images.into_iter().find(|image| {
        let folder = new.folder.as_ref();
        image.spec.path == new.file_name && folder.is_none_or(|folder| *folder == image.spec.folder)
    });
    let Some(image) = found else {
        return Ok(None);
    };
    let upload = image.status.upload.as_ref();
    if upload.is_some_and(|it| it.length.bytes() == new.length && it.resumable) {
        return Ok(Some(image));
    }
    Err(another(image.metadata.name.as_str()))
}

/// One try: from where the daemon is to the end.
async fn send(
    client: &Client,
    id: Id,
    source: &Source,
    waiting: &Waiting,
    reached: &mut u64,
) -> Result<(), Broken> {
    let state = client.upload_state(id).await.map_err(broken)?;
    *reached = state.offset;
    let hash = compare(source, id, &state).await.map_err(Broken::For)?;
    if state.offset == source.length {
        return Ok(());
    }
    let what = format!("Uploading {}", source.path.display());
    let done = waiting.counting(&what, state.offset, source.length);
    let (bytes, hashing) = source.read_from(state.offset, hash, done);
    let length = source.length - state.offset;
    let sent = client.send_upload(id, state.offset, length, bytes).await;
    let state = sent.map_err(broken)?;
    *reached = state.offset;
    if state.offset < source.length {
        let daemon = "the daemon stopped taking bytes";
        return Err(Broken::Again(Failure::new(Code::Unreachable, daemon)));
    }
    let hash = hashing
        .await
        .map_err(|error| Broken::For(Failure::failed(error.to_string())))?;
    let ours = hash.map_err(|error| Broken::For(error.into()))?;
    match state.digest {
        Some(theirs) if theirs != digest(ours) => Err(Broken::For(Failure::failed(
            "what arrived is not what was read: the file changed while it was uploaded. Delete the \
             image, and upload it again.",
        ))),
        _ => Ok(()),
    }
}

/// Sees that what the daemon has is the beginning of the file; its hash, to be continued.
async fn compare(source: &Source, id: Id, state: &UploadState) -> Outcome<Sha256> {
    source.unchanged()?;
    let hash = source.hash_to(state.offset).await?;
    match state.digest {
        Some(theirs) if theirs != digest(hash.clone()) => Err(another(&id.to_string())),
        _ => Ok(hash),
    }
}

fn digest(hash: Sha256) -> Digest {
    Digest::from_bytes(hash.finalize().into())
}

fn broken(error: ClientError) -> Broken {
    let again = match &error {
        ClientError::Unreachable { .. } => true,
        ClientError::Problem(problem) => {
            let passing = ["upload-busy", "upload-offset"];
            problem.kind == ProblemKind::Internal || passing.contains(&problem.code.as_str())
        }
        ClientError::Protocol { .. } => false,
    };
    let failure = Failure::from(error);
    if again {
        Broken::Again(failure)
    } else {
        Broken::For(failure)
    }
}

fn another(image: &str) -> Failure {
    Failure::new(
        Code::Refused,
        format!(
            "an upload of that name is unfinished, and it is one of another file. `kinglet image \
             cancel {image}` gives it up; or choose another name with --name."
        ),
    )
}

fn resume(file: &Path) -> String {
    format!(
        "What has come is kept: `kinglet image upload {}` goes on from there, `kinglet image cancel` \
         gives it up.",
        file.display()
    )
}
