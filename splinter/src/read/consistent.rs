//! Reading several keys as they were at one moment.

use super::handle::AsKey;
use super::handle::sealed::Plain;
use super::view::View;
use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::orders;
use crate::error::Error;
use crate::open::Store;

impl Store {
    /// Copies the values of all `keys` as they were at one moment. Key `i`'s value is copied to `bufs[i * stride..]`, and
    /// its length put in `results[i]`; or [`Error::NotFound`] if the key was missing at that moment, or
    /// [`Error::BufferTooSmall`] if its value is longer than `stride`.
    ///
    /// ```
    /// use splinter::{Error, IntegerOp, Transaction};
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("from", b"7")?;
    /// let mut moved = Transaction::new();
    /// moved.key("from").unset();
    /// moved.key("to").set(b"7");
    /// writer.commit(&moved)?;
    ///
    /// // Whenever this is called, the value is under one of the keys, and never under both or none.
    /// let (mut bufs, mut lens) = ([0; 2 * 16], [Ok(0); 2]);
    /// store.read_consistent(&["from", "to"], &mut bufs, 16, &mut lens)?;
    /// assert_eq!(lens, [Err(Error::NotFound), Ok(1)]);
    /// assert_eq!(&bufs[16..17], b"7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Again`] when writers changed some of the keys all the while, which is likelier the more keys there are and
    /// the longer their values; those of a key that cannot be one.
    ///
    /// # Panics
    /// If `bufs` or `results` is too short for `keys`.
    #[inline]
    #[doc(alias("snapshot", "mget", "multi_get"))]
    pub fn read_consistent<K: AsKey>(
        &self,
        keys: &[K],
        bufs: &mut [u8],
        stride: usize,
        results: &mut [Result<usize, Error>],
    ) -> Result<(), Error> {
        assert!(results.len() >= keys.len() && bufs.len() >= keys.len() * stride);
        let arena = self.arena();
        arena.read_all(
            keys.iter().map(
                #[inline(always)]
                |key| key.plain().key_ref(arena),
            ),
            #[inline(always)]
            |place, read| {
                let out = &mut bufs[place * stride..][..stride];
                results[place] = match read {
                    Some(read) => read.payload(arena).copy_to(out),
                    None => Err(Error::NotFound),
                };
                Ok(())
            },
        )
    }

    /// Calls `body` with the place of each key in `keys` and a view of its value at one moment, or none if the key was
    /// missing. `body` is called again for all keys when writers changed some meanwhile, so it must not act on what it
    /// sees before this returns; see [`View`] for what it may do.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set_u64("account:1", 70)?;
    /// writer.set_u64("account:2", 30)?;
    /// let mut amounts = [0; 2];
    /// store.read_consistent_with(&["account:1", "account:2"], |place, account| {
    ///     amounts[place] = account.map_or(0, |account| account.word(0));
    /// })?;
    /// assert_eq!(amounts, [70, 30]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::read_consistent`].
    pub fn read_consistent_with<K: AsKey>(
        &self,
        keys: &[K],
        mut body: impl FnMut(usize, Option<&View<'_>>),
    ) -> Result<(), Error> {
        let arena = self.arena();
        arena.read_consistent(&resolved(arena, keys)?, |place, read| {
            body(place, read.map(|read| View::new(arena, *read)).as_ref());
            Ok(())
        })
    }

    /// Copies all orders of the tandem `base` as they were at one moment: order 0, which is `base`
    /// itself, to `values[0]`, order `n`, which is `base.n`, to `values[n]`.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.writer()?.set_tandem("sensor", &[b"position", b"velocity"])?;
    /// let mut values = vec![Vec::new(); 2];
    /// store.tandem("sensor", &mut values)?;
    /// assert_eq!(values, [&b"position"[..], b"velocity"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when an order is missing; [`Error::BadOrders`]; [`Error::Again`].
    pub fn tandem(&self, base: impl AsRef<[u8]>, values: &mut [Vec<u8>]) -> Result<(), Error> {
        let (arena, names) = (self.arena(), orders::names(base.as_ref(), values.len())?);
        arena.read_consistent(&orders::keys(arena, &names)?, |order, read| {
            let payload = read.ok_or(Error::NotFound)?.payload(arena);
            values[order].resize(payload.len(), 0);
            payload.copy_to(&mut values[order]).map(drop)
        })
    }
}

/// Checks and hashes the keys.
fn resolved<'k, K: AsKey>(arena: &Arena<'_>, keys: &'k [K]) -> Result<Vec<KeyRef<'k>>, Error> {
    keys.iter().map(|key| key.plain().key_ref(arena)).collect()
}
