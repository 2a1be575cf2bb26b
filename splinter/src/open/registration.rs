//! Who owns a writer id: the thread whose id is in the writer id's owner word, where the kernel marks its end. A registered
//! writer's writer id belongs to the thread that last used it, for a claim lasts no longer than a call.

use super::store::{Inner, Store};
use crate::arena::Arena;
use crate::arena::owner::{OpenStores, Owner};
use crate::arena::records::{EVERY_SLOT, OWNERS_A_PAGE, WriterEntry};
use crate::arena::state::{Control, State};
use crate::error::StoreError;
use crate::kernel::Present;
use crate::kernel::robust::{self, RobustLink, thread_serial};
use crate::protocol::Claimant;
use crate::sync::{Acquire, Word};
use std::sync::Arc;

impl OpenStores for Present<'_> {
    fn own(&self) -> u32 {
        self.own()
    }

    fn is_open(&self, store: u32) -> bool {
        self.has(store)
    }
}

/// A writer id that a thread of this process owns.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) writer_id: u32,
    /// The owner word, as this registration left it.
    owner: Owner,
    link: RobustLink,
}

/// What became of binding a registration, which another thread used before, to the calling thread.
pub(crate) enum Rebind {
    /// The calling thread owns the writer id now.
    Done,
    /// Its thread ended, and another owner took the writer id.
    Lost,
    /// It is a parent process's.
    Inherited,
}

impl Registration {
    /// Takes a writer id for the calling thread, unless a living thread owns it.
    ///
    /// # Errors
    /// [`StoreError::Os`] when the kernel follows no list of this thread, or has no memory.
    pub(crate) fn take(store: &Inner, writer_id: u32) -> Result<Option<Self>, StoreError> {
        let Some(words) = store.arena.ownership(writer_id) else { return Ok(None) };
        // Looking for a free writer id maps no page of those that are taken.
        if words.owner().is_alive() {
            return Ok(None);
        }
        let present = store.present();
        let owner_page = store.map_owner_page(writer_id).map_err(|e| store.cannot_register(e))?;
        let mut owner = None;
        let link = robust::link(owner_page, index(writer_id), |thread| {
            owner = words.take(thread, &present);
            owner.is_some()
        });
        let link = link.map_err(|e| store.cannot_register(e))?;
        Ok(link.zip(owner).map(|(link, owner)| Self { writer_id, owner, link }))
    }

    /// Whether the calling thread owns the writer id.
    #[inline(always)]
    pub(crate) fn is_this_threads(&self) -> bool {
        thread_serial() == self.link.serial
    }

    /// Whether this process is a child of the one that took the writer id, which is its parent's.
    pub(crate) fn is_inherited(&self) -> bool {
        self.link.is_inherited()
    }

    /// Has the calling thread own the writer id.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn rebind(&mut self, store: &Inner) -> Result<Rebind, StoreError> {
        if self.is_inherited() {
            return Ok(Rebind::Inherited);
        }
        let Some(words) = store.arena.ownership(self.writer_id) else { return Ok(Rebind::Lost) };
        let present = store.present();
        let owner_page = store.map_owner_page(self.writer_id).map_err(|e| store.cannot_register(e))?;
        let mut owner = None;
        let moved = robust::relink(&mut self.link, owner_page, index(self.writer_id), |thread| {
            owner = words.pass_on(self.owner, thread, &present);
            owner.is_some()
        });
        moved.map_err(|e| store.cannot_register(e))?;
        Ok(owner.map_or(Rebind::Lost, |owner| {
            self.owner = owner;
            Rebind::Done
        }))
    }

    /// Gives the writer id back, unless it is lost. In a child this does nothing: the writer id is still the parent's.
    pub(crate) fn give_back(&self, arena: &Arena<'_>) {
        // If this thread used the writer last, the intents are still ours to clear. Otherwise another owner may have
        // written them.
        if self.is_this_threads() {
            arena.writer_table[self.writer_id as usize].clear_intents();
        }
        robust::unlink(&self.link, || {
            if let Some(words) = arena.ownership(self.writer_id) {
                words.give_back(self.owner);
            }
        });
    }
}

impl Store {
    /// Takes a writer id for the calling thread, whichever is free.
    pub(crate) fn register(&self) -> Result<Registration, StoreError> {
        let max_writers = self.geometry().max_writers;
        // A second time without the owners of which no kernel said that they are gone.
        for round in 0..2 {
            for writer_id in 0..max_writers {
                if let Some(registration) = Registration::take(&self.inner, writer_id)? {
                    return Ok(registration);
                }
            }
            if round == 0 {
                self.inner.correct_owners();
            }
        }
        Err(StoreError::TooManyWriters { max_writers })
    }

    /// Makes what changes the arena, and finishes or undoes what the writer id's last owner left.
    pub(crate) fn claimant(&self, registration: &Registration) -> Claimant<'static> {
        let os = Arc::clone(&self.inner.os);
        Claimant::new(self.inner.arena, registration.writer_id, os)
    }

    /// Recovers what dead writers left, and notifies of their changes, by taking each of their writer ids for a moment
    /// as the next writer would. Callers that wait call this often; it looks about once a second.
    pub(crate) fn recover_dead_writers(&self) {
        if self.is_read_only() || !self.inner.timer.is_due() {
            return;
        }
        self.arena().keep_time();
        for (writer_id, entry) in (0..).zip(self.arena().writer_table) {
            if entry.has_no_intents() {
                continue;
            }
            // The kernel marks no death of a process whose memory it took first, as its out-of-memory killer does. Only an
            // id that holds a claim is looked at: a living writer's holds one for less than a call.
            if holds_claim(self.arena(), writer_id, entry)
                && let Some(words) = self.arena().ownership(writer_id)
            {
                words.correct(&self.inner.present());
            }
            if let Ok(Some(registration)) = Registration::take(&self.inner, writer_id) {
                drop(self.claimant(&registration));
                registration.give_back(self.arena());
            }
        }
    }
}

/// Tells whether a writer id seems to hold a claim on the slot or the bucket that its entry names.
fn holds_claim(arena: &Arena<'_>, writer_id: u32, entry: &WriterEntry) -> bool {
    let place = |intent: &Word| intent.load(Acquire).wrapping_sub(1);
    let has_slot = |number: u64| {
        let state = arena.slot(number as u32).map(|slot| State(slot.state_integer.first_acquire()));
        state.is_some_and(|state| state.is_claimed() && state.writer_id() == writer_id)
    };
    let bucket = arena.buckets.get(place(&entry.bucket_intent) as usize);
    let control = bucket.map(|bucket| Control(bucket.control.load(Acquire)));
    entry.slot_intent.load(Acquire) == EVERY_SLOT
        || has_slot(place(&entry.slot_intent))
        || has_slot(place(&entry.recovery_intent))
        || control.is_some_and(|control| control.is_claimed() && control.writer_id() == writer_id)
}

/// Returns the index of an id's owner word in its page.
const fn index(writer_id: u32) -> usize {
    writer_id as usize % OWNERS_A_PAGE
}
