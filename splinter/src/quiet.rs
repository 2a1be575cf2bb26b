//! What a quiet claimant does aloud all the same. Changes that no signal group hears of are `Writer::quietly`'s; the
//! wakes that a claimant collects know of it, and signalling looks at them.

use crate::protocol::Claimant;

impl Claimant<'_> {
    /// Has groups hear of what `act` announces: somebody who died did that, and nobody knows whether quietly.
    pub(crate) fn aloud<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let quiet = std::mem::take(&mut self.wakes.quiet);
        let answer = act(self);
        self.wakes.quiet = quiet;
        answer
    }
}
