//! Many processes on one store: writers side by side, readers without the right to write, descriptors
//! passed on, forks, and writer ids that come back when their process ends.

#![allow(unsafe_code, reason = "a descriptor passed to another program is only a number there")]

use splinter::{Error, IntegerOp, Scrub, Store, StoreError};
use splinter_testkit::process::{Forked, alone, rerun, shared_words, spin};
use splinter_testkit::{
    Named, Rng, assert_sound, config, geometry, retry, sequence, store, value, wait_until,
};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::sync::atomic::Ordering::Relaxed;

/// The variable with the argument of a program that a test starts: the name of a store, or a descriptor's number.
const ARGUMENT: &str = "SPLINTER_TEST_ARGUMENT";

fn argument() -> Option<String> {
    std::env::var(ARGUMENT).ok()
}

#[test]
fn writes_of_32_processes_are_all_there() {
    // Invariants 3, 4, 5 and 10.
    alone("writes_of_32_processes_are_all_there", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(80, 200, 0, 34), Scrub::Hybrid)).unwrap();
        store.writer().unwrap().set_u64("sum", 0).unwrap();
        let again = shared_words(1);
        let write = |process: u64| {
            // Each opens the store anew, as an unrelated program does.
            let store = Store::open(&name.0).unwrap();
            let mut writer = store.writer().unwrap();
            let mut rng = Rng(process);
            let own = [0, 1].map(|n| format!("own{process}.{n}"));
            for round in 0..150 {
                for key in &own {
                    let body = value(key, round, 8 + rng.below(190) as usize);
                    retry(|| writer.set(key, &body)).unwrap();
                    assert_eq!(retry(|| store.get_vec(key)), Ok(body));
                }
                if round % 5 == 3 {
                    retry(|| writer.unset(&own[1])).unwrap();
                    retry(|| writer.set(&own[1], &value(&own[1], round, 9))).unwrap();
                }
                retry(|| writer.integer("sum", IntegerOp::Inc(1))).unwrap();
                if writer.set("shared", &value("shared", process, 150)) == Err(Error::Again) {
                    again[0].fetch_add(1, Relaxed);
                }
                match store.get_vec("shared") {
                    Ok(body) => assert!(sequence("shared", &body) < 32),
                    Err(error) => assert!(matches!(error, Error::Again | Error::NotFound)),
                }
            }
        };
        let children: Vec<_> = (0..32).map(|process| Forked::new(|| write(process))).collect();
        children.into_iter().for_each(Forked::join);
        assert_eq!(store.get_u64("sum"), Ok(32 * 150));
        for process in 0..32 {
            for key in [0, 1].map(|n| format!("own{process}.{n}")) {
                assert_eq!(sequence(&key, &store.get_vec(&key).unwrap()), 149);
            }
        }
        assert_sound(&store, 66);
    });
}

#[test]
fn first_sets_of_one_key_by_many_processes_leave_one_slot() {
    // Invariant 3.
    alone("first_sets_of_one_key_by_many_processes_leave_one_slot", || {
        let store = store(geometry(8, 64, 0, 8));
        for round in 0..60 {
            let key = format!("key{round}");
            let start = shared_words(1);
            let set = |process: u64| {
                let mut writer = store.writer().unwrap();
                start[0].fetch_add(1, Relaxed);
                while start[0].load(Relaxed) < 4 {
                    std::hint::spin_loop();
                }
                retry(|| writer.set(&key, &value(&key, process, 30))).unwrap();
            };
            let children: Vec<_> = (0..4).map(|process| Forked::new(|| set(process))).collect();
            children.into_iter().for_each(Forked::join);
            assert_sound(&store, 1);
            assert!(sequence(&key, &store.get_vec(&key).unwrap()) < 4);
            retry(|| store.writer().unwrap().unset(&key)).unwrap();
        }
    });
}

