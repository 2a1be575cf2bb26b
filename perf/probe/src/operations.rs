//! The operations: what each works on, and a lap over it. Lists them in one table; knows neither clocks nor Callgrind.

use splinter::{Config, Error, Expect, Geometry, Handle, IntegerOp, Store, Transaction, Watcher, Writer};
use std::hint::black_box;
use std::ops::Range;

/// Keys of a lap: an operation is done once on each.
pub(crate) const LAP: usize = 4096;

/// Keys of one `get_many`.
const MANY: usize = 32;

/// Bytes of a short value, and of a long one.
const SHORT: usize = 64;
const LONG: usize = 1024;

/// The group in which signals are raised, and the label that is given.
const GROUP: u8 = 3;
const LABEL: u64 = 1 << 5;

/// The reason that an operation cannot be done, in one line.
pub(crate) type Problem = String;

/// One operation.
pub(crate) struct Operation {
    /// What it is called wherever it is reported.
    pub(crate) name: &'static str,
    /// Bytes of the values.
    value_len: usize,
    /// The contents of the store before the first lap.
    fill: Fill,
    /// Prepares every lap, and is not measured.
    prepare: fn(&mut Setup) -> Result<(), Problem>,
    /// Does the operation once on each key of a part of the lap.
    run: fn(&mut Setup, Range<usize>) -> Result<(), Problem>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Values,
    Numbers,
    /// Values under keys that are in a signal group, with one watcher of it.
    Watched,
}

/// Every operation.
pub(crate) const OPERATIONS: [Operation; 20] = [
    of("get 64 B", SHORT, Fill::Values, nothing, get),
    of("get 1 KiB", LONG, Fill::Values, nothing, get),
    of("get 64 B by handle", SHORT, Fill::Values, nothing, get_by_handle),
    of("get_many 64 B", SHORT, Fill::Values, nothing, get_many),
    of("miss", SHORT, Fill::Values, nothing, miss),
    of("set 64 B", SHORT, Fill::Values, nothing, set),
    of("set 1 KiB", LONG, Fill::Values, nothing, set),
    of("set 64 B by handle", SHORT, Fill::Values, nothing, set_by_handle),
    of("set_if 64 B", SHORT, Fill::Values, nothing, set_if),
    of("update 64 B", SHORT, Fill::Values, nothing, update),
    of("transaction of 2", SHORT, Fill::Values, nothing, transaction::<2>),
    of("transaction of 16", SHORT, Fill::Values, nothing, transaction::<16>),
    of("read_consistent of 2", SHORT, Fill::Values, nothing, read_consistent),
    of("inc", SHORT, Fill::Numbers, nothing, inc),
    of("append 8 B", SHORT, Fill::Values, shorten, append),
    of("label", SHORT, Fill::Values, unlabel, label),
    of("unset, set 64 B", SHORT, Fill::Values, nothing, unset_set),
    of("tandem of 3", SHORT, Fill::Values, nothing, tandem),
    of("set 64 B, signalled", SHORT, Fill::Watched, nothing, set),
    of("set 64 B, heard", SHORT, Fill::Watched, catch_up, set_heard),
];

const fn of(
    name: &'static str,
    value_len: usize,
    fill: Fill,
    prepare: fn(&mut Setup) -> Result<(), Problem>,
    run: fn(&mut Setup, Range<usize>) -> Result<(), Problem>,
) -> Operation {
    Operation { name, value_len, fill, prepare, run }
}

impl Operation {
    /// Makes a store and fills it. Equal seeds give equal orders of keys.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) fn setup(&self, seed: u64) -> Result<Setup, Problem> {
        Setup::new(self.value_len, self.fill, seed)
    }

    /// Does what comes before a lap and is not measured.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) fn prepare(&self, setup: &mut Setup) -> Result<(), Problem> {
        (self.prepare)(setup)
    }

    /// Does the operation once on each key of a part of the lap.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) fn run(&self, setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
        (self.run)(setup, part)
    }
}

