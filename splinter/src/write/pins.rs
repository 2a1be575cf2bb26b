//! Keys that a cache keeps.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::Writer;
use crate::error::Error;
use crate::read::{AsKey, Plain};

impl Writer {
    /// Pins `key`: a cache does not evict it. It is pinned until it is unpinned or removed; a deadline still holds. Its
    /// epoch stays as it is.
    ///
    /// ```
    /// use splinter::{Config, Eviction, Geometry, Store};
    ///
    /// let geometry = Geometry { slots: 10, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, eviction: Eviction::Sieve, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// writer.set("settings", b"kept")?;
    /// writer.pin("settings")?;
    /// for number in 0..100 {
    ///     writer.set(format!("page {number}"), b"passes")?;
    /// }
    /// assert_eq!(store.get_vec("settings")?, b"kept");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("keep", "protect"))]
    pub fn pin(&mut self, key: impl AsKey) -> Result<(), Error> {
        self.set_pinned(key, true)
    }

    /// Lets a cache evict `key` again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn unpin(&mut self, key: impl AsKey) -> Result<(), Error> {
        self.set_pinned(key, false)
    }

    fn set_pinned(&mut self, key: impl AsKey, pinned: bool) -> Result<(), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_pinned(&key, pinned)
    }
}
