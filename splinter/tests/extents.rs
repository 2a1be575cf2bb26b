//! The cost of recovery: to recover a dead writer's claims, wipe a slot or inspect a store touches written bytes, and no
//! page that was never used. So it takes no memory, and does not die where there is none. Invariants 7 and 12.

use nix::sys::resource::{UsageWho, getrusage};
use splinter::{Error, Location, Scrub, Store, Transaction, Writer};
use splinter_testkit::faults::{Filler, Mounts};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::raw::Raw;
use splinter_testkit::trace::Traced;
use splinter_testkit::{Rng, assert_sound, config, geometry, retry, wait_until};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Bytes of memory that a store has taken.
fn taken(store: &Store) -> u64 {
    let file = File::from(store.fd().try_clone_to_owned().expect("a descriptor"));
    file.metadata().expect("metadata").blocks() * 512
}

const PAGE: u64 = 4096;
const MIB: usize = 1 << 20;

/// Pages that this process has touched for the first time.
fn faults() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("an account");
    usage.minor_page_faults() + usage.major_page_faults()
}

/// Has a writer of its own do `change`, and die `steps` instructions after it first held one of the first sixteen slots.
/// Returns whether it died with a claim.
fn die(store: &Store, steps: u64, change: fn(&mut Writer)) -> bool {
    let raw = Raw::new(store);
    let is_held = || raw.is_any_claimed(16);
    let mut victim = Traced::new(|| {
        let mut writer = store.writer().unwrap();
        Traced::mark();
        change(&mut writer);
    });
    victim.run_to_mark();
    let mut left = None;
    while victim.step() {
        left = match left {
            None => is_held().then_some(steps),
            Some(left) => Some(left - 1),
        };
        if left == Some(0) {
            let held = is_held();
            victim.kill();
            return held;
        }
    }
    false
}

#[test]
fn a_search_takes_no_memory_for_keys_without_vectors() {
    let store = Store::anonymous(&config(geometry(20_000, 8, 256, 2), Scrub::None)).unwrap();
    let mut writer = store.writer().unwrap();
    for number in 0..20_000 {
        writer.set(number.to_string(), b"8 bytes.").unwrap();
    }
    writer.set_vector("700", &[1.0; 256]).unwrap();
    let before = taken(&store);
    for is_exact in [false, true] {
        let hits = store.search(&[1.0; 256]).unwrap().depth(10).exact(is_exact).run().unwrap();
        assert_eq!(hits.iter().map(|hit| hit.key.to_string()).collect::<Vec<_>>(), ["700"]);
    }
    assert_eq!(taken(&store), before);
}

/// Sets a key that is missing to eight bytes.
fn insert(writer: &mut Writer) {
    let _ = writer.set("victim", b"8 bytes.");
}

/// Has another process take over the writer id of the dead one, and asserts that this took no memory.
fn inherit(store: &Store, what: &str) {
    let before = taken(store);
    Forked::new(|| drop(store.writer().expect("a writer id"))).join();
    assert_eq!(taken(store), before, "{what}");
}

#[test]
fn a_writer_that_dies_in_an_insert_of_eight_bytes_costs_no_memory() {
    const STRIDE: u64 = 149;
    alone("a_writer_that_dies_in_an_insert_of_eight_bytes_costs_no_memory", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            mounts.tmpfs("/dev/shm", "size=64m");
            for scrub in Scrub::ALL {
                let name = Location::shared("sparse").unwrap();
                let sparse = config(geometry(16, 64 << 20, 5, 4), scrub);
                let store = Store::create(&name, &sparse).unwrap();
                let mut steps = 0;
                while die(&store, steps, insert) {
                    // The next writer and a waiter find the claim in turn.
                    if steps % 2 == 0 {
                        inherit(&store, &format!("{scrub} {steps}"));
                    } else if steps == 3 * STRIDE {
                        let late = Instant::now() + Duration::from_secs(60);
                        let takeovers = store.header().recoveries;
                        let mut watcher = store.watch(&[1]).unwrap();
                        assert_eq!(watcher.try_next(), Ok(None));
                        let before = taken(&store);
                        while store.header().recoveries == takeovers && Instant::now() < late {
                            let soon = Instant::now() + Duration::from_millis(100);
                            assert_eq!(watcher.wait(Some(soon)), Ok(None));
                        }
                        assert_eq!(taken(&store), before);
                    }
                    let mut writer = store.writer().unwrap();
                    for n in 0..16 {
                        retry(|| writer.set(format!("key{n}"), b"8 bytes."))
                            .or_else(|error| {
                                // The dead writer's own key may have got through.
                                assert!(store.contains("victim").unwrap(), "{error}");
                                retry(|| writer.unset("victim"))?;
                                retry(|| writer.set(format!("key{n}"), b"8 bytes."))
                            })
                            .unwrap();
                    }
                    for n in 0..16 {
                        retry(|| writer.unset(format!("key{n}"))).unwrap();
                    }
                    let _ = retry(|| writer.unset("victim"));
                    steps += STRIDE;
                }
                assert!(steps > 3 * STRIDE, "only {steps} instructions under the claim");
                let mut writer = store.writer().unwrap();
                // The last one got through.
                writer.unset("victim").unwrap();
                assert_eq!(writer.purge(), Ok(16));
                drop(writer);
                assert_sound(&store, 0);
                // Header, index and records, and a page of each value buffer.
                let most = 64 * PAGE + 16 * 2 * PAGE;
                assert!(taken(&store) < most, "{scrub}: {}", taken(&store));
                name.unlink().unwrap();
            }
        })
        .join();
    });
}

