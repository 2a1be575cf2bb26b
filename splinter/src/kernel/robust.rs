//! Words that the kernel itself marks when the thread that holds them ends: robust futexes (Linux,
//! `robust-futexes.rst`). A thread hands the kernel the head of a list; when the thread ends, however that comes, the
//! kernel walks the list, and in each word that still has the thread's id it puts the mark `FUTEX_OWNER_DIED` in place of the id.
//! Whoever asks whether the holder lives loads a word: no descriptor, no lock of a file, no process id.
//!
//! There is one list for each thread, and the C library owns its head, for the robust mutexes of the program. So ours
//! goes into that list: a *front* and a *back* of our own, as if they were two mutexes, and between them what belongs to
//! us. The C library puts its mutexes before the front and takes out its own only, so nobody but this file changes a
//! link between the two. It does so under one lock for the whole process, since a thread may take a word from another.
//!
//! It knows lists and threads, and nothing of what a word is for.

// Opts in for walking a list that lies in the C library's and the kernel's hands.
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

/// How many words one thread may hold: the kernel follows 2,048 entries of a list, those of the program's mutexes
/// included.
const HELD_AT_MOST: usize = 1_920;

/// `struct robust_list_head` of `linux/futex.h`.
#[repr(C)]
struct Head {
    /// The first entry, or the head itself where there is none.
    first: AtomicUsize,
    /// How far a word lies from its entry, in bytes. The C library chose it, and all entries share it.
    word_from_entry: isize,
    /// An entry that is about to be linked or unlinked. The kernel looks at its word as well.
    pending: AtomicUsize,
}

/// One end of what is ours in a thread's list, laid out as the C library lays out a mutex, whose entries it links both
/// ways: it stores to `previous` of its neighbour.
#[repr(C)]
struct End {
    word: AtomicU32,
    rest: [u32; 5],
    previous: AtomicUsize,
    entry: AtomicUsize,
}

impl End {
    fn new(tid: u32) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { word: AtomicU32::new(tid), rest: [0; 5], previous: zero(), entry: zero() }
    }
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(End, entry) == NODE_BEHIND_WORD);
    assert!(offset_of!(End, entry) - offset_of!(End, previous) == size_of::<usize>());
    assert!(offset_of!(Head, pending) == 16);
};

/// A thread that holds words, or did.
struct Thread {
    tid: u32,
    head: NonNull<Head>,
    /// Where its mark is.
    place: Place,
    front: End,
    /// Its word is marked when the kernel has walked all that lies before it.
    back: End,
    /// What lies between, in the list's order.
    held: Vec<Held>,
    /// WordPagess whose entries another thread unlinked: the kernel may be at one of them just now, if this thread is about
    /// to end.
    retired: Vec<WordPages>,
    /// For a thread for which the C library has no head.
    own: OwnHead,
}

/// A head, and what the C library keeps before one.
#[repr(C)]
struct OwnHead {
    previous: AtomicUsize,
    head: Head,
}

struct Held {
    entry: Entry,
    window: WordPages,
}

/// The address of a list entry: a word that has the next one's.
type Entry = NonNull<AtomicUsize>;
/// Where a thread's mark is, in a page that is never unmapped.
type Place = NonNull<AtomicU64>;

/// All threads of this process that hold words, by their marks.
#[derive(Default)]
struct Threads {
    by_mark: BTreeMap<u64, Box<Thread>>,
    /// Places for marks that no living thread has.
    free: Vec<Place>,
}

// SAFETY: a head is used by its own thread only; entries are atomics that are mapped while they are linked; places are
// atomics that are never unmapped.
unsafe impl Send for Threads {}

static THREADS: PerProcess<Mutex<Threads>> = PerProcess::new();
/// Marks are drawn from here, so that a child draws none that it inherited.
static NEXT_MARK: AtomicU64 = AtomicU64::new(1);

/// What a thread that holds nothing has for a mark.
static NO_MARK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's mark. It lies in a page that is wiped in every child, so that a child's thread, which has a copy of
    /// everything else, has no mark.
    static MARK: Cell<*const AtomicU64> = const { Cell::new(&raw const NO_MARK) };
}

/// Returns a number that the calling thread has for itself in this process; 0 if it never held a word here.
#[inline(always)]
pub(crate) fn thread_mark() -> u64 {
    // SAFETY: it is the static's address, or that of a mark, whose page is never unmapped.
    MARK.with(|mark| unsafe { &*mark.get() }.load(Ordering::Relaxed))
}

/// A word that a thread holds.
#[derive(Debug)]
pub(crate) struct RobustLink {
    /// The [`thread_mark`] of the thread that holds it.
    pub(crate) mark: u64,
    process: u64,
    entry: Entry,
}

