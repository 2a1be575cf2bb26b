//! Vectors that are drawn from a seed, in families that are easy and hard to search in different ways, and queries of
//! the same family that are no members.

use super::npy::Matrix;
use splinter_harness::rng::Rng;

/// The greatest number of clusters.
const CLUSTERS: usize = 512;

/// How far members of a cluster stray from its centre, as a share of the centre's length.
const WITHIN: f32 = 0.5;

/// Copies of a vector among the duplicates.
pub const COPIES: usize = 16;

/// How far copies that are not exact stray, and how far queries do.
const NEAR: f32 = 1e-4;
const BESIDE: f32 = 0.1;

/// How vectors are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Family {
    /// In clusters of which a few are large (Zipf's law), with components that vary by a power law
    Clustered,
    /// Evenly in all directions
    Uniform,
    /// Sixteen copies of each clustered vector, half of them exact
    Duplicates,
    /// Components that vary by a power law, around a common offset
    Anisotropic,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Clustered, Self::Uniform, Self::Duplicates, Self::Anisotropic];

    /// Returns its name in tables, records and flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clustered => "clustered",
            Self::Uniform => "uniform",
            Self::Duplicates => "duplicates",
            Self::Anisotropic => "anisotropic",
        }
    }

    /// Draws members and queries.
    #[must_use]
    pub fn draw(self, keys: usize, queries: usize, dim: usize, seed: u64) -> [Matrix; 2] {
        let mut source = Source::new(self, keys, dim, seed);
        let mut members = Matrix { dim, values: Vec::with_capacity(keys * dim) };
        for member in 0..keys {
            source.member(member, &mut members.values);
        }
        let mut asked = Matrix { dim, values: Vec::with_capacity(queries * dim) };
        for _ in 0..queries {
            source.query(&mut asked.values);
        }
        [members, asked]
    }
}

/// What a family's vectors are made of.
struct Source {
    family: Family,
    rng: Rng,
    /// How much each component varies.
    scales: Vec<f32>,
    /// Centres of clusters, or the bases of duplicates, or the one common offset.
    centers: Matrix,
    /// Up to which draw from 0 to 1 each cluster is meant.
    shares: Vec<f64>,
}

impl Source {
    fn new(family: Family, keys: usize, dim: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed, family as u64 + 1);
        let power = |at: usize| ((at + 1) as f32).powf(-0.5);
        let scales: Vec<f32> = match family {
            Family::Uniform => vec![1.0; dim],
            _ => (0..dim).map(power).collect(),
        };
        let count = match family {
            Family::Uniform => 0,
            Family::Anisotropic => 1,
            Family::Clustered => (keys / 16).clamp(1, CLUSTERS),
            Family::Duplicates => keys.div_ceil(COPIES),
        };
        let mut source =
            Self { family, rng: rng.clone(), scales, centers: Matrix::default(), shares: Vec::new() };
        let mut centers = Matrix { dim, values: Vec::with_capacity(count * dim) };
        if family == Family::Duplicates {
            let mut clusters = Self::new(Family::Clustered, count, dim, seed ^ 1);
            (0..count).for_each(|base| clusters.member(base, &mut centers.values));
        } else {
            for _ in 0..count {
                centers.values.extend(source.scales.iter().map(|scale| scale * normal(&mut rng)));
            }
        }
        source.centers = centers;
        source.rng = rng;
        let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / rank as f64).collect();
        let whole: f64 = weights.iter().sum();
        let sums = weights.iter().scan(0.0, |sum, weight| {
            *sum += weight / whole;
            Some(*sum)
        });
        source.shares = sums.collect();
        source
    }

    /// Draws the vector of a member behind those that are there.
    fn member(&mut self, index: usize, to: &mut Vec<f32>) {
        match self.family {
            Family::Duplicates => {
                let stray = if index.is_multiple_of(2) { 0.0 } else { NEAR };
                self.around(index / COPIES, stray, to);
            }
            _ => self.query(to),
        }
    }

    /// Draws a query behind those that are there.
    fn query(&mut self, to: &mut Vec<f32>) {
        match self.family {
            Family::Clustered => {
                let drawn = self.rng.unit();
                let cluster = self.shares.partition_point(|share| *share < drawn);
                self.around(cluster.min(self.shares.len() - 1), WITHIN, to);
            }
            Family::Uniform => {
                let begin = to.len();
                to.extend(self.scales.iter().map(|_| normal(&mut self.rng)));
                let norm =
                    to[begin..].iter().map(|part| part * part).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
                to[begin..].iter_mut().for_each(|part| *part /= norm);
            }
            Family::Duplicates => {
                let base = self.rng.index(self.centers.rows());
                self.around(base, BESIDE, to);
            }
            Family::Anisotropic => self.around(0, 1.0, to),
        }
    }

    fn around(&mut self, center: usize, stray: f32, to: &mut Vec<f32>) {
        let center = self.centers.row(center);
        let parts = center.iter().zip(&self.scales);
        if stray == 0.0 {
            to.extend(center);
        } else {
            to.extend(parts.map(|(part, scale)| part + stray * scale * normal(&mut self.rng)));
        }
    }
}

