//! The compressed stream in a file, followed to its end while the file is hashed.

use std::fs::File;

use kinglet_model::Size;
use kinglet_model::image::{Compression, Format};

use crate::probe::initramfs::{self, Rest};
use crate::probe::source::{Source, Trouble};
use crate::probe::{Damage, Limits, Probe, ProbeError, Wholeness};
use crate::unpack::{StreamError, Unpacker};

/// How far the stream was followed.
pub(super) enum Stream {
    /// Nothing (more) to follow; this is the verdict.
    Settled(Wholeness),
    /// So far so good.
    Open {
        unpacker: Box<Unpacker>,
        /// Bytes before it, still to be passed over.
        skip: u64,
        /// Whether what is inside has to be a whole number of sectors.
        sectors: bool,
    },
}

impl Stream {
    /// The stream of an image that was probed.
    pub(super) fn of(file: &File, probe: &Probe) -> Result<Self, ProbeError> {
        if !probe.wholeness.is_whole() {
            return Ok(Self::Settled(probe.wholeness.clone()));
        }
        match (probe.compression, probe.format) {
            (Some(kind), format) => Ok(Self::open(kind, 0, format == Format::Raw)),
            (None, Format::Initramfs) => Self::of_initramfs(file),
            (None, _) => Ok(Self::Settled(Wholeness::Whole)),
        }
    }

    fn of_initramfs(file: &File) -> Result<Self, ProbeError> {
        let source = Source::new(file, Limits::default().metadata)?;
        match initramfs::rest(&source) {
            Ok(Rest::Stream { at, kind }) => Ok(Self::open(kind, at, false)),
            Err(Trouble::Read(error)) => Err(error),
            // What is wrong with the archives themselves, the probe has said.
            _ => Ok(Self::Settled(Wholeness::Whole)),
        }
    }

    fn open(kind: Compression, skip: u64, sectors: bool) -> Self {
        match Unpacker::new(kind, Limits::default().window, 0) {
            Ok(unpacker) => Self::Open {
                unpacker: Box::new(unpacker),
                skip,
                sectors,
            },
            Err(error) => Self::Settled(damaged(error)),
        }
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Self::Open { unpacker, skip, .. } = self else {
            return;
        };
        let passed = (*skip).min(bytes.len() as u64);
        *skip -= passed;
        if let Err(error) = unpacker.push(&bytes[passed as usize..]) {
            *self = Self::Settled(damaged(error));
        }
    }

    /// The verdict at the end of the file, and how many bytes came out.
    pub(super) fn verdict(self) -> (Wholeness, Option<Size>) {
        match self {
            Self::Settled(wholeness) => (wholeness, None),
            Self::Open {
                mut unpacker,
                sectors,
                ..
            } => match unpacker.finish() {
                Ok(size) if sectors && !size.is_multiple_of(512) => (
                    Damage::broken(format!(
                        "what is compressed in it is not whole: {size} bytes are no whole number \
                         of 512-byte sectors"
                    ))
                    .into(),
                    Some(Size(size)),
                ),
                Ok(size) => (Wholeness::Whole, Some(Size(size))),
                Err(error) => (damaged(error), None),
            },
        }
    }
}

fn damaged(error: StreamError) -> Wholeness {
    Damage::from(error).into()
}