// SAFETY: the entry is an address that is compared; it is followed under the lock only, by what has it linked.
unsafe impl Send for RobustLink {}
// SAFETY: as above.
unsafe impl Sync for RobustLink {}

impl RobustLink {
    /// Whether another process holds the word: the parent of this one.
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != process()
    }
}

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the calling thread hold the `index`-th word of a window. `exchange` puts the thread's id into the word, if it
/// may; returns nothing if it did not.
///
/// # Errors
/// The kernel's, when it keeps no such list for this thread or has no memory; in words, that the thread holds too many.
pub(crate) fn hold(
    window: WordPages,
    index: usize,
    exchange: impl FnOnce(u32) -> bool,
) -> io::Result<Option<RobustLink>> {
    threads().bind(window, index, exchange)
}

/// Has the calling thread hold, by another window of it, a word that another thread of this process holds. `exchange`
/// puts this thread's id into it, if it may; otherwise nobody of this process holds it, and the answer is `false`.
///
/// # Errors
/// As [`hold`].
pub(crate) fn pass_on(
    link: &mut RobustLink,
    window: WordPages,
    index: usize,
    exchange: impl FnOnce(u32) -> bool,
) -> io::Result<bool> {
    let mut threads = threads();
    threads.mine()?;
    // First: a thread that still has the entry would mark the word when it ends, whoever has the word by then: a thread with
    // the same id in another namespace as well.
    threads.unlink(link);
    let Some(passed) = threads.bind(window, index, exchange)? else { return Ok(false) };
    *link = passed;
    Ok(true)
}

/// Has nobody hold the word any more. `exchange` takes the holder's id out of it, if it is still there. In a child this
/// does nothing.
pub(crate) fn let_go(link: &RobustLink, exchange: impl FnOnce()) {
    if link.is_inherited() {
        return;
    }
    let mut threads = threads();
    // First: once the id is out of the word, another process may take it whose thread has the same id in its namespace, and
    // this thread's end must not mark that.
    threads.unlink(link);
    exchange();
}

impl Threads {
    /// Links the entry of a word whose id `exchange` makes the calling thread's, if it does.
    fn bind(
        &mut self,
        window: WordPages,
        index: usize,
        exchange: impl FnOnce(u32) -> bool,
    ) -> io::Result<Option<RobustLink>> {
        let thread = self.mine()?;
        let entry = window.entry(index);
        // From the exchange on the word is this thread's to lose, whether the entry is linked yet or not.
        thread.pend(entry.addr().get());
        let exchanged = exchange(thread.tid);
        if exchanged {
            thread.link(Held { entry, window });
        }
        thread.pend(0);
        Ok(exchanged.then(|| RobustLink { mark: thread_mark(), process: process(), entry }))
    }

    /// Finds the calling thread, and puts the two ends into its list if it is new.
    fn mine(&mut self) -> io::Result<&mut Thread> {
        let mut mark = thread_mark();
        if mark == 0 {
            self.forget_ended();
            let place = self.free_place()?;
            let thread = Thread::attach(place)?;
            self.free.pop();
            mark = NEXT_MARK.fetch_add(1, Ordering::Relaxed);
            self.by_mark.insert(mark, thread);
            // SAFETY: places are never unmapped.
            unsafe { place.as_ref() }.store(mark, Ordering::Relaxed);
            MARK.set(place.as_ptr());
        }
        let thread = self.by_mark.get_mut(&mark).ok_or(io::ErrorKind::NotFound)?;
        // The one who walks this list is busy here.
        thread.retired.clear();
        if thread.held.len() >= HELD_AT_MOST {
            let why =
                format!("a thread holds at most {HELD_AT_MOST} writers; drop some, or use more threads");
            return Err(io::Error::other(why));
        }
        Ok(thread)
    }

