//! The store's flags: its scrub level, and the flags of its users.

use super::store::Store;
use crate::arena::Scrub;
use crate::arena::records::{FLAG_FULL, FLAG_HYBRID, FLAG_WATCHED, USER_FLAG_SHIFT};
use crate::error::StoreError;
use crate::sync::Relaxed;

impl Store {
    /// Returns the scrub level current.
    pub fn scrub(&self) -> Scrub {
        self.arena().scrub()
    }

    /// Switches the scrub level for every process, from each one's next write on.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_scrub(&self, level: Scrub) -> Result<(), StoreError> {
        self.change_flags(|flags| flags & !(FLAG_FULL | FLAG_HYBRID) | scrub_flags(level)).map(drop)
    }

    /// Tells whether the older switch for scrubbing is on: whether the level is full.
    pub fn auto_vacuum(&self) -> bool {
        self.scrub() == Scrub::Full
    }

    /// Turns the older switch on, which is level full, or off, which is level none.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_auto_vacuum(&self, on: bool) -> Result<(), StoreError> {
        self.set_scrub(if on { Scrub::Full } else { Scrub::None })
    }

    /// Returns the store's sixteen user flags.
    pub fn user_flags(&self) -> u16 {
        (self.arena().header.flags.load(Relaxed) >> USER_FLAG_SHIFT) as u16
    }

    /// Sets the user flags in `mask`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_user_flags(&self, mask: u16) -> Result<u16, StoreError> {
        self.change_flags(|flags| flags | u64::from(mask) << USER_FLAG_SHIFT)
    }

    /// Clears the user flags in `mask`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn clear_user_flags(&self, mask: u16) -> Result<u16, StoreError> {
        self.change_flags(|flags| flags & !(u64::from(mask) << USER_FLAG_SHIFT))
    }

    /// Returns all flags in one word: the store's own in bits 0 to 15, the user's, as in [`Self::user_flags`],
    /// in bits 16 to 31. Of the store's own, bit 0 is scrub level full, bit 1 hybrid, and bit 2 is set while
    /// the whole store is watched; the others mean nothing to the store, and are kept for whoever uses them.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.set_user_flags(0b10)?;
    /// store.set_flags(1 << 12)?;
    /// assert_eq!(store.flags(), 1 << 17 | 1 << 12 | 0b10);
    /// store.clear_flags(1 << 17 | 1 << 12 | 0b10)?;
    /// assert_eq!((store.flags(), store.scrub()), (0, splinter::Scrub::None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flags(&self) -> u32 {
        self.arena().header.flags.load(Relaxed) as u32
    }

    /// Sets the flags in `mask`, but for bit 2, which only watchers set.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_flags(&self, mask: u32) -> Result<(), StoreError> {
        self.change_flags(|flags| flags | u64::from(mask) & !FLAG_WATCHED).map(drop)
    }

    /// Clears the flags in `mask`, but for bit 2, which only writers clear.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn clear_flags(&self, mask: u32) -> Result<(), StoreError> {
        self.change_flags(|flags| flags & !(u64::from(mask) & !FLAG_WATCHED)).map(drop)
    }

    fn change_flags(&self, change: impl Fn(u64) -> u64) -> Result<u16, StoreError> {
        self.check_writable()?;
        let flags = &self.arena().header.flags;
        let mut old = flags.load(Relaxed);
        while let Err(now) = flags.compare_exchange_weak(old, change(old), Relaxed, Relaxed) {
            old = now;
        }
        Ok((change(old) >> USER_FLAG_SHIFT) as u16)
    }
}

/// Returns the flags that stand for a scrub level.
pub(super) fn scrub_flags(level: Scrub) -> u64 {
    match level {
        Scrub::None => 0,
        Scrub::Hybrid => FLAG_HYBRID,
        Scrub::Full => FLAG_FULL,
    }
}
