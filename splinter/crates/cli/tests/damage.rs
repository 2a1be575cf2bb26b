//! Tests of `fsck` on stores that are sound, damaged or in use, and on files that are no stores.

mod common;
mod store_sandbox;

use splinter::Store;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use store_sandbox::{Bounded, StoreSandbox, bad, small};

/// Reads and writes 64-bit words of a store's file. The offsets come from its header.
struct Words(File);

impl Words {
    fn of(sandbox: &StoreSandbox) -> Self {
        let path = format!("/dev/shm/{}", sandbox.name);
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

    /// Erases the index, so that it leads to no key.
    fn lose_index(&self) {
        let (buckets, at) = (self.read(6 * 8), self.read(14 * 8));
        for bucket in 0..buckets {
            (1..8).for_each(|entry| self.write(at + bucket * 64 + entry * 8, 0));
        }
    }
}

fn filled(sandbox: &StoreSandbox) -> Store {
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    (0..10).for_each(|n| writer.set(format!("key{n}"), b"value").unwrap());
    drop(writer);
    store
}

#[test]
fn a_sound_store_is_sound() {
    let sandbox = StoreSandbox::new();
    filled(&sandbox);
    let sound = format!("/dev/shm/{}: 10 keys, sound\n", sandbox.name);
    assert_eq!(sandbox.good(&["fsck"]), sound);
    assert_eq!(sandbox.good(&["fsck", "--repair"]), sound);
    let answer: serde_json::Value = serde_json::from_str(&sandbox.good(&["--json", "fsck"])).unwrap();
    assert_eq!((&answer["sound"], &answer["found"]["keys"]), (&true.into(), &10.into()));
    assert_eq!(answer["found"]["stuck_claims"], 0);
    // The store can be named as an argument, too.
    let output = sandbox.program("splinterctl").args(["fsck", &sandbox.name]).ended();
    assert_eq!(store_sandbox::good(output), sound);
}

#[test]
fn a_store_in_use_is_not_taken_for_damaged() {
    let sandbox = StoreSandbox::new();
    let store = filled(&sandbox);
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
            sandbox.ctl(&words).ended()
        });
        done.store(true, Relaxed);
        outputs.into_iter().for_each(|output| assert!(store_sandbox::good(output).ends_with(", sound\n")));
    });
}