#[test]
fn a_process_that_may_only_read_sees_whole_values_and_gets_no_writer() {
    // Invariant 1.
    alone("a_process_that_may_only_read_sees_whole_values_and_gets_no_writer", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 1000, 3, 4), Scrub::Full)).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("key", &value("key", 0, 8)).unwrap();
        writer.set_tandem("base", &[b"a", b"b"]).unwrap();
        let words = shared_words(1);
        let child = Forked::new(|| {
            let store = Store::open_read_only(&name.0).unwrap();
            assert!(store.is_read_only());
            assert!(matches!(store.writer(), Err(StoreError::ReadOnly)));
            assert!(matches!(store.set_scrub(Scrub::None), Err(StoreError::ReadOnly)));
            let mut last = 0;
            while last < 5_000 {
                match store.get_vec("key") {
                    Ok(body) => {
                        let seen = sequence("key", &body);
                        assert!(seen >= last);
                        last = seen;
                    }
                    Err(error) => assert_eq!(error, Error::Again),
                }
                store.tandem("base", &mut [vec![], vec![]]).unwrap();
                assert_eq!(store.keys().count(), 3);
                assert_eq!(store.inspect().unwrap().duplicate_keys, 0);
                words[0].store(last, Relaxed);
            }
        });
        for round in 1..=5_000_u64 {
            writer.set("key", &value("key", round, 8 + round as usize % 990)).unwrap();
        }
        wait_until("the reader reads the last value", || words[0].load(Relaxed) == 5_000);
        child.join();
    });
}

#[test]
fn an_anonymous_store_is_passed_on_as_a_descriptor() {
    if let Some(number) = argument() {
        // SAFETY: the parent left this descriptor open for this process, and nothing else uses it.
        let fd = unsafe { OwnedFd::from_raw_fd(number.parse().unwrap()) };
        let store = Store::from_fd(fd).unwrap();
        assert_eq!(store.get_vec("from the parent").unwrap(), b"1");
        let mut writer = store.writer().unwrap();
        assert_ne!(writer.id(), 0, "writer id 0 is the parent's");
        return writer.set("from the child", b"2").unwrap();
    }
    let store = store(geometry(8, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    writer.set("from the parent", b"1").unwrap();
    let fd = store.fd().as_raw_fd();
    let mut command = rerun("an_anonymous_store_is_passed_on_as_a_descriptor");
    let keep_open = move || {
        // SAFETY: F_SETFD takes an integer, no pointer.
        match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call and touches no memory.
    unsafe { command.pre_exec(keep_open) };
    let output = command.env(ARGUMENT, fd.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(store.get_vec("from the child").unwrap(), b"2");
    writer.set("from the child", b"3").unwrap();
    assert_sound(&store, 2);
}

#[test]
fn an_unrelated_program_opens_a_store_by_name() {
    if let Some(name) = argument() {
        let location = splinter::Location::shared(name).unwrap();
        let store = Store::open(&location).unwrap();
        assert_eq!(store.geometry(), geometry(8, 64, 0, 4));
        return store.writer().unwrap().set("child", b"2").unwrap();
    }
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
    let bare = name.path().file_name().unwrap().to_owned();
    let mut command = rerun("an_unrelated_program_opens_a_store_by_name");
    assert!(command.env(ARGUMENT, bare).output().unwrap().status.success());
    assert_eq!(store.get_vec("child").unwrap(), b"2");
}

#[test]
fn a_writer_does_not_survive_a_fork_and_its_writer_id_does() {
    alone("a_writer_does_not_survive_a_fork_and_its_writer_id_does", || {
        let store = store(geometry(8, 64, 2, 2));
        let mut writer = store.writer().unwrap();
        writer.set("key", b"parent").unwrap();
        let handle = store.resolve("key").unwrap();
        // Taken by the child alone: the parent keeps its own.
        let mut inherited = Some(writer);
        let child = Forked::new(|| {
            let mut writer = inherited.take().unwrap();
            assert_eq!(writer.set("key", b"child"), Err(Error::Forked));
            assert_eq!(writer.set(handle, b"child"), Err(Error::Forked));
            assert_eq!(writer.append("key", b"child"), Err(Error::Forked));
            assert_eq!(writer.unset("key"), Err(Error::Forked));
            assert_eq!(writer.set_u64("key", 1), Err(Error::Forked));
            assert_eq!(writer.integer("key", IntegerOp::Not), Err(Error::Forked));
            assert_eq!(writer.bump("key"), Err(Error::Forked));
            assert_eq!(writer.label("key", 1), Err(Error::Forked));
            assert_eq!(writer.set_vector("key", &[0.0; 2]), Err(Error::Forked));
            assert_eq!(writer.set_tandem("key", &[b"child"]), Err(Error::Forked));
            assert_eq!(writer.unset_tandem("key", 1), Err(Error::Forked));
            assert_eq!(writer.purge(), Err(Error::Forked));
            let mut results = [Ok(())];
            writer.set_many(&[("key", b"child")], &mut results);
            assert_eq!(results, [Err(Error::Forked)]);
            // Reading through it goes on.
            assert_eq!(writer.get_vec("key").unwrap(), b"parent");
            let mut own = store.writer().unwrap();
            assert_ne!(own.id(), writer.id());
            assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })));
            // Dropping what was inherited frees nothing of the parent's.
            drop(writer);
            assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 2 })));
            own.set("child", b"child").unwrap();
            drop(own);
            own = store.writer().unwrap();
            own.set("key", b"child").unwrap();
        });
        child.join();
        let mut writer = store.writer().unwrap();
        assert_eq!(writer.get_vec("key").unwrap(), b"child");
        writer.set("key", b"parent").unwrap();
        assert_sound(&store, 2);
    });
}

