//! Shared by the tests of signals: a key in some groups, every way to change it, and the signals that followed.

use crate::kills::{holds_a_claim, stop_when};
use crate::process::Forked;
use crate::stores::{config, geometry};
use splinter::{Change, Error, IntegerOp, Scrub, Store, Type, Watcher, Writer};
use std::time::{Duration, Instant};

/// The key.
pub const KEY: &str = "key";
/// The groups of the key: two to which it is registered, and two to which its label leads.
pub const GROUPS: [u8; 3] = [3, 7, 35];
/// The label of the key, which leads to groups 7 and 35.
pub const LABEL: u64 = 1 << 5;

/// A moment that comes only if something is wrong.
pub fn late() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

/// A moment that comes soon.
pub fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(5))
}

/// Takes all signals that there are.
pub fn drain(watcher: &mut Watcher) -> Vec<Change> {
    std::iter::from_fn(|| watcher.try_next().expect("no lag")).collect()
}

/// Returns the name of a key that changed.
pub fn name_of(change: &Change) -> String {
    change.key.as_ref().expect("a key").to_string()
}

/// Takes all signals. Returns the names of their keys.
pub fn names(watcher: &mut Watcher) -> Vec<String> {
    drain(watcher).iter().map(name_of).collect()
}

/// Makes a store in which the key is registered to two groups, and by a label to one of them and another.
pub fn grouped(scrub: Scrub) -> (Store, Writer) {
    let store = Store::anonymous(&config(geometry(12, 100, 2, 4), scrub)).unwrap();
    store.register_labels(LABEL, 7).unwrap();
    store.register_labels(LABEL, 35).unwrap();
    store.register_labels(LABEL << 1, 9).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set(KEY, b"text").unwrap();
    join_groups(&mut writer);
    (store, writer)
}

/// Registers the key to groups 3 and 35, and gives it the label.
pub fn join_groups(writer: &mut Writer) {
    writer.register(KEY, 3).unwrap();
    writer.register(KEY, 35).unwrap();
    writer.label(KEY, LABEL).unwrap();
}

/// Performs an operation on the key.
pub type Operation = fn(&mut Writer) -> Result<(), Error>;

/// Every kind of change to a value that is text, by its name.
pub const CHANGES: [(&str, Operation); 20] = [
    ("set", |w| w.set(KEY, b"other")),
    ("set to the same", |w| w.set(KEY, b"text")),
    ("set a resolved key", |w| {
        let handle = w.resolve(KEY)?;
        w.set(handle, b"other")
    }),
    ("set many", |w| {
        let mut results = [Ok(())];
        w.set_many(&[(KEY, b"other")], &mut results);
        results[0]
    }),
    ("append", |w| w.append(KEY, b"more").map(drop)),
    ("append nothing", |w| w.append(KEY, b"").map(drop)),
    ("set a number", |w| w.set_u64(KEY, 7)),
    ("set the type", |w| w.set_type(KEY, Type::Json)),
    ("set the vector", |w| w.set_vector(KEY, &[1.0, 2.0])),
    ("clear the vector", |w| w.clear_vector(KEY)),
    ("label again", |w| w.label(KEY, LABEL)),
    ("set flags", |w| w.set_slot_flags(KEY, 5).map(drop)),
    ("clear flags", |w| w.clear_slot_flags(KEY, 4).map(drop)),
    ("set a time", |w| w.set_ctime(KEY, 9, 1)),
    ("set the other time", |w| w.set_atime(KEY, 9, 1)),
    ("bump", |w| w.bump(KEY)),
    ("unlabel", |w| w.unlabel(KEY, LABEL)),
    ("unset", |w| w.unset(KEY).map(drop)),
    ("set a tandem of one", |w| w.set_tandem(KEY, &[b"order"])),
    ("unset a tandem of one", |w| w.unset_tandem(KEY, 1).map(drop)),
];

/// Whether an operation of [`CHANGES`] or [`NUMBER_CHANGES`] changes the content, which raises the epoch and ends polls.
pub fn changes_content(name: &str) -> bool {
    !["label again", "unlabel", "set flags", "clear flags", "set a time", "set the other time"]
        .contains(&name)
}

/// Every kind of change to a value that is a number.
pub const NUMBER_CHANGES: [(&str, Operation); 7] = [
    ("count", |w| w.integer(KEY, IntegerOp::Inc(1)).map(drop)),
    ("and nothing", |w| w.integer(KEY, IntegerOp::And(u64::MAX)).map(drop)),
    ("count a resolved key", |w| {
        let handle = w.resolve(KEY)?;
        w.integer(handle, IntegerOp::Not).map(drop)
    }),
    ("set another number", |w| w.set_u64(KEY, 8)),
    ("set to bytes", |w| w.set(KEY, b"12")),
    ("make it text", |w| w.set_type(KEY, Type::VarText)),
    ("remove it", |w| w.unset(KEY).map(drop)),
];

/// Starts a writer that sets the key again and again, and stops it while it holds the key.
pub fn held(store: &Store) -> Forked {
    let body = vec![1; 1 << 18];
    let mut child = Forked::new(|| {
        let mut writer = store.writer().unwrap();
        loop {
            let _ = writer.set(KEY, &body);
        }
    });
    stop_when(&mut child, || holds_a_claim(store));
    child
}
