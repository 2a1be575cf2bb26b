//! Proves that the checks of values catch every kind of broken value, at every length.

use super::*;

const KEY: u64 = 0x1234_5678_9abc_def0;
const OTHER_KEY: u64 = 0x1234_5678_9abc_def1;

fn value(len: usize, key: u64, writer: u16, seq: u64) -> Vec<u8> {
    let mut value = vec![0; len];
    fill(&mut value, key, writer, seq);
    value
}

#[test]
fn whole_values_of_every_length_pass() {
    for len in 1..300 {
        let stamp = check(&value(len, KEY, 7, 1000), KEY).unwrap();
        assert!(stamp.is(7, 1000), "length {len}: {stamp:?}");
        if len >= 16 {
            assert_eq!(stamp, Stamp::new(7, 1000));
            assert!(!stamp.is(7, 999) && !stamp.is(8, 1000));
        }
    }
}

#[test]
fn a_timed_value_tells_when_and_proves_itself_all_the_same() {
    for len in [16, 32, 39, 40, 41, 64, 200] {
        let mut timed = vec![0; len];
        fill_timed(&mut timed, KEY, 7, 1000, 12_345);
        assert_eq!(time_of(&timed), (len >= 40).then_some(12_345), "length {len}");
        assert!(check(&timed, KEY).unwrap().is(7, 1000));
        for bit in 0..len * 8 {
            timed[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&timed, KEY).is_err(), "length {len}, bit {bit}");
            timed[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert_eq!(time_of(&value(64, KEY, 7, 1000)), None);
}

#[test]
fn every_flipped_bit_is_caught() {
    for len in [4, 7, 8, 15, 16, 31, 32, 33, 64, 200] {
        let whole = value(len, KEY, 3, 77);
        for bit in 0..len * 8 {
            let mut broken = whole.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&broken, KEY).is_err(), "length {len}, bit {bit}");
        }
    }
}

#[test]
fn a_value_torn_between_two_writes_is_caught_at_every_byte() {
    for len in [16, 32, 40, 64, 130] {
        let (old, new) = (value(len, KEY, 3, 77), value(len, KEY, 3, 78));
        let other = value(len, KEY, 4, 77);
        for cut in 1..len {
            for later in [&new, &other] {
                let mixed = [&old[..cut], &later[cut..]].concat();
                if &mixed != later && mixed != old {
                    assert!(check(&mixed, KEY).is_err(), "length {len}, cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn words_of_two_writes_in_any_mixture_are_caught() {
    let (old, new) = (value(64, KEY, 3, 77), value(64, KEY, 3, 78));
    for choice in 1u32..255 {
        let mut mixed = old.clone();
        for word in (0..8).filter(|word| choice >> word & 1 == 1) {
            mixed[word * 8..word * 8 + 8].copy_from_slice(&new[word * 8..word * 8 + 8]);
        }
        if mixed != old && mixed != new {
            assert!(check(&mixed, KEY).is_err(), "{choice:08b}");
        }
    }
}

#[test]
fn another_keys_value_is_caught_at_every_length() {
    for len in 2..100 {
        let result = check(&value(len, OTHER_KEY, 3, 77), KEY);
        assert!(result.is_err(), "length {len}");
        if len >= HEADER {
            assert_eq!(result, Err(Flaw::Foreign));
        }
    }
}

#[test]
fn stale_bytes_behind_a_shorter_value_are_caught() {
    for (old, new) in [(64, 40), (64, 16), (31, 8), (200, 199)] {
        let mut stale = value(old, KEY, 3, 77);
        stale[..new].copy_from_slice(&value(new, KEY, 3, 78));
        assert!(check(&stale, KEY).is_err(), "{new} over {old}");
    }
}

#[test]
fn cut_off_and_empty_values_are_caught() {
    let whole = value(64, KEY, 3, 77);
    for len in 0..64 {
        assert!(check(&whole[..len], KEY).is_err(), "cut to {len}");
    }
    assert_eq!(check(&[], KEY), Err(Flaw::Empty));
    assert!(check(&[0; 64], KEY).is_err());
}

#[test]
fn appended_pieces_each_prove_themselves() {
    let pieces = [value(64, KEY, 1, 1), value(40, KEY, 2, 9), value(32, KEY, 1, 2)];
    let chain = pieces.concat();
    let mut seen = Vec::new();
    assert_eq!(check_pieces(&chain, KEY, |stamp| seen.push(stamp)), Ok(Stamp::new(1, 1)));
    assert_eq!(seen, [Stamp::new(1, 1), Stamp::new(2, 9), Stamp::new(1, 2)]);
    // A half-appended piece, a lost middle byte, a stale tail.
    assert!(check_pieces(&chain[..chain.len() - 1], KEY, |_| ()).is_err());
    assert!(check_pieces(&[&chain[..70], &chain[71..]].concat(), KEY, |_| ()).is_err());
    assert!(check_pieces(&[&chain[..], &[0; 8]].concat(), KEY, |_| ()).is_err());
    assert_eq!(check(&chain, KEY), Err(Flaw::Length));
}

#[test]
fn every_payload_byte_depends_on_key_writer_and_sequence() {
    // Over a few neighbours each byte position must change at least once for each of the three.
    let base = value(128, KEY, 3, 77);
    for vary in 0..3 {
        let mut changed = [false; 128];
        for step in 1..20 {
            let other = match vary {
                0 => value(128, KEY + step, 3, 77),
                1 => value(128, KEY, 3 + u16::try_from(step).unwrap(), 77),
                _ => value(128, KEY, 3, 77 + step),
            };
            for (at, (left, right)) in base.iter().zip(&other).enumerate() {
                changed[at] |= left != right;
            }
        }
        assert!(changed[HEADER..].iter().all(|&changed| changed), "{vary}");
    }
}

#[test]
fn a_broken_value_is_described() {
    let mut torn = value(64, KEY, 3, 77);
    torn[48..].copy_from_slice(&value(64, KEY, 3, 78)[48..]);
    assert_eq!(
        describe(&torn, KEY),
        "64 bytes, headed writer 3 sequence 77, not what that write wrote from byte 48 on"
    );
}
