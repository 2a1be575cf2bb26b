//! Copying: blocks in random order out of a working set, into one small buffer that stays in the first-level cache.

use super::chase::LINE;
use super::pages::{PageKind, Pages};
use crate::clock;
use splinter_harness::rng::Rng;
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
        assert!((1..=Self::LARGEST).contains(&block_len), "no block of {block_len} bytes");
        let stride = block_len.next_multiple_of(LINE);
        let blocks = Blocks { pages: Pages::new(BLOCKS * stride, PageKind::Base)?, stride, block_len };
        let mut order: Vec<u32> = (0..BLOCKS as u32).collect();
        Rng::new(seed, 0).shuffle(&mut order);
        Ok(Self { blocks, order, target: Box::new(Target([0; Self::LARGEST])) })
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

/// A region that no cache holds, one half of which is copied to the other, piece by piece from front to back.
pub struct Stream {
    pages: Pages,
    next: usize,
}

impl Stream {
    /// Bytes between two looks at the clock.
    const PIECE: usize = 4 << 20;

    /// Prepares a region of `bytes`, rounded up to whole pieces.
    ///
    /// # Errors
    /// What the kernel said when it refused the memory.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let half = (bytes / 2).next_multiple_of(Self::PIECE).max(Self::PIECE);
        Ok(Self { pages: Pages::new(2 * half, PageKind::Base)?, next: 0 })
    }

    /// Takes one sample: bytes copied per second. Each is read once and written once, so that memory moves twice as
    /// many, or three times where a line is fetched before it is overwritten.
    pub fn sample(&mut self, budget: Duration) -> f64 {
        let ns = clock::infallible(clock::ns_per_op(budget, Self::PIECE as u64, || {
            self.copy_piece();
            Ok(())
        }));
        1e9 / ns
    }

    fn copy_piece(&mut self) {
        let half = self.pages.len() / 2;
        let (from, to) = self.pages.bytes_mut().split_at_mut(half);
        let piece = self.next..self.next + black_box(Self::PIECE);
        to[piece.clone()].copy_from_slice(&from[piece]);
        black_box(to.as_ptr());
        self.next = (self.next + Self::PIECE) % from.len();
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
    use super::{BLOCKS, Copies, Stream};
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
    fn a_stream_copies_one_half_to_the_other_and_begins_again() {
        let mut stream = Stream::new(1).unwrap();
        let half = stream.pages.len() / 2;
        stream.pages.bytes_mut()[..half].fill(7);
        stream.copy_piece();
        assert!(stream.pages.bytes()[half..].iter().all(|&byte| byte == 7));
        assert_eq!(stream.next, 0);
        assert!(stream.sample(Duration::ZERO) > 0.0);
    }

    #[test]
    fn a_sample_is_a_time() {
        assert!(Copies::new(64, 4).unwrap().sample(Duration::ZERO) >= 0.0);
    }
}
