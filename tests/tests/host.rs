//! What needs a host that the test machine is not: each runs in a guest host made for it.

use std::path::Path;

use anyhow::Result;
use kinglet_tests::machine::Host;

/// The program with the checks, which runs in the host.
fn inside() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kinglet-inside"))
}

#[test]
fn containers_open_in_cryptsetup_and_cryptsetups_here_with_the_same_data() -> Result<()> {
    let told = Host::new(512)?
        .modules(&["crypt"])
        .run(inside(), &["cryptsetup"])?;
    print!("{told}");
    Ok(())
}
