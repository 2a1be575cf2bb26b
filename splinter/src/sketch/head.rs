//! The first word of a sketch.

/// What a sketch has besides its bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Head {
    /// The vector's norm; infinite if it is larger than a 32-bit float can be.
    pub(super) norm: f32,
    /// The norm divided by the sum of the rotated components without their signs; 0 if there is no vector.
    pub(super) correction: f32,
}

impl Head {
    #[inline(always)]
    pub(super) fn from_word(word: u64) -> Self {
        Self { norm: f32::from_bits(word as u32), correction: f32::from_bits((word >> 32) as u32) }
    }

    pub(super) fn to_word(self) -> u64 {
        u64::from(self.norm.to_bits()) | u64::from(self.correction.to_bits()) << 32
    }
}
