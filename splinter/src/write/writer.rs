//! Changing keys: a registered writer, which holds a writer id of the store.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use crate::arena::integer::{IntegerOp, Parse, integer_from_text, integer_in_slot};
use crate::arena::orders;
use crate::arena::records::Slot;
use crate::arena::state::Descriptor;
use crate::arena::version::Expect;
use crate::error::{Error, StoreError};
use crate::open::{Rebind, Registration, Store};
use crate::protocol::Claimant;
use crate::read::{AsKey, Batch, Handle, Plain, fetch_for_sets};
use crate::settings::Type;
use crate::signals::group_bit;
use crate::sync::{Relaxed, Word};
use crate::tuning;
use std::fmt;
use std::ops::Deref;

/// A registered writer: one for each thread that writes. It reads, too, being a [`Store`] as well.
///
/// Every change answers [`Error::Again`] when another living writer holds the key. The value is unchanged then, and the
/// same call can be made again at once, as [`retry`](crate::retry) does. The next writer of a key that a dead writer
/// holds recovers it.
///
/// Dropping the writer gives its writer id back; so does the end of its process, however it comes.
///
/// ```
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// while let Err(splinter::Error::Again) = writer.set("key", b"value") {}
/// assert_eq!(writer.get_vec("key")?, b"value");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    pub(crate) claimant: Claimant<'static>,
    pub(super) registration: Registration,
    /// The old and the new value of an update, kept for the next one.
    pub(super) values: [Vec<u8>; 2],
    /// Keeps alive what the claimant borrows.
    store: Store,
}

impl Store {
    /// Registers a writer: takes a writer id that no living writer holds. It belongs to the thread that last used the writer,
    /// and is free again if that thread ends.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]; [`StoreError::TooManyWriters`] when all are taken; [`StoreError::Os`] when the
    /// kernel keeps no list of this thread's robust futexes, or has no memory; [`StoreError::NotAStore`] when the file was
    /// cut short.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        self.check_writable()?;
        self.check_whole()?;
        let registration = self.register()?;
        let claimant = self.claimant(&registration);
        Ok(Writer { claimant, registration, values: Default::default(), store: self.clone() })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.store.inner.arena.keep_time();
        self.registration.give_back(&self.store.inner.arena);
    }
}

impl Deref for Writer {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("id", &self.id()).field("store", &self.store).finish()
    }
}

