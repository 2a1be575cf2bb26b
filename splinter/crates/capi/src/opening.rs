//! Opening, creating and closing stores.

use crate::args::{Handle, HeaderAt, Text};
use crate::errno::Failure;
use crate::shelf::{self, Entry};
use libc::{c_int, c_void};
use splinter::{Config, Geometry, Location, OpenOptions, Placement, Reserve, Store, StoreError};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Writers that can be at work in a store that is created here: each process and thread that writes is one, and C
/// programs have no way to ask for more.
const LANES: u32 = 256;

/// What a name names.
#[derive(Clone, Copy)]
pub(crate) enum Naming {
    /// A store in `/dev/shm`, or in the persistent library a path.
    Plain,
    /// A path, in either.
    Path,
}

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

fn config(slots: usize, max_value_len: usize) -> Config {
    let geometry = Geometry {
        slots: slots as u64,
        max_value_len: max_value_len as u64,
        lanes: LANES,
        ..Geometry::default()
    };
    Config { geometry, reserve: Reserve::Small, ..Config::default() }
}

/// How a store is come by.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Create,
    Open,
    OpenOrCreate,
    CreateOrOpen,
}

/// Opens a store. Returns its serial number.
fn come_by(
    way: Way,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<u64, Failure> {
    let location = location(name, naming)?;
    let config = config(slots, len);
    let store = match way {
        Way::Create => Store::create(&location, &config),
        Way::Open => Store::open(&location),
        Way::OpenOrCreate => Store::open_or_create(&location, &config),
        Way::CreateOrOpen => Store::create_or_open(&location, &config),
    };
    let store = match store {
        // Who may not write, or not where it lies, may read.
        Err(error) if !matches!(way, Way::Create) && is_denied(&error) => {
            Store::open(&location).or_else(|_| Store::open_read_only(&location)).map_err(|_| error)
        }
        store => store,
    };
    Ok(shelf::add(store?))
}

/// Tells whether the kernel refused because of permissions.
fn is_denied(error: &StoreError) -> bool {
    let StoreError::Os { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(libc::EACCES | libc::EROFS))
}

/// Opens a store as the process's own, in place of the one before it.
pub(crate) fn own(
    way: Way,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<c_int, Failure> {
    shelf::own(come_by(way, naming, name, slots, len)?);
    Ok(0)
}

/// Opens a store. Returns its handle.
pub(crate) fn handle(
    way: Way,
    naming: Naming,
    name: Text<'_>,
    slots: usize,
    len: usize,
) -> Result<Handle, Failure> {
    come_by(way, naming, name, slots, len).map(Handle::new)
}

fn open_on_node(naming: Naming, name: Text<'_>, node: c_int) -> Result<(u64, Store), Failure> {
    let node = u32::try_from(node).map_err(|_| Failure::ARGUMENT)?;
    let placement = Some(Placement::Bind(node));
    let options = OpenOptions { placement, ..OpenOptions::default() };
    let store = Store::open_with(&location(name, naming)?, &options)?;
    Ok((shelf::add(store.clone()), store))
}

/// Opens a store with its memory on a node, as the process's own. Returns its address.
pub(crate) fn own_on_node(
    naming: Naming,
    name: Text<'_>,
    node: c_int,
) -> Result<*mut c_void, Failure> {
    let (serial, store) = open_on_node(naming, name, node)?;
    shelf::own(serial);
    Ok(store.as_ptr().cast_mut().cast())
}

/// Opens a store with its memory on a node. Returns its handle.
pub(crate) fn handle_on_node(
    naming: Naming,
    name: Text<'_>,
    node: c_int,
) -> Result<Handle, Failure> {
    open_on_node(naming, name, node).map(|(serial, _)| Handle::new(serial))
}

/// Closes the process's own store.
pub(crate) fn close_own() -> Result<(), Failure> {
    shelf::close_own().then_some(()).ok_or(Failure::CALLER)
}

/// Closes a store.
pub(crate) fn close(store: Handle) -> Result<(), Failure> {
    shelf::close(store.serial()).then_some(()).ok_or(Failure::CALLER)
}

/// Returns the address of a store's header, which is that of the store.
pub(crate) fn header(store: &Entry) -> Result<HeaderAt, Failure> {
    Ok(HeaderAt::new(store.store.as_ptr()))
}
