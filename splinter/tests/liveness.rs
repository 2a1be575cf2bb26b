//! The kernel decides whether the thread that writes lives, whatever its program closed, forked or gave up: a living
//! writer never loses its id, a dead one is recovered at once, and no call touches a file that is not the store's.

#![allow(unsafe_code, reason = "what programs do to their descriptors and themselves has no safe interface")]

use splinter::{BidTerms, Error, Expect, Scrub, Store, StoreError, Writer};
use splinter_testkit::kills::{LEN, holds_a_claim, kill_writers, stop_when};
use splinter_testkit::process::{Forked, alone, shared_words};
use splinter_testkit::{Named, config, geometry, sequence, skipped, store, value, wait_until};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Closes every descriptor from `first` on, as daemons do.
fn close_from(first: RawFd) {
    // SAFETY: the call takes no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    if answer != 0 {
        for fd in first..1024 {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

/// Opens files over every descriptor from 3 on.
fn cover(by: &File) {
    for fd in 3..64 {
        if fd != by.as_raw_fd() {
            // SAFETY: the call takes no pointer.
            assert_eq!(unsafe { libc::dup2(by.as_raw_fd(), fd) }, fd);
        }
    }
}

/// Ways in which programs change their descriptors once a store is open.
const CHANGES_OF_DESCRIPTORS: [(&str, fn()); 4] = [
    ("nothing", || {}),
    ("closefrom", || close_from(3)),
    ("dup2", || cover(&File::open("/dev/null").unwrap())),
    ("daemon", || {
        // SAFETY: setsid takes nothing.
        unsafe { libc::setsid() };
        std::env::set_current_dir("/").unwrap();
        close_from(0);
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        for fd in 1..3 {
            // SAFETY: dup2 takes no pointer.
            unsafe { libc::dup2(null.as_raw_fd(), fd) };
        }
        std::mem::forget(null);
    }),
];

/// How many claims of dead writers were taken over in a store.
fn takeovers(store: &Store) -> u64 {
    store.header().recoveries
}

#[test]
fn a_living_writer_keeps_its_id_after_any_change_of_descriptors() {
    alone("a_living_writer_keeps_its_id_after_any_change_of_descriptors", || {
        for (name_of_change, change) in CHANGES_OF_DESCRIPTORS {
            let name = Named::new();
            let geometry = geometry(8, LEN as u64, 0, 4);
            let store = Store::create(&name.0, &config(geometry, Scrub::Hybrid)).unwrap();
            store.writer().unwrap().set("key", &value("key", 0, LEN)).unwrap();
            let go = shared_words(2);
            let work = |number: u64| {
                let store = Store::open(&name.0).unwrap();
                let mut writer = store.writer().unwrap();
                change();
                go[0].fetch_add(1, Relaxed);
                while go[0].load(Relaxed) < 2 {
                    std::thread::yield_now();
                }
                let (mut last, mut mine) = (0, 0);
                while go[1].load(Relaxed) == 0 {
                    mine += 1;
                    match writer.set_if("key", &value("key", mine * 2 + number, LEN), Expect::Any) {
                        Ok(version) => {
                            assert!(version.epoch > last, "an epoch went back");
                            last = version.epoch;
                        }
                        Err(error) => assert_eq!(error, Error::Again),
                    }
                    if let Ok(read) = store.get_vec("key") {
                        sequence("key", &read);
                    }
                }
            };
            let children = [0, 1].map(|number| Forked::new(|| work(number)));
            wait_until("both write", || go[0].load(Relaxed) == 2);
            std::thread::sleep(Duration::from_millis(400));
            go[1].store(1, Relaxed);
            children.into_iter().for_each(Forked::join);
            assert_eq!(takeovers(&store), 0, "after {name_of_change} a living writer lost its id");
        }
    });
}

#[test]
fn a_dead_writer_is_recovered_at_once_after_any_change_of_descriptors() {
    alone("a_dead_writer_is_recovered_at_once_after_any_change_of_descriptors", || {
        for (name_of_change, change) in CHANGES_OF_DESCRIPTORS {
            let name = Named::new();
            let geometry = geometry(8, LEN as u64, 0, 4);
            let store = Store::create(&name.0, &config(geometry, Scrub::Hybrid)).unwrap();
            store.writer().unwrap().set("key", &value("key", 0, LEN)).unwrap();
            // The asking process has closed everything as well.
            let asker = Forked::new(|| {
                let store = Store::open(&name.0).unwrap();
                let mut writer = store.writer().unwrap();
                change();
                let held = kills_in_a_claim(&store, change, &mut writer, 5);
                assert_eq!(held, 5, "after {name_of_change} no claim of a dead writer was met");
            });
            asker.join();
        }
    });
}

/// Kills writers of `key`, each after it has done `change`, until `wanted` of them were killed while they held it. Returns
/// how many were. The first attempt to set the key afterwards must succeed.
fn kills_in_a_claim(store: &Store, change: fn(), writer: &mut Writer, wanted: u64) -> u64 {
    let body = value("key", 1, LEN);
    let before = takeovers(store);
    let victim = || {
        let writer = store.writer().unwrap();
        change();
        writer
    };
    kill_writers(3, &body, victim, || {
        // Its end was waited for, so the first attempt gets the key.
        writer.set("key", &body).unwrap();
        takeovers(store) - before == wanted
    });
    takeovers(store) - before
}

#[test]
fn a_file_of_the_programs_own_is_neither_locked_nor_closed() {
    alone("a_file_of_the_programs_own_is_neither_locked_nor_closed", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
        let folder = splinter_testkit::Folder::new();
        let path = folder.join("other");
        File::create(&path).unwrap().write_all(&[7; 65_536]).unwrap();
        let other = File::options().read(true).write(true).open(&path).unwrap();
        cover(&other);
        let mut writer = store.writer().unwrap();
        writer.set("k", b"v").unwrap();
        store.bids().claim(1, BidTerms::default()).unwrap();
        assert_eq!(store.bids().list().unwrap().len(), 1);
        let child = Forked::new(|| {
            let mut writer = store.writer().unwrap();
            writer.set("child", b"v").unwrap();
            store.bids().claim(2, BidTerms::default()).unwrap();
            assert!(!is_locked(&path), "a child locked what is not the store's");
        });
        child.join();
        assert!(!is_locked(&path), "what is not the store's was locked");
        drop((writer, store));
        for fd in 3..64 {
            // SAFETY: fcntl takes no pointer here.
            let open = unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
            assert!(open, "descriptor {fd} is the program's, and was closed");
        }
        let mut bytes = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == [7; 65_536], "what is not the store's was written");
    });
}

