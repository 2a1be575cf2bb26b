//! A doubly linked list of the keys that a reference cache holds, in places that are used again. Pure.

/// No place, or no neighbour.
pub(super) const NONE: u32 = u32::MAX;

/// A list of keys with the newest at its head; each has a place, which a table by key leads to.
#[derive(Debug)]
pub(super) struct List {
    /// By place: its key, and its neighbours towards head and tail.
    entries: Vec<Entry>,
    /// By key: its place.
    places: Vec<u32>,
    head: u32,
    tail: u32,
    slots: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u32,
    newer: u32,
    older: u32,
}

impl List {
    /// Creates an empty list that holds up to `slots` of the keys below `keys`.
    pub(super) fn new(keys: usize, slots: usize) -> Self {
        Self { entries: Vec::new(), places: vec![NONE; keys], head: NONE, tail: NONE, slots }
    }

    /// Returns the place of a key, if it is in the list.
    pub(super) fn place(&self, key: u32) -> Option<u32> {
        Some(self.places[key as usize]).filter(|place| *place != NONE)
    }

    /// Tells whether a key can only be added once another one leaves.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == self.slots
    }

    /// Returns the oldest place.
    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    /// Returns the next place towards the head, `NONE` at the head.
    pub(super) fn newer(&self, place: u32) -> u32 {
        self.entries[place as usize].newer
    }

    /// Adds a key at the head, in a new place; returns that.
    pub(super) fn push(&mut self, key: u32) -> u32 {
        let place = self.entries.len() as u32;
        self.entries.push(Entry { key, newer: NONE, older: NONE });
        self.places[key as usize] = place;
        self.link(place);
        place
    }

    /// Replaces the key at a place by another, which goes to the head.
    pub(super) fn replace(&mut self, place: u32, key: u32) {
        let evicted = self.entries[place as usize].key;
        self.places[evicted as usize] = NONE;
        self.entries[place as usize].key = key;
        self.places[key as usize] = place;
        self.move_to_head(place);
    }

    /// Moves a place to the head.
    pub(super) fn move_to_head(&mut self, place: u32) {
        let Entry { newer, older, .. } = self.entries[place as usize];
        match newer {
            NONE => self.head = older,
            newer => self.entries[newer as usize].older = older,
        }
        match older {
            NONE => self.tail = newer,
            older => self.entries[older as usize].newer = newer,
        }
        self.link(place);
    }

    fn link(&mut self, place: u32) {
        let head = std::mem::replace(&mut self.head, place);
        let entry = &mut self.entries[place as usize];
        (entry.newer, entry.older) = (NONE, head);
        match head {
            NONE => self.tail = place,
            head => self.entries[head as usize].newer = place,
        }
    }

    /// Returns the keys from head to tail.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<u32> {
        let mut keys = Vec::new();
        let mut place = self.head;
        while place != NONE {
            let entry = self.entries[place as usize];
            keys.push(entry.key);
            place = entry.older;
        }
        keys
    }
}
