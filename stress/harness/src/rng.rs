//! Random numbers by a seed that a record keeps: small, one generator
//! for each worker, so that a run can be repeated and nothing is shared. Equal seeds give equal
//! sequences on every machine; `results/README.md` says which. Knows nothing of what is drawn. Not for secrets.

/// Returns the next number of a SplitMix64 sequence and steps its state. Used for seeding and for
/// mixing.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014;
/// constants from Vigna's public-domain `splitmix64.c`.
#[inline]
pub fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Returns the high half of the 128-bit product.
#[inline]
pub fn mul_high(left: u64, right: u64) -> u64 {
    ((u128::from(left) * u128::from(right)) >> 64) as u64
}

/// Generates numbers by xorshift64*: one word of state, period 2^64 - 1.
///
/// Source: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", ACM
/// TOMS 42 (2016), triple (12, 25, 27), multiplier M32. Only high bits are used by [`Rng::below`]
/// and [`Rng::unit`].
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Starts one sequence (`stream`: a worker's, or another) of a run (`seed`). Every seed is good.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xa076_1d64_78bd_642f);
        // A zero state would stay zero for ever.
        Self { state: splitmix64(&mut state).max(1) }
    }

    /// Returns 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `bound` (0 when `bound` is 0), by Lemire's multiplication without its
    /// rejection step: the bias is below `bound / 2^64`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        mul_high(self.next_u64(), bound)
    }

    /// Returns a place in a list of so many, as [`Rng::below`] draws it.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns a number in [0, 1).
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Shuffles a slice, each order being equally likely (Fisher and Yates, in Durstenfeld's form).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// Returns a random permutation of `0..len` that is one single cycle: following `next[i]` from
    /// anywhere visits every element before it comes back (Sattolo, 1986). A pointer chase over it
    /// cannot fall into a short loop.
    ///
    /// # Panics
    /// When the length does not fit in 32 bits.
    #[must_use]
    pub fn single_cycle(&mut self, len: usize) -> Vec<u32> {
        let len = u32::try_from(len).expect("a cycle has fewer than 2^32 elements");
        let mut next: Vec<u32> = (0..len).collect();
        for last in (1..next.len()).rev() {
            next.swap(last, self.index(last));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::{Rng, splitmix64};

    #[test]
    fn splitmix64_matches_the_published_sequence() {
        let mut state = 1_234_567;
        assert_eq!(splitmix64(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(splitmix64(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |stream| {
            let mut rng = Rng::new(7, stream);
            [rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_it() {
        let mut rng = Rng::new(1, 0);
        let mut seen = [false; 10];
        for _ in 0..1_000 {
            seen[usize::try_from(rng.below(10)).unwrap()] = true;
            assert!((0.0..1.0).contains(&rng.unit()));
        }
        assert_eq!(seen, [true; 10]);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn seeds_that_records_keep_go_on_meaning_the_same_numbers() {
        let mut rng = Rng::new(1, 0);
        let drawn: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                5_424_204_624_148_110_235,
                15_555_979_849_632_202_484,
                6_851_360_858_507_811_590,
                4_263_911_567_865_507_035,
            ]
        );
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut items: Vec<u32> = (0..1000).collect();
        Rng::new(7, 0).shuffle(&mut items);
        assert!(items.windows(2).any(|pair| pair[0] > pair[1]));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
    }

    #[test]
    fn a_single_cycle_comes_back_only_after_every_element() {
        for len in [1, 2, 3, 64, 1000] {
            let next = Rng::new(3, 0).single_cycle(len);
            let mut at = 0;
            for step in 1..=len {
                at = next[at] as usize;
                assert_eq!(at == 0, step == len, "at {at} after {step} of {len}");
            }
        }
    }
}
