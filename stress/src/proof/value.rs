//! Self-proving values. A value of 32 bytes or more is one or more *pieces* (a set writes the
//! first, each append another), each with a header and a payload of which every byte depends on
//! key, writer and sequence:
//!
//! | bytes | content, little-endian |
//! |---|---|
//! | 0..8 | checksum: rapidhash V3 of all bytes of the piece behind it |
//! | 8..16 | hash of the key, as the store hashes it |
//! | 16..24 | writer in the upper 16 bits, sequence in the lower 48 |
//! | 24..28 | length of the piece, header included |
//! | 28..32 | `SPLB`, or `SPLT` in a timed piece |
//! | 32.. | words `seed + i * step`, seed mixed from key hash, writer, sequence and length |
//!
//! A *timed* piece has in the first of these words the time-stamp counter before it was written.
//!
//! Shorter values cannot hold a header; they prove what they have room for (`check` below is a
//! keystream from key hash, writer, sequence and length, as far as they are in the value):
//!
//! | length | content | proves |
//! |---|---|---|
//! | 16 to 31 | writer 2, sequence 6, check 8 to 23 bytes | key, writer, sequence, wholeness to 64 bits and more |
//! | 8 to 15 | writer 2, sequence 2 (lower bits), check 4 to 11 bytes | the same to 32 bits and more; order only within the lower bits |
//! | 4 to 7 | writer 1, sequence 1 (lower bits), check 2 to 5 bytes | the same to 16 bits and more |
//! | 1 to 3 | check of key and length alone | that it was written for this key |

use splinter_harness::rng::splitmix64;

/// Shortest value that holds writer and whole sequence: every order must prove its generation.
pub(crate) const SHORTEST_ORDER: usize = 16;

/// Length of a piece's header, and of the shortest piece.
pub(crate) const HEADER: usize = 32;
/// Writer number of the values that were there before the first writer.
pub(crate) const PREFILL: u16 = u16::MAX;
/// Highest sequence number that fits a header.
pub(crate) const MAX_SEQ: u64 = (1 << 48) - 1;

const MAGIC: u32 = u32::from_le_bytes(*b"SPLB");
const TIMED: u32 = u32::from_le_bytes(*b"SPLT");
/// Length of the shortest timed piece.
pub(crate) const SHORTEST_TIMED: usize = HEADER + 8;
/// The deadline in the value of a key that stays until it is removed.
pub(crate) const ENDLESS: u64 = u64::MAX;
/// Step between payload words: odd, so that the words of a payload never repeat.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The writer of a value, and the number of this write among its writes to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The writer's number.
    pub writer: u16,
    /// Counts the writer's writes to this key, from 1.
    pub seq: u64,
    /// Bits of `seq` that the value had room for.
    pub seq_bits: u32,
}

impl Stamp {
    /// Names a write.
    #[must_use]
    pub(crate) fn new(writer: u16, seq: u64) -> Self {
        Self { writer, seq, seq_bits: 48 }
    }