#[test]
fn a_store_does_not_fill_up_by_deaths() {
    alone("a_store_does_not_fill_up_by_deaths", || {
        for scrub in Scrub::ALL {
            let store = Store::anonymous(&config(geometry(256, MIB as u64, 0, 4), scrub)).unwrap();
            store.writer().unwrap().set("kept", b"8 bytes.").unwrap();
            let mut rng = Rng(scrub as u64);
            for round in 0..24 {
                let change = |writer: &mut Writer| {
                    insert(writer);
                    let _ = writer.unset("victim");
                    let _ = writer.set("kept", b"8 bytes.");
                };
                die(&store, rng.below(6000), change);
                inherit(&store, &format!("{scrub} {round}"));
                if let Ok(mut writer) = store.writer() {
                    // The next one is to find another slot.
                    let _ = writer.set(format!("key{round}"), b"8 bytes.");
                }
            }
            let before = taken(&store);
            assert_sound(&store, store.len());
            assert!(store.repair().unwrap().after.is_sound());
            let mut writer = store.writer().unwrap();
            let keys: Vec<_> = store.keys().collect();
            for key in keys {
                writer.unset(key).unwrap();
            }
            writer.purge().unwrap();
            assert_eq!(taken(&store), before, "{scrub}");
            // Index, map, routes and rings are some; of the slots few were used.
            assert!(before < 2 * MIB as u64, "{scrub}: {before}");
        }
    });
}

/// Has the file system hold `pages` more, and no more.
fn leave(mounts: &Mounts, pages: u64) -> Filler {
    std::fs::write("/dev/shm/spare", vec![1; (pages * PAGE) as usize]).unwrap();
    let filler = mounts.fill("/dev/shm");
    std::fs::remove_file("/dev/shm/spare").unwrap();
    filler
}

