//! What operations accept as a key: bytes, or a handle that finds a key's slot again without hashing and searching.

use crate::arena::Arena;
use crate::arena::key::{Key, KeyRef, Resolved};
use crate::error::Error;
use std::fmt;

/// What names a key: anything that is bytes, such as `&str`, `&[u8]` or [`Key`], or a [`Handle`].
///
/// The trait cannot be implemented outside this crate.
pub trait AsKey: sealed::Sealed {}

impl<K: sealed::Sealed + ?Sized> AsKey for K {}

#[allow(private_interfaces, reason = "nobody outside this crate can name or call what is here")]
pub(crate) mod sealed {
    use super::{Arena, Error, Handle, KeyRef};

    /// A key of any type. Operations are compiled for its plain form, so once for bytes and once for handles.
    pub trait Sealed {
        type Plain<'k>: Plain<'k>
        where
            Self: 'k;

        fn plain(&self) -> Self::Plain<'_>;
    }

    pub trait Plain<'k>: Copy {
        /// Whether the slot is known.
        const IS_RESOLVED: bool;

        /// Checks and hashes the key for a store.
        fn key_ref(self, arena: &Arena<'_>) -> Result<KeyRef<'k>, Error>;
    }

    impl<K: AsRef<[u8]> + ?Sized> Sealed for K {
        type Plain<'k>
            = &'k [u8]
        where
            K: 'k;

        #[inline(always)]
        fn plain(&self) -> &[u8] {
            self.as_ref()
        }
    }

    impl Sealed for Handle {
        type Plain<'k> = &'k Handle;

        #[inline(always)]
        fn plain(&self) -> &Handle {
            self
        }
    }

    impl Sealed for &Handle {
        type Plain<'k>
            = &'k Handle
        where
            Self: 'k;

        #[inline(always)]
        fn plain(&self) -> &Handle {
            self
        }
    }

    impl<'k> Plain<'k> for &'k [u8] {
        const IS_RESOLVED: bool = false;

        #[inline(always)]
        fn key_ref(self, arena: &Arena<'_>) -> Result<KeyRef<'k>, Error> {
            arena.key(self)
        }
    }

    impl<'k> Plain<'k> for &'k Handle {
        const IS_RESOLVED: bool = true;

        #[inline(always)]
        fn key_ref(self, _: &Arena<'_>) -> Result<KeyRef<'k>, Error> {
            Ok(self.0.key_ref())
        }
    }
}

/// A key together with the slot in which it was found: operations on it skip hash and search.
///
/// It is accepted wherever one key is named, but not as the base of a tandem. It belongs to the store that resolved it,
/// and holds no claim on the key. Once the key is removed, operations through the handle answer [`Error::NotFound`],
/// whatever the slot is used for by then, and never create the key.
///
/// ```
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// writer.set("sensor", b"20.5")?;
/// let sensor = store.resolve("sensor")?;
/// writer.set(sensor, b"21.0")?;
/// assert_eq!(store.get_vec(sensor)?, b"21.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Handle(pub(crate) Resolved);

impl Handle {
    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.key
    }

    /// Returns the number of the slot, as a [`Change`](crate::Change) has it.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.0.number
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("key", &self.key()).field("slot", &self.0.number).finish()
    }
}
