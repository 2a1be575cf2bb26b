//! A value together with its epoch and type, in one read.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::handle::AsKey;
use super::handle::sealed::Plain;
use crate::arena::version::Version;
use crate::error::Error;
use crate::open::Store;
use crate::settings::Type;

/// What was read together with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The length of the value, in bytes.
    pub len: usize,
    /// The version of the key when the read began: that of the value, or the one before it if a writer was just
    /// publishing the value. A change that expects its epoch never overwrites a value that was not read.
    pub version: Version,
    /// The key's type.
    pub kind: Type,
    /// Whether the key has a vector.
    pub has_vector: bool,
}

impl Store {
    /// Copies the value of `key` to the beginning of `buf`. Returns its length, epoch and type, all of one moment.
    ///
    /// ```
    /// use splinter::Expect;
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("k", b"one")?;
    /// let mut buf = [0; 16];
    /// let entry = store.get_entry("k", &mut buf)?;
    /// assert_eq!(&buf[..entry.len], b"one");
    /// writer.set_if("k", b"two", Expect::Epoch(entry.version.epoch))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::BufferTooSmall`], with the length needed; [`Error::Again`] when the key was
    /// rewritten all the while.
    #[doc(alias("get_versioned", "gets"))]
    pub fn get_entry(&self, key: impl AsKey, buf: &mut [u8]) -> Result<Entry, Error> {
        let arena = self.arena();
        arena.read(&key.plain().key_ref(arena)?, |read| {
            let len = read.payload(arena).copy_to(buf)?;
            let (slot, epoch) = (read.number, read.stable_epoch());
            let kind = Type::from_kind(read.descriptor.kind());
            let has_vector = read.descriptor.has_vector() != 0;
            Ok(Entry { len, version: Version { slot, epoch }, kind, has_vector })
        })
    }
}
