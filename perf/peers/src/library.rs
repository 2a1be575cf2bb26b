//! The original C library, linked in (crate `libsplinter-sys`), and any shared library that exports its interface:
//! `--peer-library PATH`. Such a library is trusted as code of this program is. Each has one store for the whole process.
#![allow(unsafe_code)] // Calls functions of C libraries, one of which may be loaded at run time.

use crate::contender::Contender;
use libloading::Library;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use splinter_harness::files::unique_name;
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::path::Path;
use std::sync::Arc;

type Create = unsafe extern "C" fn(*const c_char, usize, usize) -> c_int;
type Set = unsafe extern "C" fn(*const c_char, *const c_void, usize) -> c_int;
type Get = unsafe extern "C" fn(*const c_char, *mut c_void, usize, *mut usize) -> c_int;
type Close = unsafe extern "C" fn();

/// Where the library makes its stores.
const SHARED_MEMORY: &str = "/dev/shm";

/// The longest key, its NUL included.
const KEY_LEN: usize = 64;

/// Makes the contender of the C original.
pub(crate) fn original(name: &str, workload: &Workload) -> Result<Contender, String> {
    contender(name, "1.2.1", Calls::linked(), workload)
}

/// Makes the contender of a shared library.
pub(crate) fn library(path: &Path, workload: &Workload) -> Result<Contender, String> {
    contender(&path.display().to_string(), "C interface", Calls::load(path)?, workload)
}

fn contender(name: &str, version: &str, calls: Calls, workload: &Workload) -> Result<Contender, String> {
    let peer = Foreign(Arc::new(OpenStore::create(name, calls, workload)?));
    let contender = Contender::new(name, version, workload, peer)?;
    Ok(contender.note("calls the library's own functions, on one store for the process"))
}

/// The functions of the original interface that are used here.
struct Calls {
    create: Create,
    set: Set,
    get: Get,
    close: Close,
    // The functions of a loaded library are there for as long as it is.
    _library: Option<Library>,
}

impl Calls {
    fn linked() -> Self {
        Self {
            create: libsplinter_sys::splinter_create,
            set: libsplinter_sys::splinter_set,
            get: libsplinter_sys::splinter_get,
            close: libsplinter_sys::splinter_close,
            _library: None,
        }
    }

    fn load(path: &Path) -> Result<Self, String> {
        let unusable = |error: libloading::Error| format!("{} cannot be used: {error}", path.display());
        // SAFETY: the user names the library, and trusts what it does when it is loaded.
        let library = unsafe { Library::new(path) }.map_err(unusable)?;
        // SAFETY: the original interface declares it so.
        let create: Create = *unsafe { library.get(b"splinter_create\0") }.map_err(unusable)?;
        // SAFETY: the original interface declares it so.
        let set: Set = *unsafe { library.get(b"splinter_set\0") }.map_err(unusable)?;
        // SAFETY: the original interface declares it so.
        let get: Get = *unsafe { library.get(b"splinter_get\0") }.map_err(unusable)?;
        // SAFETY: the original interface declares it so.
        let close: Close = *unsafe { library.get(b"splinter_close\0") }.map_err(unusable)?;
        Ok(Self { create, set, get, close, _library: Some(library) })
    }
}

/// The one store that a library has open.
struct OpenStore {
    calls: Calls,
    name: CString,
}

impl OpenStore {
    fn create(library: &str, calls: Calls, workload: &Workload) -> Result<Self, String> {
        let geometry = workload.geometry();
        let slots = usize::try_from(geometry.slots).map_err(|_| "too many slots")?;
        let longest = usize::try_from(geometry.max_value_len).map_err(|_| "values too long")?;
        // The library makes a file of this size without having the room, and writing to it would then kill the process.
        let slot = longest.saturating_add(size_of::<libsplinter_sys::splinter_slot>());
        let needed = slot.saturating_mul(slots).saturating_add(size_of::<libsplinter_sys::splinter_header>());
        let free = statvfs(SHARED_MEMORY).map(|it| it.blocks_available().saturating_mul(it.fragment_size()));
        if let Some(free) = free.ok().filter(|&free| needed as u64 > free) {
            return Err(format!(
                "{SHARED_MEMORY} has {free} bytes left, and the store takes {needed}: make room there"
            ));
        }
        let name = unique_name("splinter-peers-library");
        let name = CString::new(name).expect("a name without NUL");
        // SAFETY: the name is a string that ends, and lives through the call.
        if unsafe { (calls.create)(name.as_ptr(), slots, longest) } != 0 {
            let why = io::Error::last_os_error();
            remove(&name);
            return Err(format!("{library} made no store: {why}"));
        }
        Ok(Self { calls, name })
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        // SAFETY: no link is left, so nobody uses the store.
        unsafe { (self.calls.close)() };
        remove(&self.name);
    }
}

