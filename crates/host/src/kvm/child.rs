//! The probe itself: one VM, one vCPU, one small guest.

use std::io;

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::guest;
use super::report::{Outcome, Step};
use super::sys::{self, GuestMemory};

/// The API version that has not changed since Linux 2.6.22 and never will (kernel: virt/kvm/api).
const API_VERSION: i32 = 12;

/// How often the vCPU may come back without having been stopped by its guest.
const MAX_INTERRUPTIONS: u32 = 10_000;

/// Runs the guest. `step` is told what it is about to do.
pub fn probe(step: &mut dyn FnMut(Step) -> io::Result<()>) -> Outcome {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => return not_opened(Errno::from_raw_os_error(error.errno())),
    };
    run(&kvm, step).unwrap_or_else(|why| Outcome::Cannot { why })
}

fn not_opened(error: Errno) -> Outcome {
    match error {
        // With the last two the device node is there, but its module is not.
        Errno::NOENT | Errno::NODEV | Errno::NXIO => Outcome::Absent,
        Errno::ACCESS | Errno::PERM => Outcome::NotPermitted,
        other => Outcome::Cannot {
            why: format!("it could not be opened ({other})"),
        },
    }
}

fn run(kvm: &Kvm, step: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<Outcome, String> {
    let version = kvm.get_api_version();
    if version != API_VERSION {
        return Err(format!(
            "its API has version {version} instead of {API_VERSION}"
        ));
    }
    let vm = kvm
        .create_vm()
        .map_err(|error| format!("no VM could be made ({error})"))?;
    let memory = memory()?;
    memory
        .give_to(&vm)
        .map_err(|error| format!("a VM could not be given memory ({error})"))?;
    let mut vcpu = vcpu(kvm, &vm)?;
    let outcome = follow(&mut vcpu, step);
    drop((vcpu, vm));
    drop(memory);
    outcome
}

fn memory() -> Result<GuestMemory, String> {
    let mut memory = GuestMemory::new(guest::MEMORY)
        .map_err(|error| format!("there is no memory for a guest ({error})"))?;
    let handler = guest::CODE as u64 + sys::int3_offset();
    let fits = memory.put(guest::CODE, sys::code())
        && guest::tables(handler)
            .iter()
            .all(|(at, bytes)| memory.put(*at, bytes));
    if fits {
        Ok(memory)
    } else {
        Err("the probe guest does not fit its memory".to_owned())
    }
}

fn vcpu(kvm: &Kvm, vm: &VmFd) -> Result<VcpuFd, String> {
    let failed =
        |what: &'static str| move |error: kvm_ioctls::Error| format!("{what} failed ({error})");
    let vcpu = vm.create_vcpu(0).map_err(failed("making a vCPU"))?;
    let cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(failed("asking for CPU features"))?;
    vcpu.set_cpuid2(&cpuid)
        .map_err(failed("setting CPU features"))?;
    let features = features(&cpuid);
    let mut sregs = vcpu
        .get_sregs()
        .map_err(failed("reading a vCPU's registers"))?;
    guest::enter_long_mode(&mut sregs, features & guest::HAS_XSAVE != 0);
    vcpu.set_sregs(&sregs)
        .map_err(failed("putting a vCPU in long mode"))?;
    if features & guest::HAS_XSAVE != 0 {
        // The guest sets it too. Beforehand, because an emulated SVM (QEMU's) lets XSETBV through
        // without telling KVM, whose next entry then undoes it; Linux boots there all the same.
        vcpu.set_xcrs(&guest::extended_control())
            .map_err(failed("setting a vCPU's XCR0"))?;
    }
    vcpu.set_regs(&guest::registers(features))
        .map_err(failed("setting a vCPU's registers"))?;
    Ok(vcpu)
}

/// What the guest may use: a kernel does not execute what CPUID does not announce either.
fn features(cpuid: &CpuId) -> u64 {
    const CX16: u32 = 1 << 13;
    const XSAVE: u32 = 1 << 26;
    let leaf = cpuid.as_slice().iter().find(|entry| entry.function == 1);
    let ecx = leaf.map_or(0, |entry| entry.ecx);
    let mut features = 0;
    if ecx & CX16 != 0 {
        features |= guest::HAS_CMPXCHG16B;
    }
    if ecx & XSAVE != 0 {
        features |= guest::HAS_XSAVE;
    }
    features
}

/// What the guest did last.
enum Stop {
    Step(u8),
    Result(u32),
    Halt,
    Interrupted,
    Failure(String),
}

fn follow(
    vcpu: &mut VcpuFd,
    step: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<Outcome, String> {
    let mut now = Step::LongMode;
    let mut loop_began = 0;
    let mut rate = None;
    let mut interruptions = 0;
    loop {
        match next(vcpu) {
            Stop::Step(guest::WRONG) => {
                return Err(format!("it computed something wrong at {now}"));
            }
            Stop::Step(number) => {
                now = Step::numbered(number)
                    .ok_or_else(|| format!("it wrote what it should not, after {now}"))?;
                step(now).map_err(|error| format!("the probe cannot report ({error})"))?;
                loop_began = cpu_time();
            }
            Stop::Result(sum) if now == Step::Loop && sum == guest::checksum() => {
                rate = Some(rate_since(loop_began));
            }
            Stop::Result(_) => return Err(format!("it computed something wrong at {now}")),
            Stop::Halt => {
                return rate
                    .map(|rate| Outcome::Ran { rate })
                    .ok_or_else(|| format!("it halted at {now}"));
            }
            Stop::Interrupted if interruptions < MAX_INTERRUPTIONS => interruptions += 1,
            Stop::Interrupted => return Err(format!("it was interrupted for ever at {now}")),
            Stop::Failure(how) => return Err(format!("it stopped at {now} ({how})")),
        }
    }
}

fn next(vcpu: &mut VcpuFd) -> Stop {
    match vcpu.run() {
        Ok(VcpuExit::IoOut(guest::STEP_PORT, &[number])) => Stop::Step(number),
        Ok(VcpuExit::IoOut(guest::RESULT_PORT, &[a, b, c, d])) => {
            Stop::Result(u32::from_le_bytes([a, b, c, d]))
        }
        Ok(VcpuExit::Hlt) => Stop::Halt,
        Ok(VcpuExit::Intr) => Stop::Interrupted,
        Ok(VcpuExit::InternalError) => Stop::Failure("KVM_EXIT_INTERNAL_ERROR".to_owned()),
        Ok(VcpuExit::FailEntry(reason, _)) => {
            Stop::Failure(format!("KVM_EXIT_FAIL_ENTRY, reason {reason:#x}"))
        }
        Ok(VcpuExit::Shutdown) => Stop::Failure("triple fault".to_owned()),
        Ok(other) => Stop::Failure(format!("unexpected exit {other:?}")),
        Err(error) => match Errno::from_raw_os_error(error.errno()) {
            Errno::INTR | Errno::AGAIN => Stop::Interrupted,
            other => Stop::Failure(format!("KVM_RUN: {other}")),
        },
    }
}

/// This thread's CPU time in nanoseconds. Not the wall's: other work on a busy machine must not make
/// KVM look slow.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

fn rate_since(began: u64) -> u64 {
    let instructions = u64::from(guest::ROUNDS) * guest::ROUND_INSTRUCTIONS;
    let nanoseconds = cpu_time().saturating_sub(began).max(1);
    u64::try_from(u128::from(instructions) * 1_000_000_000 / u128::from(nanoseconds))
        .unwrap_or(u64::MAX)
}