/// Tells whether another open file description has locked any byte of a file.
fn is_locked(path: &std::path::Path) -> bool {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut question = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the pointer is to a whole `flock` that lives through the call.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut question) };
    assert_eq!(answer, 0);
    libc::c_int::from(question.l_type) != libc::F_UNLCK
}

/// Opens a file for reading, and locks every byte of it with a read lock.
fn lock_all(path: &std::path::Path) -> File {
    let reader = File::open(path).unwrap();
    let request = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    for call in [libc::F_OFD_SETLK, libc::F_SETLK] {
        // SAFETY: the pointer is to a whole `flock` that lives through the call.
        assert_eq!(unsafe { libc::fcntl(reader.as_raw_fd(), call, &raw const request) }, 0);
    }
    reader
}

#[test]
fn a_process_that_may_only_read_stops_no_writer() {
    alone("a_process_that_may_only_read_stops_no_writer", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, LEN as u64, 0, 4), Scrub::Hybrid)).unwrap();
        let _reader = lock_all(&name.path());
        let other = Store::open(&name.0).unwrap();
        let mut writer = other.writer().unwrap();
        writer.set("key", b"v").unwrap();
        let held = kills_in_a_claim(&store, || {}, &mut writer, 1) == 1;
        assert!(held, "no claim of a dead writer was met");
    });
}

