//! Purging: scrubs a whole store at once as level full does. `arena::scrub` knows which bytes that concerns.

use super::Claimant;
use crate::error::Error;
use crate::sync::{Relaxed, Release};

impl Claimant<'_> {
    /// Zeroes every stale byte in the whole store, whatever the level. Returns how many slots it wiped.
    ///
    /// # Errors
    /// [`Error::Again`] when a living writer held some slot, or other writers kept changing it; all others are wiped.
    pub(crate) fn purge(&mut self) -> Result<u64, Error> {
        let (mut wiped, mut busy) = (0, false);
        for number in self.arena.marked(|word| word.touched.load(Relaxed)) {
            // Everything in a vacant slot was retired before this claim, like the buffer that is not current.
            let vacant = self.claim_if_free(number, true).map(Ok);
            let claim = vacant.or_else(|| self.claim_if(number, |_| true, |_, _| Ok(())));
            // Another writer may have removed its key between the two.
            match claim.or_else(|| self.claim_if_free(number, true).map(Ok)) {
                Some(Ok(claim)) => {
                    let descriptor = self.arena.wipe(number, claim.slot, claim.descriptor);
                    claim.slot.descriptor.store(descriptor.0, Release);
                    wiped += 1;
                }
                // A writer holds it, or changed it at each look.
                _ => busy = true,
            }
        }
        if busy { Err(Error::Again) } else { Ok(wiped) }
    }
}
