//! Copying: blocks in random order out of a working set, into one small buffer that stays in the first-level cache.

use super::chase::LINE;
use super::pages::{PageKind, Pages};
use crate::clock;
use crate::rng::Rng;
use std::hint::black_box;
use std::io;
use std::time::Duration;

/// Blocks of a working set.
pub const BLOCKS: usize = 4096;

/// The line-aligned buffer that is copied to; as large as the largest block.
#[repr(align(64))]
struct Target([u8; Copies::LARGEST]);

/// A working set of [`BLOCKS`] blocks and the order in which they are copied. The copies do not depend on one
/// another, as a program's do not: the processor overlaps as many as it can.
pub struct Copies {
    blocks: Blocks,
    order: Vec<u32>,
    target: Box<Target>,
}

impl Copies {
    /// The largest block, in bytes.
    pub const LARGEST: usize = 4096;

    /// Prepares a working set of blocks of `block_len` bytes on small pages.
    ///
    /// # Errors
    /// What the kernel said when it refused the memory.
    ///
    /// # Panics
    /// When a block is empty or larger than [`Copies::LARGEST`].
    pub fn new(block_len: usize, seed: u64) -> io::Result<Self> {
        assert!(
            (1..=Self::LARGEST).contains(&block_len),
            "no block of {block_len} bytes"
        );
        let stride = block_len.next_multiple_of(LINE);
        let blocks = Blocks {
            pages: Pages::new(BLOCKS * stride, PageKind::Base)?,
            stride,
            block_len,
        };
        let mut order: Vec<u32> = (0..BLOCKS as u32).collect();
        Rng::new(seed).shuffle(&mut order);
        Ok(Self {
            blocks,
            order,
            target: Box::new(Target([0; Self::LARGEST])),
        })
    }

    /// Takes one sample: nanoseconds per copied block. The length is not known to the compiler, so that the C
    /// library's `memcpy` does the work.
    pub fn sample(&mut self, budget: Duration) -> f64 {
        let target = &mut self.target.0[..black_box(self.blocks.block_len)];
        clock::infallible(clock::ns_per_op(budget, BLOCKS as u64, || {
            for &index in &self.order {
                target.copy_from_slice(self.blocks.get(index as usize));
                black_box(target.as_ptr());
            }
            Ok(())
        }))
    }
}

/// The blocks, each at the start of a line.
struct Blocks {
    pages: Pages,
    stride: usize,
    block_len: usize,
}

impl Blocks {
    #[inline]
    fn get(&self, index: usize) -> &[u8] {
        &self.pages.bytes()[index * self.stride..][..self.block_len]
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS, Copies};
    use std::time::Duration;

    #[test]
    fn every_block_is_copied_once_a_lap() {
        let copies = Copies::new(1024, 4).unwrap();
        let mut order = copies.order.clone();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..BLOCKS as u32));
        assert_eq!(copies.blocks.get(BLOCKS - 1).len(), 1024);
    }

    #[test]
    fn blocks_of_odd_length_start_on_a_line() {
        let copies = Copies::new(100, 4).unwrap();
        assert_eq!(copies.blocks.get(3).as_ptr().addr() % 64, 0);
        assert_eq!(copies.blocks.get(3).len(), 100);
    }

    #[test]
    fn a_sample_is_a_time() {
        assert!(Copies::new(64, 4).unwrap().sample(Duration::ZERO) >= 0.0);
    }
}
