//! Objects that C has handles of, besides stores: transactions, queues and consumers. As for stores, a handle stands for
//! a serial number, so that a freed or invented handle is an error. Objects of all kinds share the numbers, so that a
//! handle of another kind is an error, too.

use crate::args::Handle;
use crate::errno::Failure;
use crate::fork::CopyOnWrite;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The last serial number given.
static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);

/// The objects of one kind that were not freed, in the order of their serial numbers. A child of a fork begins with its
/// parent's.
pub(crate) struct Objects<T>(CopyOnWrite<Vec<(u64, Arc<T>)>>);

impl<T> Objects<T> {
    pub(crate) const fn new() -> Self {
        Self(CopyOnWrite::new())
    }

    /// Adds an object. Returns its handle.
    pub(crate) fn add(&self, object: Arc<T>) -> Handle {
        self.0.change(|all| {
            // Under the lock, so that the serial numbers are in order.
            let serial = LAST_SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
            all.push((serial, object));
            Handle::new(serial)
        })
    }

    pub(crate) fn find(&self, handle: Handle) -> Result<Arc<T>, Failure> {
        self.0.read(|all| Ok(Arc::clone(&all[place(all, handle)?].1)))
    }

    /// Removes an object: its handle is an error from then on.
    pub(crate) fn remove(&self, handle: Handle) -> Result<Arc<T>, Failure> {
        self.0.change(|all| Ok(all.remove(place(all, handle)?).1))
    }

    /// Removes an object, if it was not removed yet.
    pub(crate) fn forget(&self, object: &T) {
        self.0.change(|all| all.retain(|(_, known)| !std::ptr::eq(&**known, object)));
    }
}

/// Returns the place of the object with a handle.
fn place<T>(all: &[(u64, Arc<T>)], handle: Handle) -> Result<usize, Failure> {
    all.binary_search_by_key(&handle.serial(), |(serial, _)| *serial).map_err(|_| Failure::CALLER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_that_of_one_object_of_one_kind_until_it_is_removed() {
        let (numbers, words) = (Objects::new(), Objects::new());
        let [one, two] = [1, 2].map(|number| numbers.add(Arc::new(number)));
        let word = words.add(Arc::new("word"));
        assert_eq!([one, two].map(|handle| numbers.find(handle).map(|number| *number)), [Ok(1), Ok(2)]);
        assert_eq!(words.find(word).as_deref(), Ok(&"word"));
        for stranger in [word, Handle::NONE, Handle::new(u64::MAX / 64)] {
            assert_eq!(numbers.find(stranger), Err(Failure::CALLER));
        }
        assert_eq!(numbers.remove(one).as_deref(), Ok(&1));
        assert_eq!(numbers.remove(one), Err(Failure::CALLER));
        let two_itself = numbers.find(two).unwrap();
        numbers.forget(&2);
        assert_eq!(numbers.find(two).as_deref(), Ok(&2), "another object of the same value");
        numbers.forget(&two_itself);
        assert_eq!(numbers.find(two), Err(Failure::CALLER));
    }
}
