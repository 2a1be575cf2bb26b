//! Every kernel against the portable one and against plain sums, and how good estimates are.

use super::head::Head;
use super::kernels::{Kernel, ROUNDS};
use super::products::{products_with, square_distance_with};
use super::*;
use crate::sync::Word;

const DIMS: [u32; 18] = [1, 2, 3, 5, 31, 63, 64, 65, 100, 127, 128, 256, 384, 640, 768, 1000, 1024, 1536];

/// Random numbers by SplitMix64, as the rotation's.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number that is distributed about normally, with a variance of 1.
    fn normal(&mut self) -> f32 {
        let word = self.word();
        let sum: i64 = (0..4).map(|part| (word >> (16 * part) & 0xffff) as i64).sum();
        (sum - 2 * 0xffff) as f32 / 65536.0 * 3_f32.sqrt()
    }

    fn vector(&mut self, dim: u32) -> Vec<f32> {
        (0..dim).map(|_| self.normal()).collect()
    }
}

/// Vectors that make arithmetic go wrong: huge, tiny, zero, spread over all exponents, not finite.
fn extremes(dim: u32, random: &mut Random) -> Vec<Vec<f32>> {
    let mut all = vec![random.vector(dim)];
    for value in [0.0, -0.0, 1.0, -3e38, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::NAN, f32::INFINITY] {
        all.push(vec![value; dim as usize]);
        let mut one_hot = vec![0.0; dim as usize];
        one_hot[random.word() as usize % dim as usize] = value;
        all.push(one_hot);
    }
    all.push((0..dim).map(|_| random.normal() * 3e38).collect());
    all.push((0..dim).map(|_| random.normal() * 1e-44).collect());
    all.push((0..dim).map(|_| f32::from_bits(random.word() as u32 & 0xbfff_ffff)).collect());
    all
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|component| component.to_bits()).collect()
}

fn dot(x: &[f32], q: &[f32]) -> f64 {
    x.iter().zip(q).map(|(x, q)| f64::from(*x) * f64::from(*q)).sum()
}

fn norm(x: &[f32]) -> f64 {
    dot(x, x).sqrt()
}

fn sketch(rotation: &Rotation, vector: &[f32]) -> Vec<u64> {
    let mut record = vec![!0; record_len(vector.len() as u32)];
    encode(rotation, &mut vector.to_vec(), &mut record);
    record
}

/// The estimates of sketches, all of them wanted.
fn estimates(query: &Query, records: &[u64], len: usize) -> Vec<f32> {
    let words: Vec<Word> = records.iter().map(|word| Word::new(*word)).collect();
    let mut all = Vec::new();
    for block in words.chunks(64 * len) {
        let count = block.len() / len;
        let mut out = [f32::NAN; 64];
        query.estimate(block, u64::MAX >> (64 - count), &mut out);
        all.extend_from_slice(&out[..count]);
    }
    all
}

