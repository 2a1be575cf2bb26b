//! How long values are: fixed, uniform over a range, or one of a list.

use serde::{Deserialize, Serialize};
use splinter::units;
use splinter_harness::rng::Rng;
use std::fmt;
use std::str::FromStr;

/// Lengths of the values that writers write, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ValueLen {
    /// All the same.
    Fixed(u32),
    /// Any from the first to the second, both included, all equally likely.
    Uniform(u32, u32),
    /// One of these, all equally likely (repeat one to weigh it).
    List(Vec<u32>),
}

impl ValueLen {
    /// Returns the longest length that can be drawn.
    #[must_use]
    pub fn longest(&self) -> u32 {
        match self {
            Self::Fixed(len) | Self::Uniform(_, len) => *len,
            Self::List(lens) => lens.iter().copied().max().unwrap_or(0),
        }
    }

    /// Returns the shortest length that can be drawn.
    #[must_use]
    pub fn shortest(&self) -> u32 {
        match self {
            Self::Fixed(len) | Self::Uniform(len, _) => *len,
            Self::List(lens) => lens.iter().copied().min().unwrap_or(0),
        }
    }

    /// Draws a length.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> usize {
        let len = match self {
            Self::Fixed(len) => *len,
            Self::Uniform(low, high) => low + rng.below(u64::from(high - low) + 1) as u32,
            Self::List(lens) => lens[rng.index(lens.len())],
        };
        len as usize
    }
}

impl fmt::Display for ValueLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(len) => write!(f, "{len}"),
            Self::Uniform(low, high) => write!(f, "{low}..{high}"),
            Self::List(lens) => {
                for (index, len) in lens.iter().enumerate() {
                    write!(f, "{}{len}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for ValueLen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let len = units::count(text.trim()).and_then(|len| u32::try_from(len).ok());
            len.filter(|len| *len > 0).ok_or_else(|| {
                format!("'{text}' is no value length: give bytes from 1, as in 64, 16..256 or 64,1KiB")
            })
        };
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (number(low)?, number(high.trim_start_matches('='))?);
            if low > high {
                return Err(format!(
                    "'{text}' runs backwards: write the shorter length first, as in {high}..{low}"
                ));
            }
            return Ok(if low == high { Self::Fixed(low) } else { Self::Uniform(low, high) });
        }
        let lens = text.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
        Ok(if let [len] = lens[..] { Self::Fixed(len) } else { Self::List(lens) })
    }
}

splinter_harness::as_text!(ValueLen);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_lengths_round_trip() {
        for text in ["64", "16..256", "64,256,4096"] {
            assert_eq!(text.parse::<ValueLen>().unwrap().to_string(), text);
        }
        assert_eq!("8..8".parse(), Ok(ValueLen::Fixed(8)));
        assert_eq!("1k..4KiB".parse(), Ok(ValueLen::Uniform(1000, 4096)));
        for text in ["", "0", "9..3", "1..", "64,,2", "-3", "64E", "5G"] {
            assert!(text.parse::<ValueLen>().is_err(), "{text}");
        }
    }

    #[test]
    fn draws_stay_in_bounds_and_reach_both_ends() {
        let mut rng = Rng::new(3, 0);
        for text in ["7", "3..6", "9,2,30"] {
            let len: ValueLen = text.parse().unwrap();
            let drawn: Vec<usize> = (0..500).map(|_| len.draw(&mut rng)).collect();
            assert_eq!(drawn.iter().min(), Some(&(len.shortest() as usize)));
            assert_eq!(drawn.iter().max(), Some(&(len.longest() as usize)));
        }
    }
}
