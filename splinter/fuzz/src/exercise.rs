//! Performs steps on a store of any bytes. Any answer is right, but none may point out of bounds: lengths fit the geometry,
//! no buffer changes behind the bytes that were asked for, epochs are even.

use crate::case::{Action, BidStep, KeyName, Step, terms};
use splinter::{Advice, Handle, Inspection, KEY_MAX, Patience, Store, Watcher, Writer};
use splinter_testkit::{Op, Reply, perform};
use std::time::{Duration, Instant};

/// A store, and what was had from it.
pub struct Exercise {
    store: Store,
    writers: Vec<Writer>,
    watchers: Vec<Watcher>,
    handles: Vec<Handle>,
}

/// The most watchers at once, and the most signals that each takes at a time.
const WATCHERS: usize = 4;
const SIGNALS: usize = 200;
const CANARY: u8 = 0xee;

impl Exercise {
    pub fn new(store: Store) -> Self {
        Self { store, writers: Vec::new(), watchers: Vec::new(), handles: Vec::new() }
    }

    /// Does one step, and reads what it concerns.
    pub fn step(&mut self, step: &Step) {
        // The bytes decide whether a writer id is free.
        if self.writers.is_empty() {
            self.writers.extend(self.store.writer().ok());
        }
        let key = step.key.bytes();
        self.change(&key, step);
        self.look(&key, &step.action);
    }

    /// Reads every key that a specimen has.
    pub fn read_all(&mut self) {
        for number in 0..8 {
            self.look(&KeyName::valid(number).bytes(), &Action::Bump);
        }
    }

    /// Looks at everything there is.
    pub fn look_around(&self) {
        let (store, slots) = (&self.store, self.store.geometry().slots);
        assert!(store.len() <= slots && store.keys().count() as u64 <= slots);
        assert!(store.keys().all(|key| key.as_ref().len() <= KEY_MAX));
        store.for_each_label(1, |_, epoch| assert!(epoch.is_multiple_of(2)));
        if let Ok(Inspection { keys, stale_slots, .. }) = store.inspect() {
            assert!(keys <= slots && stale_slots <= slots);
        }
        let _ = (store.header(), store.bids().list(), store.bids().election(), store.notes(), store.scrub());
        let _ = (0..=64).map(|group| store.signal_count(group)).max();
    }

    fn change(&mut self, key: &[u8], step: &Step) {
        let count = self.writers.len();
        let Some(writer) = self.writers.get_mut(usize::from(step.writer) % count.max(1)) else {
            return;
        };
        let (store, geometry) = (&self.store, self.store.geometry());
        let max = geometry.max_value_len;
        if let Some(op) = step.action.op(key, &geometry) {
            match (&op, perform(&op, writer)) {
                (Op::Append(..), Ok(Reply::Number(len))) => assert!(len <= max),
                (Op::Unset(_), Ok(Reply::Number(len))) => assert!(len <= max.max(8)),
                _ => {}
            }
        }
        match &step.action {
            Action::SetAt(body) => {
                for handle in &self.handles {
                    let _ = writer.set(handle, &body.bytes(max));
                }
            }
            Action::IntegerAt(number) => {
                for handle in &self.handles {
                    let _ = writer.integer(handle, number.op());
                }
            }
            Action::Writers(count) => {
                self.writers.truncate(usize::from(*count) % 3);
                self.writers.extend(store.writer().ok());
            }
            Action::Reopen => {
                self.writers.clear();
                self.writers.extend(store.writer().ok());
            }
            Action::Bid(step) => bid(store, *step),
            _ => {}
        }
    }

