//! Scrubbing: which bytes are zeroed when. Everything here acts on a slot that the caller has claimed,
//! and on bytes that no reader whose copy could still be accepted reads.

use super::Claimant;
use super::arena::{Arena, Scrub};
use super::claim::Claim;
use super::copy::zero;
use super::layout::Slot;
use super::state::{Meta, State};
use crate::error::Error;
use crate::sync::{Relaxed, Release};

/// The granularity to which the hybrid level zeroes, in bytes.
pub(crate) const HYBRID_LINE: usize = 64;

impl Arena<'_> {
    /// Zeroes every byte of the slot that `meta` does not need; of a vacant slot, everything. Returns
    /// the meta word that says so. Bytes that were never written are not touched.
    pub(super) fn wipe(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        let live = if meta.is_present() && !meta.is_number() {
            self.len_of(meta)
        } else {
            0
        };
        let meta = self.wipe_values(number, slot, meta, live);
        if meta.vector_stale() != 0 {
            for which in 0..2 {
                if meta.has_vector() == 0 || meta.vector_current() != which {
                    let buffer = self.vector(number, which);
                    zero(buffer, 0, buffer.len() * 8);
                }
            }
        }
        if !meta.is_present() {
            let times = [&slot.labels, &slot.ctime, &slot.atime, &slot.pending];
            for word in slot.key.iter().chain(times) {
                word.store(0, Relaxed);
            }
        }
        meta.with_vector_stale(meta.has_vector())
    }

    /// Zeroes the value bytes behind the first `live` of the current buffer, and the other buffer.
    fn wipe_values(&self, number: u32, slot: &Slot, meta: Meta, live: usize) -> Meta {
        let written = meta.written(self.shape.value_words * 8);
        for which in 0..2 {
            let from = if which == meta.current() { live } else { 0 };
            if from < written {
                zero(self.value(number, which), from, written);
            }
        }
        if !meta.is_number() {
            slot.state_number.store_second(0);
        }
        meta.with_high(0).covering(live)
    }

    /// Zeroes what the level asks for when a slot has lost its key.
    pub(super) fn wipe_vacant(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        match self.scrub() {
            Scrub::None => meta,
            Scrub::Hybrid => self.wipe_values(number, slot, meta, 0),
            Scrub::Full => self.wipe(number, slot, meta),
        }
    }

    /// Zeroes what the level asks for behind the value of a slot that a dead writer held.
    pub(super) fn wipe_behind(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        match self.scrub() {
            Scrub::None => meta,
            Scrub::Hybrid if meta.is_number() => meta,
            Scrub::Hybrid => {
                let len = self.len_of(meta);
                zero(
                    self.value(number, meta.current()),
                    len,
                    len.next_multiple_of(HYBRID_LINE),
                );
                meta
            }
            Scrub::Full => self.wipe(number, slot, meta),
        }
    }

    /// Computes up to where a value of `len` bytes is zeroed while it is written.
    #[inline(always)]
    pub(super) fn zero_to(&self, len: usize) -> usize {
        match self.scrub() {
            Scrub::None => len,
            Scrub::Hybrid | Scrub::Full => len.next_multiple_of(HYBRID_LINE),
        }
    }
}

impl<'a> Claimant<'a> {
    /// Leaves no stale byte in the whole store, whatever the level. Returns how many slots were wiped.
    ///
    /// # Errors
    /// [`Error::Again`] when some slot was held by a living writer; all others were wiped.
    pub(crate) fn purge(&mut self) -> Result<u64, Error> {
        let mut wiped = 0;
        let mut busy = false;
        for number in self.arena.marked(|word| word.touched.load(Relaxed)) {
            match self.claim_any(number) {
                Ok(claim) => {
                    // A vacant slot's content was retired before this claim, as the other buffer was.
                    let meta = self.arena.wipe(number, claim.slot, claim.meta);
                    claim.slot.meta.store(meta.0, Release);
                    wiped += 1;
                }
                Err(_) => busy = true,
            }
        }
        if busy { Err(Error::Again) } else { Ok(wiped) }
    }

    /// Claims slot `number` whatever it holds.
    fn claim_any(&mut self, number: u32) -> Result<Claim<'a>, Error> {
        let slot = self.arena.slot(number).ok_or(Error::NotFound)?;
        for _ in 0..Self::ROUNDS {
            let state = State(slot.state_number.first_acquire());
            if state.is_claimed() {
                if self.is_held(number, slot, state) {
                    return Err(Error::Again);
                }
                continue;
            }
            let meta = Meta(slot.meta.load(Relaxed));
            if let Some(claim) = self.win(number, slot, state, meta) {
                return Ok(claim);
            }
        }
        Err(Error::Again)
    }
}
