//! Which key a worker takes next: the key choices of a workload, how often two workers meet under
//! each, and the samplers that draw. Knows nothing of stores.

use serde::{Deserialize, Serialize};
use splinter_harness::rng::Rng;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Share of draws that [`KeyChoice::Hot`] sends to its hot keys.
pub(crate) const HOT_SHARE: f64 = 0.9;

/// Most keys that [`KeyChoice::Zipf`] draws from: its table takes 8 bytes a key.
pub(crate) const MOST_ZIPF_KEYS: u64 = 1 << 24;

/// How workers choose keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyChoice {
    /// Every writer has keys of its own, readers read all of them: writers never meet.
    Own,
    /// Everyone takes any key, all equally likely.
    Uniform,
    /// Key `i` (from 1) is taken in proportion to `i^-theta`.
    Zipf(f64),
    /// Nine draws of ten go to the first `k` keys, the tenth to any of the others.
    Hot(u64),
    /// Everyone takes the same key.
    Single,
}

impl KeyChoice {
    /// Returns the probability that two draws of two writers take the same key: the collision rate
    /// of the workload.
    #[must_use]
    pub fn collision_rate(self, keys: u64) -> f64 {
        let count = keys.max(1) as f64;
        match self {
            Self::Own => 0.0,
            Self::Uniform => 1.0 / count,
            Self::Single => 1.0,
            Self::Hot(hot) if hot >= keys => 1.0 / count,
            Self::Hot(hot) => {
                let hot = hot as f64;
                HOT_SHARE * HOT_SHARE / hot + (1.0 - HOT_SHARE).powi(2) / (count - hot)
            }
            Self::Zipf(theta) => {
                let (mut sum, mut squares) = (0.0, 0.0);
                for rank in 1..=keys {
                    let weight = (rank as f64).powf(-theta);
                    sum += weight;
                    squares += weight * weight;
                }
                squares / (sum * sum)
            }
        }
    }
}

impl fmt::Display for KeyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(theta) => write!(f, "zipf:{theta}"),
            Self::Hot(hot) => write!(f, "hot:{hot}"),
            Self::Single => f.write_str("single"),
        }
    }
}

impl FromStr for KeyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        match (name, argument) {
            ("own" | "lanes", None) => Ok(Self::Own),
            ("uniform", None) => Ok(Self::Uniform),
            ("single", None) => Ok(Self::Single),
            ("zipf", Some(theta)) => match theta.parse::<f64>() {
                Ok(theta) if theta > 0.0 && theta <= 10.0 => Ok(Self::Zipf(theta)),
                _ => Err(format!(
                    "'{theta}' is no skew for zipf: give a number above 0, up to 10, as in zipf:0.99"
                )),
            },
            ("hot", Some(hot)) => match hot.parse::<u64>() {
                Ok(hot) if hot > 0 => Ok(Self::Hot(hot)),
                _ => Err(format!("'{hot}' is no number of hot keys: give 1 or more, as in hot:16")),
            },
            _ => Err(format!("'{text}' is no key choice: use own, uniform, zipf:THETA, hot:K or single")),
        }
    }
}

splinter_harness::as_text!(KeyChoice);

/// Returns the keys of `writer` out of `writers` when they share `keys`: contiguous, as even as possible.
#[must_use]
pub(crate) fn share(keys: u64, writer: u32, writers: u32) -> Range<u64> {
    let cut = |index: u32| {
        let at = u128::from(keys) * u128::from(index) / u128::from(writers.max(1));
        u64::try_from(at).unwrap_or(keys)
    };
    cut(writer)..cut(writer + 1)
}

/// Draws keys for one worker. Cheap to clone: tables are shared.
#[derive(Clone, Debug)]
pub(crate) enum Sampler {
    /// Any key of the range, all equally likely.
    Range(Range<u64>),
    /// By table.
    Alias(Arc<Alias>),
    /// Nine of ten below `hot`, the rest from there to `keys`.
    Hot {
        /// Number of hot keys.
        hot: u64,
        /// Number of all keys.
        keys: u64,
    },
}

impl Sampler {
    /// Builds the sampler of all workers that share `keys`; under [`KeyChoice::Own`] that is a
    /// reader.
    #[must_use]
    pub(crate) fn shared(choice: KeyChoice, keys: u64) -> Self {
        match choice {
            KeyChoice::Own | KeyChoice::Uniform => Self::Range(0..keys),
            KeyChoice::Single => Self::Range(0..1),
            KeyChoice::Hot(hot) if hot >= keys => Self::Range(0..keys),
            KeyChoice::Hot(hot) => Self::Hot { hot, keys },
            KeyChoice::Zipf(theta) => Self::Alias(Alias::shared_zipf(keys, theta)),
        }
    }

    /// Draws a key.
    #[inline(always)]
    pub(crate) fn draw(&self, rng: &mut Rng) -> u64 {
        match self {
            Self::Range(range) => range.start + rng.below(range.end - range.start),
            Self::Alias(alias) => alias.draw(rng),
            Self::Hot { hot, keys } => {
                if rng.next_u64() < (HOT_SHARE * u64::MAX as f64) as u64 {
                    rng.below(*hot)
                } else {
                    hot + rng.below(keys - hot)
                }
            }
        }
    }
}