#[test]
fn registering_takes_no_descriptor_no_rights_and_no_proc() {
    alone("registering_takes_no_descriptor_no_rights_and_no_proc", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 8), Scrub::Hybrid)).unwrap();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a whole `rlimit` that lives through the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| store.writer().unwrap().set("thread", b"v").unwrap());
        });
        // Later it could not be removed.
        drop(name);
        // SAFETY: geteuid takes nothing.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: the path is a string that ends in a zero byte.
            assert_eq!(unsafe { libc::chroot(c"/sys".as_ptr()) }, 0);
            // SAFETY: setuid takes no pointer.
            assert_eq!(unsafe { libc::setuid(65_534) }, 0);
        } else {
            skipped("giving up root: only root can");
        }
        let mut writer = store.writer().unwrap();
        writer.set("k", b"v").unwrap();
        let child = Forked::new(|| store.writer().unwrap().set("child", b"v").unwrap());
        child.join();
        std::thread::scope(|scope| {
            scope.spawn(|| store.writer().unwrap().set("thread", b"v").unwrap());
        });
    });
}

#[test]
fn one_to_whom_the_descriptor_was_passed_writes_without_rights_to_the_file() {
    alone("one_to_whom_the_descriptor_was_passed_writes_without_rights_to_the_file", || {
        // SAFETY: geteuid takes nothing.
        if unsafe { libc::geteuid() } != 0 {
            return skipped("giving up root: only root can");
        }
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
        let mut writer = store.writer().unwrap();
        // A description of its own, as one that came over a socket.
        let passed = File::options().read(true).write(true).open(name.path()).unwrap();
        let child = Forked::new(|| {
            // SAFETY: setuid takes no pointer.
            assert_eq!(unsafe { libc::setuid(65_534) }, 0);
            assert!(File::open(name.path()).is_err(), "the file can be opened all the same");
            let given = Store::from_fd(OwnedFd::from(passed.try_clone().unwrap())).unwrap();
            let again = Store::from_fd(OwnedFd::from(passed.try_clone().unwrap())).unwrap();
            let mut writers = [given.writer().unwrap(), again.writer().unwrap()];
            writers.iter_mut().for_each(|writer| writer.set("child", b"v").unwrap());
            // It opens the store anew beside them, and takes neither writer id.
            let third = Store::from_fd(OwnedFd::from(passed.try_clone().unwrap())).unwrap();
            third.writer().unwrap().set("child", b"w").unwrap();
            writers.iter_mut().for_each(|writer| writer.set("child", b"x").unwrap());
        });
        child.join();
        writer.set("k", b"v").unwrap();
        assert_eq!(store.get_vec("child").unwrap(), b"x");
        // All other writer ids are free.
        let _all = [(); 3].map(|()| store.writer().unwrap());
    });
}

#[test]
fn writers_may_move_between_threads_and_outlive_them() {
    let store = store(geometry(16, 64, 0, 2));
    // Made by a thread that has ended, and used by two others in turn, with another writer under the only other id.
    let mut writer = std::thread::scope(|scope| scope.spawn(|| store.writer().unwrap()).join().unwrap());
    let mut other = store.writer().unwrap();
    for round in 0..200_u64 {
        writer.set("moved", &round.to_le_bytes()).unwrap();
        writer = std::thread::scope(|scope| {
            let moved = scope.spawn(|| {
                writer.set("moved", &round.to_le_bytes()).unwrap();
                writer
            });
            moved.join().unwrap()
        });
        other.set("other", &round.to_le_bytes()).unwrap();
    }
    // The thread that had it has ended; here it has one again.
    writer.set("moved", b"").unwrap();
    assert_ne!(writer.id(), other.id());
    assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })));
    drop(writer);
    let _third = store.writer().unwrap();
}

#[test]
fn a_writer_whose_id_was_lost_with_its_thread_takes_another() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = std::thread::scope(|scope| scope.spawn(|| store.writer().unwrap()).join().unwrap());
    let id = writer.id();
    // The scope waits for the closure; the kernel marks the owner word when the thread is gone.
    let mut taken = Vec::new();
    wait_until("both writer ids are free", || {
        taken.extend(store.writer().ok());
        taken.len() == 2
    });
    assert!(taken.iter().any(|other| other.id() == id));
    assert_eq!(writer.set("k", b"v"), Err(Error::Unregistered));
    taken.clear();
    writer.set("k", b"v").unwrap();
    assert_eq!(store.get_vec("k").unwrap(), b"v");
}

