//! Children of every kind, `_Fork` and a raw `clone` included: none hangs on what another thread of its parent was doing,
//! and each gets the error that the writers it inherited are its parent's.

#![allow(unsafe_code, reason = "children are made by calls that Rust knows nothing of")]

use splinter::{BidTerms, Error, Scrub, Store};
use splinter_testkit::process::alone;
use splinter_testkit::{Named, config, geometry, store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[test]
fn children_of_busy_parents_never_hang() {
    alone("children_of_busy_parents_never_hang", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(64, 64, 0, 64), Scrub::Hybrid)).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for worker in 0..3_u32 {
                let (done, store, name) = (&done, &store, &name);
                scope.spawn(move || {
                    while !done.load(Relaxed) {
                        match worker {
                            0 => drop(store.writer()),
                            1 => {
                                let _ = store.bids().claim(7, BidTerms::default());
                                let _ = store.bids().release(7);
                            }
                            _ => drop(Store::open(&name.0)),
                        }
                    }
                });
            }
            for round in 0..60 {
                let pid = fork();
                if pid == 0 {
                    // SAFETY: alarm takes no pointer: a child that hangs is killed by it.
                    unsafe { libc::alarm(20) };
                    let good = child_of_a_busy_parent(&store, round);
                    // SAFETY: _exit takes no pointer.
                    unsafe { libc::_exit(i32::from(!good)) };
                }
                let mut status = 0;
                // SAFETY: the pointer is to an integer that lives through the call.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0, "child {round}");
            }
            done.store(true, Relaxed);
        });
    });
}

/// Registers a writer, writes and bids, and tells whether all of it was done.
fn child_of_a_busy_parent(store: &Store, round: u32) -> bool {
    let Ok(mut writer) = store.writer() else { return false };
    let set = (0..1_000).any(|_| writer.set("child", b"v").is_ok());
    let bid = store.bids().claim(100 + round, BidTerms::default()).is_ok();
    set && bid
}

fn fork() -> libc::pid_t {
    // SAFETY: the child calls what is safe in a child, and leaves by `_exit`.
    unsafe { libc::fork() }
}

unsafe extern "C" {
    /// As `fork`, but runs no handlers; POSIX 2024, glibc 2.34.
    fn _Fork() -> libc::pid_t;
}

fn underscore_fork() -> libc::pid_t {
    // SAFETY: as in `fork`.
    unsafe { _Fork() }
}

fn raw_clone() -> libc::pid_t {
    // SAFETY: without flags this is a fork.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t }
}

#[test]
fn children_of_every_kind_get_an_error_from_a_writer_of_their_parent() {
    alone("children_of_every_kind_get_an_error_from_a_writer_of_their_parent", || {
        let store = store(geometry(8, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        writer.set("k", b"parent").unwrap();
        for (which, way) in [fork, underscore_fork, raw_clone].into_iter().enumerate() {
            let pid = way();
            if pid == 0 {
                // SAFETY: alarm takes no pointer.
                unsafe { libc::alarm(20) };
                let refused = writer.set("k", b"child") == Err(Error::Forked);
                // One of its own has another writer id.
                let own = store
                    .writer()
                    .is_ok_and(|mut own| own.id() != writer.id() && own.set("child", b"v").is_ok());
                // SAFETY: _exit takes no pointer.
                unsafe { libc::_exit(i32::from(!(refused && own))) };
            }
            let mut status = 0;
            // SAFETY: the pointer is to an integer that lives through the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(status, 0, "way {which}");
            writer.set("k", b"parent").unwrap();
        }
        assert_eq!(store.get_vec("k").unwrap(), b"parent");
    });
}

#[test]
fn a_child_that_an_update_forks_changes_nothing_and_leaves_the_claim_to_its_parent() {
    alone("a_child_that_an_update_forks_changes_nothing_and_leaves_the_claim_to_its_parent", || {
        let store = store(geometry(8, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        writer.set("k", b"old").unwrap();
        for (which, way) in [fork, underscore_fork, raw_clone].into_iter().enumerate() {
            let before = store.get_vec("k").unwrap();
            let mut pid = 0;
            let result = writer.update("k", |_, new| {
                pid = way();
                if pid == 0 {
                    // SAFETY: alarm takes no pointer.
                    unsafe { libc::alarm(20) };
                    new.extend_from_slice(b"child");
                    return Ok(());
                }
                let mut status = 0;
                // SAFETY: the pointer is to an integer that lives through the call.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0, "way {which}");
                // The child has ended, and the claim is still held.
                assert_eq!(store.get_vec("k").unwrap(), before);
                assert_eq!(store.writer().unwrap().set("k", b"another"), Err(Error::Again));
                new.push(b'0' + which as u8);
                Ok(())
            });
            if pid == 0 {
                let good =
                    result == Err(Error::Forked) && store.get_vec("k").is_ok_and(|value| value == before);
                // SAFETY: _exit takes no pointer.
                unsafe { libc::_exit(i32::from(!good)) };
            }
            assert_eq!(result, Ok(()));
            assert_eq!(store.get_vec("k").unwrap(), [b'0' + which as u8]);
        }
    });
}
