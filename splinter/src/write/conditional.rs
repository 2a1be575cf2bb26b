//! Changes that depend on what the key is at that instant: by an expectation, or by a function of the old value.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::Writer;
use crate::arena::integer::{IntegerOp, integer_from_text};
use crate::arena::version::{Expect, Lifetime, Version};
use crate::error::Error;
use crate::read::{AsKey, Plain};
use crate::settings::Type;

impl Writer {
    /// Sets the value of `key` as [`Self::set`] does, if the key is as expected at that instant. Returns the version
    /// that this made.
    ///
    /// ```
    /// use splinter::{Error, Expect};
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// let read = writer.set_if("k", b"one", Expect::Any)?;
    /// writer.set("k", b"two")?;
    /// let late = writer.set_if("k", b"made of one", Expect::Epoch(read.epoch));
    /// assert_eq!(late, Err(Error::Changed { epoch: read.epoch + 2 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; [`Error::NotFound`] when the key is missing and not
    /// expected to be; those of [`Self::set`].
    #[inline]
    #[doc(alias("cas", "compare_exchange", "setnx", "put_if"))]
    pub fn set_if(&mut self, key: impl AsKey, value: &[u8], expect: Expect) -> Result<Version, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set(&key, value, expect)
    }

    /// Appends `tail` as [`Self::append`] does, if the key is as expected at that instant. Returns the new length, and
    /// the version that this made.
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; those of [`Self::append`].
    pub fn append_if(
        &mut self,
        key: impl AsKey,
        tail: &[u8],
        expect: Expect,
    ) -> Result<(usize, Version), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.append(&key, tail, expect)
    }

    /// Removes `key` as [`Self::unset`] does, if it is as expected at that instant. Returns the length its value had,
    /// and the version of the slot since: one in which it holds no key.
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; those of [`Self::unset`].
    #[doc(alias("delete_if", "remove_if"))]
    pub fn unset_if(&mut self, key: impl AsKey, expect: Expect) -> Result<(usize, Version), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.unset(&key, expect)
    }

    /// Sets the vector of `key` as [`Self::set_vector`] does, if the key is as expected at that instant: the vector of
    /// a text is not set over one of a later text. Returns the version that this made.
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; those of [`Self::set_vector`].
    pub fn set_vector_if(
        &mut self,
        key: impl AsKey,
        vector: &[f32],
        expect: Expect,
    ) -> Result<Version, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_vector(&key, vector, expect)
    }

    /// Gives `key` a type as [`Self::set_type`] does, if the key is as expected at that instant. Returns the version
    /// that this made.
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; those of [`Self::set_type`].
    pub fn set_type_if(&mut self, key: impl AsKey, kind: Type, expect: Expect) -> Result<Version, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_kind(&key, (kind.kind(), kind.is_text()), integer_from_text, expect)
    }

    /// Sets `key` to a number as [`Self::set_u64`] does, if the key is as expected at that instant. Returns the version
    /// that this made.
    ///
    /// # Errors
    /// [`Error::Changed`], with the epoch that the key has; [`Error::NotFound`] when the key is missing and not
    /// expected to be; those of [`Self::set_u64`].
    pub fn set_u64_if(&mut self, key: impl AsKey, value: u64, expect: Expect) -> Result<Version, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_integer_if(&key, value, expect)
    }

    /// Sets `key` to what `change` makes of its value, in one step: no other change comes between. `change` gets the
    /// old value, or `None` if the key is missing, and an empty vector for the new one. A missing key is inserted.
    /// Returns what `change` returned.
    ///
    /// Others find the key busy while `change` runs, so it should be brief. If it fails or panics, the key stays as it
    /// was. Its error may be any that [`Error`] converts to.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// # let mut writer = store.writer()?;
    /// writer.set("names", b"ann")?;
    /// let count = writer.update("names", |old, new| {
    ///     new.extend_from_slice(old.unwrap_or_default());
    ///     new.extend_from_slice(b",bob");
    ///     Ok::<usize, splinter::Error>(new.split(|byte| *byte == b',').count())
    /// })?;
    /// assert_eq!((count, store.get_vec("names")?), (2, b"ann,bob".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What `change` answers; [`Error::ValueTooLong`], [`Error::Again`], [`Error::Full`], and those of a key that
    /// cannot be one; [`Error::NotFound`] for a handle whose key was removed; [`Error::Forked`] in a child process if
    /// `change` forked.
    #[doc(alias("modify", "read_modify_write"))]
    pub fn update<R, E: From<Error>>(
        &mut self,
        key: impl AsKey,
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.update_with(key, Lifetime::Unchanged, change)
    }

    fn update_with<R, E: From<Error>>(
        &mut self,
        key: impl AsKey,
        lifetime: Lifetime,
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, E> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?;
        let Self { claimant, registration, values, .. } = self;
        let made = claimant.update(&key, values, change, lifetime, || !registration.is_inherited());
        made.map(|(made, _)| made)
    }

    /// Sets `key` to `value`, as [`Self::set`] does, so without a deadline. Returns the value that it had, or `None` if it
    /// was missing.
    ///
    /// # Errors
    /// Those of [`Self::set`].
    #[doc(alias("getset", "replace", "exchange"))]
    pub fn swap(&mut self, key: impl AsKey, value: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        // Both before the claim, as a set does.
        key.plain().key_ref(&self.claimant.arena)?;
        self.claimant.check_len(value.len())?;
        self.update_with(key, Lifetime::Endless, |old, new| {
            new.extend_from_slice(value);
            Ok(old.map(<[u8]>::to_vec))
        })
    }

    /// Applies `op` to the number of `key` as [`Self::integer`] does, or to `initial` if the key is missing; that
    /// creates it as a `BIGUINT` slot. Returns the new number.
    ///
    /// ```
    /// use splinter::IntegerOp;
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// assert_eq!(writer.integer_or("visits", IntegerOp::Inc(1), 100)?, 101);
    /// assert_eq!(writer.integer_or("visits", IntegerOp::Inc(1), 100)?, 102);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::integer`]; [`Error::Full`]; [`Error::NotFound`] for a handle whose key was removed alone.
    #[doc(alias("incr_or_insert", "counter"))]
    pub fn integer_or(&mut self, key: impl AsKey, op: IntegerOp, initial: u64) -> Result<u64, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.integer_or_insert(&key, op, initial)
    }
}