    fn look(&mut self, key: &[u8], action: &Action) {
        let store = &self.store;
        let geometry = store.geometry();
        // A damaged length is clamped to the buffer of its value, which ends with a cache line.
        let longest = geometry.max_value_len.next_multiple_of(64) as usize;
        let mut buf = vec![CANARY; longest + 32];
        for len in [longest, longest / 2, 0] {
            let answer = store.get(key, &mut buf[..len]);
            assert!(answer.is_err() || answer.is_ok_and(|got| got <= len));
            assert!(buf[len..].iter().all(|byte| *byte == CANARY), "bytes behind the buffer");
            buf[..len].fill(CANARY);
        }
        let fits = |len: usize| assert!(len <= longest, "{len} bytes of at most {longest}");
        let _ = store.get_vec(key).map(|value| fits(value.len()));
        let _ = store.value_len(key).map(fits);
        let _ = store.view(key).map(|view| {
            fits(view.len());
            assert_eq!(view.bytes().count(), view.len());
            view.copy_to(&mut buf[..longest]);
        });
        assert!(buf[longest..].iter().all(|byte| *byte == CANARY));
        let _ = (store.get_u64(key), store.contains(key), store.ttl(key));
        let _ = store.epoch(key).map(|epoch| assert!(epoch.is_multiple_of(2)));
        let _ = store.snapshot(key).map(|seen| {
            fits(seen.value_len);
            assert!(seen.value_offset + seen.value_len as u64 <= store.arena_len());
        });
        let mut vector = vec![f32::INFINITY; geometry.vector_dim as usize + 8];
        let dim = geometry.vector_dim as usize;
        let _ = store.vector(key, &mut vector[..dim]);
        assert!(vector[dim..].iter().all(|one| *one == f32::INFINITY), "floats behind the vector");
        self.look_on(key, action);
    }

    fn look_on(&mut self, key: &[u8], action: &Action) {
        let store = &self.store;
        let now = Some(Instant::now());
        match action {
            Action::Keep => {
                let handle = store.resolve(key).ok();
                assert!(handle.is_none_or(|one| u64::from(one.slot()) < store.geometry().slots));
                self.handles.extend(handle.filter(|_| self.handles.len() < 8));
            }
            Action::Watch(first, second) => {
                self.watchers.extend(store.watch(&[first % 64, second % 64]).ok());
            }
            Action::WatchAll => self.watchers.extend(store.watch_all().ok()),
            Action::Listen => {
                for watcher in &mut self.watchers {
                    (0..SIGNALS).take_while(|_| !matches!(watcher.try_next(), Ok(None))).count();
                    watcher.set_spin(Duration::ZERO);
                    let _ = watcher.wait(now);
                }
            }
            Action::Resync => self.watchers.iter_mut().for_each(|watcher| watcher.resync(|_| ())),
            Action::Poll { back } => {
                let epoch = store.epoch(key).unwrap_or((*back).into());
                let _ = (store.poll(key, now), store.poll_after(key, epoch, now));
            }
            Action::Read(orders, keys) => {
                let _ = store.tandem(key, &mut vec![Vec::new(); orders.count()]);
                let keys = keys.map(|key| key.bytes());
                store.get_many(&keys, &mut [0; 3 * 40], 40, &mut [Ok(0); 3]);
                for handle in &self.handles {
                    let _ = store.get(handle, &mut [0; 200]);
                }
            }
            Action::Inspect => self.look_around(),
            _ => {}
        }
        let surplus = self.watchers.len().saturating_sub(WATCHERS);
        self.watchers.drain(..surplus);
    }
}

fn bid(store: &Store, step: BidStep) {
    match step {
        BidStep::Claim { id, intent, priority, claimed_at, expired } => {
            let terms = terms(intent, priority, expired);
            let _ = store.bids().claim_as(id.into(), terms, 7, claimed_at.into());
        }
        BidStep::ClaimMany(first) => {
            let _ = store.bids().claim(first.into(), terms(0, 1, false));
        }
        BidStep::Rebid { id, intent, priority, expired } => {
            let _ = store.bids().renew(id.into(), terms(intent, priority, expired));
        }
        BidStep::Release(id) => drop(store.bids().release(id.into())),
        BidStep::Revoke(id) => drop(store.bids().release_as_supervisor(id.into())),
        BidStep::Elect => {
            let range = 0..store.arena_len();
            let _ = store.bids().advise(7, range, Advice::WillNeed, Patience::Defer);
        }
    }
    assert!(store.bids().list().map_or(0, |bids| bids.len()) <= 32);
}
