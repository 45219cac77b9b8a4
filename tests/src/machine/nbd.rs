//! The network block device protocol, as much of it as QEMU needs to use a disk of ours
//! (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>).

use std::io::{self, Read, Write};

/// What is behind the protocol.
pub trait Disk {
    /// Bytes.
    fn length(&self) -> u64;
    /// Reads what was written last, flushed or not.
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Takes a write, which a power cut may still lose.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all writes last.
    fn flush(&mut self) -> io::Result<()>;
}

const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

const ABORT: u32 = 2;
const INFO: u32 = 6;
const GO: u32 = 7;

const ACK: u32 = 1;
const EXPORT: u32 = 3;
const UNSUPPORTED: u32 = (1 << 31) + 1;

/// Has flags; takes flushes; takes writes that last at once.
const FLAGS: u16 = 1 | 4 | 8;
const LASTING: u16 = 1;

const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// No request of QEMU's is larger.
const LARGEST: usize = 32 << 20;

/// Serves `disk` until the other side ends or goes away.
pub fn serve(mut stream: impl Read + Write, disk: &mut dyn Disk) -> io::Result<()> {
    if negotiate(&mut stream, disk.length())? {
        while request(&mut stream, disk)? {}
    }
    Ok(())
}

/// Whether the other side wants to go on.
fn negotiate(stream: &mut (impl Read + Write), length: u64) -> io::Result<bool> {
    stream.write_all(b"NBDMAGICIHAVEOPT")?;
    // Fixed newstyle, and no padding.
    stream.write_all(&3_u16.to_be_bytes())?;
    let _flags: [u8; 4] = take(stream)?;
    loop {
        if u64::from_be_bytes(take(stream)?) != OPTION {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let option = u32::from_be_bytes(take(stream)?);
        let size = u32::from_be_bytes(take(stream)?) as usize;
        read(stream, size)?;
        match option {
            GO | INFO => {
                let mut export = Vec::new();
                export.extend_from_slice(&0_u16.to_be_bytes());
                export.extend_from_slice(&length.to_be_bytes());
                export.extend_from_slice(&FLAGS.to_be_bytes());
                answer(stream, option, EXPORT, &export)?;
                answer(stream, option, ACK, &[])?;
                if option == GO {
                    return Ok(true);
                }
            }
            ABORT => {
                answer(stream, option, ACK, &[])?;
                return Ok(false);
            }
            _ => answer(stream, option, UNSUPPORTED, &[])?,
        }
    }
}

fn answer(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut bytes = OPTION_REPLY.to_be_bytes().to_vec();
    bytes.extend_from_slice(&option.to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    let size = u32::try_from(data.len()).map_err(io::Error::other)?;
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(data);
    stream.write_all(&bytes)
}

/// Whether another one may come.
fn request(stream: &mut (impl Read + Write), disk: &mut dyn Disk) -> io::Result<bool> {
    if u32::from_be_bytes(take(stream)?) != REQUEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let flags = u16::from_be_bytes(take(stream)?);
    let kind = u16::from_be_bytes(take(stream)?);
    let cookie: [u8; 8] = take(stream)?;
    let offset = u64::from_be_bytes(take(stream)?);
    let size = u32::from_be_bytes(take(stream)?) as usize;
    let (result, data) = match kind {
        0 => {
            let mut bytes = vec![0; size.min(LARGEST)];
            (disk.read(offset, &mut bytes), bytes)
        }
        1 => {
            let bytes = read(stream, size)?;
            let lasting = flags & LASTING != 0;
            let written = disk
                .write(offset, &bytes)
                .and_then(|()| if lasting { disk.flush() } else { Ok(()) });
            (written, Vec::new())
        }
        2 => return Ok(false),
        3 => (disk.flush(), Vec::new()),
        _ => (Err(io::ErrorKind::InvalidInput.into()), Vec::new()),
    };
    let error = match &result {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => EINVAL,
        Err(_) => EIO,
    };
    let mut bytes = REPLY.to_be_bytes().to_vec();
    bytes.extend_from_slice(&error.to_be_bytes());
    bytes.extend_from_slice(&cookie);
    if error == 0 {
        bytes.extend_from_slice(&data);
    }
    stream.write_all(&bytes)?;
    Ok(true)
}

fn take<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read(stream: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    if size > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; size];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
