//! The announcement of an upload: whether it may be, whether it fits, and its first traces.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use kinglet_model::image::{ImageEvent, ImagePhase, Upload};
use kinglet_model::{Id, Image, Problem, Size};

use super::record::Record;
use super::space::Space;
use super::store::Store;
use super::{NewUpload, Uploads, refusal};
use crate::error::LibraryError;
use crate::folder::{Look, Root, look, stat_open};
use crate::keeper::blocking;
use crate::kind::{Kind, kind};
use crate::naming::image_name;
use crate::path::RelPath;

/// The largest upload that is taken: 16 TiB, the largest file of ext4.
pub const MAX_LENGTH: u64 = 16 << 40;

/// The longest file name of Linux's file systems, in bytes.
const MAX_NAME: usize = 255;

/// Why the files of an upload were not made.
enum Unmade {
    Exists,
    NoSpace(Space),
    Failed(io::Error),
}

impl From<io::Error> for Unmade {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Uploads {
    /// Announces an upload: its space is reserved, and its image is there, in the phase `uploading`.
    /// One of no bytes is finished at once.
    ///
    /// # Errors
    /// The name cannot be one of an image's file, a file or an upload has it, there is no such folder,
    /// or not enough space.
    pub async fn create(&self, new: NewUpload) -> Result<Image, Problem> {
        let path = parse(&new.file_name)?;
        let first = self.root(0).folder.name.clone();
        let folder = self.folder(new.folder.as_deref().unwrap_or(&first))?;
        if new.length > MAX_LENGTH {
            let error = io::ErrorKind::FileTooLarge.into();
            return Err(refusal::failed("upload", &path.to_string(), &error));
        }
        if let Some(image) = self.announced_before(&new, folder, &path).await? {
            return Ok(image);
        }
        let this = self.clone();
        // Goes on when the client is gone: half an announcement would only have to be swept.
        let made = tokio::spawn(async move { this.make(new, folder, path).await });
        let image = made.await.map_err(|_| refusal::ending())??;
        if super::length(&image) == 0 {
            self.take_place(image.clone()).await?;
            return self.image(image.metadata.id).await;
        }
        Ok(image)
    }

    /// The same announcement made before, if nothing came since: its answer may have been lost. Another
    /// upload to the same place is refused before any space is taken.
    async fn announced_before(
        &self,
        new: &NewUpload,
        folder: usize,
        path: &RelPath,
    ) -> Result<Option<Image>, Problem> {
        let draft = self.draft(new, folder, path);
        let found = self.shared.registry.fetch_by_name(&draft.metadata.name);
        let found: Option<Image> = found.await.map_err(LibraryError::from)?;
        let Some(image) = found.filter(|image| {
            image.status.phase == ImagePhase::Uploading && image.spec == draft.spec
        }) else {
            return Ok(None);
        };
        let same = image.status.upload == draft.status.upload && new.resumable;
        let busy = self.shared.uploads.is_busy(image.metadata.id);
        if same && !busy && self.record(&image).await?.offset == 0 {
            return Ok(Some(image));
        }
        Err(refusal::upload_exists(&image))
    }

    async fn make(&self, new: NewUpload, folder: usize, path: RelPath) -> Result<Image, Problem> {
        let mut image = self.draft(&new, folder, &path);
        let id = image.metadata.id;
        let _fresh = self.shared.uploads.fresh(id);
        {
            // What one reserves the next must find taken.
            let _turn = self.shared.uploads.space.lock().await;
            let (shared, now, length) = (Arc::clone(&self.shared), self.config().now(), new.length);
            let place = path.clone();
            let made = blocking(move || make_files(&shared.roots[folder], &place, id, length, now));
            let made = made.await.ok_or_else(refusal::ending)?;
            let shown = path.to_string();
            let fingerprint = made.map_err(|unmade| match unmade {
                Unmade::Exists => refusal::exists(&shown),
                Unmade::NoSpace(space) => refusal::no_space(&shown, new.length, space),
                Unmade::Failed(error) => refusal::failed("upload", &shown, &error),
            })?;
            image.status.fingerprint = Some(fingerprint);
        }
        let begun = self.ask(|reply| super::UploadAsk::Begin(Box::new(image.clone()), reply));
        let begun = begun.await;
        if begun.is_err() {
            // What is left is swept at the next start.
            let _ = self
                .on_disk(&image, "upload", move |store| store.remove(id))
                .await;
        }
        begun
    }

    fn draft(&self, new: &NewUpload, folder: usize, path: &RelPath) -> Image {
        let folder = &self.root(folder).folder.name;
        let name = image_name(path.file_name());
        let mut image = Image::seen(name, folder, &path.to_string());
        // The table has this row; a test says so.
        let _ = image.apply(ImageEvent::UploadBegun);
        image.status.file_size = Size(new.length);
        image.status.upload = Some(Upload {
            length: Size(new.length),
            sha256: new.sha256,
            resumable: new.resumable,
        });
        image
    }
}

/// The place for a file of this name, if an image may have it.
fn parse(name: &str) -> Result<RelPath, Problem> {
    let refused = |why| Err(refusal::bad_name(name, why));
    if name.is_empty() || name.len() > MAX_NAME {
        return refused("a file's name has from 1 to 255 bytes");
    }
    if name.contains('/') || name == "." || name == ".." {
        return refused("it must be the name of a file, not a path");
    }
    if name.contains(|c: char| c.is_control() || c == '\\') {
        return refused("it has characters that no image's name should have");
    }
    match kind(name.as_bytes()) {
        Kind::Image => Ok(RelPath::root().child(name.as_bytes())),
        Kind::Temporary(_) => refused("files of such names are taken for unfinished copies"),
        Kind::Sums => refused("files of such names are taken for lists of digests"),
        Kind::Ignored => refused("files of such names are taken for something else than images"),
    }
}

/// Makes the files of an upload; its fingerprint.
fn make_files(
    root: &Root,
    path: &RelPath,
    id: Id,
    length: u64,
    now: u64,
) -> Result<String, Unmade> {
    let directory = root.directory()?;
    match look(directory.as_fd(), path) {
        Look::Absent => {}
        Look::Failed(error) => return Err(Unmade::Failed(error)),
        _ => return Err(Unmade::Exists),
    }
    let space = Space::of(&directory)?;
    if !space.holds(length) {
        return Err(Unmade::NoSpace(space));
    }
    let store = Store::make(root)?;
    let (data, record) = store.create(id, length)?;
    Record::new(now).write(&record)?;
    store.sync()?;
    let stat = stat_open(data.as_fd())?;
    let stat = stat.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(stat.print.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_tricks_or_no_images_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x.img",
            "/etc/passwd",
            "a/b.img",
            "a\\b.img",
            "a\0.img",
            "a\n.img",
            ".hidden.img",
            ".kinglet-uploads",
            "x.part",
            "x.txt",
            "SHA256SUMS",
            "x.img~",
        ] {
            assert_eq!(parse(name).unwrap_err().code, "upload-name", "{name:?}");
        }
        assert!(parse(&"é".repeat(128)).is_err());
        for name in ["debian-12.qcow2", "Win 10 (x64).iso", "麒麟.img", "vmlinuz"] {
            assert!(parse(name).is_ok(), "{name}");
        }
    }
}
