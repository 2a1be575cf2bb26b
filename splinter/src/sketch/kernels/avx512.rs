//! AVX-512: population counts of eight words at once, where the processor has VPOPCNTDQ.
//!
//! The oldest compiler that builds this library has no intrinsics for it, so the loop over a sketch is assembly as a
//! whole. It loads racing memory, as `arena::copy` explains.

use super::planes::{Block, Line, lines};
use std::arch::asm;

/// Orders planes for [`weighted_distances`]: for each eight words, each plane's.
pub(super) fn by_plane(words: &[[u64; 4]]) -> Box<[Line]> {
    let mut ordered = Vec::new();
    for words in words.chunks(8) {
        for plane in 0..4 {
            ordered.extend((0..8).map(|word| words.get(word).map_or(0, |planes| planes[plane])));
        }
    }
    lines(&ordered)
}

/// Returns the weighted distances of sketches.
///
/// # Safety
/// The processor has AVX-512F and AVX-512VPOPCNTDQ.
pub(super) unsafe fn weighted_distances(planes: &[Line], block: Block<'_>) -> [u32; 64] {
    // As many lines as the words of a sketch need, whose count is not zero.
    let words = block.len - 1;
    assert!(words > 0 && planes.len() == words.div_ceil(8) * 4, "the query has the sketches' dimension");
    let last = (1_u32 << ((words - 1) % 8 + 1)) - 1;
    block.map(planes, |bits, planes| {
        let mut total = [0_u64; 8];
        // SAFETY: of each eight words but the last, all are read, and of those the ones that `last` has. All are words
        // of `bits`, and for each eight there are four lines of planes. The total is private. The caller guarantees that
        // the processor has the instructions.
        unsafe {
            asm!("vpxor xmm0, xmm0, xmm0",
                 "vpxor xmm1, xmm1, xmm1",
                 "vpxor xmm2, xmm2, xmm2",
                 "vpxor xmm3, xmm3, xmm3",
                 "kmovw k1, {all:e}",
                 "2:",
                 "dec {groups}",
                 "jnz 3f",
                 "kmovw k1, {last:e}",
                 "3:",
                 "vmovdqu64 zmm4{{k1}}{{z}}, [{bits}]",
                 "vpxorq zmm5, zmm4, [{planes}]",
                 "vpxorq zmm6, zmm4, [{planes} + 64]",
                 "vpxorq zmm7, zmm4, [{planes} + 128]",
                 "vpxorq zmm8, zmm4, [{planes} + 192]",
                 "vpopcntq zmm5, zmm5",
                 "vpopcntq zmm6, zmm6",
                 "vpopcntq zmm7, zmm7",
                 "vpopcntq zmm8, zmm8",
                 "vpaddq zmm0, zmm0, zmm5",
                 "vpaddq zmm1, zmm1, zmm6",
                 "vpaddq zmm2, zmm2, zmm7",
                 "vpaddq zmm3, zmm3, zmm8",
                 "add {bits}, 64",
                 "add {planes}, 256",
                 "test {groups}, {groups}",
                 "jnz 2b",
                 "vpsllq zmm1, zmm1, 1",
                 "vpsllq zmm2, zmm2, 2",
                 "vpsllq zmm3, zmm3, 3",
                 "vpaddq zmm0, zmm0, zmm1",
                 "vpaddq zmm2, zmm2, zmm3",
                 "vpaddq zmm0, zmm0, zmm2",
                 "vmovdqu64 [{total}], zmm0",
                 "vzeroupper",
                 bits = inout(reg) bits.as_ptr() => _,
                 planes = inout(reg) planes.as_ptr() => _,
                 groups = inout(reg) words.div_ceil(8) => _,
                 total = in(reg) total.as_mut_ptr(),
                 all = in(reg) 0xff_u32,
                 last = in(reg) last,
                 out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
                 out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                 out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _,
                 out("xmm15") _, out("k1") _,
                 options(nostack));
        }
        total.iter().sum::<u64>() as u32
    })
}
