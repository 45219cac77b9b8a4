//! The only unsafe code of this crate: the probe guest's memory, and its instructions as bytes.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

unsafe extern "C" {
    static kinglet_kvm_probe_begin: u8;
    static kinglet_kvm_probe_int3: u8;
    static kinglet_kvm_probe_end: u8;
}

/// The guest's instructions, position-independent.
pub fn code() -> &'static [u8] {
    let begin = &raw const kinglet_kvm_probe_begin;
    let end = &raw const kinglet_kvm_probe_end;
    // SAFETY: both symbols bound the one block of read-only bytes that `guest.rs` assembles, so the
    // range between them is initialised, immutable, and lives as long as the program.
    unsafe { std::slice::from_raw_parts(begin, end.addr() - begin.addr()) }
}

/// Where the handler of INT3 begins within [`code`].
pub fn int3_offset() -> u64 {
    let begin = &raw const kinglet_kvm_probe_begin;
    let handler = &raw const kinglet_kvm_probe_int3;
    (handler.addr() - begin.addr()) as u64
}

/// Guest-physical memory from address 0.
pub struct GuestMemory {
    start: NonNull<c_void>,
    size: usize,
}

impl GuestMemory {
    /// `size` bytes of zeros, a multiple of the page size.
    pub fn new(size: usize) -> io::Result<Self> {
        // SAFETY: a new private anonymous mapping at an address that the kernel chooses aliases
        // nothing.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let start = NonNull::new(start)
            .ok_or_else(|| io::Error::other("memory was mapped at address 0"))?;
        Ok(Self { start, size })
    }

    /// Puts bytes at a guest-physical address, before the guest runs. `false` where they do not fit.
    #[must_use]
    pub fn put(&mut self, at: usize, bytes: &[u8]) -> bool {
        if at
            .checked_add(bytes.len())
            .is_none_or(|end| end > self.size)
        {
            return false;
        }
        // SAFETY: `at` lies within the mapping, as was just checked.
        let target = unsafe { self.start.as_ptr().cast::<u8>().add(at) };
        // SAFETY: the range fits the mapping, which is ours alone (`&mut self`) and cannot overlap
        // `bytes`, which is borrowed from elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        true
    }

    /// Makes it the guest's memory.
    pub fn give_to(&self, vm: &VmFd) -> Result<(), kvm_ioctls::Error> {
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: self.size as u64,
            userspace_addr: self.start.as_ptr().addr() as u64,
        };
        // SAFETY: the range is a mapping of ours. The caller keeps it until the VM is gone; should it
        // not, KVM takes faults of the guest as errors, since it goes by the process's page tables.
        unsafe { vm.set_user_memory_region(region) }
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`, and no reference into it was ever handed out.
        let _ = unsafe { munmap(self.start.as_ptr(), self.size) };
    }
}