    /// Tells whether this stamp, as far as it was readable, is that of `writer`'s write `seq`.
    #[must_use]
    pub(crate) fn is(&self, writer: u16, seq: u64) -> bool {
        let mask = (1 << self.seq_bits) - 1;
        let writer_mask =
            if self.seq_bits == 0 { 0 } else { u16::MAX >> if self.seq_bits == 8 { 8 } else { 0 } };
        self.writer & writer_mask == writer & writer_mask && self.seq & mask == seq & mask
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is whole, and another key's.
    Foreign,
    /// No single write wrote it.
    Torn,
    /// Its length is not that of what was written.
    Length,
    /// It is empty, and no writer writes that.
    Empty,
}

/// Fills `piece` with the value of `writer`'s write number `seq` to the key with this hash.
#[inline]
pub(crate) fn fill(piece: &mut [u8], key_hash: u64, writer: u16, seq: u64) {
    fill_at(piece, key_hash, writer, seq, None);
}

/// Fills as [`fill`] does, and notes the time in the value where there is room.
#[inline]
pub(crate) fn fill_timed(piece: &mut [u8], key_hash: u64, writer: u16, seq: u64, cycles: u64) {
    let room = piece.len() >= SHORTEST_TIMED;
    fill_at(piece, key_hash, writer, seq, room.then_some(cycles));
}

/// Returns the time that is noted in a value of one piece, if any. The value must be sound.
#[inline]
#[must_use]
pub(crate) fn time_of(value: &[u8]) -> Option<u64> {
    let alone = u64::from(TIMED) << 32 | (value.len() as u64 & 0xffff_ffff);
    (value.len() >= SHORTEST_TIMED && word_at(value, 24) == alone).then(|| word_at(value, HEADER))
}

#[inline]
fn fill_at(piece: &mut [u8], key_hash: u64, writer: u16, seq: u64, time: Option<u64>) {
    if piece.len() < HEADER {
        return fill_short(piece, key_hash, writer, seq);
    }
    let len = piece.len();
    let stamp = u64::from(writer) << 48 | (seq & MAX_SEQ);
    let (header, payload) = piece.split_at_mut(HEADER);
    header[8..16].copy_from_slice(&key_hash.to_le_bytes());
    header[16..24].copy_from_slice(&stamp.to_le_bytes());
    let magic = if time.is_some() { TIMED } else { MAGIC };
    let tail = u64::from(magic) << 32 | (len as u64 & 0xffff_ffff);
    header[24..32].copy_from_slice(&tail.to_le_bytes());
    let mut word = seed(key_hash, stamp, len);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        chunk.copy_from_slice(&word.to_le_bytes());
        word = word.wrapping_add(STEP);
    }
    let rest = chunks.into_remainder();
    rest.copy_from_slice(&word.to_le_bytes()[..rest.len()]);
    if let Some(time) = time {
        piece[HEADER..SHORTEST_TIMED].copy_from_slice(&time.to_le_bytes());
    }
    let checksum = checksum(&piece[8..]);
    piece[..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Checks a value that one set wrote, without appends.
///
/// # Errors
/// What is wrong with it.
#[inline]
pub(crate) fn check(value: &[u8], key_hash: u64) -> Result<Stamp, Flaw> {
    if value.len() < HEADER {
        return check_short(value, key_hash);
    }
    let (stamp, len) = check_piece(value, key_hash)?;
    if len == value.len() { Ok(stamp) } else { Err(Flaw::Length) }
}

/// Checks a value of any number of pieces and shows each piece's stamp to `each`, first to last.
/// Returns the first.
///
/// # Errors
/// What is wrong with it; `each` may have been called for the pieces before.
pub(crate) fn check_pieces(value: &[u8], key_hash: u64, mut each: impl FnMut(Stamp)) -> Result<Stamp, Flaw> {
    if value.len() < HEADER {
        let stamp = check_short(value, key_hash)?;
        each(stamp);
        return Ok(stamp);
    }
    let mut rest = value;
    let mut first = None;
    while !rest.is_empty() {
        let (stamp, len) = check_piece(rest, key_hash)?;
        first.get_or_insert(stamp);
        each(stamp);
        rest = &rest[len..];
    }
    first.ok_or(Flaw::Empty)
}

/// Describes the content of a broken value, for debugging.
#[must_use]
pub(crate) fn describe(value: &[u8], key_hash: u64) -> String {
    if value.len() < HEADER {
        return format!("{} bytes: {value:02x?}", value.len());
    }
    let stamp = word_at(value, 16);
    let (writer, seq, len) = (stamp >> 48, stamp & MAX_SEQ, value.len());
    let mut word = seed(key_hash, stamp, len);
    let mut broken_at = None;
    let timed = word_at(value, 24) >> 32 == u64::from(TIMED);
    for (index, chunk) in value[HEADER..].chunks(8).enumerate() {
        if !(timed && index == 0) && chunk != &word.to_le_bytes()[..chunk.len()] {
            broken_at = Some(HEADER + index * 8);
            break;
        }
        word = word.wrapping_add(STEP);
    }
    let place = broken_at.map_or("in the header".to_owned(), |at| format!("from byte {at} on"));
    format!("{len} bytes, headed writer {writer} sequence {seq}, not what that write wrote {place}")
}

/// Checks the piece at the start of `bytes`; returns its length too.
#[inline]
fn check_piece(bytes: &[u8], key_hash: u64) -> Result<(Stamp, usize), Flaw> {
    if bytes.len() < HEADER {
        return Err(Flaw::Length);
    }
    let tail = word_at(bytes, 24);
    let len = (tail & 0xffff_ffff) as usize;
    if ![MAGIC, TIMED].map(u64::from).contains(&(tail >> 32)) {
        return Err(Flaw::Torn);
    }
    if len < HEADER || len > bytes.len() {
        return Err(Flaw::Length);
    }
    if word_at(bytes, 0) != checksum(&bytes[8..len]) {
        return Err(Flaw::Torn);
    }
    if word_at(bytes, 8) != key_hash {
        return Err(Flaw::Foreign);
    }
    let stamp = word_at(bytes, 16);
    Ok((Stamp::new((stamp >> 48) as u16, stamp & MAX_SEQ), len))
}

#[inline]
fn checksum(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Mixes what a payload depends on.
#[inline]
fn seed(key_hash: u64, stamp: u64, len: usize) -> u64 {
    let mut state = key_hash ^ stamp.rotate_left(17) ^ (len as u64).rotate_left(40);
    splitmix64(&mut state)
}

/// Splits a short value into room for writer, sequence and check.
fn layout(len: usize) -> (usize, usize) {
    match len {
        16.. => (2, 6),
        8..=15 => (2, 2),
        4..=7 => (1, 1),
        _ => (0, 0),
    }
}

fn fill_short(value: &mut [u8], key_hash: u64, writer: u16, seq: u64) {
    let (writer_len, seq_len) = layout(value.len());
    let len = value.len();
    let (id, check) = value.split_at_mut(writer_len + seq_len);
    id[..writer_len].copy_from_slice(&writer.to_le_bytes()[..writer_len]);
    id[writer_len..].copy_from_slice(&seq.to_le_bytes()[..seq_len]);
    let mut known = [0; 8];
    known[..id.len()].copy_from_slice(id);
    keystream(check, key_hash, u64::from_le_bytes(known), len);
}

fn check_short(value: &[u8], key_hash: u64) -> Result<Stamp, Flaw> {
    if value.is_empty() {
        return Err(Flaw::Empty);
    }
    let (writer_len, seq_len) = layout(value.len());
    let (id, check) = value.split_at(writer_len + seq_len);
    let mut known = [0; 8];
    known[..id.len()].copy_from_slice(id);
    let mut expected = [0; HEADER];
    let expected = &mut expected[..check.len()];
    keystream(expected, key_hash, u64::from_le_bytes(known), value.len());
    if check != expected {
        return Err(Flaw::Torn);
    }
    let number = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    Ok(Stamp {
        writer: number(&id[..writer_len]) as u16,
        seq: number(&id[writer_len..]),
        seq_bits: 8 * u32::try_from(seq_len).unwrap_or(0),
    })
}

fn keystream(out: &mut [u8], key_hash: u64, id: u64, len: usize) {
    let mut state = seed(key_hash, id, len);
    for chunk in out.chunks_mut(8) {
        chunk.copy_from_slice(&splitmix64(&mut state).to_le_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
