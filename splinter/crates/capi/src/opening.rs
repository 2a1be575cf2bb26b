//! Opening, creating and closing stores.

use crate::args::{Handle, HeaderPtr, Text};
use crate::errno::Failure;
use crate::handles::{self, Entry};
use libc::{c_int, c_void};
use splinter::{Config, Geometry, Location, OpenOptions, Placement, Reserve, Store, StoreError};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The number of writers that a store created here has room for. Each thread that writes is one, in each process, and C
/// programs have no way to ask for more.
const MAX_WRITERS: u32 = 256;

/// What a name means.
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

/// Opens a store. Returns its serial number.
fn open_store(
    mode: OpenMode,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<u64, Failure> {
    let location = location(name, naming)?;
    let config = config(slots, len);
    let store = match mode {
        OpenMode::Create => Store::create(&location, &config),
        OpenMode::Open => Store::open(&location),
        OpenMode::OpenOrCreate => Store::open_or_create(&location, &config),
        OpenMode::CreateOrOpen => Store::create_or_open(&location, &config),
    };
    let store = match store {
        // If the process may not write the file, or the file system is read-only, open the store for reading.
        Err(error) if !matches!(mode, OpenMode::Create) && is_denied(&error) => {
            Store::open(&location).or_else(|_| Store::open_read_only(&location)).map_err(|_| error)
        }
        store => store,
    };
    Ok(handles::add(store?))
}

/// Returns whether the kernel refused because of permissions or a read-only file system.
fn is_denied(error: &StoreError) -> bool {
    let StoreError::Os { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(libc::EACCES | libc::EROFS))
}

/// Opens a store as the process's default store, and closes the previous one.
pub(crate) fn open_default(
    mode: OpenMode,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<c_int, Failure> {
    handles::set_default(open_store(mode, naming, name, slots, len)?);
    Ok(0)
}

/// Opens a store. Returns its handle.
pub(crate) fn open_handle(
    mode: OpenMode,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<Handle, Failure> {
    open_store(mode, naming, name, slots, len).map(Handle::new)
}

/// Opens a store with its memory on a NUMA node. Returns its serial number, and the store.
fn open_on_node(naming: Naming, name: Text<'_>, node: c_int) -> Result<(u64, Store), Failure> {
    let node = u32::try_from(node).map_err(|_| Failure::ARGUMENT)?;
    let placement = Some(Placement::Bind(node));
    let options = OpenOptions { placement, ..OpenOptions::default() };
    let store = Store::open_with(&location(name, naming)?, &options)?;
    Ok((handles::add(store.clone()), store))
}

/// Opens a store with its memory on a NUMA node, as the process's default store. Returns its address.
pub(crate) fn open_default_on_node(
    naming: Naming,
    name: Text<'_>,
    node: c_int,
) -> Result<*mut c_void, Failure> {
    let (serial, store) = open_on_node(naming, name, node)?;
    handles::set_default(serial);
    Ok(store.as_ptr().cast_mut().cast())
}

/// Opens a store with its memory on a NUMA node. Returns its handle.
pub(crate) fn open_handle_on_node(naming: Naming, name: Text<'_>, node: c_int) -> Result<Handle, Failure> {
    open_on_node(naming, name, node).map(|(serial, _)| Handle::new(serial))
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
