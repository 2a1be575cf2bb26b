//! Vectors for searches, and scores by plain sums.

use crate::values::Rng;
use splinter::Metric;

/// Draws a number that is distributed about normally, with mean 0 and variance 1.
pub fn normal(rng: &mut Rng) -> f32 {
    let word = rng.next();
    let sum: i64 = (0..4).map(|part| (word >> (16 * part) & 0xffff) as i64).sum();
    (sum - 2 * 0xffff) as f32 / 65536.0 * 3_f32.sqrt()
}

/// Draws a vector whose components are distributed normally.
pub fn random(rng: &mut Rng, dim: usize) -> Vec<f32> {
    (0..dim).map(|_| normal(rng)).collect()
}

/// Vectors as models of language make them, roughly: in clusters of which a few are large (Zipf's law), and with a few
/// directions that vary much more than others.
pub struct Clusters {
    rng: Rng,
    centers: Vec<Vec<f32>>,
    scales: Vec<f32>,
}

impl Clusters {
    /// Draws the centers.
    pub fn new(seed: u64, dim: usize, count: usize) -> Self {
        let mut rng = Rng(seed);
        let scales: Vec<f32> = (1..=dim).map(|at| (at as f32).powf(-0.5)).collect();
        let mut center = || (0..dim).map(|at| normal(&mut rng) * scales[at]).collect();
        let centers = (0..count).map(|_| center()).collect();
        Self { rng, centers, scales }
    }

    /// Draws a vector of some cluster, half as far from its center as centers are from zero.
    pub fn draw(&mut self) -> Vec<f32> {
        // Of n clusters, a power of n that is drawn evenly is below the number k with a chance of log k / log n.
        let chosen = (self.centers.len() as f64).powf((self.rng.next() >> 11) as f64 / (1_u64 << 53) as f64);
        let center = &self.centers[(chosen as usize - 1).min(self.centers.len() - 1)];
        let parts = center.iter().zip(&self.scales);
        parts.map(|(part, scale)| part + 0.5 * scale * normal(&mut self.rng)).collect()
    }
}

/// Computes a score by its definition, in 64-bit floats.
pub fn score(metric: Metric, x: &[f32], q: &[f32]) -> f64 {
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(q).map(|(x, q)| of(f64::from(*x), f64::from(*q))).sum()
    };
    let dot = sum(&|x, q| x * q);
    match metric {
        Metric::Cosine => {
            let norms = sum(&|x, _| x * x).sqrt() * sum(&|_, q| q * q).sqrt();
            if norms == 0.0 { 0.0 } else { dot / norms }
        }
        Metric::Dot => dot,
        Metric::L2 => -sum(&|x, q| (x - q) * (x - q)).sqrt(),
    }
}

/// Returns by how much a score may differ from [`score`], which adds in another order.
pub fn tolerance(metric: Metric, x: &[f32], q: &[f32]) -> f64 {
    let norm = |x: &[f32]| x.iter().map(|part| f64::from(*part).powi(2)).sum::<f64>().sqrt();
    1e-12
        * match metric {
            Metric::Cosine => 1.0,
            Metric::Dot => norm(x) * norm(q),
            Metric::L2 => norm(x) + norm(q),
        }
}
