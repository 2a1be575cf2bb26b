//! An open store: opening one, and what concerns it as a whole.

use super::kernel_os::KernelOs;
use super::layout::{Layout, Seeded};
use super::timer::RecoveryTimer;
use crate::arena::Arena;
use crate::arena::cache::Eviction;
use crate::arena::records::{BIDS_AT, Bid, Header, WRITER_TABLE_AT};
use crate::error::StoreError;
use crate::kernel::{
    self, AllocatedRanges, Backing, ByteLocks, Location, Mapping, PerProcess, Presence, Present, Residency,
    SetOnce, WordPages,
};
use crate::settings::{Geometry, OpenOptions, profile};
use crate::sync::Relaxed;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

/// A store that is open in this process. Cloning it is cheap and opens nothing anew; the mapping goes
/// when the last clone, writer and view of it are gone.
///
/// Reading needs nothing more and may be done from any number of threads. Writing needs a
/// [`Writer`](crate::Writer) for each writing thread.
///
/// ```
/// use splinter::{Config, Store};
///
/// let store = Store::anonymous(&Config::default())?;
/// store.writer()?.set("greeting", b"hello")?;
/// assert_eq!(store.get_vec("greeting")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Borrows from `mapping`, which lives at least as long as this struct; never handed out without
    /// something that keeps the struct alive.
    pub(crate) arena: Arena<'static>,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) backing: Arc<Backing>,
    pub(crate) layout: Layout,
    notes: Vec<String>,
    /// The byte lock by which other processes see this store open; unset until it succeeds.
    presence: SetOnce<Presence>,
    /// Tells which writers live, and wakes sleepers.
    pub(crate) os: Arc<KernelOs>,
    /// When waiting threads look for dead writers.
    pub(crate) timer: RecoveryTimer,
    /// The locks that keep this store's bids: they go with the store, and the bids with them.
    pub(crate) bid_locks: ByteLocks,
    /// Held by the thread that changes the table of bids: to the table, all threads of a store are one bidder.
    pub(crate) bid_turn: PerProcess<Mutex<()>>,
}

