//! Bids for advice on the store's memory, which C programs call shards.

use crate::args::{HeaderPtr, Out};
use crate::errno::Failure;
use crate::handles::Entry;
use crate::shapes::{BidSnapshot, SPLINTER_MAX_SHARDS};
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

/// How often a claim is attempted when a bid for the id appears or disappears meanwhile.
const MAX_ATTEMPTS: usize = 64;

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
    for _ in 0..MAX_ATTEMPTS {
        let taken = match store.store.bids().claim_as(id, terms, pid, claimed_at) {
            Err(taken @ BidError::Taken { .. }) => taken,
            result => return Ok(result.map(|()| 0)?),
        };
        // The caller's own bid is refreshed in place, so that at no moment another process can take the id.
        match store.store.bids().renew_as(id, terms, pid, claimed_at) {
            Err(BidError::NotOwner { .. } | BidError::Taken { .. }) => return Err(taken.into()),
            // The bid was released or expired just now: claim again.
            Err(BidError::Unknown { .. }) => {}
            result => return Ok(result.map(|()| 0)?),
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
    store.store.bids().renew(id, terms(intent, priority, duration)?)?;
    Ok(0)
}

pub(crate) fn release(store: &Entry, id: u32) -> Result<c_int, Failure> {
    store.store.bids().release(id)?;
    Ok(0)
}

pub(crate) fn election(store: &Entry, intent: Out<'_, u8>) -> Result<u32, Failure> {
    let elected = store.store.bids().election()?;
    intent.put(elected.map_or(Intent::None, |bid| bid.intent) as u8);
    Ok(elected.map_or(0, |bid| bid.id))
}

pub(crate) fn is_sovereign(store: &Entry, id: u32) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.bids().is_sovereign(id)?))
}

/// Returns a bid as C has it.
fn bid_snapshot(bid: Bid) -> BidSnapshot {
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

/// A table entry without a bid, as C has it.
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

pub(crate) fn table_snapshot(store: &Entry, out: Out<'_, BidSnapshot>, max: usize) -> Result<c_int, Failure> {
    let count = max.min(SPLINTER_MAX_SHARDS);
    let bids = store.store.bids().list()?.into_iter().map(bid_snapshot);
    out.put_all(bids.chain(std::iter::repeat(NO_BID)).take(count))?;
    Ok(count as c_int)
}

/// Returns the advice of an `MADV_*` number.
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

/// Returns the range of the store that `len` bytes at an address are; for NULL, the whole store.
fn range_at(store: &Entry, address: HeaderPtr, len: usize) -> Result<Range<u64>, Failure> {
    if address.address().is_null() {
        return Ok(0..store.store.arena_len());
    }
    let begin = (address.address() as usize).checked_sub(store.store.as_ptr() as usize);
    let begin = begin.ok_or(Failure::ARGUMENT)?;
    let end = begin.checked_add(len).ok_or(Failure::ARGUMENT)?;
    Ok(begin as u64..end as u64)
}

/// The longest sleep of a wait for election before it reads the time-stamp counter. The timeout is in its ticks.
const MAX_SLEEP: Duration = Duration::from_millis(1);

pub(crate) fn madvise(
    store: &Entry,
    id: u32,
    address: *mut c_void,
    len: usize,
    advice: c_int,
    timeout_ticks: u64,
) -> Result<c_int, Failure> {
    let range = range_at(store, HeaderPtr::new(address.cast()), len)?;
    let advice = advice_of(advice).ok_or(Failure::ARGUMENT)?;
    let start = cycles();
    loop {
        let patience = match timeout_ticks {
            0 => Patience::Defer,
            _ => Patience::Until(Instant::now() + MAX_SLEEP),
        };
        match store.store.bids().advise(id, range.clone(), advice, patience) {
            // Closing the store releases all bids of the process. So this bid is unknown, or it is elected because the
            // others are gone.
            _ if store.is_closed() => return Err(Failure::CALLER),
            Err(BidError::TimedOut { .. }) if cycles().wrapping_sub(start) < timeout_ticks => {}
            result => return Ok(result.map(|()| 0)?),
        }
    }
}