#[test]
fn a_writer_that_died_for_want_of_room_is_recovered_without_memory() {
    type Change = fn(&mut Writer) -> Result<(), Error>;
    let changes: [(&str, Change); 6] = [
        ("insert", |writer| writer.set("new", &[3; 200_000])),
        ("set", |writer| writer.set("long", &[3; 200_000])),
        ("append", |writer| writer.append("short", &[3; 200_000]).map(drop)),
        ("tandem", |writer| writer.set_tandem("long", &[&[3; 200_000], &[3; 200_000]])),
        ("vector", |writer| writer.set_vector("short", &[3.0; 50_000])),
        ("transaction", |writer| {
            let mut transaction = Transaction::new();
            transaction.key("short").set_vector(&[3.0; 50_000]);
            writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
        }),
    ];
    alone("a_writer_that_died_for_want_of_room_is_recovered_without_memory", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            mounts.tmpfs("/dev/shm", "size=4m");
            for (what, change) in changes {
                for (scrub, room) in Scrub::ALL.into_iter().flat_map(|it| [(it, 0), (it, 7)]) {
                    let name = Location::shared("sparse").unwrap();
                    let sparse = config(geometry(8, 300_000, 50_000, 4), scrub);
                    let store = Store::create(&name, &sparse).unwrap();
                    let mut writer = store.writer().unwrap();
                    writer.set("long", &[1; 100_000]).unwrap();
                    writer.set("short", &[1; 10]).unwrap();
                    // The page of an index entry, and those of the records of its slot.
                    writer.set("new", b"").unwrap();
                    writer.unset("new").unwrap();
                    drop(writer);
                    let filler = leave(&mounts, room);
                    let mut victim = Forked::new(|| change(&mut store.writer().unwrap()).unwrap());
                    let end = victim.end();
                    let what = format!("{what} {scrub} {room}");
                    assert_eq!(
                        std::os::unix::process::ExitStatusExt::signal(&end),
                        Some(nix::libc::SIGBUS),
                        "{what}"
                    );
                    let before = taken(&store);
                    Forked::new(|| {
                        let mut writer = store.writer().unwrap();
                        assert_eq!(store.get_vec("long").unwrap(), [1; 100_000], "{what}");
                        assert_eq!(store.get_vec("short").unwrap(), [1; 10], "{what}");
                        assert!(store.inspect().unwrap().is_sound(), "{what}");
                        store.set_scrub(Scrub::Full).unwrap();
                        assert_eq!(retry(|| writer.append("long", b"")), Ok(100_000), "{what}");
                        store.set_scrub(scrub).unwrap();
                        for key in ["long", "short"] {
                            retry(|| writer.unset(key)).unwrap();
                        }
                        writer.purge().unwrap();
                    })
                    .join();
                    assert_eq!(taken(&store), before, "{what}");
                    store.set_scrub(Scrub::Full).unwrap();
                    assert_sound(&store, 0);
                    drop(filler);
                    let mut writer = store.writer().unwrap();
                    writer.set("short", b"").unwrap();
                    change(&mut writer).unwrap();
                    writer.set("long", &[4; 300_000]).unwrap();
                    assert_sound(&store, store.len());
                    name.unlink().unwrap();
                }
            }
        })
        .join();
    });
}

#[test]
fn recovery_of_a_huge_value_touches_only_its_written_bytes() {
    const LEN: usize = 256 * MIB;
    alone("recovery_of_a_huge_value_touches_only_its_written_bytes", || {
        for scrub in Scrub::ALL {
            let store = Store::anonymous(&config(geometry(2, LEN as u64, 0, 3), scrub)).unwrap();
            store.writer().unwrap().set("huge", b"8 bytes.").unwrap();
            let mut victim = Forked::new(|| {
                let value = vec![1; LEN];
                let mut writer = store.writer().unwrap();
                loop {
                    let _ = writer.set("huge", &value);
                }
            });
            wait_until("the value is being written", || taken(&store) > 2 * MIB as u64);
            victim.stop();
            victim.kill();
            let written = taken(&store);
            if written > LEN as u64 {
                splinter_testkit::skipped(
                    "the machine was too slow to stop a writer during the write of a huge value",
                );
                continue;
            }
            let touched = splinter_testkit::process::shared_words(1);
            Forked::new(|| {
                let before = faults();
                drop(store.writer().unwrap());
                let pages = (faults() - before) as u64;
                touched[0].store(pages, std::sync::atomic::Ordering::Relaxed);
            })
            .join();
            let touched = touched[0].load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!((store.header().recoveries, taken(&store)), (1, written), "{scrub}");
            // Only level full wipes bytes that were never a current value.
            let most = if scrub == Scrub::Full { written / PAGE } else { 0 };
            // The program touches some of its own, of a sanitizer's too; the value has 65,536.
            assert!(touched <= most + 1_000, "{scrub}: {touched} pages touched, {written} bytes written");
            assert_eq!(store.get_vec("huge").unwrap(), b"8 bytes.");
            assert_sound(&store, 1);
            let mut writer = store.writer().unwrap();
            assert_eq!(writer.unset("huge"), Ok(8));
            assert_eq!(taken(&store), written, "{scrub}");
        }
    });
}

#[test]
fn a_value_that_was_set_once_goes_without_its_other_buffer_being_touched() {
    for scrub in Scrub::ALL {
        let store = Store::anonymous(&config(geometry(4, 4 * MIB as u64, 100_000, 2), scrub)).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("key", &vec![1; 4 * MIB]).unwrap();
        writer.set_vector("key", &vec![1.0; 100_000]).unwrap();
        let before = taken(&store);
        assert_sound(&store, 1);
        writer.bump("key").unwrap();
        writer.purge().unwrap();
        writer.clear_vector("key").unwrap();
        writer.unset("key").unwrap();
        writer.purge().unwrap();
        assert_sound(&store, 0);
        assert_eq!(taken(&store), before, "{scrub}");
    }
}
