//! The library's files for the VMs, which know nothing of the library.

use std::fs::File;
use std::path::PathBuf;

use kinglet_images::Library;
use kinglet_model::{Image, Problem};
use kinglet_vms::ImageFiles;

/// The library as the VMs see it.
pub struct LibraryFiles {
    library: Library,
}

impl LibraryFiles {
    /// The files of this library.
    pub const fn new(library: Library) -> Self {
        Self { library }
    }
}

impl ImageFiles for LibraryFiles {
    fn file(&self, image: &Image) -> Result<(File, PathBuf), Problem> {
        Ok((self.library.open_image(image)?, self.library.locate(image)?))
    }
}
