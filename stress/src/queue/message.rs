//! Numbered messages that prove themselves. A message has the generation of its producer, a bound on its own position,
//! and a self-proving value behind them, whose key stands for both:
//!
//! | bytes | content, little-endian |
//! |---|---|
//! | 0..8 | generation: how many processes the producer has had |
//! | 8..16 | the lowest position that the message may have: the one behind the producer's last acknowledged message |
//! | 16.. | value of the producer, its sequence being the serial (`proof::value`); proves the bytes before, too |

use crate::proof::value::{self, Flaw};
use splinter_harness::rng::splitmix64;

/// The bytes before the value.
const HEAD: usize = 16;
/// The shortest message: a value that holds its whole sequence.
pub(super) const SHORTEST: usize = HEAD + value::SHORTEST_ORDER;

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub producer: usize,
    /// How many processes the producer has had, this one included.
    pub generation: u64,
    /// Counts the producer's messages, from 0, whichever process sent them.
    pub serial: u64,
    /// The lowest position that keeps the producer's order.
    pub lowest: u64,
}

/// Fills a message.
pub(super) fn fill(message: &mut [u8], numbers: Numbers) {
    let (head, value) = message.split_at_mut(HEAD);
    head[..8].copy_from_slice(&numbers.generation.to_le_bytes());
    head[8..].copy_from_slice(&numbers.lowest.to_le_bytes());
    value::fill(value, hash(numbers.generation, numbers.lowest), numbers.producer as u16, numbers.serial);
}

/// Checks a message.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(message: &[u8]) -> Result<Numbers, Flaw> {
    let (head, value) = message.split_at_checked(HEAD).ok_or(Flaw::Length)?;
    if message.len() < SHORTEST {
        return Err(Flaw::Length);
    }
    let word = |at: usize| head[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    let (generation, lowest) = (word(0), word(8));
    let stamp = value::check(value, hash(generation, lowest))?;
    Ok(Numbers { producer: stamp.writer.into(), generation, serial: stamp.seq, lowest })
}

/// Stands for the bytes before the value.
fn hash(generation: u64, lowest: u64) -> u64 {
    let mut state = generation;
    state = splitmix64(&mut state) ^ lowest;
    splitmix64(&mut state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_it_was_given_and_every_changed_byte_is_found() {
        let numbers = Numbers { producer: 63, generation: 7, serial: (1 << 40) + 5, lowest: 1 << 33 };
        for len in [SHORTEST, SHORTEST + 7, SHORTEST + 16, 100, 5000] {
            let mut message = vec![0; len];
            fill(&mut message, numbers);
            assert_eq!(check(&message), Ok(numbers), "{len} bytes");
            for at in (0..len).step_by(if len > 200 { 61 } else { 1 }) {
                message[at] ^= 0x10;
                assert!(check(&message).is_err(), "byte {at} of {len}");
                message[at] ^= 0x10;
            }
            assert!(check(&message[..len - 1]).is_err(), "{len} bytes, cut");
        }
        for len in 0..SHORTEST {
            assert_eq!(check(&vec![0; len]), Err(Flaw::Length));
        }
    }
}