#[test]
fn a_program_that_is_replaced_has_died_as_a_writer() {
    alone("a_program_that_is_replaced_has_died_as_a_writer", || {
        let store = store(geometry(8, 64, 0, 1));
        let child = Forked::new(|| {
            let writer = store.writer().unwrap();
            std::mem::forget(writer);
            let sleep = [c"/bin/sleep".as_ptr(), c"60".as_ptr(), std::ptr::null()];
            // SAFETY: the arguments are strings that end in zero bytes, and the last pointer is null.
            unsafe { libc::execv(sleep[0], sleep.as_ptr()) };
        });
        let path = format!("/proc/{}/comm", child.id());
        wait_until("the program is another", || {
            std::fs::read_to_string(&path).is_ok_and(|name| name.trim() == "sleep")
        });
        let mut writer = store.writer().unwrap();
        writer.set("k", b"v").unwrap();
        child.kill();
    });
}

#[test]
fn copies_and_files_of_a_machine_that_was_switched_off_have_no_owners() {
    let folder = splinter_testkit::Folder::new();
    let (original, copy) = (folder.join("original"), folder.join("copy"));
    let place = splinter::Location::file(&original);
    let store = Store::create(&place, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
    let writers = [store.writer().unwrap(), store.writer().unwrap()];
    std::fs::copy(&original, &copy).unwrap();
    let copied = Store::open(&splinter::Location::file(&copy)).unwrap();
    let again = Store::open(&splinter::Location::file(&copy)).unwrap();
    let mut writer = copied.writer().unwrap();
    writer.set("k", b"v").unwrap();
    let _other = again.writer().unwrap();
    // Opening a store that others have open frees no writer id.
    let third = Store::open(&splinter::Location::file(&copy)).unwrap();
    assert!(matches!(third.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })));
    assert!(matches!(
        Store::open(&place).unwrap().writer(),
        Err(StoreError::TooManyWriters { max_writers: 2 })
    ));
    drop(writers);
}

#[test]
fn the_programs_own_robust_mutexes_and_ours_share_a_list() {
    let store = store(geometry(8, 64, 0, 4));
    // Two for before ours are linked, and two for after.
    let mutexes = [robust_mutex(), robust_mutex(), robust_mutex(), robust_mutex()];
    let places = mutexes.each_ref().map(|mutex| std::ptr::from_ref::<Mutex>(mutex).expose_provenance());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lock = |at: usize| {
                let mutex = std::ptr::with_exposed_provenance_mut(places[at]);
                // SAFETY: the mutex was initialised, and outlives the thread.
                assert_eq!(unsafe { libc::pthread_mutex_lock(mutex) }, 0);
            };
            let unlock = |at: usize| {
                let mutex = std::ptr::with_exposed_provenance_mut(places[at]);
                // SAFETY: as above, and this thread holds it.
                assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex) }, 0);
            };
            lock(0);
            lock(1);
            let first = store.writer().unwrap();
            lock(2);
            let second = store.writer().unwrap();
            unlock(1);
            drop(first);
            lock(3);
            unlock(2);
            std::mem::forget(second);
            // 0 and 3 are still held, and so is a writer id.
        });
    });
    for (at, mutex) in mutexes.iter().enumerate() {
        let place = std::ptr::from_ref::<Mutex>(mutex).cast_mut();
        let wanted = if matches!(at, 0 | 3) { libc::EOWNERDEAD } else { 0 };
        let since = Instant::now();
        // SAFETY: the mutex was initialised.
        let mut answer = unsafe { libc::pthread_mutex_trylock(place) };
        while answer == libc::EBUSY && since.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
            // SAFETY: as above.
            answer = unsafe { libc::pthread_mutex_trylock(place) };
        }
        assert_eq!(answer, wanted, "mutex {at}");
    }
    let mut writers = Vec::new();
    wait_until("all writer ids are free", || {
        writers.extend(store.writer().ok());
        writers.len() == 4
    });
}

type Mutex = libc::pthread_mutex_t;

