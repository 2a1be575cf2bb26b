//! An open store: creating, opening, and what concerns it as a whole. Reading a key is in `reader`,
//! changing one in `writer`.

use crate::arena::key::KeyHash;
use crate::arena::layout::{
    FLAG_FULL, FLAG_HYBRID, FLAG_WATCHED, Header, LANES_AT, USER_FLAG_SHIFT,
};
use crate::arena::{Arena, Scrub};
use crate::bids::Bidding;
use crate::config::{Config, Geometry, OpenOptions, Reserve};
use crate::draft::Draft;
use crate::error::StoreError;
use crate::kernel::{
    self, Backing, Hiding, HugePages, IfTaken, Location, Mapping, Presence, Present, Residency,
    SetOnce, Staged, Used, Window,
};
use crate::plan::Plan;
use crate::profile;
use crate::registration::Machine;
use crate::sync::Relaxed;
use crate::waiting::Vigil;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::{fmt, io};

/// The largest store whose memory is taken at creation by [`Reserve::Small`], in bytes.
const SMALL_BYTES: u64 = 64 << 20;

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
    pub(crate) plan: Plan,
    notes: Vec<String>,
    /// What others know of that the store is open: nothing yet where that could not be had.
    presence: SetOnce<Presence>,
    /// Who lives, and how to wake who sleeps.
    pub(crate) machine: Arc<Machine>,
    /// When somebody who waits is to look for writers that died.
    pub(crate) vigil: Vigil,
    pub(crate) bidding: Bidding,
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

    /// Creates a store that nobody else sees yet.
    pub(crate) fn create_hidden(
        location: &Location,
        config: &Config,
        if_taken: IfTaken,
    ) -> Result<(Self, Hiding), StoreError> {
        let plan = Plan::new(config.geometry, hash_seed(config)?)?;
        let hugetlb = config.huge_pages == HugePages::Hugetlb;
        let len = if hugetlb {
            plan.arena_len.next_multiple_of(kernel::HUGE_PAGE_BYTES as u64)
        } else {
            plan.arena_len
        };
        let create = match if_taken {
            IfTaken::Refuse => Staged::create,
            IfTaken::Replace => Staged::create_over,
        };
        let staged = create(location, len, config.mode, hugetlb)?;
        let mapping =
            Mapping::new(staged.fd(), plan.arena_len as usize, true, &location.to_string())?;
        // Before the first touch, so that the header's own page goes where it was asked for.
        kernel::numa::apply(&mapping, &config.placement)?;
        // What is touched here, and when a writer registers, is had in any case.
        let whole = match config.reserve {
            Reserve::Nothing => false,
            Reserve::Small => len <= SMALL_BYTES && config.huge_pages == HugePages::Off,
            Reserve::All => true,
        };
        let taken = staged.reserve(if whole { len } else { plan.head_len() })?;
        if !taken && config.reserve == Reserve::All {
            let unknown = std::io::ErrorKind::Unsupported.into();
            return Err(StoreError::os("reserve the memory of", location.to_string(), unknown));
        }
        let hash = plan.key_hash();
        let arena = Inner::arena(&plan, &mapping, &hash);
        plan.write(arena.header, scrub_flags(config.scrub));
        let huge = kernel::huge::apply(&mapping, staged.fd(), config.huge_pages);
        let (backing, hiding) = staged.hidden()?;
        Ok((Self::assemble(backing, mapping, plan, huge), hiding))
    }

    /// Gives a store that was created hidden its name.
    pub(crate) fn reveal(&self, hiding: Hiding, if_taken: IfTaken) -> Result<(), StoreError> {
        hiding.reveal(&self.inner.backing, if_taken)
    }

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

    /// Opens the store, or creates it if there is none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(location: &Location, config: &Config) -> Result<Self, StoreError> {
        // Whoever loses a race to create opens what the winner made; twice lost means that others
        // create and remove it all the while, and they are told so.
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
        if len < LANES_AT {
            let reason = match len {
                0 => "it is empty; remove it, and create it anew".into(),
                _ => format!("it has {len} bytes, fewer than the {LANES_AT} that a header has"),
            };
            return Err(StoreError::NotAStore { subject, reason });
        }
        let plan = {
            let head = Mapping::new(backing.fd.as_fd(), header_len, false, &subject)?;
            #[allow(unsafe_code, reason = "the header is looked at before the arena can be mapped")]
            // SAFETY: the mapping holds a header's bytes, any of which are valid for its atomics, and
            // outlives the reference.
            let header = unsafe { head.base().cast::<Header>().as_ref() };
            Plan::read(header, len, &subject)?
        };
        let writable = !options.read_only;
        let mapping =
            Mapping::new(backing.fd.as_fd(), plan.arena_len as usize, writable, &subject)?;
        if let Some(placement) = &options.placement {
            kernel::numa::migrate(&mapping, backing.fd.as_fd(), placement)?;
        }
        let huge = kernel::huge::apply(&mapping, backing.fd.as_fd(), options.huge_pages);
        Ok(Self::assemble(backing, mapping, plan, huge))
    }

    fn assemble(backing: Backing, mapping: Mapping, plan: Plan, note: Option<String>) -> Self {
        let hash = plan.key_hash();
        let arena = Inner::arena(&plan, &mapping, &hash);
        let profile = profile::from_environment().map(str::to_owned);
        let notes = backing.note.iter().cloned().chain(note).chain(profile).collect();
        let presence = SetOnce::new();
        let (mapping, backing) = (Arc::new(mapping), Arc::new(backing));
        let used = Used::new(Arc::clone(&mapping), Arc::clone(&backing));
        let machine = Arc::new(Machine { arena, used, _hash: hash });
        let (bidding, vigil) = (Bidding::default(), Vigil::default());
        let inner =
            Inner { arena, mapping, backing, plan, notes, presence, machine, bidding, vigil };
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

    /// Refuses a store whose file was cut short since it was opened. What is gone cannot be touched any
    /// more, and nothing stops it from being cut right after this: so only those ask who ask the kernel
    /// anyway.
    pub(crate) fn check_whole(&self) -> Result<(), StoreError> {
        // Without the descriptor, which the program closed, nobody can tell.
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
        self.inner.plan.geometry
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

    /// Lists, in words, what was had otherwise than asked for.
    pub fn notes(&self) -> &[String] {
        &self.inner.notes
    }

    /// Tells whether the store was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        !self.inner.mapping.is_writable()
    }

    /// Returns the length of the arena in bytes. Pages are taken only as they are used.
    pub fn arena_len(&self) -> u64 {
        self.inner.plan.arena_len
    }

    /// Returns the address at which the arena is mapped here, for code that hands addresses in it to others,
    /// such as the C library. The bytes there are the protocol's: whoever changes one by hand breaks it.
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

    /// Writes what was published to the device that holds the file. What was published survives the
    /// death of any process without this; it survives a power cut from here on. Does nothing for a store
    /// in memory.
    ///
    /// # Errors
    /// [`StoreError::Os`] when the device fails; [`StoreError::NotAStore`] when the file was cut short.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.check_whole()?;
        let failed = |error| StoreError::os("flush", self.location().to_string(), error);
        self.inner.mapping.flush().map_err(failed)
    }

    /// Returns the scrub level in force.
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

    /// Has lanes be free again whose owners are in no open store.
    pub(crate) fn correct_owners(&self) {
        let present = self.present();
        let lanes = 0..self.plan.geometry.lanes;
        lanes.filter_map(|lane| self.arena.ownership(lane)).for_each(|lane| lane.correct(&present));
    }

    /// Opens a window on the page that has a lane's owner.
    pub(crate) fn window(&self, lane: u32) -> io::Result<Window> {
        Window::new(&self.mapping, self.backing.fd.writable(), self.plan.owner_page(lane) as usize)
    }

    /// Says why a writer could not be registered.
    pub(crate) fn cannot_register(&self, error: io::Error) -> StoreError {
        StoreError::os("register a writer of", self.backing.location.to_string(), error)
    }

    #[allow(unsafe_code, reason = "the arena borrows from the mapping it is stored beside")]
    fn arena(plan: &Plan, mapping: &Mapping, hash: &Arc<KeyHash>) -> Arena<'static> {
        // SAFETY: the caller either drops the arena at once or stores it beside the mapping and the hash, whose
        // addresses do not change; the plan was checked against the mapping's length.
        unsafe { plan.arena(mapping, hash) }
    }
}

/// What sets the seed of new stores, as a decimal number, where no [`Config`] does.
const SEED_VARIABLE: &str = "SPLINTER_HASH_SEED";

/// Returns the seed that a new store is to have: the one asked for, or one that nobody can guess.
fn hash_seed(config: &Config) -> Result<u64, StoreError> {
    if let Some(seed) = config.hash_seed {
        return Ok(seed);
    }
    let Some(text) = std::env::var_os(SEED_VARIABLE) else { return Ok(kernel::secret()) };
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let why = "it is no whole number from 0 to 18446744073709551615";
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        StoreError::os("use", format!("{SEED_VARIABLE}={}", text.display()), source)
    })
}

fn scrub_flags(level: Scrub) -> u64 {
    match level {
        Scrub::None => 0,
        Scrub::Hybrid => FLAG_HYBRID,
        Scrub::Full => FLAG_FULL,
    }
}
