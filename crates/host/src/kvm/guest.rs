//! The probe guest: what it executes, and the machine state that it finds itself in.
//!
//! It runs at CPL 0 in long mode with what a Linux kernel uses from its first second: a 16-byte
//! compare and exchange (its allocator), extended state (its scheduler), an exception through the IDT
//! with IRETQ (its patching of itself), and plain code. Before each step it writes the step's number
//! to a port; at the end it writes a checksum to another and halts. Sources: Intel SDM volume 3,
//! chapters 2 (control registers), 4.5 (4-level paging), 6.14 (64-bit exceptions), 13 (XSAVE).
#![allow(unsafe_code)]

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs, kvm_xcr, kvm_xcrs};

/// Where the guest writes the number of the step that it begins.
pub const STEP_PORT: u16 = 0xe0;
/// Where the guest writes its checksum.
pub const RESULT_PORT: u16 = 0xe4;
/// The step number that stands for "computed something wrong".
pub const WRONG: u8 = 0xff;
/// Guest memory: one large page.
pub const MEMORY: usize = 2 << 20;
/// Rounds of the loop.
pub const ROUNDS: u32 = 250_000;
/// Instructions in a round of the loop.
pub const ROUND_INSTRUCTIONS: u64 = 9;

/// In `rdi`: the CPU has CMPXCHG16B.
pub const HAS_CMPXCHG16B: u64 = 1;
/// In `rdi`: the CPU has XSAVE.
pub const HAS_XSAVE: u64 = 2;

const PML4: usize = 0x1000;
const PDPT: usize = 0x2000;
const DIRECTORY: usize = 0x3000;
const GDT: usize = 0x4000;
const IDT: usize = 0x5000;
const TSS: usize = 0x6000;
/// Where the code lies.
pub const CODE: usize = 0x7000;
const STACK_TOP: usize = 0x1_0000;

const CODE_SELECTOR: u16 = 8;
const DATA_SELECTOR: u16 = 16;

std::arch::global_asm!(
    ".pushsection .rodata.kinglet_kvm_probe, \"a\"",
    ".balign 16",
    ".global kinglet_kvm_probe_begin",
    ".global kinglet_kvm_probe_int3",
    ".global kinglet_kvm_probe_end",
    "kinglet_kvm_probe_begin:",
    "mov al, 0",
    "out 0xe0, al",
    // CMPXCHG16B: 16 bytes of zeros become rcx:rbx.
    "test dil, 1",
    "jz 20f",
    "mov al, 1",
    "out 0xe0, al",
    "mov esi, 0x12000",
    "xor eax, eax",
    "xor edx, edx",
    "mov rbx, 0x1122334455667788",
    "mov rcx, 0x99aabbccddeeff00",
    "lock cmpxchg16b [rsi]",
    "jnz 90f",
    "cmp [rsi], rbx",
    "jne 90f",
    "cmp [rsi + 8], rcx",
    "jne 90f",
    // XSAVE: x87 and SSE state goes to memory and comes back.
    "20:",
    "test dil, 2",
    "jz 30f",
    "mov al, 2",
    "out 0xe0, al",
    "xor ecx, ecx",
    "xor edx, edx",
    "mov eax, 3",
    "xsetbv",
    "xgetbv",
    "cmp eax, 3",
    "jne 90f",
    "mov rbx, 0x0123456789abcdef",
    "movq xmm0, rbx",
    "mov esi, 0x11000",
    "xor edx, edx",
    "xsave [rsi]",
    "pxor xmm0, xmm0",
    "xrstor [rsi]",
    "movq rcx, xmm0",
    "cmp rcx, rbx",
    "jne 90f",
    // INT3: the handler raises r15, IRETQ comes back here.
    "30:",
    "mov al, 3",
    "out 0xe0, al",
    "xor r15d, r15d",
    "int3",
    "cmp r15d, 1",
    "jne 90f",
    // The loop: a linear congruential generator, written to memory and summed up from there.
    "mov al, 4",
    "out 0xe0, al",
    "mov ecx, {rounds}",
    "mov esi, 0x20000",
    "mov eax, 1",
    "xor ebx, ebx",
    "40:",
    "imul eax, eax, 1664525",
    "add eax, 1013904223",
    "mov edx, ecx",
    "and edx, 0x3ff",
    "mov [rsi + rdx * 4], eax",
    "add ebx, [rsi + rdx * 4]",
    "rol ebx, 5",
    "dec ecx",
    "jnz 40b",
    "mov eax, ebx",
    "out 0xe4, eax",
    "hlt",
    "90:",
    "mov al, 0xff",
    "out 0xe0, al",
    "hlt",
    "kinglet_kvm_probe_int3:",
    "inc r15d",
    "iretq",
    "kinglet_kvm_probe_end:",
    ".popsection",
    rounds = const ROUNDS,
);

