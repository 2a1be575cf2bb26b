//! Bids for advice on memory: shards, as C programs know them.

use crate::args::{HeaderAt, Out};
use crate::errno::Failure;
use crate::shapes::{BidSnapshot, SPLINTER_MAX_SHARDS};
use crate::shelf::Entry;
use libc::{c_int, c_void};
use splinter::{Advice, Bid, BidError, BidTerms, Intent, Patience, cycles};
use std::ops::Range;
use std::time::{Duration, Instant};

fn terms(intent: u8, priority: u8, duration: u64) -> Result<BidTerms, Failure> {
    let intent = Intent::from_number(intent).ok_or(Failure::ARGUMENT)?;
    Ok(BidTerms { intent, priority, duration })
}

pub(crate) fn claim(
    store: &Entry,
    id: u32,
    intent: u8,
    priority: u8,
    duration: u64,
) -> Result<c_int, Failure> {
    claim_ex(store, id, std::process::id(), intent, priority, duration, cycles())
}

/// How often a claim begins anew because a bid comes or goes meanwhile.
const ROUNDS: usize = 64;

pub(crate) fn claim_ex(
    store: &Entry,
    id: u32,
    pid: u32,
    intent: u8,
    priority: u8,
    duration: u64,
    claimed_at: u64,
) -> Result<c_int, Failure> {
    let terms = terms(intent, priority, duration)?;
    for _ in 0..ROUNDS {
        let taken = match store.store.claim_bid_as(id, terms, pid, claimed_at) {
            Err(taken @ BidError::Taken { .. }) => taken,
            answer => return Ok(answer.map(|()| 0)?),
        };
        // The caller's own is refreshed, without a moment in which the id is anybody's.
        match store.store.rebid_as(id, terms, pid, claimed_at) {
            Err(BidError::NotOwner { .. } | BidError::Taken { .. }) => return Err(taken.into()),
            // It was released, or expired, just now.
            Err(BidError::Unknown { .. }) => {}
            answer => return Ok(answer.map(|()| 0)?),
        }
    }
    Err(Failure::of(libc::EAGAIN))
}

pub(crate) fn rebid(
    store: &Entry,
    id: u32,
    intent: u8,
    priority: u8,
    duration: u64,
) -> Result<c_int, Failure> {
    store.store.rebid(id, terms(intent, priority, duration)?)?;
    Ok(0)
}

pub(crate) fn release(store: &Entry, id: u32) -> Result<c_int, Failure> {
    store.store.release_bid(id)?;
    Ok(0)
}

pub(crate) fn election(store: &Entry, intent: Out<'_, u8>) -> Result<u32, Failure> {
    let elected = store.store.election()?;
    intent.put(elected.map_or(Intent::None, |bid| bid.intent) as u8);
    Ok(elected.map_or(0, |bid| bid.id))
}

pub(crate) fn is_sovereign(store: &Entry, id: u32) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.is_sovereign(id)?))
}

fn show(bid: Bid) -> BidSnapshot {
    BidSnapshot {
        shard_id: bid.id,
        pid: bid.pid,
        intent: bid.intent as u8,
        priority: bid.priority,
        expired: bid.expired.into(),
        sovereign: bid.sovereign.into(),
        reserved: 0,
        duration_tsc: bid.duration,
        claimed_at: bid.claimed_at,
    }
}

/// What stands for an entry of the table without a bid.
const NO_BID: BidSnapshot = BidSnapshot {
    shard_id: 0,
    pid: 0,
    intent: Intent::None as u8,
    priority: 0,
    expired: 1,
    sovereign: 0,
    reserved: 0,
    duration_tsc: 0,
    claimed_at: 0,
};

pub(crate) fn table_snapshot(
    store: &Entry,
    out: Out<'_, BidSnapshot>,
    max: usize,
) -> Result<c_int, Failure> {
    let count = max.min(SPLINTER_MAX_SHARDS);
    let bids = store.store.bids()?.into_iter().map(show);
    out.put_all(bids.chain(std::iter::repeat(NO_BID)).take(count))?;
    Ok(count as c_int)
}

/// Returns the advice of a number, which is madvise's.
fn advice_of(number: c_int) -> Option<Advice> {
    Some(match number {
        libc::MADV_NORMAL => Advice::Normal,
        libc::MADV_RANDOM => Advice::Random,
        libc::MADV_SEQUENTIAL => Advice::Sequential,
        libc::MADV_WILLNEED => Advice::WillNeed,
        libc::MADV_DONTNEED => Advice::DontNeed,
        _ => return None,
    })
}

/// Returns where in the store `len` bytes at an address are; for no address, all of the store.
fn range_at(store: &Entry, address: HeaderAt, len: usize) -> Result<Range<u64>, Failure> {
    if address.address().is_null() {
        return Ok(0..store.store.arena_len());
    }
    let begin = (address.address() as usize).checked_sub(store.store.as_ptr() as usize);
    let begin = begin.ok_or(Failure::ARGUMENT)?;
    let end = begin.checked_add(len).ok_or(Failure::ARGUMENT)?;
    Ok(begin as u64..end as u64)
}

/// How long a wait for sovereignty sleeps at most before it looks at the clock in which its end was given.
const SLICE: Duration = Duration::from_millis(1);

pub(crate) fn madvise(
    store: &Entry,
    id: u32,
    address: *mut c_void,
    len: usize,
    advice: c_int,
    timeout_ticks: u64,
) -> Result<c_int, Failure> {
    let range = range_at(store, HeaderAt::new(address.cast()), len)?;
    let advice = advice_of(advice).ok_or(Failure::ARGUMENT)?;
    let start = cycles();
    loop {
        let patience = match timeout_ticks {
            0 => Patience::Defer,
            _ => Patience::Until(Instant::now() + SLICE),
        };
        match store.store.advise(id, range.clone(), advice, patience) {
            // Closing releases all bids of the process: ours is unknown then, or elected because of that.
            _ if store.is_closed() => return Err(Failure::CALLER),
            Err(BidError::TimedOut { .. }) if cycles().wrapping_sub(start) < timeout_ticks => {}
            answer => return Ok(answer.map(|()| 0)?),
        }
    }
}
