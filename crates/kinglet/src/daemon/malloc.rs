//! The memory allocator: glibc gives each thread an arena of its own, which for a program that mostly
//! waits is memory for nothing.
#![allow(unsafe_code)]

/// Arenas that all threads share.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Limits the arenas. Called before the first thread is started.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt takes two integers and touches no memory of ours (mallopt(3)); no other
        // thread runs yet.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    }
}
