//! Robust futexes (Linux, `robust-futexes.rst`): words that the kernel itself marks when the thread that owns them
//! ends. A thread registers the head of a list with the kernel. When the thread ends, for whatever reason, the kernel
//! walks the list. In each word that still has the thread's id, it replaces the id by the mark `FUTEX_OWNER_DIED`. So
//! one load tells whether an owner lives: no descriptor, no file lock, no process id.
//!
//! Each thread has one list. The C library owns its head, for the program's robust mutexes, so our links go into that
//! list. There a *front* and a *back* node of ours stand as if they were two mutexes, and all our links lie between
//! them. The C library puts its mutexes before the front and removes only its own, so only this module changes a link
//! between front and back. One lock for the whole process guards them, since a thread may take a word over from
//! another.
//!
//! This module knows lists and threads. It does not know what a word means.

// Opts in to unsafe code for a list that the C library and the kernel share.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::process::{PerProcess, process, wiped_page};
use super::sys;
use super::word_pages::{NODE_BEHIND_WORD, WordPages};

/// How many words one thread may own. The kernel follows 2,048 entries of a list, and the program's mutexes count too.
const LINKS_MAX: usize = 1_920;

/// `struct robust_list_head` of `linux/futex.h`.
#[repr(C)]
struct Head {
    /// The first entry, or the head itself if the list is empty.
    first: AtomicUsize,
    /// The distance from an entry to its word, in bytes. The C library chose it, and all entries share it.
    word_from_entry: isize,
    /// An entry that is about to be linked or unlinked. The kernel checks its word as well.
    pending: AtomicUsize,
}

/// The front or back node of our part of a thread's list. It is laid out as the C library's mutex, which the C library
/// links both ways: it stores to `previous` of its neighbour.
#[repr(C)]
struct EndNode {
    word: AtomicU32,
    rest: [u32; 5],
    previous: AtomicUsize,
    entry: AtomicUsize,
}

impl EndNode {
    fn new(tid: u32) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { word: AtomicU32::new(tid), rest: [0; 5], previous: zero(), entry: zero() }
    }
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(EndNode, entry) == NODE_BEHIND_WORD);
    assert!(offset_of!(EndNode, entry) - offset_of!(EndNode, previous) == size_of::<usize>());
    assert!(offset_of!(Head, pending) == 16);
};

/// A thread that owns words, or did.
struct Thread {
    tid: u32,
    head: NonNull<Head>,
    /// The address of its serial number.
    address: SerialAddress,
    front: EndNode,
    /// The kernel marks this node's word after it has walked everything before it.
    back: EndNode,
    /// The links between front and back, in the list's order.
    links: Vec<Link>,
    /// Pages whose entries another thread unlinked. If this thread is about to end, the kernel may be at one of them
    /// now.
    retired: Vec<WordPages>,
    /// The head for a thread for which the C library has registered none.
    own: OwnHead,
}

/// A head, and the word that the C library keeps before one.
#[repr(C)]
struct OwnHead {
    previous: AtomicUsize,
    head: Head,
}

struct Link {
    entry: Entry,
    pages: WordPages,
}

/// The address of a list entry: a word that contains the next entry's address.
type Entry = NonNull<AtomicUsize>;
/// The address of a thread's serial number, in a page that is never unmapped.
type SerialAddress = NonNull<AtomicU64>;

/// All threads of this process that own words, by their serial numbers.
#[derive(Default)]
struct Threads {
    by_serial: BTreeMap<u64, Box<Thread>>,
    /// Addresses for serial numbers that no live thread uses.
    free: Vec<SerialAddress>,
}

// SAFETY: only its own thread uses a head. Entries are atomics that stay mapped while they are linked. Serial
// numbers are atomics that are never unmapped.
unsafe impl Send for Threads {}

static THREADS: PerProcess<Mutex<Threads>> = PerProcess::new();
/// The next serial number to draw. A child has a copy, so it draws none that it inherited.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

/// The serial number of a thread that owns no word.
static NO_SERIAL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The address of this thread's serial number, in a page that the kernel wipes in every child. So a child's
    /// thread, which has a copy of everything else, has none.
    static SERIAL: Cell<*const AtomicU64> = const { Cell::new(&raw const NO_SERIAL) };
}

/// Returns the calling thread's serial number, unique in this process; 0 if the thread never owned a word here.
#[inline(always)]
pub(crate) fn thread_serial() -> u64 {
    // SAFETY: it is the address of the static, or of a serial number, whose page is never unmapped.
    SERIAL.with(|serial| unsafe { &*serial.get() }.load(Ordering::Relaxed))
}

/// A word that a thread owns, linked into that thread's robust list.
#[derive(Debug)]
pub(crate) struct RobustLink {
    /// The [`thread_serial`] of the owning thread.
    pub(crate) serial: u64,
    process: u64,
    entry: Entry,
}

// SAFETY: the entry's address is only compared. It is dereferenced under the lock only, while it is linked.
unsafe impl Send for RobustLink {}
// SAFETY: as above.
unsafe impl Sync for RobustLink {}