impl Writer {
    /// Makes changes that no signal group hears of. Callers that poll a key or watch the whole store do. So a
    /// program that waits for a group can note on a key that it has dealt with it, and does not wake itself.
    ///
    /// If this process dies within a change, the group may hear of it after all.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("job", b"text")?;
    /// writer.register("job", 7)?;
    /// writer.quietly(|writer| writer.label("job", 0b1))?;
    /// assert_eq!(store.signal_count(7), Some(0));
    /// writer.set("job", b"another")?;
    /// assert_eq!(store.signal_count(7), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn quietly<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        /// Ends the quiet, even if the change panics.
        struct Quiet<'w>(&'w mut Writer, bool);
        impl Drop for Quiet<'_> {
            fn drop(&mut self) {
                self.0.claimant.wakes.quiet = self.1;
            }
        }
        let before = std::mem::replace(&mut self.claimant.wakes.quiet, true);
        let quiet = Quiet(self, before);
        change(quiet.0)
    }

    /// Returns the number of the writer id this writer holds.
    pub fn id(&self) -> u32 {
        self.claimant.writer_id
    }

    /// Returns the claimant, after binding the writer id to this thread if another thread used the writer before.
    #[inline(always)]
    pub(super) fn claimant(&mut self) -> Result<&mut Claimant<'static>, Error> {
        if self.registration.is_this_threads() { Ok(&mut self.claimant) } else { self.rebind() }
    }

    #[cold]
    fn rebind(&mut self) -> Result<&mut Claimant<'static>, Error> {
        match self.registration.rebind(&self.store.inner) {
            Ok(Rebind::Done) => {}
            Ok(Rebind::Inherited) => return Err(Error::Forked),
            // The thread that had the writer id ended, and somebody took it: any other will do.
            Ok(Rebind::Lost) => {
                let registration = self.store.register().map_err(|_| Error::Unregistered)?;
                let quiet = self.claimant.wakes.quiet;
                self.claimant = self.store.claimant(&registration);
                self.claimant.wakes.quiet = quiet;
                self.registration = registration;
            }
            Err(_) => return Err(Error::Unregistered),
        }
        Ok(&mut self.claimant)
    }

    /// Sets the value of `key`, which is created if missing. Its type and labels stay, its vector goes.
    ///
    /// # Errors
    /// [`Error::Again`], [`Error::ValueTooLong`], [`Error::Full`], and those of a key that cannot be one;
    /// [`Error::NotFound`] for a handle whose key was removed.
    #[inline]
    #[doc(alias("put", "insert", "upsert"))]
    pub fn set(&mut self, key: impl AsKey, value: &[u8]) -> Result<(), Error> {
        self.set_plain(key.plain(), value)
    }

    #[inline]
    fn set_plain<'k, P: Plain<'k>>(&mut self, key: P, value: &[u8]) -> Result<(), Error> {
        // Which comes first decides what stays in registers.
        if P::IS_RESOLVED {
            let claimant = self.claimant()?;
            return claimant.set(&key.key_ref(&claimant.arena)?, value, Expect::Any).map(drop);
        }
        let key = key.key_ref(&self.claimant.arena)?;
        mutant!("refusal-hidden", return self.claimant()?.set(&key, value, Expect::Any).map(drop).or(Ok(())));
        self.claimant()?.set(&key, value, Expect::Any).map(drop)
    }

    /// Sets many keys, hiding the memory latency of each behind the others'. Each is set on its own, and
    /// what came of it put in `results`.
    ///
    /// # Panics
    /// If `results` is shorter than `pairs`.
    #[doc(alias("mset", "batch"))]
    pub fn set_many<K: AsKey, V: AsRef<[u8]>>(
        &mut self,
        pairs: &[(K, V)],
        results: &mut [Result<(), Error>],
    ) {
        assert!(results.len() >= pairs.len(), "there is a result for every pair");
        let claimant = match self.claimant() {
            Ok(claimant) => claimant,
            Err(error) => return results[..pairs.len()].fill(Err(error)),
        };
        let depth = tuning::prefetch_depth();
        for (first, pairs) in (0..).step_by(depth).zip(pairs.chunks(depth)) {
            let arena = claimant.arena;
            let keys = pairs.iter().map(|(key, _)| key.plain().key_ref(&arena));
            let batch = Batch::new(keys, |place, error| {
                results[first + place] = Err(error);
            });
            batch.fetch::<true>(&claimant.arena, |place| pairs[place].1.as_ref().len());
            for (place, key) in batch.keys() {
                let value = pairs[*place].1.as_ref();
                results[first + place] = claimant.set(key, value, Expect::Any).map(drop);
            }
        }
    }

    /// Asks the processor for the cache lines that sets of the keys to values of `len` bytes change, so that sets which
    /// follow do not wait for them: up to 256 bytes of each value. Changes nothing, and may do nothing.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// # let mut writer = store.writer()?;
    /// writer.set("a", b"1")?;
    /// let keys = [store.resolve("a")?];
    /// writer.prefetch_for_sets(&keys, 5);
    /// writer.set(keys[0], b"value")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefetch_for_sets(&self, keys: &[Handle], len: usize) {
        fetch_for_sets(&self.claimant.arena, keys, len);
    }

    /// Appends `tail` to the value of `key`. Returns the new length. Readers see all of it or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the key is missing; [`Error::ValueTooLong`] when the whole would be;
    /// [`Error::WrongType`] when the value is a number; [`Error::Again`].
    #[doc(alias = "extend")]
    pub fn append(&mut self, key: impl AsKey, tail: &[u8]) -> Result<usize, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.append(&key, tail, Expect::Any).map(|(len, _)| len)
    }

    /// Removes `key`. Returns the length its value had.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("delete", "remove", "del"))]
    pub fn unset(&mut self, key: impl AsKey) -> Result<usize, Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.unset(&key, Expect::Any).map(|(len, _)| len)
    }

    /// Raises the epoch of `key` without changing anything else: pollers and watchers take it for a change.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias = "touch")]
    pub fn bump(&mut self, key: impl AsKey) -> Result<(), Error> {
        self.change_content(key.plain(), |descriptor| descriptor)
    }

    /// Applies `op` to the number in a `BIGUINT` slot. Returns the new number. No update is ever lost,
    /// and no operation waits for another. A vector goes, as with any change of the value.
    ///
    /// ```
    /// use splinter::IntegerOp;
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set_u64("visits", 40)?;
    /// assert_eq!(writer.integer("visits", IntegerOp::Inc(2))?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongType`] when the slot is of another type, or what it was set to is neither an integer of
    /// up to eight bytes nor decimal digits; [`Error::NotFound`], [`Error::Again`].
    #[inline]
    #[doc(alias("incr", "increment", "decr", "fetch_add"))]
    pub fn integer(&mut self, key: impl AsKey, op: IntegerOp) -> Result<u64, Error> {
        self.integer_plain(key.plain(), op)
    }

    #[inline]
    fn integer_plain<'k>(&mut self, key: impl Plain<'k>, op: IntegerOp) -> Result<u64, Error> {
        let claimant = self.claimant()?;
        claimant.integer(&key.key_ref(&claimant.arena)?, op)
    }

    /// Sets `key` to a number, making it a `BIGUINT` slot, which is created if missing.
    ///
    /// # Errors
    /// [`Error::Again`], [`Error::Full`].
    pub fn set_u64(&mut self, key: impl AsKey, value: u64) -> Result<(), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_integer(&key, value)
    }

    /// Gives `key` a type. The value of a slot that becomes `BIGUINT` must be decimal digits, or one to
    /// eight bytes that are no text: an integer, the lowest byte first. A number that becomes `VARTEXT` or `JSON` turns into digits,
    /// one that becomes anything else into its eight bytes, the lowest first.
    ///
    /// # Errors
    /// [`Error::WrongType`] when the value is no number; [`Error::ValueTooLong`] when a number's digits
    /// or bytes exceed the store's longest value; [`Error::NotFound`], [`Error::Again`].
    pub fn set_type(&mut self, key: impl AsKey, kind: Type) -> Result<(), Error> {
        self.set_kind(key.plain(), kind, integer_from_text)
    }

    /// Gives `key` a type as [`Self::set_type`] does, but eight bytes are an integer whatever they look like:
    /// for programs that set a key to the integer itself, and not to what somebody typed.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// let number = u64::from_le_bytes(*b"10000000");
    /// writer.set("n", &number.to_le_bytes())?;
    /// writer.set_type_of_integer("n", splinter::Type::BigUint)?;
    /// assert_eq!(store.get_u64("n")?, number);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::set_type`].
    pub fn set_type_of_integer(&mut self, key: impl AsKey, kind: Type) -> Result<(), Error> {
        self.set_kind(key.plain(), kind, integer_in_slot)
    }

    fn set_kind<'k>(&mut self, key: impl Plain<'k>, kind: Type, parse: Parse) -> Result<(), Error> {
        let key = key.key_ref(&self.claimant.arena)?;
        self.claimant()?.set_kind(&key, (kind.kind(), kind.is_text()), parse, Expect::Any).map(drop)
    }

    /// Adds the labels in `mask` to `key`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn label(&mut self, key: impl AsKey, mask: u64) -> Result<(), Error> {
        self.change_word(key.plain(), |slot| &slot.labels, |labels| labels | mask)
    }

    /// Takes the labels in `mask` from `key`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn unlabel(&mut self, key: impl AsKey, mask: u64) -> Result<(), Error> {
        self.change_word(key.plain(), |slot| &slot.labels, |labels| labels & !mask)
    }

    /// Registers `key` with a signal group, numbered 0 to 63: every change of the key signals it. A key may
    /// be registered with any number of groups, and is with none once it was removed, but for those of
    /// [`Self::register_lasting`].
    ///
    /// The key and its epoch stay as they are.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("subscribe", "route"))]
    pub fn register(&mut self, key: impl AsKey, group: u8) -> Result<(), Error> {
        self.subscribe(key.plain(), group, true)
    }

    /// Takes `key` out of a signal group, until it is removed and comes back if the group has a
    /// [lasting subscription](Self::register_lasting). Its labels may still lead there.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn unregister(&mut self, key: impl AsKey, group: u8) -> Result<(), Error> {
        self.subscribe(key.plain(), group, false)
    }

    fn subscribe<'k>(&mut self, key: impl Plain<'k>, group: u8, on: bool) -> Result<(), Error> {
        let bit = group_bit(group).ok_or(Error::NoSuchGroup)?;
        let key = key.key_ref(&self.claimant.arena)?;
        self.claimant()?.subscribe(&key, bit, on)
    }

    /// Signals each group of `key` once, though nothing changed, even within [`Self::quietly`]. The pulse is lost if its
    /// writer dies before it signals.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Forked`] and [`Error::Unregistered`] as for any change.
    #[doc(alias("publish", "notify"))]
    pub fn pulse(&mut self, key: impl AsKey) -> Result<(), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        let arena = self.claimant()?.arena;
        let read = arena.locate(&key).and_then(|number| arena.begin_read(number, &key));
        let read = read.ok_or(Error::NotFound)?;
        arena.pulse(read.number, read.slot, &*self.store.inner.os);
        Ok(())
    }

    /// Sets the user flags in `mask` on `key`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn set_slot_flags(&mut self, key: impl AsKey, mask: u16) -> Result<u16, Error> {
        self.change_metadata(key.plain(), |_, descriptor| {
            descriptor.with_flags(descriptor.flags() | u64::from(mask))
        })
    }

    /// Clears the user flags in `mask` on `key`. Returns all of them as they are then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn clear_slot_flags(&mut self, key: impl AsKey, mask: u16) -> Result<u16, Error> {
        self.change_metadata(key.plain(), |_, descriptor| {
            descriptor.with_flags(descriptor.flags() & !u64::from(mask))
        })
    }

    /// Records when the value of `key` was made: `time` less `processing`, what handling it took, both
    /// in any one unit, such as that of [`crate::cycles()`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn set_ctime(&mut self, key: impl AsKey, time: u64, processing: u64) -> Result<(), Error> {
        self.change_word(key.plain(), |slot| &slot.ctime, |_| time.saturating_sub(processing))
    }

    /// Records when the value of `key` was last used, as [`Self::set_ctime`] does when it was made.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn set_atime(&mut self, key: impl AsKey, time: u64, processing: u64) -> Result<(), Error> {
        self.change_word(key.plain(), |slot| &slot.atime, |_| time.saturating_sub(processing))
    }

    /// Sets the vector of `key`, which must have the store's dimension. The value stays.
    ///
    /// # Errors
    /// [`Error::WrongDimension`], [`Error::NotFound`], [`Error::Again`].
    #[doc(alias = "embedding")]
    pub fn set_vector(&mut self, key: impl AsKey, vector: &[f32]) -> Result<(), Error> {
        let key = key.plain().key_ref(&self.claimant.arena)?;
        self.claimant()?.set_vector(&key, vector, Expect::Any).map(drop)
    }

    /// Drops the vector of `key`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    pub fn clear_vector(&mut self, key: impl AsKey) -> Result<(), Error> {
        self.change_content(key.plain(), |descriptor| descriptor.with_has_vector(0))
    }

    /// Sets all orders of the tandem `base` as one generation: `base` itself to `values[0]`, `base.n` to
    /// `values[n]`. Readers of the tandem see all of them or none; so does everybody if this process
    /// dies meanwhile. A signal group hears of it once, for the first of the orders that is subscribed to it.
    ///
    /// # Errors
    /// [`Error::BadOrders`]; [`Error::KeyTooLong`] when the longest name would not fit;
    /// [`Error::ValueTooLong`], [`Error::Full`], [`Error::Again`]. No order was changed then.
    #[doc(alias("transaction", "multi"))]
    pub fn set_tandem(&mut self, base: impl AsRef<[u8]>, values: &[&[u8]]) -> Result<(), Error> {
        let names = orders::names(base.as_ref(), values.len())?;
        let keys = orders::keys(&self.claimant.arena, &names)?;
        self.claimant()?.set_tandem(&keys, values)
    }

    /// Removes the first `orders` orders of the tandem `base`, all at once. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::BadOrders`], [`Error::KeyTooLong`], [`Error::Again`].
    pub fn unset_tandem(&mut self, base: impl AsRef<[u8]>, orders: usize) -> Result<usize, Error> {
        let names = orders::names(base.as_ref(), orders)?;
        let keys = orders::keys(&self.claimant.arena, &names)?;
        self.claimant()?.unset_tandem(&keys)
    }

    /// Zeroes every stale byte in the store, as level full would have, whatever the level is. Returns
    /// how many slots it looked after.
    ///
    /// # Errors
    /// [`Error::Again`] when a slot was held by a living writer all the while, or changed hands again and again;
    /// all others are clean.
    pub fn purge(&mut self) -> Result<u64, Error> {
        self.claimant()?.purge()
    }

    fn change_content<'k>(
        &mut self,
        key: impl Plain<'k>,
        change: impl FnOnce(Descriptor) -> Descriptor,
    ) -> Result<(), Error> {
        let key = key.key_ref(&self.claimant.arena)?;
        self.claimant()?.change_content(&key, Expect::Any, change).map(drop)
    }

    fn change_metadata<'k>(
        &mut self,
        key: impl Plain<'k>,
        change: impl FnOnce(&Slot, Descriptor) -> Descriptor,
    ) -> Result<u16, Error> {
        let key = key.key_ref(&self.claimant.arena)?;
        self.claimant()?.change_metadata(&key, change).map(|descriptor| descriptor.flags() as u16)
    }

    fn change_word<'k>(
        &mut self,
        key: impl Plain<'k>,
        word: impl FnOnce(&Slot) -> &Word,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), Error> {
        self.change_metadata(key, |slot, descriptor| {
            let word = word(slot);
            word.store(change(word.load(Relaxed)), Relaxed);
            descriptor
        })
        .map(drop)
    }
}