/// Removes a store's file: the name is one in shared memory, or for a persistent library a path.
fn remove(name: &CStr) {
    let name = name.to_string_lossy().into_owned();
    for place in [Path::new(SHARED_MEMORY).join(&name), name.into()] {
        // It is in one of them.
        let _ = std::fs::remove_file(place);
    }
}

struct Foreign(Arc<OpenStore>);

struct ForeignLink {
    store: Arc<OpenStore>,
    key: [u8; KEY_LEN],
}

impl Peer for Foreign {
    type Link = ForeignLink;

    fn link(&self, _: bool) -> Result<ForeignLink, String> {
        Ok(ForeignLink { store: Arc::clone(&self.0), key: [0; KEY_LEN] })
    }
}

impl ForeignLink {
    /// Returns the key as a string that ends.
    #[inline]
    fn key(&mut self, key: &[u8]) -> Result<*const c_char, Miss> {
        if key.len() >= KEY_LEN {
            return Err(Miss::TooLong);
        }
        self.key[..key.len()].copy_from_slice(key);
        self.key[key.len()] = 0;
        Ok(self.key.as_ptr().cast())
    }
}

/// Makes a call. One that fails without an error number found no key.
#[inline]
fn ask(call: impl FnOnce() -> c_int) -> Result<(), Miss> {
    // The library leaves the number of an earlier failure there, of whatever call.
    Errno::clear();
    if call() == 0 { Ok(()) } else { Err(miss()) }
}

#[cold]
fn miss() -> Miss {
    match Errno::last() {
        Errno::EAGAIN => Miss::Again,
        Errno::UnknownErrno | Errno::ENOENT => Miss::NotFound,
        other => Miss::Other(other.to_string().into()),
    }
}

impl Link for ForeignLink {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let key = self.key(key)?;
        let (out, room, mut len) = (buf.as_mut_ptr().cast(), buf.len(), 0);
        // SAFETY: the key ends, the buffer has as many bytes as is said, and all of them outlive the call.
        ask(|| unsafe { (self.store.calls.get)(key, out, room, &raw mut len) })?;
        Ok(len.min(room))
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let key = self.key(key)?;
        // SAFETY: the key ends, the value has as many bytes as is said, and both outlive the call.
        ask(|| unsafe { (self.store.calls.set)(key, value.as_ptr().cast(), value.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::{CStr, Calls, Create, Errno, Foreign, OpenStore, Path, SHARED_MEMORY, Workload};
    use super::{c_char, c_int, c_void};
    use splinter_stress::ValueLen;
    use splinter_stress::peer::{Link, Miss, Peer};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    unsafe extern "C" fn make_and_fail(name: *const c_char, _: usize, _: usize) -> c_int {
        // SAFETY: the caller gives a string that ends.
        let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
        std::fs::write(Path::new(SHARED_MEMORY).join(name), "left").unwrap();
        -1
    }

    unsafe extern "C" fn make(_: *const c_char, _: usize, _: usize) -> c_int {
        0
    }

    unsafe extern "C" fn refuse_set(_: *const c_char, _: *const c_void, _: usize) -> c_int {
        -1
    }

    unsafe extern "C" fn refuse_get(_: *const c_char, _: *mut c_void, _: usize, _: *mut usize) -> c_int {
        -1
    }

    unsafe extern "C" fn close() {}

    fn calls(create: Create) -> Calls {
        Calls { create, set: refuse_set, get: refuse_get, close, _library: None }
    }

    fn small() -> Workload {
        Workload { keys: 64, ..Workload::default() }
    }

    #[test]
    fn a_store_that_could_not_be_made_leaves_no_file() {
        let prefix = format!("splinter-peers-library-{}-", std::process::id());
        let files = || -> BTreeSet<_> {
            let files = std::fs::read_dir(SHARED_MEMORY).unwrap().map(|file| file.unwrap().file_name());
            files.filter(|name| name.to_string_lossy().starts_with(&prefix)).collect()
        };
        let before = files();
        let made = OpenStore::create("a library", calls(make_and_fail), &small());
        assert!(made.is_err_and(|why| why.starts_with("a library made no store")));
        assert_eq!(files(), before);
    }

    #[test]
    fn a_store_that_shared_memory_has_no_room_for_is_not_made() {
        let values = ValueLen::Fixed(1 << 20);
        let workload = Workload { keys: 1 << 30, value_len: values, ..Workload::default() };
        let why = OpenStore::create("a library", calls(make_and_fail), &workload).err();
        assert!(why.as_ref().is_some_and(|why| why.contains("/dev/shm has")), "{why:?}");
    }

    #[test]
    fn a_call_that_fails_without_an_error_number_misses_a_key() {
        let store = OpenStore::create("a library", calls(make), &small()).ok().unwrap();
        let mut link = Foreign(Arc::new(store)).link(false).unwrap();
        Errno::EIO.set();
        assert!(matches!(link.get(b"key", &mut [0; 8]), Err(Miss::NotFound)));
        Errno::EIO.set();
        assert!(matches!(link.set(b"key", b"value"), Err(Miss::NotFound)));
    }
}
