//! A small seeded random number generator and the two shuffles the measurements need. It knows nothing of
//! stores or clocks; equal seeds give equal sequences on every machine.

/// A SplitMix64 generator: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with
/// the constants of Vigna's public-domain `splitmix64.c`.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Creates a generator from a seed; every seed is good.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound` by multiplication (Lemire, "Fast random integer generation in an interval",
    /// 2019, without the rejection step: the bias is below `bound / 2^64`).
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below 0");
        let wide = u128::from(self.bits()) * bound as u128;
        (wide >> 64) as usize
    }

    /// Shuffles a slice, each order being equally likely (Fisher and Yates, in Durstenfeld's form).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// Returns a random permutation of `0..len` that is one single cycle: following `next[i]` from anywhere visits
    /// every element before it comes back (Sattolo, 1986). A pointer chase over it cannot fall into a short loop.
    ///
    /// # Panics
    /// When `len` does not fit in 32 bits.
    #[must_use]
    pub fn single_cycle(&mut self, len: usize) -> Vec<u32> {
        let len = u32::try_from(len).expect("a cycle has fewer than 2^32 elements");
        let mut next: Vec<u32> = (0..len).collect();
        for last in (1..next.len()).rev() {
            let other = self.below(last);
            next.swap(last, other);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.bits(), 6_457_827_717_110_365_317);
        assert_eq!(rng.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut items: Vec<u32> = (0..1000).collect();
        Rng::new(7).shuffle(&mut items);
        assert!(items.windows(2).any(|pair| pair[0] > pair[1]));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
    }

    #[test]
    fn a_single_cycle_comes_back_only_after_every_element() {
        for len in [1, 2, 3, 64, 1000] {
            let next = Rng::new(3).single_cycle(len);
            let mut at = 0;
            for step in 1..=len {
                at = next[at] as usize;
                assert_eq!(
                    at == 0,
                    step == len,
                    "back at the start after {step} of {len}"
                );
            }
        }
    }

    #[test]
    fn numbers_stay_below_the_bound_and_reach_all_of_it() {
        let mut rng = Rng::new(5);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[rng.below(10)] = true;
        }
        assert!(seen.iter().all(|&hit| hit));
    }
}
