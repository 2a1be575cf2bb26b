//! Who owns a lane: the thread whose id is in the lane's owner word, where the kernel marks its end. A registered
//! writer's lane belongs to the thread that last used it, for a claim lasts no longer than a call.

use super::store::{Inner, Store};
use crate::arena::Arena;
use crate::arena::layout::OWNERS_A_PAGE;
use crate::arena::owner::{Owner, Stores};
use crate::error::StoreError;
use crate::kernel::Present;
use crate::kernel::robust::{self, Bond, thread_mark};
use crate::protocol::Claimant;
use std::sync::Arc;

impl Stores for Present<'_> {
    fn own(&self) -> u32 {
        self.own()
    }

    fn is_open(&self, store: u32) -> bool {
        self.has(store)
    }
}

/// A lane that a thread of this process owns.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) lane: u32,
    /// The owner word, as this registration left it.
    owner: Owner,
    bond: Bond,
}

/// What became of a registration that another thread used before.
pub(crate) enum Moved {
    /// It is the calling thread's now.
    Here,
    /// Its thread ended, and somebody else took the lane.
    Lost,
    /// It is a parent process's.
    Inherited,
}

impl Registration {
    /// Takes a lane that nobody who lives owns, for the calling thread. Returns nothing if somebody does.
    ///
    /// # Errors
    /// [`StoreError::Os`] when the kernel follows no list of this thread, or has no memory.
    pub(crate) fn take(store: &Inner, lane: u32) -> Result<Option<Self>, StoreError> {
        let Some(words) = store.arena.ownership(lane) else { return Ok(None) };
        // Whoever looks for a free lane opens no window on those that are taken.
        if words.owner().is_alive() {
            return Ok(None);
        }
        let present = store.present();
        let window = store.window(lane).map_err(|e| store.cannot_register(e))?;
        let mut owner = None;
        let bond = robust::hold(window, index(lane), |thread| {
            owner = words.take(thread, &present);
            owner.is_some()
        });
        let bond = bond.map_err(|e| store.cannot_register(e))?;
        Ok(bond.zip(owner).map(|(bond, owner)| Self { lane, owner, bond }))
    }

    /// Whether the calling thread owns the lane.
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        thread_mark() == self.bond.mark
    }

    /// Has the calling thread own the lane.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn move_here(&mut self, store: &Inner) -> Result<Moved, StoreError> {
        if self.bond.is_inherited() {
            return Ok(Moved::Inherited);
        }
        let Some(words) = store.arena.ownership(self.lane) else { return Ok(Moved::Lost) };
        let present = store.present();
        let window = store.window(self.lane).map_err(|e| store.cannot_register(e))?;
        let mut owner = None;
        let moved = robust::pass_on(&mut self.bond, window, index(self.lane), |thread| {
            owner = words.pass_on(self.owner, thread, &present);
            owner.is_some()
        });
        moved.map_err(|e| store.cannot_register(e))?;
        Ok(owner.map_or(Moved::Lost, |owner| {
            self.owner = owner;
            Moved::Here
        }))
    }

    /// Gives the lane back, unless it is lost. In a child this does nothing: the lane is still the parent's.
    pub(crate) fn give_back(&self, arena: &Arena<'_>) {
        // If this thread had it last, it is its own. Otherwise somebody may have it by now, and what it says is theirs.
        if self.is_here() {
            arena.lanes[self.lane as usize].rest();
        }
        robust::let_go(&self.bond, || {
            if let Some(words) = arena.ownership(self.lane) {
                words.give_back(self.owner);
            }
        });
    }
}

impl Store {
    /// Takes a lane for the calling thread, whichever is free.
    pub(crate) fn register(&self) -> Result<Registration, StoreError> {
        let lanes = self.geometry().lanes;
        // A second time without the owners of which no kernel said that they are gone.
        for round in 0..2 {
            for lane in 0..lanes {
                if let Some(registration) = Registration::take(&self.inner, lane)? {
                    return Ok(registration);
                }
            }
            if round == 0 {
                self.inner.correct_owners();
            }
        }
        Err(StoreError::NoLane { lanes })
    }

    /// Makes what changes the arena, and finishes or undoes what the lane's last owner left.
    pub(crate) fn claimant(&self, registration: &Registration) -> Claimant<'static> {
        let machine = Arc::clone(&self.inner.machine);
        Claimant::new(self.inner.arena, registration.lane, machine)
    }

    /// Finishes or undoes, and tells of, what writers left that died: takes each of their lanes for a moment,
    /// as the next writer would. Whoever waits calls this, and about once a second it looks.
    pub(crate) fn look_after(&self) {
        if self.is_read_only() || !self.inner.timer.is_due() {
            return;
        }
        for (lane, record) in (0..).zip(self.arena().lanes) {
            if !record.is_at_rest()
                && let Ok(Some(registration)) = Registration::take(&self.inner, lane)
            {
                drop(self.claimant(&registration));
                registration.give_back(self.arena());
            }
        }
    }
}

/// Which of its page's words a lane's owner is.
const fn index(lane: u32) -> usize {
    lane as usize % OWNERS_A_PAGE
}
