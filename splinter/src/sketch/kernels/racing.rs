//! Sums over a vector in racing memory, by AVX2. Each loop is assembly as a whole: it loads racing memory, as `arena::copy`
//! explains. Sums in 64-bit floats have the lanes and the order of [`super::sums`].

use super::sums::{LANES, total};
use crate::sync::{Relaxed, Word};
use std::arch::asm;

/// Returns `x·q` and `x·x`. Meanwhile the vector at `next`, which may be any address, is fetched.
///
/// # Safety
/// The processor has AVX2 and FMA.
pub(super) unsafe fn products(x: &[Word], q: &[f64], next: *const Word) -> (f64, f64) {
    let blocks = whole_blocks(x, q);
    let [mut dots, mut squares] = [[0.0; LANES]; 2];
    if blocks > 0 {
        let (x, next, bytes) = (x.as_ptr().cast::<u8>(), next.cast::<u8>(), blocks * LANES * 4);
        // SAFETY: of `x` so many bytes are read, and twice as many of `q`, which have them. The lanes are private. The
        // caller guarantees that the processor has the instructions. A prefetch may be of any address.
        unsafe {
            asm!("vxorpd xmm0, xmm0, xmm0", "vxorpd xmm1, xmm1, xmm1",
                 "vxorpd xmm2, xmm2, xmm2", "vxorpd xmm3, xmm3, xmm3",
                 "vxorpd xmm4, xmm4, xmm4", "vxorpd xmm5, xmm5, xmm5",
                 "vxorpd xmm6, xmm6, xmm6", "vxorpd xmm7, xmm7, xmm7",
                 ".p2align 5",
                 "2:",
                 "prefetcht0 [{next} + {at}]",
                 "vcvtps2pd ymm8, xmmword ptr [{x} + {at}]",
                 "vcvtps2pd ymm9, xmmword ptr [{x} + {at} + 16]",
                 "vcvtps2pd ymm10, xmmword ptr [{x} + {at} + 32]",
                 "vcvtps2pd ymm11, xmmword ptr [{x} + {at} + 48]",
                 "vfmadd231pd ymm0, ymm8, [{q} + 2*{at}]",
                 "vfmadd231pd ymm1, ymm9, [{q} + 2*{at} + 32]",
                 "vfmadd231pd ymm2, ymm10, [{q} + 2*{at} + 64]",
                 "vfmadd231pd ymm3, ymm11, [{q} + 2*{at} + 96]",
                 "vfmadd231pd ymm4, ymm8, ymm8",
                 "vfmadd231pd ymm5, ymm9, ymm9",
                 "vfmadd231pd ymm6, ymm10, ymm10",
                 "vfmadd231pd ymm7, ymm11, ymm11",
                 "add {at}, 64",
                 "jnz 2b",
                 "vmovupd [{dots}], ymm0", "vmovupd [{dots} + 32], ymm1",
                 "vmovupd [{dots} + 64], ymm2", "vmovupd [{dots} + 96], ymm3",
                 "vmovupd [{squares}], ymm4", "vmovupd [{squares} + 32], ymm5",
                 "vmovupd [{squares} + 64], ymm6", "vmovupd [{squares} + 96], ymm7",
                 "vzeroupper",
                 x = in(reg) x.wrapping_add(bytes),
                 q = in(reg) q.as_ptr().wrapping_add(blocks * LANES),
                 next = in(reg) next.wrapping_add(bytes),
                 at = inout(reg) bytes.wrapping_neg() => _,
                 dots = in(reg) dots.as_mut_ptr(),
                 squares = in(reg) squares.as_mut_ptr(),
                 out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                 out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _,
                 out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                 options(nostack));
        }
    }
    for (lane, (x, q)) in rest(x, q, blocks).enumerate() {
        dots[lane] += x * q;
        squares[lane] += x * x;
    }
    (total(dots), total(squares))
}

/// Returns the square of the distance between two vectors, and has that at `next` fetched.
///
/// # Safety
/// As of [`products`].
pub(super) unsafe fn square_distance(x: &[Word], q: &[f64], next: *const Word) -> f64 {
    let blocks = whole_blocks(x, q);
    let mut squares = [0.0; LANES];
    if blocks > 0 {
        let (x, next, bytes) = (x.as_ptr().cast::<u8>(), next.cast::<u8>(), blocks * LANES * 4);
        // SAFETY: as above.
        unsafe {
            asm!("vxorpd xmm0, xmm0, xmm0", "vxorpd xmm1, xmm1, xmm1",
                 "vxorpd xmm2, xmm2, xmm2", "vxorpd xmm3, xmm3, xmm3",
                 ".p2align 5",
                 "2:",
                 "prefetcht0 [{next} + {at}]",
                 "vcvtps2pd ymm8, xmmword ptr [{x} + {at}]",
                 "vcvtps2pd ymm9, xmmword ptr [{x} + {at} + 16]",
                 "vcvtps2pd ymm10, xmmword ptr [{x} + {at} + 32]",
                 "vcvtps2pd ymm11, xmmword ptr [{x} + {at} + 48]",
                 "vsubpd ymm8, ymm8, [{q} + 2*{at}]",
                 "vsubpd ymm9, ymm9, [{q} + 2*{at} + 32]",
                 "vsubpd ymm10, ymm10, [{q} + 2*{at} + 64]",
                 "vsubpd ymm11, ymm11, [{q} + 2*{at} + 96]",
                 // Not fused: these products are not exact.
                 "vmulpd ymm8, ymm8, ymm8",
                 "vmulpd ymm9, ymm9, ymm9",
                 "vmulpd ymm10, ymm10, ymm10",
                 "vmulpd ymm11, ymm11, ymm11",
                 "vaddpd ymm0, ymm0, ymm8",
                 "vaddpd ymm1, ymm1, ymm9",
                 "vaddpd ymm2, ymm2, ymm10",
                 "vaddpd ymm3, ymm3, ymm11",
                 "add {at}, 64",
                 "jnz 2b",
                 "vmovupd [{squares}], ymm0", "vmovupd [{squares} + 32], ymm1",
                 "vmovupd [{squares} + 64], ymm2", "vmovupd [{squares} + 96], ymm3",
                 "vzeroupper",
                 x = in(reg) x.wrapping_add(bytes),
                 q = in(reg) q.as_ptr().wrapping_add(blocks * LANES),
                 next = in(reg) next.wrapping_add(bytes),
                 at = inout(reg) bytes.wrapping_neg() => _,
                 squares = in(reg) squares.as_mut_ptr(),
                 out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                 out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _,
                 out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                 options(nostack));
        }
    }
    for (lane, (x, q)) in rest(x, q, blocks).enumerate() {
        squares[lane] += (x - q) * (x - q);
    }
    total(squares)
}

