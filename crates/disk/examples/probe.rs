//! Says what files are: `cargo run -p kinglet-disk --example probe FILE…`

use std::fs::File;
use std::ops::ControlFlow;

use kinglet_disk::{Limits, probe, scan};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args_os().skip(1) {
        let file = File::open(&path)?;
        let found = probe(&file, &Limits::default())?;
        println!("{}: {found:#?}", path.display());
        let scanned = scan::read_through(&file, &found, &mut |_, _| ControlFlow::Continue(()))?;
        println!("{scanned:#?}");
    }
    Ok(())
}
