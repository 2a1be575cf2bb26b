//! Reading keys: everything here works on a read-only mapping. Nothing shared is stored, except in a cache the byte that
//! marks a visit, if it changes and the mapping is writable.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::batch::{Batch, fetch_records, fetch_values};
use super::handle::sealed::Plain;
use super::handle::{AsKey, Handle};
use super::view::View;
use crate::arena::Arena;
use crate::arena::copy::copy_vector_out;
use crate::arena::integer::integer_in_slot;
use crate::arena::key::{Key, KeyRef, Resolved};
use crate::error::Error;
use crate::open::Store;
use crate::protocol::OptimisticRead;
use crate::settings::Type;
use crate::sync::Relaxed;
use crate::tuning;

impl Store {
    /// Copies the value of `key` to the beginning of `buf`. Returns its length.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::BufferTooSmall`], with the length needed; [`Error::Again`] when
    /// the key was rewritten all the while.
    #[inline]
    #[doc(alias("read", "fetch", "lookup"))]
    pub fn get(&self, key: impl AsKey, buf: &mut [u8]) -> Result<usize, Error> {
        slowdown!("get-grown", crate::mutants::do_extra_work(6));
        slowdown!(
            "get-slowed",
            if crate::mutants::is_selected(3) {
                self.get_again(key.plain(), buf)
            }
        );
        in_registers(|error| self.get_of(key.plain(), buf, error))
    }

