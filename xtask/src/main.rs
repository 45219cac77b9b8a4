//! `cargo xtask`: everything a developer runs on this repository, one command each.
//!
//! Each subcommand first makes sure of what it needs (see [`setup`]), so that it works on a
//! fresh Debian 12 machine. Progress goes to stderr; stdout carries only the result.

mod bench;
mod build;
mod cache;
mod demo;
mod guest;
mod screenshots;
mod setup;
mod test;
mod tool;
mod web;

use anyhow::Result;
use clap::{Parser, Subcommand};

use setup::Purpose;

/// Chores of the Kinglet repository.
///
/// Built guests are kept outside the work tree, in $KINGLET_CACHE, else
/// $XDG_CACHE_HOME/kinglet, else ~/.cache/kinglet.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Show the main job: from an image file to a running Debian VM, then the page
    Demo {
        /// Check each step, clean up and return, instead of staying until Ctrl-C
        #[arg(long)]
        once: bool,
    },
    /// Run everything that must be true: what CI runs
    Test,
    /// Measure speed and memory beside a peer: arrival, scan, idle, boot
    Bench {
        /// Only this one
        only: Option<String>,
    },
    /// Photograph every page of a real daemon into target/screenshots
    Screenshots,
    /// Install the Debian packages that a chore needs (asks nothing; root or passwordless sudo)
    Setup {
        /// The chore to get ready for
        #[arg(value_enum, default_value_t = Purpose::Test)]
        purpose: Purpose,
        /// Only say what is missing and fail if anything is
        #[arg(long)]
        check: bool,
    },
    /// Build the page into web/dist, if it is older than its sources
    Web,
    /// Build a guest for demos and tests, or find it in the cache, and print its folder
    ///
    /// Without --tiny: debian-12.qcow2, a bootable Debian 12 disk (SeaBIOS and UEFI, serial
    /// console, root's password is "kinglet", NoCloud seeds are honoured), with its vmlinuz and
    /// initrd.img beside it.
    Guest {
        /// Instead of the disk, a kernel and an initramfs that boot straight to a shell
        #[arg(long)]
        tiny: bool,
        /// Instead of the disk, a kernel and an initramfs for hosts that tests make for themselves
        #[arg(long, conflicts_with = "tiny")]
        host: bool,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Demo { once } => demo::run(once),
        Chore::Test => test::run(),
        Chore::Bench { only } => bench::run(only.as_deref()),
        Chore::Screenshots => screenshots::run(),
        Chore::Setup {
            purpose,
            check: true,
        } => setup::check(purpose),
        Chore::Setup {
            purpose,
            check: false,
        } => setup::ensure(purpose),
        Chore::Web => web::build(),
        Chore::Guest { tiny, host } => {
            let guest = match (tiny, host) {
                (true, _) => guest::tiny()?,
                (_, true) => guest::host()?,
                _ => guest::debian()?,
            };
            println!("{}", guest.folder.display());
            Ok(())
        }
    }
}