fn robust_mutex() -> Box<Mutex> {
    let mut mutex = Box::new(libc::PTHREAD_MUTEX_INITIALIZER);
    let mut attributes = std::mem::MaybeUninit::uninit();
    // SAFETY: the call fills the attributes.
    assert_eq!(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) }, 0);
    // SAFETY: they were initialised just now.
    let set =
        unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) };
    assert_eq!(set, 0);
    // SAFETY: both are whole, and the mutex stays where it is.
    let made = unsafe { libc::pthread_mutex_init(&raw mut *mutex, attributes.as_ptr()) };
    assert_eq!(made, 0);
    mutex
}

#[test]
fn closed_descriptors_break_only_calls_that_need_one() {
    alone("closed_descriptors_break_only_calls_that_need_one", || {
        let store = store(geometry(8, 64, 0, 4));
        let passed = store.fd().try_clone_to_owned().unwrap();
        close_from(3);
        std::mem::forget(passed);
        let mut writer = store.writer().unwrap();
        writer.set("k", b"v").unwrap();
        assert_eq!(store.get_vec("k").unwrap(), b"v");
        assert_eq!(store.inspect().unwrap().keys, 1);
        store.flush().unwrap();
        // A memory file has no name by which it could be opened again.
        assert!(store.bids().claim(1, BidTerms::default()).is_err());
        let (mine, _) = std::io::pipe().unwrap();
        let number = mine.as_raw_fd();
        drop((writer, store));
        // SAFETY: the descriptor is open, or the test fails.
        let mine = unsafe {
            OwnedFd::from_raw_fd({
                std::mem::forget(mine);
                number
            })
        };
        assert!(mine.try_clone().is_ok(), "the program's own pipe was closed");
    });
}

#[test]
fn a_thread_gets_an_error_at_as_many_writers_as_the_kernel_follows() {
    let stores = [(); 2].map(|()| store(geometry(1, 8, 0, 1_000)));
    let mut writers = Vec::new();
    let refused = loop {
        match stores[writers.len() / 1_000].writer() {
            Ok(writer) => writers.push(writer),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(writers.len(), 1_920);
    assert!(refused.contains("a thread holds at most 1920 writers"), "{refused}");
    // Others hold their own.
    std::thread::scope(|scope| {
        scope.spawn(|| stores[1].writer().unwrap().set("k", b"v").unwrap());
    });
    writers.truncate(1_000);
    stores[1].writer().unwrap().set("k", b"w").unwrap();
}

#[test]
fn a_writer_that_lost_its_id_takes_nothing_from_the_next_owner() {
    alone("a_writer_that_lost_its_id_takes_nothing_from_the_next_owner", || {
        let store = store(geometry(8, LEN as u64, 0, 2));
        let mut lost = std::thread::scope(|scope| scope.spawn(|| store.writer().unwrap()).join().unwrap());
        lost.set("other", b"v").unwrap();
        let lost = std::thread::scope(|scope| {
            let used = scope.spawn(|| {
                lost.set("other", b"w").unwrap();
                lost
            });
            used.join().unwrap()
        });
        let mut stranger = Forked::new(|| {
            let mut writer = store.writer().unwrap();
            // The kernel marks the owner word when the thread is gone.
            while writer.id() != lost.id() {
                drop(writer);
                writer = store.writer().unwrap();
            }
            for round in 0.. {
                let _ = writer.set("key", &value("key", round, LEN));
            }
        });
        stop_when(&mut stranger, || holds_a_claim(&store));
        drop(lost);
        stranger.kill();
        // The next owner of the writer id finds what its last owner had set out to do.
        let mut writers = [store.writer().unwrap(), store.writer().unwrap()];
        for writer in &mut writers {
            writer.set("key", b"v").unwrap();
        }
    });
}

#[test]
fn a_store_by_a_descriptor_counts_as_open_though_its_name_is_not_known() {
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(8, 64, 0, 1), Scrub::Hybrid)).unwrap();
    let passed = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
    let mut writer = passed.writer().unwrap();
    drop(store);
    let opened = Store::open(&name.0).unwrap();
    assert!(matches!(opened.writer(), Err(StoreError::TooManyWriters { max_writers: 1 })));
    writer.set("k", b"v").unwrap();
}
