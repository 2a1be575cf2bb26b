//! Caches of the model: which keys an operation may evict, and when it may be refused for want of room.

use super::{Entry, Model, names, transaction};
use crate::op::{Answer, Bytes, Guess, Op, Reply};
use splinter::{Error, Eviction, Store};
use std::collections::BTreeSet;

impl Model {
    /// Notes which keys a cache evicted for an operation, of one key or of several at once, and returns them. Call it before
    /// the model performs the operation. For a store that is no cache it returns none.
    ///
    /// # Panics
    /// If a key went that is pinned, or the operation's own; if more went than the operation needed; if the store counts
    /// others; or if the operation was refused for want of room although a key might go.
    pub fn note_evictions(&mut self, store: &Store, op: &Op, answer: &Answer) -> Vec<(Bytes, Entry)> {
        let is_cache = store.eviction() != Eviction::Expired;
        let Some(own) = is_cache.then(|| inserted_keys(op)).flatten() else {
            assert_eq!(store.header().evicted, self.evicted, "{op:?} evicts nothing");
            return Vec::new();
        };
        let slots = self.geometry.slots as usize;
        let left: BTreeSet<Bytes> = store.keys().map(|key| key.as_ref().to_vec()).collect();
        let is_other = |key: &&Bytes| !own.contains(key);
        let gone: Vec<Bytes> =
            self.entries.keys().filter(is_other).filter(|key| !left.contains(*key)).cloned().collect();
        let missing = own.iter().filter(|key| !self.entries.contains_key(*key)).count();
        let taken = self.entries.len() + self.expired.keys().filter(is_other).count();
        assert!(
            gone.len() <= (taken + missing).saturating_sub(slots),
            "{op:?} evicted {} keys of {taken} in {slots} slots",
            gone.len()
        );
        self.evicted += gone.len() as u64;
        assert_eq!(store.header().evicted, self.evicted, "{op:?} evicted {} keys", gone.len());
        if is_refused_as_full(answer) {
            let pinned = |(key, entry): &(&Bytes, &Entry)| own.contains(*key) || entry.seen.pinned;
            let staying = self.entries.iter().filter(pinned).count();
            let needed = match op {
                Op::Commit(parts) => {
                    let inserts = parts.iter().filter(|part| transaction::inserts(part));
                    inserts.filter(|part| !self.entries.contains_key(&part.key)).count()
                }
                _ => missing,
            };
            assert!(staying + needed > slots, "{op:?} is refused, and {staying} of {slots} keys must stay");
        }
        let evict = |key: Bytes| {
            let entry = self.entries.remove(&key).expect("one of them");
            assert!(!entry.seen.pinned, "{op:?} evicted a pinned key");
            (key, entry)
        };
        gone.into_iter().map(evict).collect()
    }
}

/// Returns the keys for which an operation can take slots.
fn inserted_keys(op: &Op) -> Option<Vec<Bytes>> {
    match op {
        Op::Set(key, _)
        | Op::SetWith(key, ..)
        | Op::Update(key, _)
        | Op::Swap(key, _)
        | Op::IntegerOr(key, ..)
        | Op::SetU64(key, _) => Some(vec![key.clone()]),
        Op::If(Guess::Any | Guess::Absent, op) => inserted_keys(op),
        Op::SetMany(pairs) => {
            assert!(pairs.len() < 2, "each pair is an operation of its own");
            Some(pairs.iter().map(|(key, _)| key.clone()).collect())
        }
        Op::SetTandem(base, values) => names(base, values.len()).ok(),
        // It holds slots for those that are missing, so that nobody sets them meanwhile.
        Op::UnsetTandem(base, orders) => names(base, *orders).ok(),
        Op::Commit(parts) => Some(parts.iter().map(|part| part.key.clone()).collect()),
        _ => None,
    }
}

fn is_refused_as_full(answer: &Answer) -> bool {
    match answer {
        Err(error) => *error == Error::Full,
        Ok(Reply::Refused(met)) => met.iter().any(|(_, error)| *error == Error::Full),
        Ok(Reply::Each(results)) => results.contains(&Err(Error::Full)),
        Ok(_) => false,
    }
}
