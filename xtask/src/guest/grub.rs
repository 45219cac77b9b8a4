//! GRUB on the Debian guest's disk, for BIOS and for UEFI, without grub-install.
//!
//! For BIOS, three things lie on the disk: `boot.img` in the first sector, which loads one
//! sector; that sector, the first of `core.img`, which loads the rest of it from a list of
//! blocks at its end; and the rest. grub-mkimage makes `core.img`; the two places on the disk
//! are ours to write (`grub-core/boot/i386/pc/boot.S` and `diskboot.S`, GRUB 2.06). For UEFI
//! it is one file in the ESP.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::disk::{BIOS_BOOT, ESP, ROOT_UUID, SECTOR};
use crate::tool::{run, tool};

/// Where Debian keeps GRUB's modules.
const MODULES: &str = "/usr/lib/grub";

/// A sector as an array index.
const SECTOR_BYTES: usize = SECTOR as usize;

/// In `boot.img`: the first sector of `core.img`, u64 (`GRUB_BOOT_MACHINE_KERNEL_SECTOR`).
const KERNEL_SECTOR: usize = 0x5c;

/// Up to here the first sector is code; then come the disk's signature and the partitions.
const BOOT_CODE_END: usize = 440;

/// In the first sector of `core.img`: where the rest of it begins, u64. Its length and its
/// place in memory follow, and grub-mkimage has filled them in.
const BLOCK_LIST_START: usize = SECTOR_BYTES - 12;

/// Offset of the u16 after it: the number of sectors.
const BLOCK_LIST_LENGTH: usize = BLOCK_LIST_START + 8;

/// What finds the root, reads the configuration there and starts Linux.
const COMMON: &[&str] = &[
    "part_gpt",
    "ext2",
    "search_fs_uuid",
    "normal",
    "configfile",
    "linux",
];

/// Makes `disk` bootable with both firmwares. `scratch` is for files on the way.
pub fn install(disk: &Path, scratch: &Path) -> Result<()> {
    let early = scratch.join("grub-early.cfg");
    fs::write(&early, early_config())?;
    install_bios(disk, &early, scratch).context("GRUB for BIOS could not be installed")?;
    install_uefi(disk, &early, scratch).context("GRUB for UEFI could not be installed")
}

fn early_config() -> String {
    format!("search.fs_uuid {ROOT_UUID} root\nset prefix=($root)/boot/grub\n")
}

fn install_bios(disk: &Path, early: &Path, scratch: &Path) -> Result<()> {
    let image = scratch.join("core.img");
    make_image("i386-pc", &["biosdisk"], early, &image)?;
    let mut core = fs::read(&image)?;
    ensure!(
        core.len() as u64 <= BIOS_BOOT.bytes(),
        "core.img does not fit into the BIOS boot partition"
    );
    place_core(&mut core, BIOS_BOOT.start)?;
    let mut boot = fs::read(Path::new(MODULES).join("i386-pc/boot.img"))?;
    place_boot(&mut boot, BIOS_BOOT.start)?;

    let disk = File::options().write(true).open(disk)?;
    disk.write_all_at(&boot[..BOOT_CODE_END], 0)?;
    disk.write_all_at(&core, BIOS_BOOT.offset())?;
    Ok(())
}

fn install_uefi(disk: &Path, early: &Path, scratch: &Path) -> Result<()> {
    let image = scratch.join("bootx64.efi");
    make_image("x86_64-efi", &["efi_gop", "all_video"], early, &image)?;
    let mut esp = disk.as_os_str().to_owned();
    esp.push(format!("@@{}", ESP.offset()));
    run(tool("mmd")?
        .arg("-i")
        .arg(&esp)
        .args(["::/EFI", "::/EFI/BOOT"]))?;
    run(tool("mcopy")?
        .arg("-i")
        .arg(&esp)
        .arg(&image)
        .arg("::/EFI/BOOT/BOOTX64.EFI"))
}

fn make_image(platform: &str, own: &[&str], early: &Path, image: &Path) -> Result<()> {
    run(tool("grub-mkimage")?
        .arg(format!("--format={platform}"))
        .arg(format!("--directory={MODULES}/{platform}"))
        .args(["--prefix=/boot/grub", "--config"])
        .arg(early)
        .arg("--output")
        .arg(image)
        .args(COMMON)
        .args(own))
}

/// Tells `boot.img` in which sector `core.img` begins.
fn place_boot(boot: &mut [u8], core_start: u64) -> Result<()> {
    if boot.len() != SECTOR_BYTES || !boot.ends_with(&[0x55, 0xaa]) {
        bail!("boot.img is not a boot sector");
    }
    boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&core_start.to_le_bytes());
    Ok(())
}

/// Tells the first sector of `core.img`, itself at `start`, where the others are: right after.
fn place_core(core: &mut [u8], start: u64) -> Result<()> {
    let rest = core
        .len()
        .saturating_sub(SECTOR_BYTES)
        .div_ceil(SECTOR_BYTES);
    ensure!(core.len() > SECTOR_BYTES, "core.img is too short");
    let listed = u16::from_le_bytes([core[BLOCK_LIST_LENGTH], core[BLOCK_LIST_LENGTH + 1]]);
    ensure!(
        usize::from(listed) == rest,
        "core.img lists {listed} sectors but has {rest}: this GRUB lays it out differently"
    );
    core[BLOCK_LIST_START..BLOCK_LIST_START + 8].copy_from_slice(&(start + 1).to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(sectors: u16) -> Vec<u8> {
        let mut core = vec![0xcc; SECTOR_BYTES * (1 + usize::from(sectors)) - 100];
        core[BLOCK_LIST_LENGTH..BLOCK_LIST_LENGTH + 2].copy_from_slice(&sectors.to_le_bytes());
        core
    }

    #[test]
    fn place_core_points_to_the_sector_after_itself() {
        let mut core = core(7);
        let before = core.clone();
        place_core(&mut core, 2048).unwrap();
        assert_eq!(core[0x1f4..0x1fc], 2049u64.to_le_bytes());
        assert_eq!(core[..0x1f4], before[..0x1f4]);
        assert_eq!(core[0x1fc..], before[0x1fc..]);
    }

    #[test]
    fn place_core_refuses_another_layout() {
        let mut core = core(7);
        core.truncate(SECTOR_BYTES * 5);
        assert!(place_core(&mut core, 2048).is_err());
        assert!(place_core(&mut [0; 512], 2048).is_err());
        assert!(place_core(&mut [], 2048).is_err());
    }

    #[test]
    fn place_boot_writes_the_sector_and_nothing_else() {
        let mut boot = vec![0x90; SECTOR_BYTES];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        place_boot(&mut boot, 0x0102_0304).unwrap();
        assert_eq!(boot[0x5c..0x64], [4, 3, 2, 1, 0, 0, 0, 0]);
        assert!(
            boot[..0x5c]
                .iter()
                .chain(&boot[0x64..510])
                .all(|byte| *byte == 0x90)
        );
        assert!(place_boot(&mut [0; 512], 1).is_err());
    }

    #[test]
    fn real_grub_has_the_layout_we_patch() {
        let folder = tempfile::tempdir().unwrap();
        let early = folder.path().join("early.cfg");
        fs::write(&early, early_config()).unwrap();
        let image = folder.path().join("core.img");
        make_image("i386-pc", &["biosdisk"], &early, &image).unwrap();
        place_core(&mut fs::read(&image).unwrap(), BIOS_BOOT.start).unwrap();
    }
}
