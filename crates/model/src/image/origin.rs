//! Where an image comes from that Kinglet makes itself: all that is needed to do it again. Keys and
//! passwords are never here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Compression, Format, ImageEvent, ImagePhase};
use crate::{Digest, Id, Name, Size};

/// The way in which an image is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// It is fetched from a URL.
    Url(UrlOrigin),
    /// It is another image in another format.
    Convert {
        /// The image that is read.
        source: WorkSource,
        /// What it is written as.
        options: ConvertOptions,
    },
    /// It is another image, encrypted.
    Encrypt {
        /// The image that is read.
        source: WorkSource,
        /// Whether the plain source is deleted once the result was verified.
        #[serde(default, rename = "removeSource")]
        remove_source: bool,
    },
    /// It is another image, decrypted.
    Decrypt {
        /// The image that is read.
        source: WorkSource,
    },
    /// It is a VM's disk.
    Export {
        /// The VM.
        source: WorkSource,
        /// The disk's name in the VM.
        disk: String,
        /// What it is written as.
        options: ConvertOptions,
    },
}

impl Origin {
    /// The event that begins the making.
    #[must_use]
    pub const fn begins(&self) -> ImageEvent {
        match self {
            Self::Url(_) => ImageEvent::DownloadBegun,
            Self::Convert { .. } => ImageEvent::ConvertBegun,
            Self::Encrypt { .. } => ImageEvent::EncryptBegun,
            Self::Decrypt { .. } => ImageEvent::DecryptBegun,
            Self::Export { .. } => ImageEvent::ExportBegun,
        }
    }

    /// The phase in which it is made.
    #[must_use]
    pub const fn phase(&self) -> ImagePhase {
        match self {
            Self::Url(_) => ImagePhase::Downloading,
            Self::Convert { .. } => ImagePhase::Converting,
            Self::Encrypt { .. } => ImagePhase::Encrypting,
            Self::Decrypt { .. } => ImagePhase::Decrypting,
            Self::Export { .. } => ImagePhase::Exporting,
        }
    }

    /// What is read to make it, where that is an object of Kinglet's.
    #[must_use]
    pub const fn source(&self) -> Option<&WorkSource> {
        match self {
            Self::Url(_) => None,
            Self::Convert { source, .. }
            | Self::Encrypt { source, .. }
            | Self::Decrypt { source }
            | Self::Export { source, .. } => Some(source),
        }
    }
}

/// What is read to make an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkSource {
    /// The image or VM.
    pub id: Id,
    /// Its name when the work began.
    pub name: Name,
}

/// A file to be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlOrigin {
    /// Where it is, by http or https. Passwords in it are not shown.
    #[schema(example = "https://example.org/debian-12.qcow2")]
    pub url: String,
    /// Other places of the same file, tried in their order when the first fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// The SHA-256 that the file must have, as it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Where a `SHA256SUMS` is that names the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums_url: Option<String>,
    /// Whether gzip, xz or zstd around it is taken off on the way.
    #[serde(default)]
    pub unpack: bool,
    /// Whether private and link-local addresses may be asked.
    #[serde(default)]
    pub allow_private: bool,
    /// Bytes a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Size>,
}

/// What an image is written as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConvertOptions {
    /// `raw` or `qcow2`.
    pub format: Format,
    /// For qcow2: clusters are compressed (zlib or zstd). For raw: the whole file is (gzip, xz, zstd).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The result is encrypted like the source. Only where the source is.
    #[serde(default)]
    pub encrypted: bool,
}
