//! Queries, and the estimates that sketches make of their similarity to them.

use super::kernels::{self, Block, Kernel, Planes, Scale};
use super::metric::Metric;
use super::record::record_len;
use super::rotation::Rotation;
use crate::sync::Word;

/// A query that was rotated and rounded to sixteen levels, for estimates of many sketches.
#[derive(Debug)]
pub(crate) struct Query {
    kernel: Kernel,
    scale: Scale,
    /// The levels' bits: of level `2u − 15`, plane `j` has bit `j` of `u`.
    planes: Planes,
}

impl Query {
    /// Prepares a query; `None` if a component is not finite.
    pub(crate) fn new(rotation: &Rotation, vector: &[f32], metric: Metric) -> Option<Self> {
        let kernel = rotation.kernel;
        let norm = kernels::square_sum(kernel, vector).sqrt();
        if !norm.is_finite() {
            return None;
        }
        let mut rotated = vector.to_vec();
        let rotated_norm = norm * rotation.apply_scaled(&mut rotated, norm);
        let mut words = vec![[0_u64; 4]; rotated.len().div_ceil(64)];
        let (step, mut aligned) = (step(&rotated, rotated_norm), 0.0);
        for (at, component) in rotated.iter().map(|component| f64::from(*component)).enumerate() {
            let level = (component / (2.0 * step)).floor().clamp(-8.0, 7.0);
            aligned += component * (2.0 * level + 1.0);
            let level = (level as i64 + 8) as u64;
            for (plane, word) in words[at / 64].iter_mut().enumerate() {
                *word |= (level >> plane & 1) << (at % 64);
            }
        }
        let factor = if norm > 0.0 { rotated_norm / aligned } else { 0.0 };
        let planes = Planes::new(kernel, &words);
        Some(Self { kernel, scale: Scale { metric, dim: vector.len() as u32, norm, factor }, planes })
    }

    /// Estimates the scores of up to 64 sketches that lie one behind the other in `records`: those whose bit is set in
    /// `wanted`. The others, and sketches of no vector, get −∞, which is no estimate of any vector. The estimate of a
    /// dot product is divided by the query's norm.
    ///
    /// Other processes may change the records meanwhile.
    pub(crate) fn estimate(&self, records: &[Word], wanted: u64, out: &mut [f32; 64]) {
        if wanted == 0 {
            return out.fill(f32::NEG_INFINITY);
        }
        let len = record_len(self.scale.dim);
        let block = Block { sketches: records, len, wanted };
        kernels::estimates(self.kernel, &self.scale, &self.planes, block, out);
    }
}

/// Returns half the distance between two levels: the outermost hold the largest component, unless that is far out of
/// proportion.
fn step(rotated: &[f32], norm: f64) -> f64 {
    let largest = rotated.iter().fold(0.0, |largest: f32, component| largest.max(component.abs()));
    let step = (f64::from(largest) / 16.0).min(0.3 * norm / (rotated.len() as f64).sqrt());
    if step > 0.0 { step } else { 1.0 }
}
