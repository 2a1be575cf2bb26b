//! Lasting subscriptions: a group hears of a key whenever there is one of that name.

use super::Writer;
use crate::error::{Error, StoreError};
use crate::open::Store;
use crate::signals::group_bit;

impl Writer {
    /// Registers `key` with a signal group, whether or not it is there: a *lasting* subscription. Every change of the key
    /// signals the group, also the one that makes it, and so again after each removal.
    ///
    /// A store has room for [`LASTING`](crate::LASTING) of these, each of one group to one key. They are of the store, not
    /// of this process, and stay until they are ended. From the first one on, each insertion of a key looks through their
    /// seven cache lines. No other operation does.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.register_lasting("job", 7)?;
    /// let mut watcher = store.watch(&[7])?;
    /// for _ in 0..2 {
    ///     writer.set("job", b"text")?;
    ///     writer.unset("job")?;
    /// }
    /// assert_eq!(store.signal_count(7), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A second call for the same key and group changes nothing, and completes the first if its caller died.
    ///
    /// # Errors
    /// [`Error::TooManySubscriptions`], [`Error::NoSuchGroup`], and those of a key that cannot be one. After
    /// [`Error::Again`] the store may have the subscription already, and the same call completes it.
    #[doc(alias("subscribe", "persistent", "durable"))]
    pub fn register_lasting(&mut self, key: impl AsRef<[u8]>, group: u8) -> Result<(), Error> {
        group_bit(group).ok_or(Error::NoSuchGroup)?;
        let key = self.claimant.arena.key(key.as_ref())?;
        self.claimant()?.subscribe_lasting(&key, group)
    }

    /// Takes `key` out of a signal group, and the group's lasting subscription to it. Does nothing if there is neither.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], and those of a key that cannot be one. After [`Error::Again`] the lasting subscription has
    /// ended, but the key that is there is still registered: the same call completes it.
    pub fn unregister_lasting(&mut self, key: impl AsRef<[u8]>, group: u8) -> Result<(), Error> {
        group_bit(group).ok_or(Error::NoSuchGroup)?;
        let key = self.claimant.arena.key(key.as_ref())?;
        self.claimant()?.unsubscribe_lasting(&key, group)
    }
}

impl Store {
    /// Returns the groups that have a [lasting subscription](Writer::register_lasting) to `key`, one bit each.
    ///
    /// # Errors
    /// Those of a key that cannot be one.
    pub fn lasting_groups(&self, key: impl AsRef<[u8]>) -> Result<u64, Error> {
        let arena = self.arena();
        arena.key(key.as_ref()).map(|key| arena.lasting_groups(key.hash))
    }

    /// Ends all lasting subscriptions of `group`, also those to keys that nobody remembers: the store has only their
    /// hashes. Returns how many there were. Keys that are there stay registered until they are removed.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the store was opened for reading only, [`StoreError::NoSuchGroup`] for a number
    /// above 63.
    pub fn clear_lasting(&self, group: u8) -> Result<usize, StoreError> {
        self.check_writable()?;
        group_bit(group).ok_or(StoreError::NoSuchGroup(group))?;
        Ok(self.arena().clear_lasting(group))
    }
}
