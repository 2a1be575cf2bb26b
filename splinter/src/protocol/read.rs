//! Reading: a window is opened on a slot, its bytes are copied, and only then is it known whether they
//! are one published value. Readers store nothing.

use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::layout::Slot;
use crate::arena::payload::Payload;
use crate::arena::state::{Meta, State};
use crate::error::Error;
use crate::sync::{Acquire, fence, load_acquire, spin_loop};

/// A slot as it was found for a key: what may be read, and what must still be so afterwards.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) number: u32,
    pub(crate) slot: &'a Slot,
    pub(super) state: State,
    pub(crate) meta: Meta,
    /// The meta word is one that a tandem has committed and not yet published: it holds as long as the
    /// claim does.
    pinned: bool,
}

impl<'a> Window<'a> {
    /// Whether everything read since the window was opened is one published version of the key.
    ///
    /// The fence pairs with the release fence that follows every claim: if a copied byte was written
    /// under a later claim, that claim is seen here.
    #[inline(always)]
    pub(crate) fn holds(&self) -> bool {
        mutant!("window-unchecked", return true);
        mutant!("window-unfenced", return self.slot.state_number.first_relaxed() == self.state.0);
        fence(Acquire);
        let later = State(self.slot.state_number.first_relaxed());
        if self.pinned { later == self.state } else { self.state.still_covers(later) }
    }

    /// Borrows the value that the window looks at.
    #[inline(always)]
    pub(crate) fn payload(&self, arena: &Arena<'a>) -> Payload<'a> {
        arena.payload(self.number, self.slot, self.meta)
    }

    /// Returns the last even epoch at the time the window was opened.
    pub(crate) fn stable_epoch(&self) -> u64 {
        self.state.epoch() & !1
    }

    /// Whether the slot has not changed at all since the window was opened.
    fn is_unmoved(&self, arena: &Arena<'a>) -> bool {
        mutant!("tandem-unchecked", return self.holds());
        fence(Acquire);
        let now = arena.open(self.number, self.slot);
        now.state == self.state && now.meta == self.meta
    }
}

impl<'a> Arena<'a> {
    /// How often a read starts over when its slot is being rewritten.
    const READ_ROUNDS: usize = if cfg!(loom) { 2 } else { 128 };

    /// Opens a window on slot `number` if it holds `key`.
    ///
    /// While a key is present its slot's key words do not change, so words that differ prove that the
    /// key is not there; words that agree are trusted only once [`Window::holds`].
    #[inline(always)]
    pub(crate) fn window(&self, number: u32, key: &KeyRef<'_>) -> Option<Window<'a>> {
        let slot = self.slot(number)?;
        mutant!("key-outside-window", let slot = Some(slot).filter(|slot| key.is_in(slot))?);
        let window = self.open(number, slot);
        mutant!("key-outside-window", return window.meta.is_present().then_some(window));
        (window.meta.is_present() && key.is_in(slot)).then_some(window)
    }

    /// Opens a window as [`Self::window`] does if there is nothing special about the slot: no tandem holds
    /// it, and its value is in a buffer.
    #[inline(always)]
    pub(crate) fn plain_window(&self, number: u32, key: &KeyRef<'_>) -> Option<Window<'a>> {
        mutant!("key-outside-window", return None);
        let slot = self.slot(number)?;
        let state = State(slot.state_number.first_acquire());
        let meta = Meta(load_acquire(&slot.meta));
        let plain = !state.is_of_tandem() & meta.is_buffered();
        (plain && key.is_in(slot)).then_some(Window { number, slot, state, meta, pinned: false })
    }

    /// Opens a window on a slot whatever it holds.
    #[inline(always)]
    pub(crate) fn open(&self, number: u32, slot: &'a Slot) -> Window<'a> {
        loop {
            let state = State(slot.state_number.first_acquire());
            // The state is read before the meta word: what is in force may only get newer in between.
            let pinned = state.is_of_tandem() && self.is_committed(state);
            let meta = Meta(load_acquire(if pinned { &slot.pending } else { &slot.meta }));
            let window = Window { number, slot, state, meta, pinned };
            mutant!("pending-believed", return window);
            // The pending word is the claim's only while the claim lasts. Afterwards it may be anything, and the
            // commit that was seen another tandem's; no key must seem missing for that.
            if !pinned || window.holds() {
                return window;
            }
        }
    }

    /// Whether a tandem's claim has its pending word in force, by its lane's word or its own.
    #[cold]
    #[inline(never)]
    pub(super) fn is_committed(&self, state: State) -> bool {
        mutant!("tandem-one-by-one", return false);
        let lane = self.lanes.get(state.lane() as usize);
        let by_lane = || lane.is_some_and(|lane| load_acquire(&lane.committed) != 0);
        state.is_settled() || state.is_tandem() && by_lane()
    }

    /// Reads `key` by `body`, which may see torn bytes: only what it returned from a window that held
    /// is handed on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Again`] when the key was rewritten all the while.
    #[inline(always)]
    pub(crate) fn read<R>(
        &self,
        key: &KeyRef<'_>,
        mut body: impl FnMut(&Window<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut number = self.guess(key).ok_or(Error::NotFound)?;
        for _ in 0..Self::READ_ROUNDS {
            if let Some(window) = self.window(number, key) {
                let result = body(&window);
                if window.holds() {
                    return result;
                }
                spin_loop();
            }
            number = self.locate(key).ok_or(Error::NotFound)?;
        }
        Err(Error::Again)
    }

    /// Finds the slot that holds `key`, wherever it is.
    #[cold]
    #[inline(never)]
    pub(crate) fn locate(&self, key: &KeyRef<'_>) -> Option<u32> {
        self.probe(key, |number, _, _| self.window(number, key).map(|window| window.number))
    }

    /// Reads all `keys` as they were at one moment: between the last window's opening and the first
    /// one's check nothing moved, a tandem's commit included.
    ///
    /// # Errors
    /// [`Error::NotFound`] when any is missing; [`Error::Again`] when they kept changing.
    pub(crate) fn read_tandem(
        &self,
        keys: &[KeyRef<'_>],
        mut body: impl FnMut(usize, &Window<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut windows = Vec::with_capacity(keys.len());
        for _ in 0..Self::READ_ROUNDS {
            windows.clear();
            for key in keys {
                let number = self.locate(key).ok_or(Error::NotFound)?;
                windows.extend(self.window(number, key));
            }
            let complete = windows.len() == keys.len();
            let copied = windows.iter().enumerate().try_for_each(|(order, w)| body(order, w));
            if complete && windows.iter().all(|window| window.is_unmoved(self)) {
                return copied;
            }
            spin_loop();
        }
        Err(Error::Again)
    }
}