#[test]
fn writer_ids_of_the_dead_are_used_again() {
    // Invariant 7.
    alone("writer_ids_of_the_dead_are_used_again", || {
        let store = store(geometry(8, 64, 0, 3));
        let mut rng = Rng(3);
        for round in 0..100 {
            let ready = shared_words(1);
            let child = Forked::new(|| {
                let mut writers: Vec<_> = (0..3).map(|_| store.writer().unwrap()).collect();
                ready[0].store(1, Relaxed);
                for round in 0.. {
                    for (writer, key) in writers.iter_mut().zip(["a", "b", "c"]) {
                        writer.set(key, &value(key, round, 50)).unwrap();
                    }
                }
            });
            wait_until("the child has all writer ids", || ready[0].load(Relaxed) == 1);
            assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 3 })));
            spin(rng.below(500));
            if round == 50 {
                wait_until("one child writes all keys", || store.len() == 3);
            }
            child.kill();
            let writers: Vec<_> = (0..3).map(|_| store.writer().unwrap()).collect();
            assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { max_writers: 3 })));
            drop(writers);
            assert_sound(&store, store.len());
            if round >= 50 {
                assert_eq!(store.len(), 3);
            }
        }
    });
}

#[test]
fn a_store_in_a_file_outlives_every_process() {
    alone("a_store_in_a_file_outlives_every_process", || {
        let directory = splinter_testkit::Folder::new();
        let location = splinter::Location::file(directory.join("store"));
        for round in 0..5 {
            Forked::new(|| {
                let store =
                    Store::open_or_create(&location, &config(geometry(8, 64, 3, 2), Scrub::Hybrid)).unwrap();
                assert_eq!(store.len(), round);
                let mut writer = store.writer().unwrap();
                let key = format!("key{round}");
                writer.set(&key, &value(&key, round, 60)).unwrap();
                writer.set_vector(&key, &[round as f32; 3]).unwrap();
                store.flush().unwrap();
            })
            .join();
        }
        let store = Store::open(&location).unwrap();
        for round in 0..5 {
            let key = format!("key{round}");
            assert_eq!(sequence(&key, &store.get_vec(&key).unwrap()), round);
            let mut vector = [0.0; 3];
            store.vector(&key, &mut vector).unwrap();
            assert_eq!(vector, [round as f32; 3]);
        }
        assert_sound(&store, 5);
    });
}
