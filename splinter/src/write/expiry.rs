//! Keys that stay for a time: setting deadlines, and removing what has expired.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::Writer;
use crate::arena::version::{Expect, Lifetime, Version};
use crate::error::Error;
use crate::read::{AsKey, Plain};
use std::time::Duration;

impl Writer {
    /// Sets the value of `key` as [`Self::set_if`] does, and how long the key stays: from its deadline on, no read
    /// returns it, whichever processes run.
    ///
    /// ```
    /// use splinter::{Error, Expect, Lifetime};
    /// use std::time::Duration;
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set_with("session", b"open", Expect::Any, Lifetime::For(Duration::from_millis(20)))?;
    /// assert!(store.ttl("session")?.is_some());
    /// std::thread::sleep(Duration::from_millis(25));
    /// assert_eq!(store.get_vec("session"), Err(Error::NotFound));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::set_if`].
    #[doc(alias("setex", "ttl", "expire"))]
    pub fn set_with(
        &mut self,
        key: impl AsKey,
        value: &[u8],
        expect: Expect,
        lifetime: Lifetime,
    ) -> Result<Version, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_with(&key, value, expect, lifetime)
    }

    /// Lets `key` stay for `span` from now on. Its epoch stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("ttl", "pexpire"))]
    pub fn expire(&mut self, key: impl AsKey, span: Duration) -> Result<(), Error> {
        self.set_lifetime(key, Lifetime::For(span))
    }

    /// Lets `key` stay until it is removed. Its epoch stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn persist(&mut self, key: impl AsKey) -> Result<(), Error> {
        self.set_lifetime(key, Lifetime::Endless)
    }

    /// Changes how long `key` stays. Its epoch stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn set_lifetime(&mut self, key: impl AsKey, lifetime: Lifetime) -> Result<(), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_lifetime(&key, lifetime)
    }

    /// Removes keys whose deadline has passed, so that watchers hear of it and the memory of their slots is free. It
    /// looks at up to `budget` keys with deadlines, from where the last sweep stopped. Returns how many it removed.
    ///
    /// Nobody needs it: what has expired is missing all the same, and its slots are used when there are no others.
    ///
    /// # Errors
    /// [`Error::Forked`] and [`Error::Unregistered`], as for any change.
    #[doc(alias("evict", "vacuum"))]
    pub fn sweep_expired(&mut self, budget: u32) -> Result<u32, Error> {
        Ok(self.claimant()?.sweep(budget))
    }
}