impl RobustLink {
    /// Tells whether another process, the parent of this one, owns the word.
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != process()
    }
}

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Links the `index`-th word of these pages into the calling thread's list. `exchange` tries to put the thread's id
/// into the word. If it returns `false`, this function returns `None`.
///
/// # Errors
/// The kernel's error, when it keeps no list for this thread or has no memory. An error in words, when the thread owns
/// too many.
pub(crate) fn link(
    pages: WordPages,
    index: usize,
    exchange: impl FnOnce(u32) -> bool,
) -> io::Result<Option<RobustLink>> {
    threads().link_word(pages, index, exchange)
}

/// Moves a word from the list of another thread of this process to that of the calling one, by other pages with the
/// word. `exchange` tries to put this thread's id into it. If it returns `false`, the word is in no list of this process,
/// and this function returns `false`. Otherwise it returns `true`.
///
/// # Errors
/// As [`link`].
pub(crate) fn relink(
    link: &mut RobustLink,
    pages: WordPages,
    index: usize,
    exchange: impl FnOnce(u32) -> bool,
) -> io::Result<bool> {
    let mut threads = threads();
    threads.this_thread()?;
    // Unlink first: a thread that still had the entry would mark the word when it ends. By then a thread with the same
    // id in another PID namespace may own the word.
    let unlinked = threads.unlink(link);
    let moved = threads.link_word(pages, index, exchange);
    drop(unlinked);
    let Some(moved) = moved? else { return Ok(false) };
    *link = moved;
    Ok(true)
}

/// Unlinks the word. `exchange` takes the owner's id out of it, if it is still there. In a child this does nothing.
pub(crate) fn unlink(link: &RobustLink, exchange: impl FnOnce()) {
    if link.is_inherited() {
        return;
    }
    let mut threads = threads();
    // Unlink first: once the id is out of the word, another process may take it, whose thread has the same id in its
    // PID namespace. The end of this thread must not mark that word. A process that is killed between the two leaves an
    // id that nobody marks, so nothing else happens there where the entry is this thread's.
    let unlinked = threads.unlink(link);
    exchange();
    drop(unlinked);
}

impl Threads {
    /// Links the entry of a word, if `exchange` puts the calling thread's id into it.
    fn link_word(
        &mut self,
        pages: WordPages,
        index: usize,
        exchange: impl FnOnce(u32) -> bool,
    ) -> io::Result<Option<RobustLink>> {
        let thread = self.this_thread()?;
        let entry = pages.entry(index);
        // From the exchange on, this thread owns the word, whether the entry is linked yet or not.
        thread.set_pending(entry.addr().get());
        let exchanged = exchange(thread.tid);
        if exchanged {
            thread.link(Link { entry, pages });
        }
        thread.set_pending(0);
        Ok(exchanged.then(|| RobustLink { serial: thread_serial(), process: process(), entry }))
    }

    /// Finds the calling thread, and puts front and back into its list if the thread is new.
    fn this_thread(&mut self) -> io::Result<&mut Thread> {
        let mut serial = thread_serial();
        if serial == 0 {
            self.drop_ended();
            let address = self.free_address()?;
            let thread = Thread::attach(address)?;
            self.free.pop();
            serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
            self.by_serial.insert(serial, thread);
            // SAFETY: the page of a serial number is never unmapped.
            unsafe { address.as_ref() }.store(serial, Ordering::Relaxed);
            SERIAL.set(address.as_ptr());
        }
        let thread = self.by_serial.get_mut(&serial).ok_or(io::ErrorKind::NotFound)?;
        // Only the kernel walks these, when this thread ends, and the thread runs here.
        thread.retired.clear();
        if thread.links.len() >= LINKS_MAX {
            let why = format!("a thread holds at most {LINKS_MAX} writers; drop some, or use more threads");
            return Err(io::Error::other(why));
        }
        Ok(thread)
    }

