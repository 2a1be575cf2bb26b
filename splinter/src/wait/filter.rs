//! Which keys of the whole store a watcher returns: those with a prefix, or one key, present or missing.

use crate::arena::key::Key;
use std::collections::HashMap;

/// The keys whose changes a watcher of the whole store returns.
#[derive(Clone)]
pub(super) struct Filter {
    prefix: Box<[u8]>,
    /// Whether the prefix is the whole name.
    is_name: bool,
    /// The wanted keys by their slots, as they were last found. A removal names the slot only.
    keys: HashMap<u32, Key>,
}

impl Filter {
    pub(super) fn new(prefix: &[u8], is_name: bool) -> Self {
        Self { prefix: prefix.into(), is_name, keys: HashMap::new() }
    }

    /// Returns the only key that is wanted, unless there are several or none.
    pub(super) fn name(&self) -> Option<Key> {
        self.is_name.then(|| Key::new(&self.prefix).ok())?
    }

    fn is_wanted(&self, key: &Key) -> bool {
        let key = key.as_ref();
        key.starts_with(&self.prefix) && !(self.is_name && key.len() > self.prefix.len())
    }

    /// Notes the key that is found in a slot after a change. Returns it if it is wanted, and the wanted key that is gone
    /// from there.
    pub(super) fn note(&mut self, slot: u32, found: Option<Key>) -> [Option<Key>; 2] {
        let key = found.filter(|key| self.is_wanted(key));
        let before = match key {
            Some(key) => self.keys.insert(slot, key),
            None => self.keys.remove(&slot),
        };
        [key, before.filter(|before| key != Some(*before))]
    }

    pub(super) fn forget_keys(&mut self) {
        self.keys.clear();
    }
}
