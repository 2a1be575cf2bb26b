//! Whether the store through which an owner got its writer id is still open: kernel locks tell, on every file system, to
//! every thread, and whatever locks others hold. Where they cannot tell, no owner loses its writer id.

#![allow(unsafe_code, reason = "locks and descriptors have no safe interface")]

use splinter::{BidTerms, Error, Location, Scrub, Store, StoreError};
use splinter_testkit::faults::Mounts;
use splinter_testkit::kills::{LEN, kill_writers};
use splinter_testkit::process::alone;
use splinter_testkit::{Folder, Named, config, geometry, skipped, value};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

fn no_writer_id_is_left(location: &Location) {
    let store = Store::open(location).unwrap();
    assert!(
        matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })),
        "a living writer was robbed"
    );
}

/// Opens a store for two writers twice, and makes a writer of each.
fn both_openers_get_a_writer_id(location: &Location) {
    let store = Store::create(location, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
    let mut first = store.writer().unwrap();
    let mut second = Store::open(location).unwrap().writer().unwrap();
    no_writer_id_is_left(location);
    first.set("first", b"v").unwrap();
    second.set("second", b"v").unwrap();
    drop(first);
    Store::open(location).unwrap().writer().unwrap().set("third", b"v").unwrap();
}

#[test]
fn on_an_overlay_no_writer_loses_its_id_and_bids_are_refused() {
    let directory = Folder::new();
    alone("on_an_overlay_no_writer_loses_its_id_and_bids_are_refused", || {
        let Some(mounts) = Mounts::try_new() else { return };
        let base = directory.join("base");
        mounts.tmpfs(&base, "size=16m");
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| base.join(name));
        for folder in [&lower, &upper, &work, &merged] {
            std::fs::create_dir(folder).unwrap();
        }
        let options = [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)];
        let options = options.map(|(name, folder)| format!("{name}={}", folder.display()));
        if let Err(error) = mounts.overlay(&merged, &options.join(",")) {
            return skipped(&format!("an overlay: {error}"));
        }
        let location = Location::file(merged.join("store"));
        both_openers_get_a_writer_id(&location);
        let store = Store::open(&location).unwrap();
        assert!(store.bids().claim(7, BidTerms::default()).is_err());
    });
}

#[test]
fn a_thread_with_descriptors_of_its_own_takes_no_living_writers_id() {
    alone("a_thread_with_descriptors_of_its_own_takes_no_living_writers_id", || {
        let (name, directory) = (Named::new(), Folder::new());
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
        let _first = store.writer().unwrap();
        let (forked, opened) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: unshare takes a number.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
                forked.wait();
                opened.wait();
                // Its numbers are those of other files in the process's own table.
                let _second = Store::open(&name.0).unwrap().writer().unwrap();
                no_writer_id_is_left(&name.0);
            });
            forked.wait();
            let others = [0; 16].map(|_| File::create(directory.join("log")).unwrap());
            opened.wait();
            drop(others);
        });
    });
}

#[test]
fn a_lock_on_the_whole_file_keeps_no_writer_from_registering() {
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
    drop(store);
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let request = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the pointer is to a whole `flock` that lives through the call.
    let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) };
    assert_eq!(locked, 0);
    let mut writer = Store::open(&name.0).unwrap().writer().unwrap();
    writer.set("k", b"v").unwrap();
    let _other = Store::open(&name.0).unwrap().writer().unwrap();
    drop(file);
    no_writer_id_is_left(&name.0);
    writer.set("k", b"w").unwrap();
}

#[test]
fn a_descriptor_of_the_same_file_that_is_for_reading_is_no_way_to_write() {
    alone("a_descriptor_of_the_same_file_that_is_for_reading_is_no_way_to_write", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
        let reader = File::open(name.path()).unwrap();
        let number = std::os::fd::AsFd::as_fd(&store.fd()).as_raw_fd();
        // SAFETY: dup2 takes no pointer.
        assert_eq!(unsafe { libc::dup2(reader.as_raw_fd(), number) }, number);
        let mut writer = store.writer().unwrap();
        writer.set("k", b"v").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.set("k", b"w").unwrap());
        });
    });
}

#[test]
fn a_death_that_the_kernel_did_not_mark_is_found_by_a_waiter() {
    alone("a_death_that_the_kernel_did_not_mark_is_found_by_a_waiter", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, LEN as u64, 0, 4), Scrub::Hybrid)).unwrap();
        let mut writer = store.writer().unwrap();
        let body = value("key", 1, LEN);
        writer.set("key", &body).unwrap();
        let victim = || {
            let writer = Store::open(&name.0).unwrap().writer().unwrap();
            lose_robust_list();
            writer
        };
        let met = kill_writers(5, &body, victim, || {
            if writer.set("key", &body) != Err(Error::Again) {
                return false;
            }
            // No process marked the death, so the claim looks alive, until a caller that waits asks the kernel.
            assert_eq!(writer.set("key", &body), Err(Error::Again));
            let late = Instant::now() + Duration::from_secs(60);
            store.poll_after("key", store.epoch("key").unwrap(), Some(late)).unwrap();
            writer.set("key", &body).unwrap();
            assert_eq!(store.header().recoveries, 1);
            true
        });
        assert!(met, "no claim of a dead writer was met");
    });
}

/// Has the kernel know of no robust futex of this thread, as when it has taken the memory in which they are listed.
fn lose_robust_list() {
    // An empty list leads to itself. It stays until the process ends.
    let head = Box::leak(Box::new([0_usize; 3])).as_mut_ptr();
    // SAFETY: the head is this thread's alone.
    unsafe { head.write(head as usize) };
    // SAFETY: the head lives as long as the process.
    let answer = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<[usize; 3]>()) };
    assert_eq!(answer, 0);
}
