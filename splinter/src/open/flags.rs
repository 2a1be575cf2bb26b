//! The store's flag word, shared by all processes: scrub level and user flags.

use super::store::Store;
use crate::arena::Scrub;
use crate::arena::records::{FLAG_FULL, FLAG_HYBRID, FLAG_WATCHED, USER_FLAG_SHIFT};
use crate::error::StoreError;
use crate::sync::Relaxed;

/// The flags of a store, from [`Store::flags`].
#[derive(Clone, Copy, Debug)]
pub struct Flags<'s> {
    store: &'s Store,
}

impl Store {
    /// Returns the current scrub level.
    pub fn scrub(&self) -> Scrub {
        self.arena().scrub()
    }

    /// Switches the scrub level for every process, from each one's next write on.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_scrub(&self, level: Scrub) -> Result<(), StoreError> {
        self.flags().change(|flags| flags & !(FLAG_FULL | FLAG_HYBRID) | scrub_flags(level)).map(drop)
    }

    /// Borrows the store's flags, to read or to change them.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.flags().set_user(0b10)?;
    /// store.flags().set(1 << 12)?;
    /// assert_eq!((store.flags().user(), store.flags().bits()), (0b10, 1 << 17 | 1 << 12 | 0b10));
    /// store.flags().clear(1 << 17 | 1 << 12 | 0b10)?;
    /// assert_eq!((store.flags().bits(), store.scrub()), (0, splinter::Scrub::None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flags(&self) -> Flags<'_> {
        Flags { store: self }
    }
}

impl Flags<'_> {
    /// Returns the sixteen user flags.
    pub fn user(&self) -> u16 {
        (self.word() >> USER_FLAG_SHIFT) as u16
    }

    /// Sets the user flags in `mask`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set_user(&self, mask: u16) -> Result<u16, StoreError> {
        self.change(|flags| flags | u64::from(mask) << USER_FLAG_SHIFT)
    }

    /// Clears the user flags in `mask`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn clear_user(&self, mask: u16) -> Result<u16, StoreError> {
        self.change(|flags| flags & !(u64::from(mask) << USER_FLAG_SHIFT))
    }

    /// Returns all flags: the store's own in bits 0 to 15, the user flags in bits 16 to 31. Of the store's own, bit 0 is
    /// scrub level full, bit 1 is level hybrid, and bit 2 is set while the whole store is watched. The store keeps the
    /// others for its users, and gives them no meaning.
    pub fn bits(&self) -> u32 {
        self.word() as u32
    }

    /// Sets the flags in `mask`, except for bit 2, which only watchers set.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn set(&self, mask: u32) -> Result<(), StoreError> {
        self.change(|flags| flags | u64::from(mask) & !FLAG_WATCHED).map(drop)
    }

    /// Clears the flags in `mask`, except for bit 2, which only writers clear.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn clear(&self, mask: u32) -> Result<(), StoreError> {
        self.change(|flags| flags & !(u64::from(mask) & !FLAG_WATCHED)).map(drop)
    }

    fn word(&self) -> u64 {
        self.store.arena().header.flags.load(Relaxed)
    }

    fn change(&self, change: impl Fn(u64) -> u64) -> Result<u16, StoreError> {
        self.store.check_writable()?;
        let flags = &self.store.arena().header.flags;
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
