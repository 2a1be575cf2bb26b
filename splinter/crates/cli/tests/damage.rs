//! `fsck` on stores that are sound, damaged, in use, and on files that are no stores.

mod common;
mod rig;

use rig::{Bounded, Rig, bad, small};
use splinter::Store;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Words of a store's file. The offsets come from its header.
struct Words(File);

impl Words {
    fn of(rig: &Rig) -> Self {
        let path = format!("/dev/shm/{}", rig.name);
        Self(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn write(&self, at: u64, word: u64) {
        self.0.write_all_at(&word.to_le_bytes(), at).unwrap();
    }

    /// Has the index lead to no key any more.
    fn lose_index(&self) {
        let (chunks, at) = (self.read(6 * 8), self.read(14 * 8));
        for chunk in 0..chunks {
            (1..8).for_each(|entry| self.write(at + chunk * 64 + entry * 8, 0));
        }
    }
}

fn filled(rig: &Rig) -> Store {
    let store = rig.store(small());
    let mut writer = store.writer().unwrap();
    (0..10).for_each(|n| writer.set(format!("key{n}"), b"value").unwrap());
    drop(writer);
    store
}

#[test]
fn a_sound_store_is_sound() {
    let rig = Rig::new();
    filled(&rig);
    let sound = format!("/dev/shm/{}: 10 keys, sound\n", rig.name);
    assert_eq!(rig.good(&["fsck"]), sound);
    assert_eq!(rig.good(&["fsck", "--repair"]), sound);
    let told: serde_json::Value = serde_json::from_str(&rig.good(&["--json", "fsck"])).unwrap();
    assert_eq!((&told["sound"], &told["found"]["keys"]), (&true.into(), &10.into()));
    assert_eq!(told["found"]["stuck_claims"], 0);
    // The store to look at can be named, too.
    let output = rig.program("splinterctl").args(["fsck", &rig.name]).ended();
    assert_eq!(rig::good(output), sound);
}

#[test]
fn a_store_in_use_is_not_taken_for_damaged() {
    let rig = Rig::new();
    let store = filled(&rig);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = store.writer().unwrap();
            while !done.load(Relaxed) {
                writer.set("fleeting", b"value").unwrap();
                writer.unset("fleeting").unwrap();
            }
        });
        let outputs = ["fsck", "fsck --repair"].map(|words| {
            let words: Vec<_> = words.split(' ').collect();
            rig.ctl(&words).ended()
        });
        done.store(true, Relaxed);
        outputs.into_iter().for_each(|output| assert!(rig::good(output).ends_with(", sound\n")));
    });
}

#[test]
fn what_is_damaged_is_told_and_mended() {
    let rig = Rig::new();
    let store = filled(&rig);
    Words::of(&rig).lose_index();
    assert!(rig.bad(1, &["get", "key3"]).contains("there is no key"));
    let output = rig.ctl(&["fsck"]).ended();
    let place = format!("/dev/shm/{}", rig.name);
    let found = format!("keys that the index does not lead to: 10\n{place}: 10 keys, damaged\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), found);
    assert_eq!(bad(1, output), format!("splinterctl: fsck: {place} is damaged; --repair mends it"));
    let mended =
        format!("keys that the index does not lead to: 10, mended\n{place}: 10 keys, sound\n");
    assert_eq!(rig.good(&["fsck", "--repair"]), mended);
    assert_eq!(rig.good(&["get", "key3"]), "5:value\n");
    // Who had it open all the while finds everything, too.
    assert!((0..10).all(|n| store.get_vec(format!("key{n}")).unwrap() == b"value"));
}

#[test]
fn beside_another_writer_the_index_is_not_mended() {
    let rig = Rig::new();
    let store = filled(&rig);
    let writer = store.writer().unwrap();
    Words::of(&rig).lose_index();
    let error = rig.bad(1, &["fsck", "--repair"]);
    assert!(error.ends_with(
        "is damaged still, and others may be writing (1 writer); end them, and try again"
    ));
    drop(writer);
    let told = rig.good(&["--json", "fsck", "--repair"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["found"]["unreachable_keys"], &told["left"]["unreachable_keys"]),
        (&10.into(), &0.into())
    );
    assert_eq!(told["removed_slots"], 0);
}

#[test]
fn a_key_with_two_slots_is_told_and_keeps_the_one_that_is_found() {
    let rig = Rig::new();
    filled(&rig);
    let words = Words::of(&rig);
    let slots = words.read(15 * 8);
    // The second slot gets the first one's key.
    (32..96).step_by(8).for_each(|at| words.write(slots + 128 + at, words.read(slots + at)));
    let output = rig.ctl(&["fsck"]).ended();
    assert!(String::from_utf8_lossy(&output.stdout).contains("second slots of a key: 1\n"));
    let told = rig.good(&["fsck", "--repair"]);
    assert!(
        told.contains("second slots of a key: 1, mended\n") && told.contains("slots given up: 1\n"),
        "{told}"
    );
    assert!(told.ends_with("9 keys, sound\n"));
}

#[test]
fn what_is_no_store_is_refused_with_what_it_is_instead() {
    let rig = Rig::new();
    filled(&rig);
    let whole = std::fs::read(format!("/dev/shm/{}", rig.name)).unwrap();
    let mut swapped = whole.clone();
    swapped.chunks_exact_mut(8).for_each(<[u8]>::reverse);
    let mut newer = whole.clone();
    newer[4] = 9;
    for (bytes, why) in [
        (&b""[..], "it is empty"),
        (&b"text"[..], "it has 4 bytes, fewer than the 8320 that a header has"),
        (&whole[..whole.len() - 1], "it is truncated: 1 bytes are missing"),
        (&swapped, "it was made on a machine of the other byte order"),
        (&newer, "it has format version 9, and this library reads version 2"),
    ] {
        std::fs::write(rig.path("file"), bytes).unwrap();
        for words in [&["fsck", "file"][..], &["use", "file"], &["-u", "file", "list"]] {
            let output = rig.program("splinterpctl").args(words).ended();
            let error = bad(1, output);
            assert!(error.contains(&format!("file is not a store: {why}")), "{error}");
        }
    }
    let error = bad(1, rig.program("splinterctl").args(["fsck", "no-such-store"]).ended());
    assert!(error.contains("there is no store \"no-such-store\""), "{error}");
}
