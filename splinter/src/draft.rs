//! A store that is filled before anybody else can see it. How it is hidden is `kernel`'s business.

use crate::config::Config;
use crate::error::StoreError;
use crate::kernel::{Hiding, IfTaken, Location};
use crate::store::Store;
use std::path::Path;

/// A store that is being made, and has no name yet: it gets one when it is published, with all that it holds by then.
///
/// Dropping it instead leaves nothing behind; and neither does the death of the process, where the file system
/// knows files without a name and `/proc` is there to name them later. Elsewhere the store has a
/// [temporary](Self::temporary) name meanwhile.
///
/// ```
/// use splinter::{Config, Draft, Location, Store};
///
/// let location = Location::shared(format!("doc-draft-{}", std::process::id()))?;
/// let draft = Draft::new(&location, &Config::default())?;
/// draft.store().writer()?.set("greeting", b"hello")?;
/// assert!(Store::open(&location).is_err());
/// draft.publish()?;
/// assert_eq!(Store::open(&location)?.get_vec("greeting")?, b"hello");
/// location.unlink()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Draft {
    store: Store,
    hiding: Hiding,
    if_taken: IfTaken,
}

impl Draft {
    /// Makes a store that is to be at `location`, where nothing may be.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn new(location: &Location, config: &Config) -> Result<Self, StoreError> {
        Self::made(location, config, IfTaken::Refuse)
    }

    /// Makes a store that takes the place of whatever is at `location` when it is published. Who has that open keeps it.
    ///
    /// # Errors
    /// As [`Store::create`], but [`StoreError::Exists`].
    pub fn replacing(location: &Location, config: &Config) -> Result<Self, StoreError> {
        Self::made(location, config, IfTaken::Replace)
    }

    fn made(location: &Location, config: &Config, if_taken: IfTaken) -> Result<Self, StoreError> {
        let (store, hiding) = Store::create_hidden(location, config, if_taken)?;
        Ok(Self { store, hiding, if_taken })
    }

    /// Returns the store, to be filled. Its location is where it will be.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the name that the store has meanwhile, where it cannot do without: what is left if the process
    /// dies.
    pub fn temporary(&self) -> Option<&Path> {
        self.hiding.temporary()
    }

    /// Gives the store its name.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something else took the name meanwhile and is not to be replaced; the kernel's refusal.
    pub fn publish(self) -> Result<Store, StoreError> {
        self.store.reveal(self.hiding, self.if_taken)?;
        Ok(self.store)
    }
}