    /// Returns the last free address for a serial number. Maps another page of them if there is none.
    fn free_address(&mut self) -> io::Result<SerialAddress> {
        if self.free.is_empty() {
            let first = NonNull::new(wiped_page()?).ok_or(io::ErrorKind::OutOfMemory)?;
            let count = sys::page_bytes() / size_of::<AtomicU64>();
            // SAFETY: all of these addresses lie in the page.
            self.free.extend((0..count).map(|at| unsafe { first.add(at) }));
        }
        self.free.last().copied().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Drops the state of threads that ended: the kernel has walked their lists.
    fn drop_ended(&mut self) {
        let free = &mut self.free;
        self.by_serial.retain(|_, thread| {
            let ended = thread.has_ended();
            free.extend(ended.then_some(thread.address));
            !ended
        });
    }

    /// Removes an entry from the list of the thread that has it. Returns its pages if that is the calling thread: nobody
    /// needs them.
    ///
    /// Another thread may be ending, with the kernel at this entry. Its pages stay, but no longer lead to the store: the
    /// kernel would mark the word there, which may be somebody else's once the caller has given it up.
    fn unlink(&mut self, link: &RobustLink) -> Option<WordPages> {
        let thread = self.by_serial.get_mut(&link.serial)?;
        let mut pages = thread.unlink(link.entry)?;
        if link.serial == thread_serial() {
            return Some(pages);
        }
        pages.release_shared();
        thread.retired.push(pages);
        None
    }
}

impl Thread {
    /// Puts front and back into the calling thread's list.
    fn attach(address: SerialAddress) -> io::Result<Box<Self>> {
        // SAFETY: gettid takes no pointer.
        let tid = unsafe { libc::gettid() }.cast_unsigned();
        let own = OwnHead { previous: AtomicUsize::new(0), head: Head::empty() };
        let (front, back) = (EndNode::new(tid), EndNode::new(tid));
        let (links, retired, head) = (Vec::new(), Vec::new(), NonNull::dangling());
        let mut thread = Box::new(Self { tid, head, address, front, back, links, retired, own });
        thread.head = match registered_head()? {
            Some(head) => head,
            None => thread.register_own_head()?,
        };
        // SAFETY: it is this thread's head, which lasts as long as the thread does.
        let head = unsafe { thread.head.as_ref() };
        if head.word_from_entry != -(NODE_BEHIND_WORD as isize) {
            let why = "this C library lays out robust mutexes otherwise than glibc for 64 bits does";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let address = |end: &EndNode| ptr::from_ref(&end.entry).addr();
        let (front, back) = (address(&thread.front), address(&thread.back));
        let first = head.first.load(Ordering::Relaxed);
        thread.back.entry.store(first, Ordering::Relaxed);
        thread.back.previous.store(front, Ordering::Relaxed);
        thread.front.entry.store(back, Ordering::Relaxed);
        thread.front.previous.store(thread.head.addr().get(), Ordering::Relaxed);
        // The word before an entry is the address of the previous one. An entry's lowest bit tells a kind of mutex.
        let before_first = ptr::with_exposed_provenance::<AtomicUsize>((first & !1) - size_of::<usize>());
        // SAFETY: the C library keeps such a word before each of its entries and before the head, and so does `own`.
        unsafe { &*before_first }.store(back, Ordering::Relaxed);
        head.first.store(front, Ordering::Release);
        Ok(thread)
    }

    /// Registers our own head, for a thread that the C library did not make.
    fn register_own_head(&mut self) -> io::Result<NonNull<Head>> {
        let head = NonNull::from(&mut self.own.head);
        // SAFETY: the head lies in the box, which is dropped after the thread's end.
        unsafe { head.as_ref() }.first.store(head.as_ptr().expose_provenance(), Ordering::Relaxed);
        // SAFETY: the kernel reads a head of this length as long as the thread lives, and the box lives longer.
        let answer = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<Head>()) };
        if answer == 0 { Ok(head) } else { Err(io::Error::last_os_error()) }
    }

    /// Tells the kernel of an entry that is not in the list, or (0) that there is none any more.
    fn set_pending(&self, entry: usize) {
        // SAFETY: only the thread itself calls this, and it is that thread's head.
        let head = unsafe { self.head.as_ref() };
        // The kernel looks after the thread's last instruction. All that counts is the order of instructions.
        compiler_fence(Ordering::SeqCst);
        head.pending.store(entry, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Puts an entry behind the front.
    fn link(&mut self, link: Link) {
        let next = self.front.entry.load(Ordering::Relaxed);
        // SAFETY: the entry lies in the pages, which are kept while it is linked.
        unsafe { link.entry.as_ref() }.store(next, Ordering::Relaxed);
        // Release: the kernel, which walks from the front, finds the entry with the address of the next one.
        self.front.entry.store(link.entry.addr().get(), Ordering::Release);
        self.links.insert(0, link);
    }

    /// Removes an entry. Its own word stays, because the kernel may be there: from there it goes on to the next entry.
    fn unlink(&mut self, entry: Entry) -> Option<WordPages> {
        let at = self.links.iter().position(|link| link.entry == entry)?;
        let removed = self.links.remove(at);
        let next = match self.links.get(at) {
            Some(link) => link.entry.addr().get(),
            None => ptr::from_ref(&self.back.entry).addr(),
        };
        let before = match at.checked_sub(1) {
            // SAFETY: linked entries are mapped.
            Some(before) => unsafe { self.links[before].entry.as_ref() },
            None => &self.front.entry,
        };
        before.store(next, Ordering::Release);
        Some(removed.pages)
    }

    fn has_ended(&self) -> bool {
        // Acquire: the kernel marked this word after everything before it in the list.
        self.back.word.load(Ordering::Acquire) != self.tid
    }
}

impl Head {
    fn empty() -> Self {
        let zero = || AtomicUsize::new(0);
        Self { first: zero(), word_from_entry: -(NODE_BEHIND_WORD as isize), pending: zero() }
    }
}

/// Asks the kernel for the head of the calling thread's list.
fn registered_head() -> io::Result<Option<NonNull<Head>>> {
    let (mut head, mut len) = (ptr::null_mut::<Head>(), 0_usize);
    let (at, len_at) = (&raw mut head, &raw mut len);
    // SAFETY: the kernel stores an address and a length to where the two pointers lead.
    let answer = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, at, len_at) };
    if answer == 0 { Ok(NonNull::new(head)) } else { Err(io::Error::last_os_error()) }
}
