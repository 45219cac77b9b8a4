//! Conversion: a disk, whatever its format, written as another image, in one pass, on all processors, in a
//! bounded amount of memory.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//! use kinglet_disk::convert::{Input, Options, Output, convert};
//! use kinglet_disk::source;
//! use kinglet_model::image::Format;
//!
//! let from = std::fs::File::open("disk.vmdk")?;
//! let to = std::fs::File::create_new("disk.qcow2")?;
//! let disk = source::open(Arc::new(from), Format::Vmdk)?;
//! let made = convert(
//!     Input::Disk(&*disk),
//!     Output::Qcow2 { to: &to, compression: None },
//!     &Options::default(),
//!     &mut |progress| {
//!         println!("{} of {:?}", progress.done, progress.total);
//!         ControlFlow::Continue(())
//!     },
//! )?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Input**: a [`Source`] (any disk that is read at offsets, also an overlay over its base), or a stream
//!   that is read from its beginning (a compressed raw image, unpacked by [`crate::source::stream`]). A
//!   compressed image of another format takes two steps: unpack it to a raw file, then open that.
//! - **Output**: raw with holes where the disk is zeros, qcow2 (plain or compressed), or a stream of raw
//!   bytes, compressed or not, which is never held as a file: for a download.
//! - **Memory**: with `t` threads at most `2 t + 2` pieces of a mebibyte (compressed streams: 4 MiB), and
//!   what the compression takes for each thread (xz: 48 MiB; zstd and gzip: under 8 MiB). It does not grow
//!   with the disk, nor with anything that the image says.
//! - **Space**: nothing is reserved here; [`crate::source::allocated`] tells beforehand how much may be
//!   needed, and [`Options::most`] bounds it.
//! - **After a kill**: a raw file can be continued from the last [`Progress::durable`] offset
//!   ([`Output::Raw::from`]). Everything else begins anew: a qcow2 image has no header until its last step,
//!   so that a half one is never taken for a whole one, and a compressed stream is remade from its start.
//! - **Sums**: the SHA-256 and the chunk sums ([`crate::sums`]) of a raw file, and the SHA-256 of a stream,
//!   are made in the same pass. The beginning of a qcow2 file is written last; read it through afterwards
//!   ([`crate::scan::read_through`]).

mod encode;
mod feed;
mod pump;
mod sink;
mod zero;

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use kinglet_model::Digest;
use kinglet_model::image::Compression;
use thiserror::Error;

use crate::source::{Source, SourceError};
use crate::sums::Sums;
use crate::write::WriteAt;
use feed::{Feed, Sequential, Walk};

/// Where the disk's bytes come from.
pub enum Input<'a> {
    /// A disk that is read at offsets, by all threads.
    Disk(&'a dyn Source),
    /// A disk's bytes from its beginning to its end.
    Stream(&'a mut (dyn Read + Send)),
}

/// What is made.
pub enum Output<'a> {
    /// The disk's bytes as they are; zeros become holes.
    Raw {
        /// Empty, or what an earlier attempt left.
        to: &'a dyn WriteAt,
        /// Bytes that an earlier attempt made durable; 0 to begin. They are read again where sums are
        /// asked for, but not written.
        from: u64,
    },
    /// A qcow2 image, version 3, with clusters of 64 KiB.
    Qcow2 {
        /// Empty.
        to: &'a dyn WriteAt,
        /// Compress its clusters.
        compression: Option<ClusterCompression>,
    },
    /// The disk's bytes one after the other, each of them; without holes.
    Stream {
        /// Where they go; slow is fine.
        to: &'a mut dyn Write,
        /// Compress them. All three formats are written as many frames (members, streams) one after the
        /// other, which every tool reads.
        compression: Option<Compression>,
    },
}

/// How the clusters of a qcow2 image are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterCompression {
    /// Deflate: every QEMU reads it.
    Zlib,
    /// Zstandard: faster and smaller; QEMU 5.1 and newer read it.
    Zstd,
}