    /// Does a get for nothing.
    #[cfg(splinter_mutants)]
    fn get_again<'k>(&self, key: impl Plain<'k>, buf: &mut [u8]) {
        let _ = in_registers(|error| self.get_of(key, buf, error));
    }

    #[inline]
    fn get_of<'k>(&self, key: impl Plain<'k>, buf: &mut [u8], error: &mut Error) -> u64 {
        match key.key_ref(self.arena()) {
            Ok(key) => self.get_key(&key, buf, error),
            Err(kind) => or_failed(Err(kind), error),
        }
    }

    /// Reads in straight line what nearly every get finds: the likeliest slot holds the key, and nobody
    /// writes it meanwhile.
    #[inline(always)]
    fn get_key(&self, key: &KeyRef<'_>, buf: &mut [u8], error: &mut Error) -> u64 {
        let arena = self.arena();
        let Some(number) = arena.find_fast(key) else {
            return or_failed(Err(Error::NotFound), error);
        };
        let buffers = arena.prefetch_value(number);
        if let Some(read) = arena.begin_plain_read(number, key) {
            // Before the copy: what it needs is at hand now.
            arena.note_visit(number);
            if let Ok(len) = arena.buffered_from(buffers, read.descriptor).copy_to(buf)
                && read.validate()
            {
                return len as u64;
            }
        }
        self.get_slow(*key, buf, error)
    }

    #[cold]
    #[inline(never)]
    fn get_slow(&self, key: KeyRef<'_>, buf: &mut [u8], error: &mut Error) -> u64 {
        let arena = self.arena();
        or_failed(arena.read(&key, |read| read.payload(arena).copy_to(buf)), error)
    }

    /// Returns the length of the value of `key` in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn value_len(&self, key: impl AsKey) -> Result<usize, Error> {
        self.read_with(key.plain(), |arena, read| Ok(read.payload(arena).len()))
    }

    /// Returns the value of `key` as a new vector.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn get_vec(&self, key: impl AsKey) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.read_with(key.plain(), |arena, read| {
            let payload = read.payload(arena);
            bytes.resize(payload.len(), 0);
            payload.copy_to(&mut bytes)
        })?;
        Ok(bytes)
    }

    /// Returns the number in a `BIGUINT` slot.
    ///
    /// # Errors
    /// [`Error::WrongType`] when the value is neither a number nor, in a `BIGUINT` slot, eight bytes or
    /// decimal digits; [`Error::NotFound`], [`Error::Again`].
    pub fn get_u64(&self, key: impl AsKey) -> Result<u64, Error> {
        self.read_with(key.plain(), |arena, read| {
            let is_integer = read.descriptor.kind() == Type::BigUint.kind();
            let parse = |bytes: &[u8]| integer_in_slot(bytes).filter(|_| is_integer);
            read.payload(arena).integer(parse).ok_or(Error::WrongType)
        })
    }

    /// Calls `body` with a view of the value of `key`, and returns what it returned once it is known
    /// that the value did not change meanwhile. `body` is called again when it did, so it must not act
    /// on what it sees; see [`View`] for what it may do.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.writer()?.set("word", b"shell")?;
    /// let ells = store.get_with("word", |view| view.bytes().filter(|byte| *byte == b'l').count())?;
    /// assert_eq!(ells, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn get_with<R>(&self, key: impl AsKey, mut body: impl FnMut(&View<'_>) -> R) -> Result<R, Error> {
        self.read_with(key.plain(), |arena, read| Ok(body(&View::new(arena, *read))))
    }

    /// Returns a view of the value of `key` where it lies, without copying it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("borrow", "zero_copy"))]
    pub fn view(&self, key: impl AsKey) -> Result<View<'_>, Error> {
        self.read_with(key.plain(), |arena, read| Ok(View::new(arena, *read)))
    }

    /// Tells whether the store holds `key`.
    ///
    /// # Errors
    /// [`Error::Again`], and those of a key that cannot be one.
    #[doc(alias = "exists")]
    pub fn contains(&self, key: impl AsKey) -> Result<bool, Error> {
        match self.read_with(key.plain(), |_, _| Ok(())) {
            Ok(()) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the epoch of `key`: even, and higher by two after every change of its value, vector or type. Labels, times,
    /// flags and subscriptions leave it alone. So what was made from a value still holds while the epoch is the same. But a
    /// writer that is stopped as it publishes shows the new value with the epoch of the old one until it goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias = "version")]
    pub fn epoch(&self, key: impl AsKey) -> Result<u64, Error> {
        self.read_with(key.plain(), |_, read| Ok(read.stable_epoch()))
    }

    /// Copies the vector of `key`.
    ///
    /// # Errors
    /// [`Error::WrongDimension`] when `out` does not have the store's dimension; [`Error::NotFound`]
    /// when there is no such key or it has no vector; [`Error::Again`].
    #[doc(alias = "embedding")]
    pub fn vector(&self, key: impl AsKey, out: &mut [f32]) -> Result<(), Error> {
        let dim = self.geometry().vector_dim as usize;
        if dim == 0 || out.len() != dim {
            return Err(Error::WrongDimension);
        }
        self.read_with(key.plain(), |arena, read| {
            let descriptor = read.descriptor;
            if descriptor.has_vector() == 0 {
                return Err(Error::NotFound);
            }
            copy_vector_out(arena.vector(read.number, descriptor.vector_current()), out);
            Ok(())
        })
    }

    /// Reads many keys, hiding the memory latency of each behind the others'. Key `i`'s value is copied
    /// to `bufs[i * stride..]`, and its length or error put in `results[i]`. A value longer than `stride` is not copied:
    /// its result is [`Error::BufferTooSmall`].
    /// Each key is read on its own: this is no snapshot.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("a", b"1")?;
    /// writer.set("b", b"22")?;
    /// let (mut bufs, mut lens) = ([0; 2 * 16], [Ok(0); 3]);
    /// store.get_many(&["a", "b"], &mut bufs, 16, &mut lens[..2]);
    /// assert_eq!(lens[..2], [Ok(1), Ok(2)]);
    /// assert_eq!(&bufs[16..18], b"22");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If `bufs` or `results` is too short for `keys`.
    #[doc(alias("mget", "batch"))]
    pub fn get_many<K: AsKey>(
        &self,
        keys: &[K],
        bufs: &mut [u8],
        stride: usize,
        results: &mut [Result<usize, Error>],
    ) {
        assert!(results.len() >= keys.len() && bufs.len() >= keys.len() * stride);
        let arena = self.arena();
        let depth = tuning::prefetch_depth();
        for (first, keys) in (0..).step_by(depth).zip(keys.chunks(depth)) {
            let keys = keys.iter().map(|key| key.plain().key_ref(arena));
            let batch = Batch::new(keys, |place, error| results[first + place] = Err(error));
            batch.fetch::<false>(arena, |_| 0);
            for (place, key) in batch.keys() {
                let at = (first + place) * stride;
                let out = &mut bufs[at..at + stride];
                results[first + place] = arena.read(key, |read| read.payload(arena).copy_to(out));
            }
        }
    }

    /// Asks the processor for the records of keys, for gets that follow: changes nothing, and may do nothing. It pays
    /// where other processors have changed the keys, or memory is slow. Once the records have come, after some hundred
    /// nanoseconds, [`Self::prefetch_values`] asks for the values.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.writer()?.set("a", b"1")?;
    /// let keys = [store.resolve("a")?];
    /// store.prefetch_records(&keys);
    /// store.prefetch_values(&keys);
    /// assert_eq!(store.get_vec(keys[0])?, b"1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefetch_records(&self, keys: &[Handle]) {
        fetch_records(self.arena(), keys);
    }

    /// Asks the processor for the values of keys, up to 256 bytes of each; see [`Self::prefetch_records`].
    pub fn prefetch_values(&self, keys: &[Handle]) {
        fetch_values(self.arena(), keys);
    }

    /// Finds the slot of `key`, for reads and writes that skip the search.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn resolve(&self, key: impl AsKey) -> Result<Handle, Error> {
        let key = key.plain().key_ref(self.arena())?;
        let number = self.arena().read(&key, |read| Ok(read.number))?;
        Ok(Handle(Resolved::new(number, key)))
    }

    /// Iterates over the keys in the order of their slots. Keys that are there throughout are listed;
    /// those that come or go meanwhile may or may not be.
    #[doc(alias("iter", "scan", "list"))]
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.present().map(|(key, _)| key)
    }

    /// Counts the keys by looking at every slot that was ever used: a cache line each.
    pub fn len(&self) -> u64 {
        let arena = self.arena();
        let slots = arena.marked(|word| word.touched.load(Relaxed));
        slots.filter_map(|number| arena.begin_any_read(number)).count() as u64
    }

    /// Tells whether the store holds no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `body` with the key and epoch of every slot that carries all labels in `mask`.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("doc", b"text")?;
    /// writer.label("doc", 0b101)?;
    /// let mut found = Vec::new();
    /// store.for_each_label(0b100, |key, _epoch| found.push(key.to_string()));
    /// assert_eq!(found, ["doc"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each_label(&self, mask: u64, mut body: impl FnMut(&Key, u64)) {
        let arena = self.arena();
        for number in arena.marked(|word| word.touched.load(Relaxed)) {
            let found = arena.read_slot(number, |read| {
                let is_labelled = arena.labels(read) & mask == mask;
                Ok(is_labelled.then(|| (Key::read_from(read.slot), read.stable_epoch())))
            });
            if let Ok(Some((key, epoch))) = found {
                body(&key, epoch);
            }
        }
    }

    /// Visits every slot that holds a key, with an optimistic read that was valid when the key was read.
    pub(crate) fn present(&self) -> impl Iterator<Item = (Key, OptimisticRead<'_>)> + '_ {
        let arena = self.arena();
        // All that were ever used: one that a writer died on may hold a key and not be marked as used.
        arena.marked(|word| word.touched.load(Relaxed)).filter_map(|number| {
            // A slot that changes faster than it can be read is looked at until it stands still long
            // enough: a key's words change only when the slot changes hands.
            for _ in 0..1 << 16 {
                let read = arena.begin_any_read(number)?;
                let key = Key::read_from(read.slot);
                if read.validate() {
                    return Some((key, read));
                }
            }
            None
        })
    }

    fn read_with<'s, 'k, R>(
        &'s self,
        key: impl Plain<'k>,
        mut body: impl FnMut(&'s Arena<'s>, &OptimisticRead<'s>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let arena = self.arena();
        arena.read(&key.key_ref(arena)?, |read| body(arena, read))
    }
}

/// The register value that means an error.
const FAILED: u64 = u64::MAX;

/// Makes a result of what `call` returned. A `Result<usize, Error>` is too large for registers: handed
/// through memory it stalls a copy that follows at once, for longer than the lookup takes.
#[inline(always)]
fn in_registers(call: impl FnOnce(&mut Error) -> u64) -> Result<usize, Error> {
    let mut error = Error::Again;
    match call(&mut error) {
        FAILED => Err(error),
        len => Ok(len as usize),
    }
}

/// Takes a result apart for [`in_registers`].
#[inline(always)]
fn or_failed(result: Result<usize, Error>, error: &mut Error) -> u64 {
    match result {
        Ok(len) => len as u64,
        Err(kind) => {
            *error = kind;
            FAILED
        }
    }
}
