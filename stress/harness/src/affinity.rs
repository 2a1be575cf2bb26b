//! The processors that a thread may run on, by the kernel's affinity mask, which is as long as the kernel wants it. A
//! `cpu_set_t` has 1,024 bits, and a kernel with more possible processors answers EINVAL to that.
#![allow(unsafe_code)] // System calls with a mask of any length.

use libc::{c_ulong, cpu_set_t};
use std::io;

const WORD_BITS: usize = c_ulong::BITS as usize;
/// Words of the first mask that is tried: a `cpu_set_t`.
const FIRST_WORDS: usize = 1024 / WORD_BITS;
/// Words of the longest: a million processors.
const MOST_WORDS: usize = (1 << 20) / WORD_BITS;

/// Returns the processors that the calling thread may run on, ascending; none where the kernel does not say. A cpuset
/// limits them too.
#[must_use]
pub fn allowed() -> Vec<usize> {
    mask(|words| {
        let (bytes, to) = (size_of_val(words), words.as_mut_ptr().cast::<cpu_set_t>());
        // SAFETY: the kernel writes `bytes` bytes at most, which are the words'.
        match unsafe { libc::sched_getaffinity(0, bytes, to) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
    .unwrap_or_default()
}

/// Pins the calling thread to one processor. Returns whether the kernel did so.
#[must_use]
pub fn pin(cpu: usize) -> bool {
    let (word, bit) = (cpu / WORD_BITS, cpu % WORD_BITS);
    if word >= MOST_WORDS {
        return false;
    }
    // The kernel takes a mask that is shorter than its own as one that ends in zeroes.
    let mut words: Vec<c_ulong> = vec![0; word + 1];
    words[word] = 1 << bit;
    let (bytes, from) = (size_of_val(&words[..]), words.as_ptr().cast::<cpu_set_t>());
    // SAFETY: the kernel reads `bytes` bytes at most, which are the words'.
    unsafe { libc::sched_setaffinity(0, bytes, from) == 0 }
}

/// Has `fill` fill in a mask that is long enough for the kernel, and returns the numbers of the bits that are set.
fn mask(fill: impl Fn(&mut [c_ulong]) -> io::Result<()>) -> io::Result<Vec<usize>> {
    let mut words: Vec<c_ulong> = vec![0; FIRST_WORDS];
    while let Err(error) = fill(&mut words) {
        // Too short: so the kernel says for as long as there are more possible processors than bits.
        if error.raw_os_error() != Some(libc::EINVAL) || words.len() >= MOST_WORDS {
            return Err(error);
        }
        words = vec![0; words.len() * 2];
    }
    let set = |&bit: &usize| words[bit / WORD_BITS] >> (bit % WORD_BITS) & 1 == 1;
    Ok((0..words.len() * WORD_BITS).filter(set).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as a kernel with so many possible processors, on which some may be used.
    fn kernel(possible: usize, usable: &[usize]) -> impl Fn(&mut [c_ulong]) -> io::Result<()> {
        move |words| {
            if words.len() * WORD_BITS < possible {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            for bit in usable {
                words[bit / WORD_BITS] |= 1 << (bit % WORD_BITS);
            }
            Ok(())
        }
    }

    #[test]
    fn a_mask_is_as_long_as_the_kernel_wants_it() {
        for possible in [3, 1024, 1025, 2048, 5000, 8192] {
            let usable = [0, possible / 2, possible - 1];
            assert_eq!(mask(kernel(possible, &usable)).unwrap(), usable);
        }
    }

    #[test]
    fn a_kernel_that_never_answers_is_not_asked_for_ever() {
        let refused = |number| move |_: &mut [c_ulong]| Err(io::Error::from_raw_os_error(number));
        for number in [libc::EINVAL, libc::EPERM] {
            let error = mask(refused(number)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(number));
        }
    }

    #[test]
    fn a_thread_is_pinned_to_one_of_its_processors_and_to_none_that_is_not_there() {
        std::thread::spawn(|| {
            let all = allowed();
            let last = *all.last().unwrap();
            assert!(pin(last));
            assert_eq!(allowed(), [last]);
            for absent in [1500, 65_535, usize::MAX] {
                assert_eq!(pin(absent), all.contains(&absent));
            }
            assert_eq!(allowed(), [last]);
        })
        .join()
        .unwrap();
    }
}