/// How it is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that read and compress; one more writes.
    pub threads: NonZeroUsize,
    /// Make the sums of what is written.
    pub sums: bool,
    /// Bytes of output at most.
    pub most: Option<u64>,
    /// Make a raw file durable each time that so many bytes are done. Else only at its end.
    pub sync_every: Option<u64>,
}

impl Default for Options {
    /// All processors, no sums, no bound, durable at the end.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            sums: false,
            most: None,
            sync_every: None,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of the disk that are done.
    pub done: u64,
    /// Bytes of the disk; not known of a stream.
    pub total: Option<u64>,
    /// Bytes of output that were written; holes count nothing.
    pub written: u64,
    /// Bytes of the disk from its beginning that are on the medium, in a raw file.
    pub durable: u64,
}

/// Called about once a mebibyte; may stop the conversion.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Bytes of the disk.
    pub disk: u64,
    /// Bytes of output that were written; holes count nothing.
    pub written: u64,
    /// SHA-256 of the raw file or of the stream, if sums were asked for.
    pub sha256: Option<Digest>,
    /// The chunk sums of the raw file, if sums were asked for.
    pub sums: Option<Sums>,
}

/// Why nothing whole was made. What was written is of no use, except for [`Output::Raw::from`].
#[derive(Debug, Error)]
pub enum ConvertError {
    /// The disk could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The output could not be written.
    #[error("cannot write the new image: {0}")]
    Write(#[source] io::Error),
    /// It would be larger than allowed.
    #[error("the new image would be larger than the {0} bytes that there is room for")]
    TooLarge(u64),
    /// No qcow2 image is so large.
    #[error("a disk of more than 1 PiB cannot be written as qcow2; choose raw")]
    TooLargeForQcow2,
    /// The callback said stop.
    #[error("the conversion was cancelled")]
    Cancelled,
}

/// Writes `input` as `output`. Raw and qcow2 files are durable when it returns; their folder is the
/// caller's.
///
/// # Errors
/// See [`ConvertError`].
pub fn convert(
    input: Input<'_>,
    output: Output<'_>,
    options: &Options,
    watch: &mut Watch<'_>,
) -> Result<Made, ConvertError> {
    let total = match &input {
        Input::Disk(source) => Some(source.length()),
        Input::Stream(_) => None,
    };
    let report = Report {
        watch,
        now: Progress {
            total,
            ..Progress::default()
        },
        most: options.most,
    };
    match output {
        Output::Raw { to, from } => {
            // What is not hashed again need not be read again.
            let start = if options.sums { 0 } else { from };
            let shape = sink::raw::SHAPE;
            let feed = feed(input, start / shape.align * shape.align, shape);
            sink::raw::write(feed, to, from, options, report)
        }
        Output::Qcow2 { to, compression } => {
            let feed = feed(input, 0, sink::qcow2::SHAPE);
            sink::qcow2::write(feed, to, compression, options, report)
        }
        Output::Stream { to, compression } => {
            let feed = feed(input, 0, sink::stream::shape(compression));
            sink::stream::write(feed, to, compression, options, report)
        }
    }
}

fn feed(input: Input<'_>, start: u64, shape: feed::Shape) -> Feed<'_> {
    match input {
        Input::Disk(source) => Feed::Disk(Walk::new(source, start, shape)),
        Input::Stream(stream) => Feed::Stream(Sequential::new(stream, start, shape)),
    }
}

/// Tells how far it is, and stops it where it has to.
struct Report<'a, 'b> {
    watch: &'a mut Watch<'b>,
    now: Progress,
    most: Option<u64>,
}

impl Report<'_, '_> {
    /// So much more will be written.
    fn wrote(&mut self, bytes: u64) -> Result<(), ConvertError> {
        self.now.written = self.now.written.saturating_add(bytes);
        match self.most {
            Some(most) if self.now.written > most => Err(ConvertError::TooLarge(most)),
            _ => Ok(()),
        }
    }

    /// The disk is done up to here.
    fn reached(&mut self, done: u64) -> Result<(), ConvertError> {
        self.now.done = done;
        match (self.watch)(self.now) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ConvertError::Cancelled),
        }
    }
}