/// Draws a number of mean 0 and variance 1, nearly normal: a sum of four even ones.
fn normal(rng: &mut Rng) -> f32 {
    let word = rng.next_u64();
    let sum: i64 = (0..4).map(|part| (word >> (16 * part) & 0xffff) as i64).sum();
    (sum - 2 * 0xffff) as f32 / 65536.0 * 3_f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::{COPIES, Family, normal};
    use crate::search::npy::Matrix;
    use crate::search::truth::cosine;
    use splinter_harness::rng::Rng;

    const KEYS: usize = 800;
    const DIM: usize = 64;

    fn draw(family: Family) -> [Matrix; 2] {
        family.draw(KEYS, 50, DIM, 7)
    }

    /// Returns how many members are nearer to member `at` than a cosine of 0.6.
    fn near(members: &Matrix, at: usize) -> usize {
        (0..KEYS).filter(|other| cosine(members.row(*other), members.row(at)) > 0.6).count()
    }

    #[test]
    fn equal_seeds_draw_equal_vectors_and_queries_are_no_members() {
        for family in Family::ALL {
            let [members, queries] = draw(family);
            assert_eq!((members.rows(), queries.rows(), members.dim), (KEYS, 50, DIM));
            assert_eq!(draw(family), [members.clone(), queries.clone()]);
            assert_ne!(family.draw(KEYS, 50, DIM, 8)[0], members);
            for query in 0..50 {
                assert!((0..KEYS).all(|at| members.row(at) != queries.row(query)), "{family:?}");
            }
        }
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut rng = Rng::new(1, 0);
        let drawn: Vec<f64> = (0..100_000).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|it| it * it).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_few_clusters_are_large() {
        let [members, _] = draw(Family::Clustered);
        let mut sizes: Vec<usize> = (0..KEYS).map(|at| near(&members, at)).collect();
        sizes.sort_unstable();
        assert!(sizes[KEYS - 1] > 5 * sizes[KEYS / 4], "{sizes:?}");
    }

    #[test]
    fn uniform_vectors_have_length_1_and_point_anywhere() {
        let [members, _] = draw(Family::Uniform);
        for at in 0..KEYS {
            let square: f32 = members.row(at).iter().map(|part| part * part).sum();
            assert!((square - 1.0).abs() < 1e-4, "{square}");
        }
        let sum: f64 = (1..KEYS).map(|at| cosine(members.row(at), members.row(at - 1))).sum();
        assert!((sum / KEYS as f64).abs() < 0.02, "{sum}");
    }

    #[test]
    fn duplicates_are_there_sixteen_times_and_half_of_them_exactly() {
        let [members, _] = draw(Family::Duplicates);
        for base in (0..KEYS).step_by(COPIES) {
            for at in base..base + COPIES {
                assert!(cosine(members.row(at), members.row(base)) > 0.999);
                assert_eq!(members.row(at) == members.row(base), at.is_multiple_of(2));
            }
        }
    }

    #[test]
    fn anisotropic_vectors_share_an_offset_and_vary_most_in_the_first_components() {
        let [members, _] = draw(Family::Anisotropic);
        let mean =
            |part: usize| (0..KEYS).map(|at| f64::from(members.row(at)[part])).sum::<f64>() / KEYS as f64;
        let spread = |part: usize| {
            let mean = mean(part);
            let squares = (0..KEYS).map(|at| (f64::from(members.row(at)[part]) - mean).powi(2));
            squares.sum::<f64>() / KEYS as f64
        };
        assert!(spread(0) > 20.0 * spread(DIM - 1));
        let sum: f64 = (1..KEYS).map(|at| cosine(members.row(at), members.row(at - 1))).sum();
        assert!(sum / KEYS as f64 > 0.2, "{sum}");
    }
}