impl Store {
    /// Opens an existing store for reading and writing.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::NotAStore`], [`StoreError::BadName`], or the kernel's
    /// refusal.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        Self::open_with(location, &OpenOptions::default())
    }

    /// Opens an existing store for reading only: permission to read the file is enough.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_read_only(location: &Location) -> Result<Self, StoreError> {
        Self::open_with(location, &OpenOptions { read_only: true, ..OpenOptions::default() })
    }

    /// Opens an existing store as `options` say.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Placement`].
    pub fn open_with(location: &Location, options: &OpenOptions) -> Result<Self, StoreError> {
        let backing = kernel::open(location, !options.read_only)?;
        Self::open_backing(backing, options)
    }

    /// Opens the store behind a descriptor that was inherited or passed over a socket.
    ///
    /// ```
    /// use splinter::{Config, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// let other = Store::from_fd(store.fd().try_clone_to_owned()?)?;
    /// store.writer()?.set("k", b"v")?;
    /// assert_eq!(other.get_vec("k")?, b"v");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, StoreError> {
        let (backing, writable) = kernel::adopt(fd)?;
        let options = OpenOptions { read_only: !writable, ..OpenOptions::default() };
        Self::open_backing(backing, &options)
    }

    fn open_backing(backing: Backing, options: &OpenOptions) -> Result<Self, StoreError> {
        let subject = backing.location.to_string();
        let len = backing.len()?;
        let header_len = size_of::<Header>();
        if len < WRITER_TABLE_AT {
            let reason = match len {
                0 => "it is empty; remove it, and create it anew".into(),
                _ => format!("it has {len} bytes, fewer than the {WRITER_TABLE_AT} that a header has"),
            };
            return Err(StoreError::NotAStore { subject, reason });
        }
        let layout = {
            let head = Mapping::new(backing.fd.as_fd(), header_len, false, &subject)?;
            #[allow(unsafe_code, reason = "the header is looked at before the arena can be mapped")]
            // SAFETY: the mapping holds a header's bytes, any of which are valid for its atomics, and
            // outlives the reference.
            let header = unsafe { head.base().cast::<Header>().as_ref() };
            Layout::read(header, len, &subject)?
        };
        let writable = !options.read_only;
        let mapping = Mapping::new(backing.fd.as_fd(), layout.arena_len as usize, writable, &subject)?;
        if let Some(placement) = &options.placement {
            kernel::numa::migrate(&mapping, backing.fd.as_fd(), placement)?;
        }
        let huge = kernel::huge::apply(&mapping, backing.fd.as_fd(), options.huge_pages);
        Ok(Self::assemble(backing, mapping, layout, huge))
    }

    pub(super) fn assemble(backing: Backing, mapping: Mapping, layout: Layout, note: Option<String>) -> Self {
        let seeded = layout.seeded();
        let arena = Inner::arena(&layout, &mapping, &seeded, backing.is_volatile());
        let profile = profile::from_environment().map(str::to_owned);
        let notes = backing.note.iter().cloned().chain(note).chain(profile).collect();
        let presence = SetOnce::new();
        let (mapping, backing) = (Arc::new(mapping), Arc::new(backing));
        let allocated = AllocatedRanges::new(Arc::clone(&mapping), Arc::clone(&backing));
        let os = Arc::new(KernelOs { arena, allocated, _seeded: seeded });
        let inner = Inner {
            arena,
            mapping,
            backing,
            layout,
            notes,
            presence,
            os,
            timer: RecoveryTimer::default(),
            bid_locks: ByteLocks::new(BIDS_AT, size_of::<Bid>() as u64),
            bid_turn: PerProcess::new(),
        };
        if inner.mapping.is_writable() {
            inner.correct_owners();
        }
        Self { inner: Arc::new(inner) }
    }

    #[inline(always)]
    pub(crate) fn arena(&self) -> &Arena<'_> {
        &self.inner.arena
    }

    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        if self.is_read_only() { Err(StoreError::ReadOnly) } else { Ok(()) }
    }

    /// Refuses a file that was truncated after opening. It may be truncated again right after, so only calls that use
    /// the kernel anyway check.
    pub(crate) fn check_whole(&self) -> Result<(), StoreError> {
        // The program closed the descriptor: the length is unknown.
        let len = match self.inner.backing.fd.get() {
            Some(_) => self.inner.backing.len()?,
            None => return Ok(()),
        };
        let wanted = self.arena_len();
        if len >= wanted {
            return Ok(());
        }
        let subject = self.location().to_string();
        let missing = wanted - len;
        let reason = format!("it was cut short while it was open: {missing} bytes are missing");
        Err(StoreError::NotAStore { subject, reason })
    }

    /// Borrows the descriptor of the backing file, to pass it on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inner.backing.fd.as_fd()
    }

    /// Returns the sizes the store was created with.
    pub fn geometry(&self) -> Geometry {
        self.inner.layout.geometry
    }

    /// Returns which key makes room for a new one when no slot is free.
    pub fn eviction(&self) -> Eviction {
        self.inner.layout.eviction
    }

    /// Tells whether the store has sketches of its vectors, which searches go by: see [`Config::sketches`](crate::Config::sketches).
    pub fn has_sketches(&self) -> bool {
        self.inner.layout.has_sketches()
    }

    /// Hashes `key` as this store does to place it: with its seed, so that another store has another hash.
    ///
    /// ```
    /// use splinter::{Config, Store};
    ///
    /// let with = |seed| Store::anonymous(&Config { hash_seed: Some(seed), ..Config::default() });
    /// assert_eq!(with(1)?.hash_key(b"sensor"), with(1)?.hash_key(b"sensor"));
    /// assert_ne!(with(1)?.hash_key(b"sensor"), with(2)?.hash_key(b"sensor"));
    /// # Ok::<(), splinter::StoreError>(())
    /// ```
    #[must_use]
    pub fn hash_key(&self, key: &[u8]) -> u64 {
        self.arena().hash.of(key)
    }

    /// Returns where the store lives; for one opened by descriptor, where the kernel says it does.
    pub fn location(&self) -> &Location {
        &self.inner.backing.location
    }

    /// Tells whether seals fix the length of the store's memory, so that nobody can cut it short under
    /// the mappings of others: so for every anonymous store.
    pub fn is_sealed(&self) -> bool {
        self.inner.backing.seals().is_some_and(kernel::Seals::fix_length)
    }

    /// Lists the fallbacks that were taken, in words.
    pub fn notes(&self) -> &[String] {
        &self.inner.notes
    }

    /// Tells whether the store was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        !self.inner.mapping.is_writable()
    }

    /// Returns the length of the arena in bytes. Pages are taken only as they are used.
    pub fn arena_len(&self) -> u64 {
        self.inner.layout.arena_len
    }

    /// Returns the address at which the arena is mapped here, for code that hands addresses in it to others,
    /// such as the C library. The bytes there are the protocol's: changing one by hand breaks the store.
    pub fn as_ptr(&self) -> *const u8 {
        self.inner.mapping.base().as_ptr()
    }

    /// Finds out, page by page, on which NUMA nodes the store's memory is.
    ///
    /// # Errors
    /// [`StoreError::Os`] when the kernel does not tell; [`StoreError::NotAStore`] when the file was cut
    /// short.
    pub fn residency(&self) -> Result<Residency, StoreError> {
        self.check_whole()?;
        kernel::numa::residency(&self.inner.mapping, self.fd())
    }

    /// Tells how many bytes of the mapping are reached through huge pages, by the kernel's account.
    pub fn huge_page_bytes(&self) -> u64 {
        kernel::huge::obtained(&self.inner.mapping)
    }

    /// Writes published values to the device. From then on they survive a power cut; the death of a process they survive
    /// anyway. Does nothing for a store in memory.
    ///
    /// # Errors
    /// [`StoreError::Os`] when the device fails; [`StoreError::NotAStore`] when the file was cut short.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.check_whole()?;
        if !self.is_read_only() {
            self.arena().keep_time();
        }
        let failed = |error| StoreError::os("flush", self.location().to_string(), error);
        self.inner.mapping.flush().map_err(failed)
    }

    /// Counts a value that a program could not make sense of, with the store's epoch at the time.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn report_parse_failure(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        let arena = self.arena();
        arena.header.parse_failures.fetch_add(1, Relaxed);
        arena.header.last_failure_epoch.fetch_max(arena.epoch(), Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", self.location())
            .field("geometry", &self.geometry())
            .field("read_only", &self.is_read_only())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Returns what tells which stores are open, this one among them from now on, if that can be had.
    pub(crate) fn present(&self) -> Present<'_> {
        static NONE: Presence = Presence::none();
        if self.presence.get().is_none() && self.mapping.is_writable() {
            let entered = Presence::enter(&self.backing);
            if !entered.is_none() {
                // Another thread may have been first; one byte is enough.
                self.presence.set(entered);
            }
        }
        Present::new(self.presence.get().unwrap_or(&NONE), &self.backing)
    }

    /// Has writer ids be free again whose owners are in no open store.
    pub(crate) fn correct_owners(&self) {
        let present = self.present();
        let max_writers = 0..self.layout.geometry.max_writers;
        max_writers
            .filter_map(|writer_id| self.arena.ownership(writer_id))
            .for_each(|writer_id| writer_id.correct(&present));
    }

    /// Maps the page that has the owner of a writer id.
    pub(crate) fn map_owner_page(&self, writer_id: u32) -> io::Result<WordPages> {
        WordPages::new(&self.mapping, self.backing.fd.writable(), self.layout.owner_page(writer_id) as usize)
    }

    /// Says why a writer could not be registered.
    pub(crate) fn cannot_register(&self, error: io::Error) -> StoreError {
        StoreError::os("register a writer of", self.backing.location.to_string(), error)
    }

    #[allow(unsafe_code, reason = "the arena borrows from the mapping it is stored beside")]
    pub(super) fn arena(
        layout: &Layout,
        mapping: &Mapping,
        seeded: &Arc<Seeded>,
        is_volatile: bool,
    ) -> Arena<'static> {
        // SAFETY: the caller either drops the arena at once or stores it beside the mapping and what was
        // seeded, whose addresses do not change; the plan was checked against the mapping's length.
        unsafe { layout.arena(mapping, seeded, is_volatile) }
    }
}
