//! Whether the store is open that an owner came by: asked of the kernel by locks, on every file system, by every thread, and
//! whatever locks others hold. Where that cannot be known, nobody loses a lane.

#![allow(unsafe_code, reason = "mounts, locks and descriptors have no safe interface")]

mod common;

use common::process::alone;
use common::{Directory, Named, config, geometry, skipped};
use splinter::{BidTerms, Location, Scrub, Store, StoreError};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

fn no_lane_is_left(location: &Location) {
    let store = Store::open(location).unwrap();
    assert!(
        matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })),
        "a lane was robbed"
    );
}

/// Has a store with two lanes be opened twice, and a writer each take one.
fn two_who_open_it_have_a_lane_each(location: &Location) {
    let store = Store::create(location, &config(geometry(8, 64, 0, 2), Scrub::Hybrid)).unwrap();
    let mut first = store.writer().unwrap();
    let mut second = Store::open(location).unwrap().writer().unwrap();
    no_lane_is_left(location);
    first.set("first", b"v").unwrap();
    second.set("second", b"v").unwrap();
    drop(first);
    Store::open(location).unwrap().writer().unwrap().set("third", b"v").unwrap();
}

fn mount(kind: &str, at: &Path, flags: libc::c_ulong, options: &str) -> std::io::Result<()> {
    let [kind, options] = [kind, options].map(|text| CString::new(text).unwrap());
    let at = CString::new(at.to_str().unwrap()).unwrap();
    // SAFETY: all are strings that end in a zero byte.
    let answer =
        unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) };
    if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn on_an_overlay_nobody_is_robbed_and_bids_are_refused() {
    let directory = Directory::new();
    alone("on_an_overlay_nobody_is_robbed_and_bids_are_refused", || {
        // SAFETY: unshare takes a number.
        let own = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0
            && mount("none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, "").is_ok();
        let base = directory.join("base");
        std::fs::create_dir(&base).unwrap();
        if !own || mount("tmpfs", &base, 0, "size=16m").is_err() {
            return skipped("an overlay: mounting takes rights that are missing here");
        }
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| base.join(name));
        for folder in [&lower, &upper, &work, &merged] {
            std::fs::create_dir(folder).unwrap();
        }
        let options = [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)];
        let options = options.map(|(name, folder)| format!("{name}={}", folder.display()));
        if let Err(error) = mount("overlay", &merged, 0, &options.join(",")) {
            return skipped(&format!("an overlay: {error}"));
        }
        let location = Location::file(merged.join("store"));
        two_who_open_it_have_a_lane_each(&location);
        let store = Store::open(&location).unwrap();
        assert!(store.bids().claim(7, BidTerms::default()).is_err());
    });
}

#[test]
fn a_thread_with_descriptors_of_its_own_robs_nobody() {
    alone("a_thread_with_descriptors_of_its_own_robs_nobody", || {
        let (name, directory) = (Named::new(), Directory::new());
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
                no_lane_is_left(&name.0);
            });
            forked.wait();
            let others = [0; 16].map(|_| File::create(directory.join("log")).unwrap());
            opened.wait();
            drop(others);
        });
    });
}

#[test]
fn a_lock_on_the_whole_file_keeps_nobody_from_registering() {
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
    no_lane_is_left(&name.0);
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
