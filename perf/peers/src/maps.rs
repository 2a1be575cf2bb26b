//! Maps of one process: what a program whose threads alone share values would use. No other process sees them.

use crate::contender::Contender;
use dashmap::DashMap;
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const ONE_PROCESS: &str = "of one process only";

/// Makes the contender that is `Mutex<HashMap>`.
pub(crate) fn mutex(name: &str, workload: &Workload) -> Result<Contender, String> {
    let map = Shared::<Mutex<HashMap<Box<[u8]>, Box<[u8]>>>>::default();
    Ok(Contender::new(name, "std", workload, map)?.note(ONE_PROCESS))
}

/// Makes the contender that is `DashMap`.
pub(crate) fn dashmap(name: &str, workload: &Workload) -> Result<Contender, String> {
    let map = Shared::<DashMap<Box<[u8]>, Box<[u8]>>>::default();
    Ok(Contender::new(name, "dashmap 6", workload, map)?.note(ONE_PROCESS))
}

/// Makes the contender that is papaya's map.
pub(crate) fn papaya(name: &str, workload: &Workload) -> Result<Contender, String> {
    let map = Shared::<papaya::HashMap<Box<[u8]>, Box<[u8]>>>::default();
    Ok(Contender::new(name, "papaya 0.2", workload, map)?.note(ONE_PROCESS))
}

/// A map that every link has a share of.
struct Shared<M>(Arc<M>);

impl<M: Default> Default for Shared<M> {
    fn default() -> Self {
        Self(Arc::new(M::default()))
    }
}

impl<M: Send + Sync> Peer for Shared<M>
where
    Shared<M>: Link,
{
    type Link = Self;

    fn link(&self, _: bool) -> Result<Self, String> {
        Ok(Self(Arc::clone(&self.0)))
    }
}

/// Copies a value out, as a store does.
#[inline]
fn copy_out(value: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
    buf.get_mut(..value.len()).ok_or(Miss::TooLong)?.copy_from_slice(value);
    Ok(value.len())
}

/// Overwrites a value where it lies if the new one is as long: what saves an allocation.
#[inline]
fn overwrite(old: &mut Box<[u8]>, value: &[u8]) {
    if old.len() == value.len() {
        old.copy_from_slice(value);
    } else {
        *old = value.into();
    }
}

impl Link for Shared<Mutex<HashMap<Box<[u8]>, Box<[u8]>>>> {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copy_out(map.get(key).ok_or(Miss::NotFound)?, buf)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(key) {
            Some(old) => overwrite(old, value),
            None => drop(map.insert(key.into(), value.into())),
        }
        Ok(())
    }
}

impl Link for Shared<DashMap<Box<[u8]>, Box<[u8]>>> {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        copy_out(&self.0.get(key).ok_or(Miss::NotFound)?, buf)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        if let Some(mut old) = self.0.get_mut(key) {
            overwrite(&mut old, value);
            return Ok(());
        }
        self.0.insert(key.into(), value.into());
        Ok(())
    }
}

impl Link for Shared<papaya::HashMap<Box<[u8]>, Box<[u8]>>> {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        copy_out(self.0.pin().get(key).ok_or(Miss::NotFound)?, buf)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        // Its values are never changed in place.
        self.0.pin().insert(key.into(), value.into());
        Ok(())
    }
}