/// A store and what is needed to go over it.
pub(crate) struct Setup {
    store: Store,
    writer: Writer,
    watcher: Option<Watcher>,
    keys: Vec<Key>,
    absent: Vec<Key>,
    handles: Vec<Handle>,
    value: Vec<u8>,
    buffer: Vec<u8>,
    lens: Vec<Result<usize, Error>>,
}

impl Setup {
    fn new(value_len: usize, fill: Fill, seed: u64) -> Result<Self, Problem> {
        let geometry = Geometry {
            slots: 4 * LAP as u64,
            max_value_len: value_len as u64,
            vector_dim: 0,
            ..Geometry::default()
        };
        let config = Config { geometry, ..Config::default() };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        let mut writer = store.writer().map_err(|error| error.to_string())?;
        let value: Vec<u8> = (0..value_len).map(|at| black_box((at % 251) as u8)).collect();
        for key in &keys('k', !seed) {
            match fill {
                Fill::Numbers => writer.set_u64(key, 7),
                Fill::Values | Fill::Watched => writer.set(key, &value),
            }
            .map_err(say)?;
            if fill == Fill::Watched {
                writer.register(key, GROUP).map_err(say)?;
            }
        }
        let watcher = match fill {
            Fill::Watched => Some(store.watch(&[GROUP]).map_err(|error| error.to_string())?),
            Fill::Values | Fill::Numbers => None,
        };
        let keys = keys('k', seed);
        let handles: Result<_, Error> = keys.iter().map(|key| store.resolve(key)).collect();
        Ok(Self {
            handles: handles.map_err(say)?,
            absent: self::keys('m', seed),
            keys,
            watcher,
            writer,
            store,
            value,
            buffer: vec![0; MANY * value_len],
            lens: vec![Ok(0); MANY],
        })
    }
}

/// A key in a list: its length lies beside it, so that neither is known to the compiler.
#[derive(Clone, Copy)]
struct Key {
    len: u8,
    bytes: [u8; 15],
}

impl AsRef<[u8]> for Key {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Returns the keys of a family, a letter and eight digits each, in random order: an order that the seed alone decides.
fn keys(family: char, seed: u64) -> Vec<Key> {
    let mut keys: Vec<Key> = (0..LAP)
        .map(|number| {
            let text = format!("{family}{number:08}");
            let mut bytes = [0; 15];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Key { len: text.len() as u8, bytes }
        })
        .collect();
    // SplitMix64, as Vigna's public-domain splitmix64.c has it.
    let mut state = seed;
    for at in (1..keys.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        keys.swap(at, (bits >> 32) as usize % (at + 1));
    }
    keys
}

#[cold]
fn say(error: Error) -> Problem {
    error.to_string()
}

fn nothing(_: &mut Setup) -> Result<(), Problem> {
    Ok(())
}

#[inline(never)]
fn get(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        black_box(setup.store.get(key, &mut setup.buffer).map_err(say)?);
    }
    Ok(())
}

#[inline(never)]
fn get_by_handle(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for handle in &setup.handles[part] {
        black_box(setup.store.get(handle, &mut setup.buffer).map_err(say)?);
    }
    Ok(())
}

#[inline(never)]
fn get_many(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    let stride = setup.value.len();
    for keys in setup.keys[part].chunks(MANY) {
        setup.store.get_many(keys, &mut setup.buffer, stride, &mut setup.lens);
        for len in &setup.lens[..keys.len()] {
            black_box((*len).map_err(say)?);
        }
    }
    Ok(())
}

#[inline(never)]
fn miss(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.absent[part] {
        match setup.store.get(key, &mut setup.buffer) {
            Err(Error::NotFound) => (),
            Err(error) => return Err(say(error)),
            Ok(_) => return Err("a key that was never set was found".to_owned()),
        }
    }
    Ok(())
}

#[inline(never)]
fn set(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        setup.writer.set(key, &setup.value).map_err(say)?;
    }
    Ok(())
}

#[inline(never)]
fn set_by_handle(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for handle in &setup.handles[part] {
        setup.writer.set(handle, &setup.value).map_err(say)?;
    }
    Ok(())
}

