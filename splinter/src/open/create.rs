//! Creating stores: at once, or as a [`Draft`] that is filled before anybody else can see it.

use super::flags::scrub_flags;
use super::layout::Layout;
use super::store::{Inner, Store};
use crate::error::StoreError;
use crate::kernel::{self, HugePages, IfTaken, Location, Mapping, NewFile, UnlinkedFile};
use crate::settings::{Config, Reserve};
use crate::sketch;
use std::io;
use std::path::Path;

/// The largest store whose memory is taken at creation by [`Reserve::Small`], in bytes.
const SMALL_BYTES: u64 = 64 << 20;

/// A new store without a name, to be filled before others see it. [`Self::publish`] names it.
///
/// If it is dropped or the process dies, nothing stays, except a [temporary name](Self::temporary) on file systems without
/// `O_TMPFILE` and where `/proc` is missing.
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
    unlinked: UnlinkedFile,
    if_taken: IfTaken,
}

impl Draft {
    /// Creates a store for `location`, where there must be none.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn new(location: &Location, config: &Config) -> Result<Self, StoreError> {
        Self::ready(location, config, IfTaken::Refuse)
    }

    /// Creates a store that replaces the file at `location` when it is published. Processes that have the old file open
    /// keep it.
    ///
    /// # Errors
    /// As [`Store::create`], but [`StoreError::Exists`].
    pub fn replacing(location: &Location, config: &Config) -> Result<Self, StoreError> {
        Self::ready(location, config, IfTaken::Replace)
    }

    fn ready(location: &Location, config: &Config, if_taken: IfTaken) -> Result<Self, StoreError> {
        let (store, unlinked) = create_hidden(location, config, if_taken)?;
        Ok(Self { store, unlinked, if_taken })
    }

    /// Returns the store, to be filled. Its location is its future one.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the temporary name, if the store has one; it stays if the process dies.
    pub fn temporary(&self) -> Option<&Path> {
        self.unlinked.temporary()
    }

    /// Gives the store its name.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something else took the name meanwhile and is not to be replaced; the kernel's refusal.
    pub fn publish(self) -> Result<Store, StoreError> {
        self.unlinked.reveal(&self.store.inner.backing, self.if_taken)?;
        Ok(self.store)
    }
}

impl Store {
    /// Creates a store. Others see it once it is complete.
    ///
    /// ```
    /// use splinter::{Config, Geometry, Location, Store};
    ///
    /// let location = Location::shared(format!("doc-create-{}", std::process::id()))?;
    /// let geometry = Geometry { slots: 128, max_value_len: 256, ..Geometry::default() };
    /// let store = Store::create(&location, &Config { geometry, ..Config::default() })?;
    /// assert!(Store::create(&location, &Config::default()).is_err());
    /// location.unlink()?;
    /// # Ok::<(), splinter::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::BadGeometry`], [`StoreError::BadName`],
    /// [`StoreError::Placement`], or the kernel's refusal.
    pub fn create(location: &Location, config: &Config) -> Result<Self, StoreError> {
        Draft::new(location, config)?.publish()
    }

    /// Opens the store, or creates it if there is none. An existing store keeps its own sizes, scrub level and
    /// placement: check [`Self::geometry`].
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(location: &Location, config: &Config) -> Result<Self, StoreError> {
        // The loser of a race to create opens the winner's store. A second loss means that others create and remove it
        // all the time; the caller gets that error.
        match Self::open(location) {
            Err(StoreError::Missing(_)) => match Self::create(location, config) {
                Err(StoreError::Exists(_)) => Self::open(location),
                result => result,
            },
            result => result,
        }
    }

    /// Creates the store, or opens it if there is one.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn create_or_open(location: &Location, config: &Config) -> Result<Self, StoreError> {
        match Self::create(location, config) {
            Err(StoreError::Exists(_)) => match Self::open(location) {
                Err(StoreError::Missing(_)) => Self::create(location, config),
                result => result,
            },
            result => result,
        }
    }

    /// Creates a store without a name, in sealed anonymous memory. Others get it as a descriptor
    /// ([`Self::fd`]). Where the kernel denies anonymous memory files the store is made in named shared
    /// memory instead, and [`Self::notes`] says so.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn anonymous(config: &Config) -> Result<Self, StoreError> {
        Self::create(&Location::Anonymous, config)
    }
}

/// Creates a store that nobody else sees yet.
fn create_hidden(
    location: &Location,
    config: &Config,
    if_taken: IfTaken,
) -> Result<(Store, UnlinkedFile), StoreError> {
    let seed = hash_seed(config)?;
    let rotation_seed = config.sketches.then(|| rotation_seed(seed));
    let layout = Layout::new(config.geometry, seed, config.eviction, rotation_seed)?;
    let hugetlb = config.huge_pages == HugePages::Hugetlb;
    let len = if hugetlb {
        layout.arena_len.next_multiple_of(kernel::HUGE_PAGE_BYTES as u64)
    } else {
        layout.arena_len
    };
    let create = match if_taken {
        IfTaken::Refuse => NewFile::create,
        IfTaken::Replace => NewFile::create_over,
    };
    let new_file = create(location, len, config.mode, hugetlb)?;
    let mapping = Mapping::new(new_file.fd(), layout.arena_len as usize, true, &location.to_string())?;
    // Before the first touch, so that the header's own page goes where it was asked for.
    kernel::numa::apply(&mapping, &config.placement)?;
    // Always reserve the header and writer table, so that neither creation nor registration can fail for memory.
    let whole = match config.reserve {
        Reserve::Nothing => false,
        Reserve::Small => len <= SMALL_BYTES && config.huge_pages == HugePages::Off,
        Reserve::All => true,
    };
    let taken = new_file.reserve(if whole { len } else { layout.head_len() })?;
    if !taken && config.reserve == Reserve::All {
        let unknown = io::ErrorKind::Unsupported.into();
        return Err(StoreError::os("reserve the memory of", location.to_string(), unknown));
    }
    let seeded = layout.seeded();
    let arena = Inner::arena(&layout, &mapping, &seeded, kernel::is_volatile(new_file.fd()));
    layout.write(arena.header, scrub_flags(config.scrub));
    let huge = kernel::huge::apply(&mapping, new_file.fd(), config.huge_pages);
    let (backing, unlinked) = new_file.hidden()?;
    Ok((Store::assemble(backing, mapping, layout, huge), unlinked))
}

/// The variable with the seed of new stores, decimal; `Config::hash_seed` overrides it.
const SEED_VARIABLE: &str = "SPLINTER_HASH_SEED";

/// Returns the seed of a new store: the configured one, or a random one.
fn hash_seed(config: &Config) -> Result<u64, StoreError> {
    if let Some(seed) = config.hash_seed {
        return Ok(seed);
    }
    let Some(text) = std::env::var_os(SEED_VARIABLE) else { return Ok(kernel::secret()) };
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let why = "it is not a whole number from 0 to 18446744073709551615";
        let source = io::Error::new(io::ErrorKind::InvalidInput, why);
        StoreError::os("use", format!("{SEED_VARIABLE}={}", text.display()), source)
    })
}

/// Makes the seed of the sketches' rotation of the hash's seed, so that stores of one seed are alike.
fn rotation_seed(hash_seed: u64) -> u64 {
    sketch::mix(hash_seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
}
