//! A disc with a handful of files in its root: ISO 9660 with Rock Ridge (which Linux reads) and Joliet
//! (which Windows reads), so that names such as `user-data` are seen as they are.
//!
//! Specifications: ECMA-119; Rock Ridge Interchange Protocol 1.12 on SUSP; Joliet 1.
//!
//! Sectors: 16 primary and 17 Joliet descriptor, 18 terminator; 19 to 22 path tables; 23 and 24 the
//! root folders; files from 25.

const SECTOR: usize = 2048;
const PATH_TABLES: u32 = 19;
const ROOT: u32 = 23;
const JOLIET_ROOT: u32 = 24;
const FIRST_FILE: u32 = 25;

/// Names in the order in which they are added, which is to be that of the alphabet.
pub(super) struct Disc<'a> {
    label: &'static str,
    files: Vec<(&'static str, &'a [u8])>,
}

/// A file and where it lies.
struct Placed<'a> {
    name: &'static str,
    bytes: &'a [u8],
    sector: u32,
}

impl<'a> Disc<'a> {
    pub(super) const fn new(label: &'static str) -> Self {
        Self {
            label,
            files: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &'static str, bytes: &'a [u8]) {
        self.files.push((name, bytes));
    }

    /// The bytes of the disc.
    pub(super) fn image(&self) -> Vec<u8> {
        let (files, sectors) = self.place();
        let mut image = vec![0; sectors as usize * SECTOR];
        let mut put = |sector: u32, bytes: &[u8]| {
            let at = sector as usize * SECTOR;
            image[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(16, &self.descriptor(Tree::RockRidge, sectors));
        put(17, &self.descriptor(Tree::Joliet, sectors));
        put(18, b"\xffCD001\x01");
        for (index, (root, big)) in [
            (ROOT, false),
            (ROOT, true),
            (JOLIET_ROOT, false),
            (JOLIET_ROOT, true),
        ]
        .into_iter()
        .enumerate()
        {
            put(PATH_TABLES + index as u32, &path_table(root, big));
        }
        put(ROOT, &folder(Tree::RockRidge, &files));
        put(JOLIET_ROOT, &folder(Tree::Joliet, &files));
        for file in &files {
            put(file.sector, file.bytes);
        }
        image
    }

    fn place(&self) -> (Vec<Placed<'a>>, u32) {
        let mut next = FIRST_FILE;
        let mut placed = Vec::new();
        for &(name, bytes) in &self.files {
            placed.push(Placed {
                name,
                bytes,
                sector: next,
            });
            next += bytes.len().div_ceil(SECTOR).max(1) as u32;
        }
        (placed, next)
    }

    fn descriptor(&self, tree: Tree, sectors: u32) -> Vec<u8> {
        let mut d = vec![tree.descriptor_type()];
        d.extend(b"CD001\x01\0");
        d.extend(tree.text("", 32));
        d.extend(tree.text(self.label, 32));
        d.extend([0; 8]);
        d.extend(both32(sectors));
        d.extend(tree.escapes());
        d.extend(both16(1));
        d.extend(both16(1));
        d.extend(both16(SECTOR as u16));
        d.extend(both32(10));
        let table = PATH_TABLES + if tree == Tree::Joliet { 2 } else { 0 };
        d.extend(table.to_le_bytes());
        d.extend(0u32.to_le_bytes());
        d.extend((table + 1).to_be_bytes());
        d.extend(0u32.to_be_bytes());
        d.extend(record(&[0], tree.root(), SECTOR as u32, true, &[]));
        // Volume set, publisher, preparer and application; copyright, abstract and bibliography.
        d.extend(tree.text("", 4 * 128 + 3 * 37));
        for _ in 0..4 {
            d.extend([b'0'; 16]);
            d.push(0);
        }
        d.push(1);
        d.resize(SECTOR, 0);
        d
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    RockRidge,
    Joliet,
}

impl Tree {
    const fn descriptor_type(self) -> u8 {
        match self {
            Self::RockRidge => 1,
            Self::Joliet => 2,
        }
    }

    const fn root(self) -> u32 {
        match self {
            Self::RockRidge => ROOT,
            Self::Joliet => JOLIET_ROOT,
        }
    }

    /// A text field: spaces after it, UCS-2 for Joliet.
    fn text(self, text: &str, size: usize) -> Vec<u8> {
        match self {
            Self::RockRidge => {
                let mut field = text.as_bytes().to_vec();
                field.resize(size, b' ');
                field
            }
            Self::Joliet => {
                let mut field: Vec<u8> = ucs2(text);
                while field.len() + 2 <= size {
                    field.extend([0, b' ']);
                }
                field.resize(size, 0);
                field
            }
        }
    }

    /// The escape sequences that say which characters names have.
    fn escapes(self) -> [u8; 32] {
        let mut escapes = [0; 32];
        if self == Self::Joliet {
            // UCS-2 level 3.
            escapes[..3].copy_from_slice(b"%/E");
        }
        escapes
    }
}

fn folder(tree: Tree, files: &[Placed<'_>]) -> Vec<u8> {
    let (own, parent) = match tree {
        Tree::RockRidge => {
            let mut own = b"SP\x07\x01\xbe\xef\0".to_vec();
            own.extend(attributes(0o40555, 2));
            own.extend(b"ER\x12\x01\x0a\0\0\x01RRIP_1991A");
            (own, attributes(0o40555, 2))
        }
        Tree::Joliet => (Vec::new(), Vec::new()),
    };
    let mut folder = record(&[0], tree.root(), SECTOR as u32, true, &own);
    folder.extend(record(&[1], tree.root(), SECTOR as u32, true, &parent));
    for file in files {
        let (name, extra) = match tree {
            Tree::RockRidge => {
                let mut extra = attributes(0o100_444, 1);
                extra.extend(alternate_name(file.name));
                (plain_name(file.name), extra)
            }
            Tree::Joliet => (ucs2(file.name), Vec::new()),
        };
        folder.extend(record(
            &name,
            file.sector,
            file.bytes.len() as u32,
            false,
            &extra,
        ));
    }
    folder
}

/// A directory record (ECMA-119 9.1).
fn record(name: &[u8], sector: u32, size: u32, is_folder: bool, system_use: &[u8]) -> Vec<u8> {
    let mut r = vec![0, 0];
    r.extend(both32(sector));
    r.extend(both32(size));
    // Always the same time, so that the same files make the same disc: 1980-01-01.
    r.extend([80, 1, 1, 0, 0, 0, 0]);
    r.extend([if is_folder { 2 } else { 0 }, 0, 0]);
    r.extend(both16(1));
    r.push(name.len() as u8);
    r.extend(name);
    if name.len().is_multiple_of(2) {
        r.push(0);
    }
    r.extend(system_use);
    if !r.len().is_multiple_of(2) {
        r.push(0);
    }
    r[0] = r.len() as u8;
    r
}

/// Rock Ridge `PX`: POSIX mode and links, owner root.
fn attributes(mode: u32, links: u32) -> Vec<u8> {
    let mut px = b"PX\x24\x01".to_vec();
    for number in [mode, links, 0, 0] {
        px.extend(both32(number));
    }
    px
}

/// Rock Ridge `NM`: the real name.
fn alternate_name(name: &str) -> Vec<u8> {
    let mut nm = b"NM".to_vec();
    nm.extend([name.len() as u8 + 5, 1, 0]);
    nm.extend(name.as_bytes());
    nm
}

/// A name for readers that know neither extension: eight capital letters.
fn plain_name(name: &str) -> Vec<u8> {
    let mut plain: Vec<u8> = name
        .bytes()
        .take(8)
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                b.to_ascii_uppercase()
            } else {
                b'_'
            }
        })
        .collect();
    plain.extend(b".;1");
    plain
}

fn path_table(root: u32, big: bool) -> Vec<u8> {
    let mut table = vec![1, 0];
    if big {
        table.extend(root.to_be_bytes());
        table.extend(1u16.to_be_bytes());
    } else {
        table.extend(root.to_le_bytes());
        table.extend(1u16.to_le_bytes());
    }
    table.extend([0, 0]);
    table
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn both32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&number.to_le_bytes());
    both[4..].copy_from_slice(&number.to_be_bytes());
    both
}

fn both16(number: u16) -> [u8; 4] {
    let mut both = [0; 4];
    both[..2].copy_from_slice(&number.to_le_bytes());
    both[2..].copy_from_slice(&number.to_be_bytes());
    both
}