/// Components that a turn of [`rough_products`] takes, and the lanes that it leaves.
const ROUGH_BLOCK: usize = 32;
const ROUGH_LANES: usize = 8;

/// Returns `x·q` and `x·x` as 32-bit floats have them, and has the vector at `next` fetched. Each component's terms go
/// through `q.len() / 32 + 32` roundings at most.
///
/// # Safety
/// As of [`products`].
pub(super) unsafe fn rough_products(x: &[Word], q: &[f32], next: *const Word) -> (f32, f32) {
    assert!(x.len() * 2 >= q.len(), "both vectors have the same dimension");
    let blocks = q.len() / ROUGH_BLOCK;
    let [mut dots, mut squares] = [[0.0_f32; ROUGH_LANES]; 2];
    if blocks > 0 {
        let (x, next, bytes) = (x.as_ptr().cast::<u8>(), next.cast::<u8>(), blocks * ROUGH_BLOCK * 4);
        // SAFETY: as above; of both vectors so many bytes are read.
        unsafe {
            asm!("vxorps xmm0, xmm0, xmm0", "vxorps xmm1, xmm1, xmm1",
                 "vxorps xmm2, xmm2, xmm2", "vxorps xmm3, xmm3, xmm3",
                 "vxorps xmm4, xmm4, xmm4", "vxorps xmm5, xmm5, xmm5",
                 "vxorps xmm6, xmm6, xmm6", "vxorps xmm7, xmm7, xmm7",
                 ".p2align 5",
                 "2:",
                 "prefetcht0 [{next} + {at}]",
                 "prefetcht0 [{next} + {at} + 64]",
                 "vmovups ymm8, [{x} + {at}]",
                 "vmovups ymm9, [{x} + {at} + 32]",
                 "vmovups ymm10, [{x} + {at} + 64]",
                 "vmovups ymm11, [{x} + {at} + 96]",
                 "vfmadd231ps ymm0, ymm8, [{q} + {at}]",
                 "vfmadd231ps ymm1, ymm9, [{q} + {at} + 32]",
                 "vfmadd231ps ymm2, ymm10, [{q} + {at} + 64]",
                 "vfmadd231ps ymm3, ymm11, [{q} + {at} + 96]",
                 "vfmadd231ps ymm4, ymm8, ymm8",
                 "vfmadd231ps ymm5, ymm9, ymm9",
                 "vfmadd231ps ymm6, ymm10, ymm10",
                 "vfmadd231ps ymm7, ymm11, ymm11",
                 "add {at}, 128",
                 "jnz 2b",
                 "vaddps ymm0, ymm0, ymm1", "vaddps ymm2, ymm2, ymm3", "vaddps ymm0, ymm0, ymm2",
                 "vaddps ymm4, ymm4, ymm5", "vaddps ymm6, ymm6, ymm7", "vaddps ymm4, ymm4, ymm6",
                 "vmovups [{dots}], ymm0", "vmovups [{squares}], ymm4",
                 "vzeroupper",
                 x = in(reg) x.wrapping_add(bytes),
                 q = in(reg) q.as_ptr().wrapping_add(blocks * ROUGH_BLOCK),
                 next = in(reg) next.wrapping_add(bytes),
                 at = inout(reg) bytes.wrapping_neg() => _,
                 dots = in(reg) dots.as_mut_ptr(),
                 squares = in(reg) squares.as_mut_ptr(),
                 out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                 out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _,
                 out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                 options(nostack));
        }
    }
    for (at, q) in q.iter().enumerate().skip(blocks * ROUGH_BLOCK) {
        let (x, lane) = (component(x, at), at % ROUGH_LANES);
        dots[lane] += x * q;
        squares[lane] += x * x;
    }
    let sum = |lanes: [f32; ROUGH_LANES]| {
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    };
    (sum(dots), sum(squares))
}

/// Returns how many blocks of [`LANES`] components a vector of the query's dimension has.
fn whole_blocks(x: &[Word], q: &[f64]) -> usize {
    assert!(x.len() * 2 >= q.len(), "both vectors have the same dimension");
    q.len() / LANES
}

/// Iterates over the components behind the whole blocks.
fn rest<'a>(x: &'a [Word], q: &'a [f64], blocks: usize) -> impl Iterator<Item = (f64, f64)> + 'a {
    (blocks * LANES..q.len()).map(|at| (f64::from(component(x, at)), q[at]))
}

/// Loads one component.
fn component(x: &[Word], at: usize) -> f32 {
    f32::from_bits((x[at / 2].load(Relaxed) >> (at % 2 * 32)) as u32)
}
