//! The original C library, linked in (crate `libsplinter-sys`), and any shared library that exports its interface:
//! `--peer-library PATH`. Such a library is trusted as code of this program is. Each has one store for the whole process.
#![allow(unsafe_code)] // Calls functions of C libraries, one of which may be loaded at run time.

use crate::contender::Contender;
use libloading::Library;
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer};
use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

type Create = unsafe extern "C" fn(*const c_char, usize, usize) -> c_int;
type Set = unsafe extern "C" fn(*const c_char, *const c_void, usize) -> c_int;
type Get = unsafe extern "C" fn(*const c_char, *mut c_void, usize, *mut usize) -> c_int;
type Close = unsafe extern "C" fn();

/// The longest key, its NUL included.
const KEY_LEN: usize = 64;

/// Makes the contender of the C original.
pub(crate) fn original(workload: &Workload) -> Result<Contender, String> {
    contender("libsplinter (C)", "1.2.1", Calls::linked(), workload)
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
        // A name in shared memory, or for a persistent library a path: what is made is looked for in both places.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Relaxed);
        let name = format!("splinter-peers-library-{}-{next}", std::process::id());
        let name = CString::new(name).expect("a name without NUL");
        // SAFETY: the name is a string that ends, and lives through the call.
        if unsafe { (calls.create)(name.as_ptr(), slots, longest) } != 0 {
            return Err(format!("{library} made no store: {}", io::Error::last_os_error()));
        }
        Ok(Self { calls, name })
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        // SAFETY: no link is left, so nobody uses the store.
        unsafe { (self.calls.close)() };
        let name = self.name.to_string_lossy().into_owned();
        for place in [Path::new("/dev/shm").join(&name), name.into()] {
            // It is in one of them.
            let _ = std::fs::remove_file(place);
        }
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

#[cold]
fn miss() -> Miss {
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock => Miss::Again,
        io::ErrorKind::NotFound => Miss::NotFound,
        _ => Miss::Other(error.to_string().into()),
    }
}

impl Link for ForeignLink {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let key = self.key(key)?;
        let (out, room, mut len) = (buf.as_mut_ptr().cast(), buf.len(), 0);
        // SAFETY: the key ends, the buffer has as many bytes as is said, and all of them outlive the call.
        let code = unsafe { (self.store.calls.get)(key, out, room, &raw mut len) };
        if code == 0 { Ok(len.min(room)) } else { Err(miss()) }
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let key = self.key(key)?;
        // SAFETY: the key ends, the value has as many bytes as is said, and both outlive the call.
        let code = unsafe { (self.store.calls.set)(key, value.as_ptr().cast(), value.len()) };
        if code == 0 { Ok(()) } else { Err(miss()) }
    }
}