#[test]
fn damage_is_reported_and_repaired() {
    let sandbox = StoreSandbox::new();
    let store = filled(&sandbox);
    Words::of(&sandbox).lose_index();
    assert!(sandbox.bad(1, &["get", "key3"]).contains("there is no key"));
    let output = sandbox.ctl(&["fsck"]).ended();
    let place = format!("/dev/shm/{}", sandbox.name);
    let found = format!("keys that the index does not lead to: 10\n{place}: 10 keys, damaged\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), found);
    assert_eq!(bad(3, output), format!("splinterctl: fsck: {place} is damaged; --repair repairs it"));
    let repaired = format!(
        "keys that the index does not lead to: 10, repaired\nas it was: \"{place}.before-repair\"\n\
         {place}: 10 keys, sound\n"
    );
    assert_eq!(sandbox.good(&["fsck", "--repair"]), repaired);
    assert_eq!(sandbox.good(&["get", "key3"]), "5:value\n");
    // A process that had it open all the time finds every key, too.
    assert!((0..10).all(|n| store.get_vec(format!("key{n}")).unwrap() == b"value"));
}

#[test]
fn beside_another_writer_the_index_is_not_repaired() {
    let sandbox = StoreSandbox::new();
    let store = filled(&sandbox);
    let writer = store.writer().unwrap();
    Words::of(&sandbox).lose_index();
    let error = sandbox.bad(3, &["fsck", "--repair"]);
    assert!(
        error.ends_with("is still damaged, and others may be writing (1 writer); end them, and try again")
    );
    drop(writer);
    let answer = sandbox.good(&["--json", "fsck", "--repair"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&answer["found"]["unreachable_keys"], &answer["left"]["unreachable_keys"]),
        (&10.into(), &0.into())
    );
    assert_eq!(answer["given_up"], serde_json::json!([]));
    // The second repair does not overwrite the first copy.
    let copy = format!("/dev/shm/{}.before-repair-2", sandbox.name);
    assert_eq!(answer["copy"], copy.as_str());
    assert!(std::path::Path::new(&copy).exists());
}

#[test]
fn a_repair_that_costs_keys_names_them_keeps_a_copy_first_and_says_so_by_its_exit_code() {
    let sandbox = StoreSandbox::new();
    filled(&sandbox);
    let words = Words::of(&sandbox);
    let slots = words.read(15 * 8);
    // The second slot gets the first one's key.
    (32..96).step_by(8).for_each(|at| words.write(slots + 128 + at, words.read(slots + at)));
    // The third slot gets an invalid key.
    words.write(slots + 256 + 32, u64::from_le_bytes(*b"\0no key\0"));
    let damaged = std::fs::read(format!("/dev/shm/{}", sandbox.name)).unwrap();
    let output = sandbox.ctl(&["fsck"]).ended();
    assert!(String::from_utf8_lossy(&output.stdout).contains("second slots of a key: 1\n"));
    // If the copy cannot be made, nothing is repaired.
    std::fs::write(sandbox.path("there"), "precious").unwrap();
    let error = sandbox.bad(1, &["fsck", "--repair", "--copy", "there"]);
    let why = "cannot make \"there\": it exists already; nothing was repaired; --copy puts the copy \
               elsewhere, --no-copy goes without";
    assert_eq!(error, format!("splinterctl: fsck: {why}"));
    assert_eq!(std::fs::read(sandbox.path("there")).unwrap(), b"precious");
    assert!(damaged == std::fs::read(format!("/dev/shm/{}", sandbox.name)).unwrap());
    let output = sandbox.ctl(&["fsck", "--repair", "--copy", "copy"]).ended();
    let answer = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(answer.contains("second slots of a key: 1, repaired\n"), "{answer}");
    assert!(answer.contains("given up: \"key0\"\ngiven up: "), "{answer}");
    assert!(answer.contains("as it was: \"copy\"\n") && answer.ends_with("8 keys, sound\n"), "{answer}");
    let place = format!("/dev/shm/{}", sandbox.name);
    let line = format!("splinterctl: fsck: {place} is sound again, without 2 keys");
    assert_eq!(bad(4, output), line);
    assert!(damaged == std::fs::read(sandbox.path("copy")).unwrap());
    assert_eq!(sandbox.good(&["fsck"]), format!("{place}: 8 keys, sound\n"));
    // The copy is a store like any other, and can be repaired the same way.
    let output = sandbox.program("splinterpctl").args(["--json", "fsck", "copy", "--repair"]).ended();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["given_up"][0], &answer["copy"]), (&"key0".into(), &"copy.before-repair".into()));
    let error: serde_json::Value = serde_json::from_str(&bad(4, output)).unwrap();
    assert_eq!(error["exit_code"], 4);
}

#[test]
fn the_copy_of_a_damaged_store_is_as_sparse_as_the_store() {
    let sandbox = StoreSandbox::new();
    let geometry = splinter::Geometry { slots: 1 << 16, max_value_len: 1 << 16, ..small() };
    sandbox.store(geometry).writer().unwrap().set("k", b"v").unwrap();
    Words::of(&sandbox).lose_index();
    sandbox.good(&["fsck", "--repair", "--copy", "copy"]);
    let (store, copy) = (std::fs::metadata(format!("/dev/shm/{}", sandbox.name)), sandbox.path("copy"));
    let copy = std::fs::metadata(copy).unwrap();
    assert_eq!(copy.len(), store.unwrap().len());
    assert!(copy.len() > 4 << 30 && copy.blocks() * 512 < 64 << 20, "{copy:?}");
}

#[test]
fn files_that_are_no_stores_are_refused_with_the_reason() {
    let sandbox = StoreSandbox::new();
    filled(&sandbox);
    let whole = std::fs::read(format!("/dev/shm/{}", sandbox.name)).unwrap();
    let mut swapped = whole.clone();
    swapped.chunks_exact_mut(8).for_each(<[u8]>::reverse);
    let mut newer = whole.clone();
    newer[4] = 9;
    for (bytes, why) in [
        (&b""[..], "it is empty"),
        (&b"text"[..], "it has 4 bytes, fewer than the 8320 that a header has"),
        (&whole[..whole.len() - 1], "it is truncated: 1 bytes are missing"),
        (&swapped, "it was made on a machine of the other byte order"),
        (&newer, "it has format version 9, and this library reads version 4"),
    ] {
        std::fs::write(sandbox.path("file"), bytes).unwrap();
        for words in [&["fsck", "file"][..], &["use", "file"], &["-u", "file", "list"]] {
            let output = sandbox.program("splinterpctl").args(words).ended();
            let error = bad(1, output);
            assert!(error.contains(&format!("file is not a store: {why}")), "{error}");
        }
    }
    let error = bad(1, sandbox.program("splinterctl").args(["fsck", "no-such-store"]).ended());
    assert!(error.contains("there is no store \"no-such-store\""), "{error}");
}
