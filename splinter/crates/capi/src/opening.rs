//! Opening, creating and closing stores.

use crate::args::{Handle, HeaderPtr, Text};
use crate::caches::eviction_of;
use crate::errno::Failure;
use crate::handles::{self, Entry};
use libc::{c_int, c_void};
use splinter::{Config, Geometry, Location, OpenOptions, Placement, Reserve, Store, StoreError};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The number of writers that a store created here has room for. Each thread that writes is one, in each process, and C
/// programs have no way to ask for more.
const MAX_WRITERS: u32 = 256;

/// The meaning of a name.
#[derive(Clone, Copy)]
pub(crate) enum Naming {
    /// A store in `/dev/shm`; in the persistent library, a path.
    Plain,
    /// A path, in both libraries.
    Path,
}

/// Returns the location of the store with this name.
fn location(name: Text<'_>, naming: Naming) -> Result<Location, Failure> {
    let name = name.name()?;
    if matches!(naming, Naming::Path) || cfg!(splinter_persistent) {
        return match name {
            [] => Err(Failure::ARGUMENT),
            path => Ok(Location::file(OsStr::from_bytes(path))),
        };
    }
    if name.len() > libc::NAME_MAX as usize {
        return Err(Failure::of(libc::ENAMETOOLONG));
    }
    let name = std::str::from_utf8(name).map_err(|_| Failure::ARGUMENT)?;
    Ok(Location::shared(name)?)
}

/// Returns the configuration of a new store.
fn config(slots: usize, max_value_len: usize) -> Config {
    let geometry = Geometry {
        slots: slots as u64,
        max_value_len: max_value_len as u64,
        max_writers: MAX_WRITERS,
        ..Geometry::default()
    };
    Config { geometry, reserve: Reserve::Small, ..Config::default() }
}

/// Whether a function opens a store, creates it, or tries one and then the other.
#[derive(Clone, Copy)]
pub(crate) enum OpenMode {
    Create,
    Open,
    OpenOrCreate,
    CreateOrOpen,
}

/// The result of a function that opens a store.
pub(crate) trait Opened {
    /// Makes it of an open store and its serial number.
    fn of(serial: u64, store: &Store) -> Self;
}

/// 0: the store is the process's default store now, and the previous one is closed.
impl Opened for c_int {
    fn of(serial: u64, _: &Store) -> Self {
        handles::set_default(serial);
        0
    }
}

/// The address of the store, which is the process's default store now.
impl Opened for *mut c_void {
    fn of(serial: u64, store: &Store) -> Self {
        handles::set_default(serial);
        store.as_ptr().cast_mut().cast()
    }
}

impl Opened for Handle {
    fn of(serial: u64, _: &Store) -> Self {
        Self::new(serial)
    }
}

/// Returns a function that opens or creates a store with a name, a number of slots, and a longest value.
pub(crate) fn open<R: Opened>(
    mode: OpenMode,
    naming: Naming,
) -> impl Fn(Text<'_>, usize, usize) -> Result<R, Failure> {
    move |name, slots, len| open_store(mode, naming, name, &config(slots, len))
}

/// Returns a function that creates a store which evicts keys in the way with a number.
pub(crate) fn create_cache<R: Opened>(
    naming: Naming,
) -> impl Fn(Text<'_>, usize, usize, c_int) -> Result<R, Failure> {
    move |name, slots, len, policy| {
        let config = Config { eviction: eviction_of(policy)?, ..config(slots, len) };
        open_store(OpenMode::Create, naming, name, &config)
    }
}

/// Returns a function that opens a store with a name.
pub(crate) fn open_existing<R: Opened>(naming: Naming) -> impl Fn(Text<'_>) -> Result<R, Failure> {
    move |name| open_store(OpenMode::Open, naming, name, &config(0, 0))
}

fn open_store<R: Opened>(
    mode: OpenMode,
    naming: Naming,
    name: Text<'_>,
    config: &Config,
) -> Result<R, Failure> {
    let location = location(name, naming)?;
    let store = match mode {
        OpenMode::Create => Store::create(&location, config),
        OpenMode::Open => Store::open(&location),
        OpenMode::OpenOrCreate => Store::open_or_create(&location, config),
        OpenMode::CreateOrOpen => Store::create_or_open(&location, config),
    };
    let store = match store {
        // If the process may not write the file, or the file system is read-only, open the store for reading.
        Err(error) if !matches!(mode, OpenMode::Create) && is_denied(&error) => {
            Store::open(&location).or_else(|_| Store::open_read_only(&location)).map_err(|_| error)
        }
        store => store,
    }?;
    Ok(R::of(handles::add(store.clone()), &store))
}

/// Returns whether the kernel refused because of permissions or a read-only file system.
fn is_denied(error: &StoreError) -> bool {
    let StoreError::Os { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(libc::EACCES | libc::EROFS))
}

/// Returns a function that opens a store with its memory on a NUMA node.
pub(crate) fn open_on_node<R: Opened>(naming: Naming) -> impl Fn(Text<'_>, c_int) -> Result<R, Failure> {
    move |name, node| {
        let node = u32::try_from(node).map_err(|_| Failure::ARGUMENT)?;
        let options = OpenOptions { placement: Some(Placement::Bind(node)), ..OpenOptions::default() };
        let store = Store::open_with(&location(name, naming)?, &options)?;
        Ok(R::of(handles::add(store.clone()), &store))
    }
}

/// Closes the process's default store.
pub(crate) fn close_default() -> Result<(), Failure> {
    handles::close_default().then_some(()).ok_or(Failure::CALLER)
}

/// Closes a store.
pub(crate) fn close(store: Handle) -> Result<(), Failure> {
    handles::close(store.serial()).then_some(()).ok_or(Failure::CALLER)
}

/// Returns the address of a store's header, which is the store's first address.
pub(crate) fn header(store: &Entry) -> Result<HeaderPtr, Failure> {
    Ok(HeaderPtr::new(store.store.as_ptr()))
}