/// The rotation, written down from its description.
fn rotated_plainly(seed: u64, vector: &[f32]) -> Vec<f32> {
    let (dim, words) = (vector.len(), vector.len().div_ceil(64));
    let len = (1..=dim).rev().find(|len| len.is_power_of_two()).unwrap();
    let mut y = vector.to_vec();
    for round in 0..4 {
        for (at, y) in y.iter_mut().enumerate() {
            // The generator's state grows by its constant before each word.
            let mut random = Random(seed);
            random.0 =
                seed.wrapping_add(((round * words + at / 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            if random.word() >> (at % 64) & 1 == 1 {
                *y = -*y;
            }
        }
        let part = if round % 2 == 0 { &mut y[..len] } else { &mut y[dim - len..] };
        for y in &mut *part {
            *y *= (1.0 / (len as f64).sqrt()) as f32;
        }
        let mut distance = 1;
        while distance < len {
            for at in (0..len).filter(|at| at & distance == 0) {
                let (a, b) = (part[at], part[at + distance]);
                part[at] = a + b;
                part[at + distance] = a - b;
            }
            distance *= 2;
        }
        if round == 1 && len < dim {
            for at in 0..dim / 2 {
                let other = at + dim.div_ceil(2);
                let (a, b) = (y[at] * 0.5_f32.sqrt(), y[other] * 0.5_f32.sqrt());
                (y[at], y[other]) = (a + b, a - b);
            }
        }
    }
    y
}

#[test]
fn every_kernel_rotates_as_the_description_says() {
    assert_eq!(ROUNDS, 4);
    let mut random = Random(1);
    // With passes of each kind, for the last two.
    for dim in DIMS.into_iter().chain([2048, 5000]) {
        let seed = random.word();
        let vector = random.vector(dim);
        let expected = rotated_plainly(seed, &vector);
        for kernel in Kernel::all() {
            let mut rotated = vector.clone();
            Rotation::with_kernel(kernel, seed, dim).apply(&mut rotated);
            assert_eq!(bits(&rotated), bits(&expected), "{kernel:?} {dim}");
        }
    }
}

#[test]
fn the_rotation_keeps_norms_and_inner_products() {
    let mut random = Random(2);
    for dim in DIMS.into_iter().chain([4096, 5000]) {
        let rotation = Rotation::new(random.word(), dim);
        let (x, q) = (random.vector(dim), random.vector(dim));
        let (mut y, mut r) = (x.clone(), q.clone());
        rotation.apply(&mut y);
        rotation.apply(&mut r);
        assert!((norm(&y) / norm(&x) - 1.0).abs() < 1e-5, "{dim}");
        assert!((dot(&y, &r) - dot(&x, &q)).abs() < 1e-5 * norm(&x) * norm(&q), "{dim}");
    }
}

#[test]
fn the_rotation_spreads_vectors_over_all_components() {
    let mut random = Random(3);
    for dim in [256, 384, 640, 768, 1000, 1023, 1536] {
        let rotation = Rotation::new(random.word(), dim);
        let mut vectors = vec![vec![1.0; dim as usize]];
        for at in [0, 1, dim / 3, dim / 2, dim - 1] {
            let mut one_hot = vec![0.0; dim as usize];
            one_hot[at as usize] = 1.0;
            vectors.push(one_hot);
        }
        for mut vector in vectors {
            rotation.apply(&mut vector);
            let (mean, largest) =
                (norm(&vector) / f64::from(dim).sqrt(), vector.iter().fold(0.0, |a: f32, b| a.max(b.abs())));
            assert!(f64::from(largest) < 6.0 * mean, "{dim}: {largest} of {mean}");
            // Of signs that are distributed normally, the cosine is √(2/π), or 0.798.
            let sum: f64 = vector.iter().map(|component| f64::from(component.abs())).sum();
            let cosine = sum / norm(&vector) / f64::from(dim).sqrt();
            assert!((0.70..0.90).contains(&cosine), "{dim}: {cosine}");
        }
    }
}

#[test]
fn every_kernel_makes_the_same_sketches_and_estimates() {
    if !format!("{:?}", Kernel::all()).contains("Avx512") {
        println!("skipped AVX-512, which this processor or build lacks");
    }
    let mut random = Random(4);
    for dim in DIMS {
        let (seed, len) = (random.word(), record_len(dim));
        let vectors = extremes(dim, &mut random);
        let plain = Rotation::with_kernel(Kernel::Portable, seed, dim);
        let records: Vec<Vec<u64>> = vectors.iter().map(|vector| sketch(&plain, vector)).collect();
        // Enough for whole blocks, and a part of one.
        let table = records.concat().repeat(100_usize.div_ceil(records.len()));
        for kernel in Kernel::all() {
            let rotation = Rotation::with_kernel(kernel, seed, dim);
            for (vector, record) in vectors.iter().zip(&records) {
                assert_eq!(&sketch(&rotation, vector), record, "{kernel:?} {dim} {vector:?}");
            }
            for (at, vector) in vectors.iter().enumerate() {
                let metric = [Metric::Cosine, Metric::Dot, Metric::L2][at % 3];
                let made = (Query::new(&plain, vector, metric), Query::new(&rotation, vector, metric));
                let (Some(expected), Some(query)) = made else {
                    assert!(made.0.is_none() && made.1.is_none());
                    assert!(vector.iter().any(|component| !component.is_finite()));
                    continue;
                };
                let expected = estimates(&expected, &table, len);
                assert_eq!(bits(&estimates(&query, &table, len)), bits(&expected), "{kernel:?} {dim}");
                for (vector, estimate) in vectors.iter().zip(expected) {
                    let is_finite = vector.iter().all(|component| component.is_finite());
                    assert_eq!(estimate.is_finite(), is_finite, "{metric:?} {vector:?}");
                }
            }
        }
    }
}

#[test]
fn damaged_sketches_have_estimates_and_unwanted_ones_none() {
    let mut random = Random(5);
    for (dim, metric) in [(3, Metric::Cosine), (100, Metric::Dot), (768, Metric::L2), (5000, Metric::Cosine)]
    {
        let len = record_len(dim);
        let query = random.vector(dim);
        let records: Vec<Word> = (0..64 * len).map(|_| Word::new(random.word())).collect();
        // Corrections of NaN, infinity and zero, and a norm of NaN.
        for (slot, head) in [0x7fc0_0000_3f80_0000, 0x7f80_0000_0000_0000, 0x3f80_0000, 0x3f80_0000_7fc0_0000]
            .into_iter()
            .enumerate()
        {
            records[slot * len].store(head, crate::sync::Relaxed);
        }
        // All, about half, and few; all of one half and few of the other.
        let few = random.word() & random.word() & random.word();
        for wanted in
            [u64::MAX, random.word(), few, 0, few | 0xffff_ffff, few | 0xffff_ffff << 32, 1 << 63, 0xf]
        {
            let mut all = Vec::new();
            for kernel in Kernel::all() {
                let query = Query::new(&Rotation::with_kernel(kernel, 7, dim), &query, metric).unwrap();
                let mut out = [f32::NAN; 64];
                query.estimate(&records, wanted, &mut out);
                for (slot, estimate) in out.iter().enumerate() {
                    let has_one = wanted >> slot & 1 == 1 && slot != 2;
                    assert!(
                        if has_one { estimate.is_finite() } else { *estimate == f32::NEG_INFINITY },
                        "{slot}"
                    );
                }
                all.push(bits(&out));
            }
            assert!(all.iter().all(|out| *out == all[0]));
        }
    }
}

#[test]
fn a_sketch_has_the_norm_the_correction_and_the_signs() {
    let mut random = Random(6);
    for dim in DIMS {
        let rotation = Rotation::new(9, dim);
        let vector = random.vector(dim);
        let mut rotated = vector.clone();
        rotation.apply(&mut rotated);
        let record = sketch(&rotation, &vector);
        let head = Head::from_word(record[0]);
        let sum: f64 = rotated.iter().map(|component| f64::from(component.abs())).sum();
        assert_eq!(head.norm, norm(&vector) as f32);
        assert!((f64::from(head.correction) * sum / norm(&vector) - 1.0).abs() < 1e-6);
        for bit in 0..64 * (record.len() - 1) {
            let expected = rotated.get(bit).is_some_and(|component| component.is_sign_positive());
            assert_eq!(record[1 + bit / 64] >> (bit % 64) & 1 == 1, expected, "{dim} {bit}");
        }
        // As it is of a multiple by any power of two, unless components lose digits.
        for exponent in [-120, -60, 60, 120] {
            let scaled: Vec<f32> = vector.iter().map(|component| component * 2_f32.powi(exponent)).collect();
            let scaled = sketch(&rotation, &scaled);
            assert_eq!(scaled[0] >> 32, record[0] >> 32, "{dim} {exponent}");
            assert_eq!(scaled[1..], record[1..], "{dim} {exponent}");
        }
    }
    assert_eq!((record_len(0), record_len(1), record_len(64), record_len(65)), (0, 2, 2, 3));
    let zero = sketch(&Rotation::new(9, 70), &[0.0; 70]);
    assert_eq!(zero[0], u64::from(1_f32.to_bits()) << 32);
    for component in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut vector = [1.0; 70];
        vector[66] = component;
        assert_eq!(sketch(&Rotation::new(9, 70), &vector), [0; 3]);
    }
    encode(&Rotation::new(9, 0), &mut [], &mut []);
}

/// Puts a vector into words as the arena has it.
fn in_words(x: &[f32]) -> Vec<Word> {
    let word = |pair: &[f32]| pair.iter().rev().fold(0, |word, part| word << 32 | u64::from(part.to_bits()));
    x.chunks(2).map(|pair| Word::new(word(pair))).collect()
}

#[test]
fn products_and_distances_are_those_of_plain_sums_in_every_kernel() {
    let mut random = Random(7);
    for dim in DIMS {
        for x in extremes(dim, &mut random) {
            let q = random.vector(dim);
            let (sums, square) =
                (products_with(Kernel::Portable, &x, &q), square_distance_with(Kernel::Portable, &x, &q));
            for kernel in Kernel::all() {
                let other = products_with(kernel, &x, &q);
                assert_eq!(other.dot.to_bits() | 1 << 63, sums.dot.to_bits() | 1 << 63);
                assert_eq!(other.square.to_bits(), sums.square.to_bits());
                assert_eq!(square_distance_with(kernel, &x, &q).to_bits(), square.to_bits());
                let words = in_words(&x);
                for next in [None, Some(&words[..])] {
                    let (wide, x) = (WideQuery::with(kernel, &q), InArena { vector: &words, next });
                    let (racing, distance) = (wide.products(x), wide.square_distance(x));
                    assert_eq!(racing.is_some(), kernel != Kernel::Portable);
                    if let (Some(racing), Some(distance)) = (racing, distance) {
                        assert_eq!(racing.dot.to_bits() | 1 << 63, sums.dot.to_bits() | 1 << 63);
                        assert_eq!(racing.square.to_bits(), sums.square.to_bits());
                        assert_eq!(distance.to_bits(), square.to_bits());
                    }
                }
            }
            assert_eq!(sums.square.is_finite(), x.iter().all(|component| component.is_finite()));
            if sums.square.is_finite() {
                let distance: f64 =
                    x.iter().zip(&q).map(|(x, q)| (f64::from(*x) - f64::from(*q)).powi(2)).sum();
                assert!((sums.dot - dot(&x, &q)).abs() <= 1e-12 * norm(&x) * norm(&q));
                assert!((sums.square - dot(&x, &x)).abs() <= 1e-12 * sums.square);
                assert!((square - distance).abs() <= 1e-12 * distance);
            }
        }
    }
}

/// The estimate of a cosine is right on average over rotations, and as exact as RaBitQ's theory has it.
#[test]
fn estimates_have_no_bias_and_the_spread_of_theory() {
    let mut random = Random(8);
    for (dim, cosine) in [(128, 0.0), (128, 0.9), (300, -0.5), (768, 0.3), (768, 0.95)] {
        let (x, other) = (random.vector(dim), random.vector(dim));
        // As much of `other` as is orthogonal to `x`, and as much of `x` as makes the cosine.
        let share = dot(&x, &other) / dot(&x, &x);
        let rest: Vec<f32> = x.iter().zip(&other).map(|(x, o)| o - share as f32 * x).collect();
        let (a, b) = (cosine / norm(&x), (1.0 - cosine * cosine).sqrt() / norm(&rest));
        let q: Vec<f32> = x.iter().zip(&rest).map(|(x, r)| a as f32 * x + b as f32 * r).collect();
        let (mut sum, mut squares, mut theory) = (0.0, 0.0, 0.0);
        let rounds = if cfg!(debug_assertions) { 50 } else { 1000 };
        for _ in 0..rounds {
            let rotation = Rotation::new(random.word(), dim);
            let record = sketch(&rotation, &x);
            let query = Query::new(&rotation, &q, Metric::Cosine).unwrap();
            let error = f64::from(estimates(&query, &record, record.len())[0]) - cosine;
            sum += error;
            squares += error * error;
            // The square of the cosine between the rotated vector and its signs.
            let aligned = (1.0 / f64::from(Head::from_word(record[0]).correction)).powi(2) / f64::from(dim);
            theory += (1.0 - cosine * cosine) * (1.0 - aligned) / aligned / f64::from(dim - 1);
        }
        let rounds = f64::from(rounds);
        let (mean, spread, expected) = (sum / rounds, (squares / rounds).sqrt(), (theory / rounds).sqrt());
        // The query is rounded, not at random: near a cosine of 1 that makes an eighth of the spread.
        let bias = spread / 8.0 + 4.0 * spread / rounds.sqrt();
        assert!(mean.abs() < bias, "{dim} {cosine}: {mean}, spread {spread}");
        // Rounding the query adds a little, most where theory has none.
        assert!(
            (0.8 * expected..1.3 * expected + 0.004).contains(&spread),
            "{dim} {cosine}: {spread}, not {expected}"
        );
    }
}

/// Of data in clusters, whose directions differ in length as a power law: the nearest are among the best estimates.
#[test]
fn the_nearest_vectors_are_among_the_best_estimates() {
    const DIM: u32 = 768;
    let (count, depth) = if cfg!(debug_assertions) { (500, 30) } else { (10_000, 100) };
    let mut random = Random(9);
    let mut like = |centre: Option<&[f32]>| -> Vec<f32> {
        let own: Vec<f32> = (1..=DIM).map(|at| random.normal() / (at as f32).sqrt()).collect();
        own.iter().enumerate().map(|(at, own)| centre.map_or(0.0, |centre| centre[at]) + 0.6 * own).collect()
    };
    let centres: Vec<Vec<f32>> = (0..10).map(|_| like(None)).collect();
    let vectors: Vec<Vec<f32>> = (0..count).map(|at| like(Some(&centres[at % 10]))).collect();
    let queries: Vec<Vec<f32>> = (0..10).map(|at| like(Some(&centres[at]))).collect();
    let rotation = Rotation::new(10, DIM);
    let table: Vec<u64> = vectors.iter().flat_map(|vector| sketch(&rotation, vector)).collect();
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut found = 0;
        for q in &queries {
            let score = |x: &[f32]| {
                let Products { dot, square } = products(x, q);
                match metric {
                    Metric::Cosine => dot / square.sqrt(),
                    Metric::Dot => dot,
                    Metric::L2 => -square_distance(x, q),
                }
            };
            let mut exact: Vec<(f64, usize)> = vectors.iter().map(|x| score(x)).zip(0..).collect();
            exact.sort_by(|a, b| b.0.total_cmp(&a.0));
            let query = Query::new(&rotation, q, metric).unwrap();
            let estimates = estimates(&query, &table, record_len(DIM));
            let mut best: Vec<(f32, usize)> = estimates.into_iter().zip(0..).collect();
            best.sort_by(|a, b| b.0.total_cmp(&a.0));
            let best = &best[..depth];
            found += exact[..10].iter().filter(|(_, at)| best.iter().any(|(_, other)| at == other)).count();
        }
        let recall = found as f64 / (10 * queries.len()) as f64;

        assert!(recall >= 0.98, "{metric:?}: {recall}");
    }
}