/// The checksum that the guest's loop has to arrive at.
pub fn checksum() -> u32 {
    let mut number = 1u32;
    let mut sum = 0u32;
    for _ in 0..ROUNDS {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sum = sum.wrapping_add(number).rotate_left(5);
    }
    sum
}

/// What lies in guest memory when it starts, beside its code: page tables that map the first 2 MiB to
/// themselves, segments, and one gate for INT3.
pub fn tables(int3_handler: u64) -> Vec<(usize, Vec<u8>)> {
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    const CODE64: u64 = 0x00af_9b00_0000_ffff;
    const DATA: u64 = 0x00cf_9300_0000_ffff;
    let entry = |value: u64| value.to_le_bytes().to_vec();
    vec![
        (PML4, entry(PDPT as u64 | PRESENT_WRITABLE)),
        (PDPT, entry(DIRECTORY as u64 | PRESENT_WRITABLE)),
        (DIRECTORY, entry(LARGE | PRESENT_WRITABLE)),
        (GDT + usize::from(CODE_SELECTOR), entry(CODE64)),
        (GDT + usize::from(DATA_SELECTOR), entry(DATA)),
        (IDT + 3 * 16, gate(int3_handler)),
    ]
}

/// A 64-bit interrupt gate to `handler` (SDM volume 3, figure 6-8).
fn gate(handler: u64) -> Vec<u8> {
    const PRESENT_INTERRUPT_GATE: u64 = 0x8e00;
    let low = (handler & 0xffff)
        | u64::from(CODE_SELECTOR) << 16
        | PRESENT_INTERRUPT_GATE << 32
        | (handler >> 16 & 0xffff) << 48;
    let high = handler >> 32;
    [low.to_le_bytes(), high.to_le_bytes()].concat()
}

/// Turns the state after reset into long mode at CPL 0.
pub fn enter_long_mode(sregs: &mut kvm_sregs, xsave: bool) {
    const CR0: u64 = 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1; // PG WP NE ET MP PE
    const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10; // PAE OSFXSR OSXMMEXCPT
    const CR4_OSXSAVE: u64 = 1 << 18;
    const EFER: u64 = 1 << 8 | 1 << 10; // LME LMA
    sregs.cs = segment(CODE_SELECTOR, 11, true);
    let data = segment(DATA_SELECTOR, 3, false);
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.ss = data;
    sregs.tr = kvm_segment {
        base: TSS as u64,
        limit: 0x67,
        selector: 0,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    sregs.gdt = table(GDT, 3 * 8);
    sregs.idt = table(IDT, 4 * 16);
    sregs.cr3 = PML4 as u64;
    sregs.cr4 = if xsave { CR4 | CR4_OSXSAVE } else { CR4 };
    sregs.cr0 = CR0;
    sregs.efer = EFER;
}

/// The registers at its first instruction.
pub fn registers(features: u64) -> kvm_regs {
    const ALWAYS_ONE: u64 = 2;
    kvm_regs {
        rip: CODE as u64,
        rsp: STACK_TOP as u64,
        rdi: features,
        rflags: ALWAYS_ONE,
        ..kvm_regs::default()
    }
}

/// XCR0 with x87 and SSE state, as the guest sets it.
pub fn extended_control() -> kvm_xcrs {
    const X87_SSE: u64 = 3;
    let mut all = kvm_xcrs {
        nr_xcrs: 1,
        ..kvm_xcrs::default()
    };
    all.xcrs[0] = kvm_xcr {
        xcr: 0,
        value: X87_SSE,
        ..kvm_xcr::default()
    };
    all
}

fn segment(selector: u16, type_: u8, long: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: u8::from(!long),
        s: 1,
        l: u8::from(long),
        g: 1,
        ..kvm_segment::default()
    }
}

fn table(base: usize, size: u16) -> kvm_dtable {
    kvm_dtable {
        base: base as u64,
        limit: size - 1,
        ..kvm_dtable::default()
    }
}