    /// Returns the last free place for a mark; maps a page of them if there is none.
    fn free_place(&mut self) -> io::Result<Place> {
        if self.free.is_empty() {
            let first = NonNull::new(wiped_page()?).ok_or(io::ErrorKind::OutOfMemory)?;
            let count = sys::page_bytes() / size_of::<AtomicU64>();
            // SAFETY: all of them lie in the page.
            self.free.extend((0..count).map(|at| unsafe { first.add(at) }));
        }
        self.free.last().copied().ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Drops what is left of threads that ended: the kernel has walked their lists.
    fn forget_ended(&mut self) {
        let free = &mut self.free;
        self.by_mark.retain(|_, thread| {
            let ended = thread.has_ended();
            free.extend(ended.then_some(thread.place));
            !ended
        });
    }

    /// Takes an entry out of the list of whichever thread has it.
    fn unlink(&mut self, link: &RobustLink) {
        let Some(thread) = self.by_mark.get_mut(&link.mark) else { return };
        let Some(mut window) = thread.unlink(link.entry) else { return };
        if link.mark != thread_mark() {
            window.empty();
            thread.retired.push(window);
        }
    }
}

impl Thread {
    /// Puts the two ends into the calling thread's list.
    fn attach(place: Place) -> io::Result<Box<Self>> {
        // SAFETY: gettid takes no pointer.
        let tid = unsafe { libc::gettid() }.cast_unsigned();
        let own = OwnHead { previous: AtomicUsize::new(0), head: Head::empty() };
        let (front, back) = (End::new(tid), End::new(tid));
        let (held, retired, head) = (Vec::new(), Vec::new(), NonNull::dangling());
        let mut thread = Box::new(Self { tid, head, place, front, back, held, retired, own });
        thread.head = match kernels_head()? {
            Some(head) => head,
            None => thread.hand_over_own_head()?,
        };
        // SAFETY: it is this thread's head, which lasts as long as the thread does.
        let head = unsafe { thread.head.as_ref() };
        if head.word_from_entry != -(NODE_BEHIND_WORD as isize) {
            let why = "this C library lays out robust mutexes otherwise than glibc for 64 bits does";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let address = |end: &End| ptr::from_ref(&end.entry).addr();
        let (front, back) = (address(&thread.front), address(&thread.back));
        let first = head.first.load(Ordering::Relaxed);
        thread.back.entry.store(first, Ordering::Relaxed);
        thread.back.previous.store(front, Ordering::Relaxed);
        thread.front.entry.store(back, Ordering::Relaxed);
        thread.front.previous.store(thread.head.addr().get(), Ordering::Relaxed);
        // The word before an entry names the previous one. An entry's lowest bit tells a kind of mutex.
        let before_first = ptr::with_exposed_provenance::<AtomicUsize>((first & !1) - size_of::<usize>());
        // SAFETY: the C library keeps one before each of its entries, and before the head; so does `own`.
        unsafe { &*before_first }.store(back, Ordering::Relaxed);
        head.first.store(front, Ordering::Release);
        Ok(thread)
    }

    /// Gives the kernel a head for a thread that the C library did not make.
    fn hand_over_own_head(&mut self) -> io::Result<NonNull<Head>> {
        let head = NonNull::from(&mut self.own.head);
        // SAFETY: it lies in the box, which is dropped after the thread's end.
        unsafe { head.as_ref() }.first.store(head.as_ptr().expose_provenance(), Ordering::Relaxed);
        // SAFETY: the kernel reads a head of this length, as long as the thread lives.
        let answer = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<Head>()) };
        if answer == 0 { Ok(head) } else { Err(io::Error::last_os_error()) }
    }

    /// Tells the kernel of an entry that is not in the list, or of none any more (0).
    fn pend(&self, entry: usize) {
        // SAFETY: only the thread itself calls this, whose head it is.
        let head = unsafe { self.head.as_ref() };
        // The kernel looks after the thread's last instruction, whose order is the program's.
        compiler_fence(Ordering::SeqCst);
        head.pending.store(entry, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Puts an entry behind the front.
    fn link(&mut self, held: Held) {
        let next = self.front.entry.load(Ordering::Relaxed);
        // SAFETY: it lies in the window, which is kept while it is linked.
        unsafe { held.entry.as_ref() }.store(next, Ordering::Relaxed);
        // Release: the kernel, which walks from the front, finds the entry with its next one.
        self.front.entry.store(held.entry.addr().get(), Ordering::Release);
        self.held.insert(0, held);
    }

    /// Takes an entry out. Its own word stays, for the kernel may be there: from there it goes on to what lay behind.
    fn unlink(&mut self, entry: Entry) -> Option<WordPages> {
        let at = self.held.iter().position(|held| held.entry == entry)?;
        let next = match self.held.get(at + 1) {
            Some(held) => held.entry.addr().get(),
            None => ptr::from_ref(&self.back.entry).addr(),
        };
        let before = match at.checked_sub(1) {
            // SAFETY: what is linked is mapped.
            Some(before) => unsafe { self.held[before].entry.as_ref() },
            None => &self.front.entry,
        };
        before.store(next, Ordering::Release);
        Some(self.held.remove(at).window)
    }

    fn has_ended(&self) -> bool {
        // Acquire: the kernel marked this word after all before it.
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
fn kernels_head() -> io::Result<Option<NonNull<Head>>> {
    let (mut head, mut len) = (ptr::null_mut::<Head>(), 0_usize);
    let (at, len_at) = (&raw mut head, &raw mut len);
    // SAFETY: the kernel stores an address and a length where the two pointers lead.
    let answer = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, at, len_at) };
    if answer == 0 { Ok(NonNull::new(head)) } else { Err(io::Error::last_os_error()) }
}