/// Draws from any discrete distribution in constant time: one random number, one table entry.
///
/// Source: Walker, "An efficient method for generating discrete random variables with general
/// distributions", ACM TOMS 3 (1977), built in linear time after Vose, IEEE TSE 17 (1991).
#[derive(Debug)]
pub(crate) struct Alias {
    /// Per column the threshold below which the column itself is drawn (in 2^-32), and the column that is
    /// drawn otherwise.
    columns: Box<[(u32, u32)]>,
}

impl Alias {
    /// Returns the table for weights `rank^-theta`: one for all workers of this process.
    fn shared_zipf(keys: u64, theta: f64) -> Arc<Self> {
        type Known = Vec<(u64, u64, Weak<Alias>)>;
        static KNOWN: Mutex<Known> = Mutex::new(Vec::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, _, table)| table.strong_count() > 0);
        let found = known
            .iter()
            .find(|(count, skew, _)| (*count, *skew) == (keys, theta.to_bits()))
            .and_then(|(_, _, table)| table.upgrade());
        found.unwrap_or_else(|| {
            let table = Arc::new(Self::zipf(keys, theta));
            known.push((keys, theta.to_bits(), Arc::downgrade(&table)));
            table
        })
    }

    /// Builds the table for weights `rank^-theta`, ranks from 1 to `keys`.
    ///
    /// # Panics
    /// If there are more than 2^32 keys; [`crate::Workload::validate`] refuses such workloads.
    #[must_use]
    pub(crate) fn zipf(keys: u64, theta: f64) -> Self {
        let count = u32::try_from(keys.max(1)).expect("at most 2^32 keys");
        let mut weights: Vec<f64> = (1..=count).map(|rank| f64::from(rank).powf(-theta)).collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|weight| *weight *= scale);
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..count).partition(|&key| weights[key as usize] < 1.0);
        let mut columns: Box<[(u32, u32)]> = (0..count).map(|key| (u32::MAX, key)).collect();
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            columns[low as usize] = ((weights[low as usize] * 4_294_967_296.0) as u32, high);
            weights[high as usize] -= 1.0 - weights[low as usize];
            if weights[high as usize] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self { columns }
    }

    /// Draws an index.
    #[inline]
    pub(crate) fn draw(&self, rng: &mut Rng) -> u64 {
        let product = u128::from(rng.next_u64()) * self.columns.len() as u128;
        let column = (product >> 64) as usize;
        // The product's low half is what the column choice left over: fresh bits for the second
        // choice.
        let (threshold, other) = self.columns[column];
        if ((product as u64) >> 32) as u32 <= threshold { column as u64 } else { u64::from(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(choice: KeyChoice, keys: u64, draws: u32) -> Vec<f64> {
        let sampler = Sampler::shared(choice, keys);
        let mut rng = Rng::new(9, 1);
        let mut counts = vec![0u32; usize::try_from(keys).unwrap()];
        for _ in 0..draws {
            counts[usize::try_from(sampler.draw(&mut rng)).unwrap()] += 1;
        }
        counts.iter().map(|&count| f64::from(count) / f64::from(draws)).collect()
    }

    #[test]
    fn text_and_choice_round_trip() {
        for text in ["own", "uniform", "zipf:0.99", "hot:16", "single"] {
            assert_eq!(text.parse::<KeyChoice>().unwrap().to_string(), text);
        }
        for text in ["", "zipf", "zipf:0", "zipf:x", "hot:0", "hot", "single:1", "pareto"] {
            assert!(text.parse::<KeyChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn zipf_draws_follow_their_weights() {
        let seen = frequencies(KeyChoice::Zipf(0.99), 100, 400_000);
        let sum: f64 = (1..=100).map(|rank| f64::from(rank).powf(-0.99)).sum();
        for (rank, share) in (1..=100).zip(&seen) {
            let expected = f64::from(rank).powf(-0.99) / sum;
            assert!((share - expected).abs() < 0.15 * expected + 1e-4, "rank {rank}: {share} for {expected}");
        }
    }

    #[test]
    fn hot_keys_get_nine_draws_of_ten() {
        let seen = frequencies(KeyChoice::Hot(4), 40, 100_000);
        let hot: f64 = seen[..4].iter().sum();
        assert!((hot - HOT_SHARE).abs() < 0.01, "{hot}");
        assert!(seen.iter().all(|&share| share > 0.0));
    }

    #[test]
    fn declared_collision_rates_are_what_two_samplers_meet_at() {
        for choice in [KeyChoice::Uniform, KeyChoice::Zipf(1.2), KeyChoice::Hot(3), KeyChoice::Single] {
            let sampler = Sampler::shared(choice, 50);
            let (mut one, mut two) = (Rng::new(5, 1), Rng::new(5, 2));
            let draws = 200_000;
            let met = (0..draws).filter(|_| sampler.draw(&mut one) == sampler.draw(&mut two)).count();
            let rate = met as f64 / f64::from(draws);
            let declared = choice.collision_rate(50);
            assert!((rate - declared).abs() < 0.05 * declared + 0.001, "{choice}: {rate} for {declared}");
        }
        assert!(KeyChoice::Own.collision_rate(50) == 0.0);
    }

    #[test]
    fn shares_cover_all_keys_once() {
        for (keys, writers) in [(100, 7), (32, 32), (1_000_003, 64)] {
            let mut next = 0;
            for writer in 0..writers {
                let range = share(keys, writer, writers);
                assert_eq!(range.start, next);
                assert!(!range.is_empty());
                next = range.end;
            }
            assert_eq!(next, keys);
        }
    }
}
