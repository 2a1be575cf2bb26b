//! The rotation: changes of signs and Walsh–Hadamard transforms, and the sign bits of what comes out.

use super::lanes::Lanes;

/// How many changes of signs, each with a transform, make a rotation.
pub(crate) const ROUNDS: usize = 4;

/// Rotates a vector, which is not empty, by the sign bits of [`ROUNDS`] rounds.
#[inline(always)]
pub(super) fn rotate<L: Lanes>(signs: &[u64], vector: &mut [f32]) {
    let len = 1 << vector.len().ilog2();
    let factor = (1.0 / (len as f64).sqrt()) as f32;
    for (round, signs) in signs.chunks_exact(vector.len().div_ceil(64)).enumerate() {
        let first = if round % 2 == 0 { 0 } else { vector.len() - len };
        if len < 64 || first % 64 != 0 {
            flip::<L>(signs, vector);
            transform::<L>(None, &mut vector[first..][..len], factor);
        } else {
            let (before, rest) = vector.split_at_mut(first);
            let (within, behind) = rest.split_at_mut(len);
            flip::<L>(signs, before);
            transform::<L>(Some(&signs[first / 64..]), within, factor);
            flip::<L>(&signs[(first + len) / 64..], behind);
        }
        if round == ROUNDS / 2 - 1 && len < vector.len() {
            fold::<L>(vector);
        }
    }
}

/// Adds and subtracts each component of the first half and its like in the second, and divides by the square root of 2.
/// So both halves get an equal share of a length that lay in one of them.
#[inline(always)]
fn fold<L: Lanes>(vector: &mut [f32]) {
    let factor = std::f32::consts::FRAC_1_SQRT_2;
    let (first, second) = vector.split_at_mut(vector.len().div_ceil(2));
    let first = &mut first[..second.len()];
    let ((first, first_rest), (second, second_rest)) =
        (first.as_chunks_mut::<8>(), second.as_chunks_mut::<8>());
    for (first, second) in first.iter_mut().zip(second) {
        let (a, b) = (L::load(first).scale(factor), L::load(second).scale(factor));
        a.add(b).store(first);
        a.sub(b).store(second);
    }
    for (first, second) in first_rest.iter_mut().zip(second_rest) {
        let (a, b) = (*first * factor, *second * factor);
        (*first, *second) = (a + b, a - b);
    }
}

/// Writes a bit for each component: 0 if its sign bit is set. The bits behind the last component are zero.
#[inline(always)]
pub(super) fn sign_bits<L: Lanes>(vector: &[f32], bits: &mut [u64]) {
    let (blocks, rest) = vector.as_chunks::<64>();
    let mut bits = bits.iter_mut();
    for (block, word) in blocks.iter().zip(&mut bits) {
        *word = !signs_of::<L>(block);
    }
    if let (false, Some(word)) = (rest.is_empty(), bits.next()) {
        let mut block = [-1.0; 64];
        block[..rest.len()].copy_from_slice(rest);
        *word = !signs_of::<L>(&block);
    }
}

#[inline(always)]
fn signs_of<L: Lanes>(block: &[f32; 64]) -> u64 {
    let (parts, _) = block.as_chunks::<8>();
    parts.iter().rev().fold(0, |bits, part| bits << 8 | u64::from(L::load(part).signs()))
}

/// Changes the signs of the components whose bits are set.
#[inline(always)]
fn flip<L: Lanes>(signs: &[u64], vector: &mut [f32]) {
    let (blocks, rest) = vector.as_chunks_mut::<64>();
    let mut signs = signs.iter();
    for (block, bits) in blocks.iter_mut().zip(&mut signs) {
        let (parts, _) = block.as_chunks_mut::<8>();
        for (at, part) in parts.iter_mut().enumerate() {
            L::load(part).flip(*bits, at).store(part);
        }
    }
    if let (false, Some(bits)) = (rest.is_empty(), signs.next()) {
        for (at, component) in rest.iter_mut().enumerate() {
            *component = f32::from_bits(component.to_bits() ^ ((bits >> at & 1) as u32) << 31);
        }
    }
}

/// Changes signs, if bits are given, multiplies by a factor, and transforms a vector whose length is a power of two: at
/// least 64 with bits. The distance of the components that are added and subtracted grows from 1 on.
#[inline(always)]
fn transform<L: Lanes>(signs: Option<&[u64]>, vector: &mut [f32], factor: f32) {
    let len = vector.len();
    if len < 64 {
        return transform_short(vector, factor);
    }
    let (parts, _) = vector.as_chunks_mut::<8>();
    let (blocks, _) = parts.as_chunks_mut::<8>();
    for (at, block) in blocks.iter_mut().enumerate() {
        let mut lanes = [L::load(&block[0]); 8];
        for (at_part, (lanes, part)) in lanes.iter_mut().zip(&*block).enumerate() {
            *lanes = L::load(part);
            if let Some(signs) = signs {
                *lanes = lanes.flip(signs[at], at_part);
            }
            *lanes = lanes.scale(factor).butterfly::<1>().butterfly::<2>().butterfly::<4>();
        }
        butterflies(&mut lanes);
        for (part, lanes) in block.iter_mut().zip(lanes) {
            lanes.store(part);
        }
    }
    // In parts of eight components from here on.
    let mut distance = 8;
    while distance * 8 <= parts.len() && distance * 16 != parts.len() {
        pass::<L, 8>(parts, distance);
        distance *= 8;
    }
    match parts.len() / distance {
        16 => pass::<L, 16>(parts, distance),
        4 => pass::<L, 4>(parts, distance),
        2 => pass::<L, 2>(parts, distance),
        _ => {}
    }
}

/// Combines each `N` parts that are `distance` apart.
#[inline(always)]
fn pass<L: Lanes, const N: usize>(parts: &mut [[f32; 8]], distance: usize) {
    for group in parts.chunks_exact_mut(N * distance) {
        for at in 0..distance {
            let mut lanes = [L::load(&group[at]); N];
            for (part, lanes) in lanes.iter_mut().enumerate() {
                *lanes = L::load(&group[at + part * distance]);
            }
            butterflies(&mut lanes);
            for (part, lanes) in lanes.into_iter().enumerate() {
                lanes.store(&mut group[at + part * distance]);
            }
        }
    }
}

/// Adds and subtracts each two of `N` that are 1 apart, then 2, and so on.
#[inline(always)]
fn butterflies<L: Lanes, const N: usize>(lanes: &mut [L; N]) {
    let mut distance = 1;
    while distance < N {
        for at in 0..N {
            if at & distance == 0 {
                let (a, b) = (lanes[at], lanes[at + distance]);
                (lanes[at], lanes[at + distance]) = (a.add(b), a.sub(b));
            }
        }
        distance *= 2;
    }
}

/// Transforms a vector that is too short for blocks.
fn transform_short(vector: &mut [f32], factor: f32) {
    for component in &mut *vector {
        *component *= factor;
    }
    let mut distance = 1;
    while distance < vector.len() {
        for pair in vector.chunks_exact_mut(2 * distance) {
            let (lower, upper) = pair.split_at_mut(distance);
            for (lower, upper) in lower.iter_mut().zip(upper) {
                (*lower, *upper) = (*lower + *upper, *lower - *upper);
            }
        }
        distance *= 2;
    }
}
