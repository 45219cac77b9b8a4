//! A raw disk in a file: zeros become holes.

use kinglet_model::Digest;
use sha2::{Digest as _, Sha256};

use super::each_zeros;
use crate::convert::encode::{Encoded, FindZeros, Kind};
use crate::convert::feed::{Feed, Shape};
use crate::convert::{ConvertError, Made, Options, Report, pump};
use crate::sums::Summer;
use crate::write::WriteAt;

/// Holes as file systems make them. Zeros are told often enough to be stopped.
pub(in crate::convert) const SHAPE: Shape = Shape {
    align: 4 << 10,
    piece: 1 << 20,
    zeros: 256 << 20,
};

/// Bytes after which their write-back begins.
const SETTLED: u64 = 16 << 20;

pub(in crate::convert) fn write(
    feed: Feed<'_>,
    to: &dyn WriteAt,
    from: u64,
    options: &Options,
    report: Report<'_, '_>,
) -> Result<Made, ConvertError> {
    let mut writer = Writer {
        to,
        from,
        settled: from,
        sync_every: options.sync_every,
        sums: options.sums.then(|| RawSums {
            sha256: Sha256::new(),
            summer: Summer::new(report.now.total.unwrap_or(0)),
        }),
        report,
    };
    writer.report.now.durable = from;
    let find_zeros = || {
        Ok(FindZeros {
            block: SHAPE.align as usize,
        })
    };
    pump::run(feed, options.threads, find_zeros, |piece| {
        writer.piece(piece)
    })?;
    writer.finish()
}

struct Writer<'a, 'b, 'c> {
    to: &'a dyn WriteAt,
    /// What comes before is there already.
    from: u64,
    settled: u64,
    sync_every: Option<u64>,
    sums: Option<RawSums>,
    report: Report<'b, 'c>,
}

struct RawSums {
    sha256: Sha256,
    summer: Summer,
}

impl Writer<'_, '_, '_> {
    fn piece(&mut self, piece: &Encoded) -> Result<(), ConvertError> {
        let mut at = piece.offset;
        for part in &piece.parts {
            let end = at + part.length;
            let bytes = &piece.bytes[part.start..part.start + part.size];
            if let Some(sums) = &mut self.sums {
                sums.take(part.kind, bytes, part.length);
            }
            let skip = self.from.saturating_sub(at).min(part.length);
            if skip < part.length {
                self.write(part.kind, bytes, at + skip, end, skip as usize)?;
            }
            at = end;
        }
        self.make_durable(at)?;
        self.report.reached(at)
    }

    fn write(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        at: u64,
        end: u64,
        skip: usize,
    ) -> Result<(), ConvertError> {
        if kind == Kind::Zeros {
            return self
                .to
                .write_zeros(at, end - at)
                .map_err(ConvertError::Write);
        }
        self.report.wrote(end - at)?;
        self.to
            .write_all_at(&bytes[skip..], at)
            .map_err(ConvertError::Write)
    }

    fn make_durable(&mut self, at: u64) -> Result<(), ConvertError> {
        if at >= self.settled.saturating_add(SETTLED) {
            self.to.settled(self.settled, at - self.settled);
            self.settled = at;
        }
        let due = |every| at >= self.report.now.durable.saturating_add(every);
        if self.sync_every.is_some_and(due) {
            self.to.sync().map_err(ConvertError::Write)?;
            self.report.now.durable = at;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Made, ConvertError> {
        let disk = self.report.now.done;
        self.to.set_length(disk).map_err(ConvertError::Write)?;
        self.to.sync().map_err(ConvertError::Write)?;
        self.report.now.durable = disk;
        self.report.reached(disk)?;
        let (sha256, sums) = match self.sums {
            Some(RawSums { sha256, summer }) => (
                Some(Digest::from_bytes(sha256.finalize().into())),
                Some(summer.finish()),
            ),
            None => (None, None),
        };
        Ok(Made {
            disk,
            written: self.report.now.written,
            sha256,
            sums,
        })
    }
}

impl RawSums {
    fn take(&mut self, kind: Kind, bytes: &[u8], length: u64) {
        if kind == Kind::Zeros {
            self.summer.zeros(length);
            let hashed: Result<(), ConvertError> = each_zeros(length, |zeros| {
                self.sha256.update(zeros);
                Ok(())
            });
            debug_assert!(hashed.is_ok());
        } else {
            self.summer.update(bytes);
            self.sha256.update(bytes);
        }
    }
}
