//! Traces by rule: which key each request asks for. Pure.

use crate::choice::Alias;
use serde::{Deserialize, Serialize};
use splinter_harness::rng::Rng;
use std::fmt;
use std::str::FromStr;

/// How a trace that is no file chooses its keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// By Zipf's law with this exponent, drawn as YCSB draws it. It favours the first keys more than the law does.
    Zipf(f64),
    /// By Zipf's law with this exponent, exactly.
    ZipfExact(f64),
    /// Each key once, in order.
    Scan,
    /// All keys in order, over and over.
    Loop,
}

impl Pattern {
    /// Returns how many requests a trace has for each key, unless another number is asked for.
    pub(super) fn requests_per_key(self) -> u64 {
        match self {
            Self::Scan => 1,
            _ => 15,
        }
    }

    /// Draws the keys of so many requests.
    pub(super) fn draw(self, keys: u32, requests: usize, seed: u64) -> Vec<u32> {
        let mut rng = Rng::new(seed, 0);
        match self {
            Self::Zipf(theta) => {
                let zipf = Zipf::new(keys, theta);
                (0..requests).map(|_| zipf.draw(rng.unit())).collect()
            }
            Self::ZipfExact(theta) => {
                let alias = Alias::zipf(u64::from(keys), theta);
                (0..requests).map(|_| alias.draw(&mut rng) as u32).collect()
            }
            Self::Scan | Self::Loop => (0..keys).cycle().take(requests).collect(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zipf(theta) => write!(f, "zipf:{theta}"),
            Self::ZipfExact(theta) => write!(f, "zipf-exact:{theta}"),
            Self::Scan => f.write_str("scan"),
            Self::Loop => f.write_str("loop"),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, theta) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let theta = theta.map(|theta| theta.parse::<f64>().map_err(|_| theta));
        match (name, theta) {
            ("scan", None) => Ok(Self::Scan),
            ("loop", None) => Ok(Self::Loop),
            ("zipf", None) => Ok(Self::Zipf(0.99)),
            ("zipf", Some(Ok(theta))) if theta > 0.0 && theta < 1.0 => Ok(Self::Zipf(theta)),
            ("zipf", Some(Ok(theta))) if theta >= 1.0 => {
                Err(format!("'{text}': YCSB's way takes exponents below 1 only; use zipf-exact:{theta}"))
            }
            ("zipf-exact", Some(Ok(theta))) if theta > 0.0 && theta <= 10.0 => Ok(Self::ZipfExact(theta)),
            ("zipf" | "zipf-exact", Some(_)) => {
                Err(format!("'{text}' has no exponent: give a number above 0, as in {name}:0.99"))
            }
            _ => Err(format!("'{text}' is no trace: use zipf:THETA, zipf-exact:THETA, scan or loop")),
        }
    }
}

splinter_harness::as_text!(Pattern);

/// Draws by an approximation to Zipf's law, as YCSB does, and with it most published hit ratios.
///
/// Source: Gray, Sundaresan, Englert, Baclawski, Weinberger, "Quickly generating billion-record synthetic databases",
/// SIGMOD 1994.
#[derive(Debug)]
struct Zipf {
    keys: f64,
    /// Sum of all weights.
    sum: f64,
    /// Weight of the second key.
    second: f64,
    eta: f64,
    alpha: f64,
}

impl Zipf {
    fn new(keys: u32, theta: f64) -> Self {
        let sum: f64 = (1..=keys).map(|rank| f64::from(rank).powf(-theta)).sum();
        let second = 2_f64.powf(-theta);
        let keys = f64::from(keys);
        let eta = (1.0 - (2.0 / keys).powf(1.0 - theta)) / (1.0 - (1.0 + second) / sum);
        Self { keys, sum, second, eta, alpha: 1.0 / (1.0 - theta) }
    }

    /// Returns the key that a number in [0, 1) stands for.
    fn draw(&self, unit: f64) -> u32 {
        let weight = unit * self.sum;
        if weight < 1.0 {
            return 0;
        }
        if weight < 1.0 + self.second {
            return 1;
        }
        let key = self.keys * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        // The largest number below 1 can be rounded up to the end.
        key.min(self.keys - 1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(pattern: Pattern, keys: u32) -> Vec<f64> {
        let requests = 400_000;
        let mut counts = vec![0_u32; keys as usize];
        pattern.draw(keys, requests, 3).into_iter().for_each(|key| counts[key as usize] += 1);
        counts.into_iter().map(|count| f64::from(count) / requests as f64).collect()
    }

    #[test]
    fn text_and_pattern_round_trip() {
        for text in ["zipf:0.99", "zipf-exact:1.2", "scan", "loop"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        assert_eq!("zipf".parse(), Ok(Pattern::Zipf(0.99)));
        for text in ["", "zipf:", "zipf:0", "zipf:1", "zipf:nan", "zipf-exact", "zipf-exact:11", "scan:1"] {
            let refused = text.parse::<Pattern>().unwrap_err();
            assert!(refused.contains("zipf") && !refused.contains('\n'), "{refused}");
        }
    }

    #[test]
    fn exact_draws_follow_the_law_and_those_of_ycsb_favour_the_first_keys() {
        let sum: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        let law: Vec<f64> = (1..=1000).map(|rank| f64::from(rank).powf(-0.99) / sum).collect();
        let [ycsb, exact] = [Pattern::Zipf(0.99), Pattern::ZipfExact(0.99)].map(|it| shares(it, 1000));
        for rank in 0..50 {
            assert!((exact[rank] - law[rank]).abs() < 0.1 * law[rank], "rank {rank}");
        }
        // The first two are drawn by their weights.
        for rank in 0..2 {
            assert!((ycsb[rank] - law[rank]).abs() < 0.05 * law[rank], "rank {rank}");
        }
        let head = |shares: &[f64]| shares[..20].iter().sum::<f64>();
        assert!(head(&ycsb) > head(&law) + 0.005, "{} for {}", head(&ycsb), head(&law));
    }

    #[test]
    fn every_draw_is_a_key() {
        for keys in [1, 2, 3, 1000] {
            let zipf = Zipf::new(keys, 0.99);
            for unit in [0.0, 0.3, 0.999, 1.0 - f64::EPSILON / 2.0] {
                assert!(zipf.draw(unit) < keys, "{unit} of {keys}");
            }
        }
    }

    #[test]
    fn a_scan_and_a_loop_ask_in_order() {
        assert_eq!(Pattern::Scan.draw(4, 4, 1), [0, 1, 2, 3]);
        assert_eq!(Pattern::Loop.draw(3, 7, 1), [0, 1, 2, 0, 1, 2, 0]);
    }
}
