//! Purging: level full's scrubbing for a whole store at once. Which bytes that is, `arena::scrub` knows.

use super::Claimant;
use crate::error::Error;
use crate::sync::{Relaxed, Release};

impl Claimant<'_> {
    /// Leaves no stale byte in the whole store, whatever the level. Returns how many slots were wiped.
    ///
    /// # Errors
    /// [`Error::Again`] when some slot was held by a living writer, or changed hands again and again; all others were wiped.
    pub(crate) fn purge(&mut self) -> Result<u64, Error> {
        let (mut wiped, mut busy) = (0, false);
        for number in self.arena.marked(|word| word.touched.load(Relaxed)) {
            // Of a vacant slot everything was retired before this claim, as the other buffer was.
            let vacant = self.claim_vacant(number, true).map(Ok);
            let claim = vacant.or_else(|| self.claim_if(number, |_| true, |_| Ok(())));
            // Its key may have been removed between the two.
            match claim.or_else(|| self.claim_vacant(number, true).map(Ok)) {
                Some(Ok(claim)) => {
                    let descriptor = self.arena.wipe(number, claim.slot, claim.descriptor);
                    claim.slot.descriptor.store(descriptor.0, Release);
                    wiped += 1;
                }
                // It is held, or changed hands at each look.
                _ => busy = true,
            }
        }
        if busy { Err(Error::Again) } else { Ok(wiped) }
    }
}
