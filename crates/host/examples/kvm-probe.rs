//! The KVM probe by itself: with `child` as the hidden verb of `kinglet`, without as its parent.
//! For machines made only to try it on.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(kinglet_host::kvm::VERB) {
        return ExitCode::from(kinglet_host::kvm::child_main());
    }
    match std::env::current_exe() {
        Ok(exe) => {
            let verdict = kinglet_host::kvm::probe_in_child(&exe);
            println!("{verdict}");
            ExitCode::from(u8::from(!verdict.is_usable()))
        }
        Err(error) => {
            eprintln!("cannot find this program ({error})");
            ExitCode::FAILURE
        }
    }
}
