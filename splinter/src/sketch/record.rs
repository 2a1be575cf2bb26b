//! Sketches as they lie in memory: a word with the norm and the correction, then the sign bits.

use super::head::Head;
use super::kernels;
use super::rotation::Rotation;

/// Returns how many words a sketch of `dim` components has.
pub(crate) const fn record_len(dim: u32) -> usize {
    if dim == 0 { 0 } else { 1 + dim.div_ceil(64) as usize }
}

/// Writes the sketch of `vector` to `record`, and leaves the rotated vector, up to a factor, in `vector`. The sketch of
/// a vector with a component that is not finite is all zero: no search finds it.
pub(crate) fn encode(rotation: &Rotation, vector: &mut [f32], record: &mut [u64]) {
    let Some((head, bits)) = record.split_first_mut() else { return };
    let norm = kernels::square_sum(rotation.kernel, vector).sqrt();
    if !norm.is_finite() {
        return record.fill(0);
    }
    let factor = rotation.apply_scaled(vector, norm);
    kernels::sign_bits(rotation.kernel, vector, bits);
    let sum = kernels::absolute_sum(rotation.kernel, vector);
    let correction = if norm > 0.0 { norm * factor / sum } else { 1.0 };
    *head = Head { norm: norm as f32, correction: correction as f32 }.to_word();
}
