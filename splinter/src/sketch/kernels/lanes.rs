//! Eight floats at once, as each instruction set has them.

/// Eight floats. Every operation gives the same bits in each implementation.
pub(super) trait Lanes: Copy {
    fn load(from: &[f32; 8]) -> Self;
    fn store(self, to: &mut [f32; 8]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn scale(self, factor: f32) -> Self;

    /// Makes lanes `i` and `i ^ DISTANCE` their sum and their difference, for a distance of 1, 2 or 4.
    fn butterfly<const DISTANCE: usize>(self) -> Self;

    /// Changes the signs of lanes whose bits are set, of those bits of 64 that belong to the given eighth.
    fn flip(self, bits: u64, eighth: usize) -> Self;

    /// Returns a bit for each lane: its sign bit.
    fn signs(self) -> u8;
}

/// Eight floats in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 8]);

impl Lanes for Plain {
    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] - other.0[lane]))
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        Self(self.0.map(|lane| lane * factor))
    }

    #[inline(always)]
    fn butterfly<const DISTANCE: usize>(self) -> Self {
        Self(std::array::from_fn(|lane| {
            let other = self.0[lane ^ DISTANCE];
            if lane & DISTANCE == 0 { self.0[lane] + other } else { other - self.0[lane] }
        }))
    }

    #[inline(always)]
    fn flip(self, bits: u64, eighth: usize) -> Self {
        let bits = (bits >> (8 * eighth)) as u32;
        Self(std::array::from_fn(|lane| {
            f32::from_bits(self.0[lane].to_bits() ^ (bits << (31 - lane) & 1 << 31))
        }))
    }

    #[inline(always)]
    fn signs(self) -> u8 {
        (0..8).fold(0, |bits, lane| bits | ((self.0[lane].to_bits() >> 31) as u8) << lane)
    }
}