#[inline(never)]
fn set_if(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        black_box(setup.writer.set_if(key, &setup.value, Expect::Present).map_err(say)?);
    }
    Ok(())
}

#[inline(never)]
fn update(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        let change = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            new.extend_from_slice(old.unwrap_or_default());
            Ok(())
        };
        setup.writer.update(key, change).map_err(say)?;
    }
    Ok(())
}

/// Sets `COUNT` keys at once: one of the part and those behind it.
#[inline(never)]
fn transaction<const COUNT: usize>(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for first in part {
        let mut transaction = Transaction::new();
        for at in first..first + COUNT {
            transaction.key(&setup.keys[at % LAP]).set(&setup.value);
        }
        black_box(setup.writer.commit(&transaction).map_err(|refusal| refusal.to_string())?);
    }
    Ok(())
}

#[inline(never)]
fn read_consistent(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    let stride = setup.value.len();
    for first in part {
        let keys = [setup.keys[first], setup.keys[(first + 1) % LAP]];
        setup.store.read_consistent(&keys, &mut setup.buffer, stride, &mut setup.lens).map_err(say)?;
        black_box(&setup.lens[..2]);
    }
    Ok(())
}

#[inline(never)]
fn inc(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        black_box(setup.writer.integer(key, IntegerOp::Inc(1)).map_err(say)?);
    }
    Ok(())
}

/// Leaves room to append.
fn shorten(setup: &mut Setup) -> Result<(), Problem> {
    let head = &setup.value[..8];
    setup.keys.iter().try_for_each(|key| setup.writer.set(key, head)).map_err(say)
}

#[inline(never)]
fn append(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    let tail = &setup.value[..8];
    for key in &setup.keys[part] {
        black_box(setup.writer.append(key, tail).map_err(say)?);
    }
    Ok(())
}

/// Takes the label away that a lap gives.
fn unlabel(setup: &mut Setup) -> Result<(), Problem> {
    setup.keys.iter().try_for_each(|key| setup.writer.unlabel(key, LABEL)).map_err(say)
}

#[inline(never)]
fn label(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        setup.writer.label(key, LABEL).map_err(say)?;
    }
    Ok(())
}

#[inline(never)]
fn unset_set(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    for key in &setup.keys[part] {
        black_box(setup.writer.unset(key).map_err(say)?);
        setup.writer.set(key, &setup.value).map_err(say)?;
    }
    Ok(())
}

#[inline(never)]
fn tandem(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    let values = [&setup.value[..8]; 3];
    for key in &setup.absent[part] {
        setup.writer.set_tandem(key, &values).map_err(say)?;
    }
    Ok(())
}

/// Reads all changes so far, so that a lap begins with none to be read.
fn catch_up(setup: &mut Setup) -> Result<(), Problem> {
    let watcher = setup.watcher.as_mut().ok_or("there is no watcher")?;
    // A watcher that lagged is told so once, and where it goes on.
    while !matches!(watcher.try_next(), Ok(None)) {}
    Ok(())
}

#[inline(never)]
fn set_heard(setup: &mut Setup, part: Range<usize>) -> Result<(), Problem> {
    let watcher = setup.watcher.as_mut().ok_or("there is no watcher")?;
    for key in &setup.keys[part] {
        setup.writer.set(key, &setup.value).map_err(say)?;
        match watcher.try_next() {
            Ok(Some(change)) => drop(black_box(change)),
            Ok(None) => return Err("a change was not heard of".to_owned()),
            Err(_) => return Err("a watcher of one change lagged".to_owned()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LAP, OPERATIONS};

    #[test]
    fn every_operation_succeeds_lap_after_lap_whole_or_in_parts() {
        for operation in &OPERATIONS {
            let mut setup = operation.setup(1).expect(operation.name);
            for part in [0..LAP, 0..LAP / 2, LAP / 2..LAP, 0..0, LAP - 16..LAP] {
                operation.prepare(&mut setup).expect(operation.name);
                operation.run(&mut setup, part).expect(operation.name);
            }
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPERATIONS.len());
    }
}
