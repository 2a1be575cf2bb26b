//! Listing keys with their values, page by page.

use crate::arena::key::Key;
use crate::arena::version::Version;
use crate::error::Error;
use crate::open::Store;
use crate::protocol::OptimisticRead;
use crate::settings::Type;
use crate::sync::Relaxed;

/// A key that a scan found, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scanned {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Vec<u8>,
    /// Its version when it was read.
    pub version: Version,
    /// Its type.
    pub kind: Type,
}

/// A page of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What was found, in the order of the slots.
    pub found: Vec<Scanned>,
    /// The cursor of the next page, or `None` at the end.
    pub next: Option<u32>,
}

impl Store {
    /// Lists up to `count` keys that begin with `prefix`, with their values, from `cursor` on: 0 at first, then what
    /// the page before says. Nothing is kept between the calls, so a scan may be left at any time.
    ///
    /// A key that is there throughout the scan is found once. One that comes or goes meanwhile may or may not be
    /// found, and one that was removed and set again may be found twice. Each key's value, epoch and type are of one
    /// moment; those of different keys need not be.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// for name in ["user:1", "user:2", "other", "user:3"] {
    ///     writer.set(name, b"value")?;
    /// }
    /// let (mut cursor, mut names) = (Some(0), Vec::new());
    /// while let Some(from) = cursor {
    ///     let page = store.scan(from, "user:", 2)?;
    ///     names.extend(page.found.iter().map(|found| found.key.to_string()));
    ///     cursor = page.next;
    /// }
    /// assert_eq!(names.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Again`] when the first key to be found was rewritten all the while.
    #[doc(alias("iterate", "list", "prefix"))]
    pub fn scan(&self, cursor: u32, prefix: impl AsRef<[u8]>, count: usize) -> Result<Page, Error> {
        let (arena, prefix) = (self.arena(), prefix.as_ref());
        let mut page = Page::default();
        for number in arena.marked_from(cursor, |word| word.touched.load(Relaxed)) {
            if page.found.len() >= count {
                page.next = Some(number);
                break;
            }
            match arena.read_slot(number, |read| self.scanned(read, prefix)) {
                Ok(found) => page.found.extend(found),
                Err(Error::NotFound) => {}
                Err(error) if page.found.is_empty() => return Err(error),
                Err(_) => {
                    page.next = Some(number);
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Copies what a slot holds, if that is a key with the prefix.
    fn scanned(&self, read: &OptimisticRead<'_>, prefix: &[u8]) -> Result<Option<Scanned>, Error> {
        let key = Key::read_from(read.slot);
        if !key.as_ref().starts_with(prefix) {
            return Ok(None);
        }
        let payload = read.payload(self.arena());
        let mut value = vec![0; payload.len()];
        payload.copy_to(&mut value)?;
        let version = Version { slot: read.number, epoch: read.stable_epoch() };
        Ok(Some(Scanned { key, value, version, kind: Type::from_kind(read.descriptor.kind()) }))
    }
}
