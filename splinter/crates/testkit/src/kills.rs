//! Writers that are killed or stopped in the middle of what they do.

use crate::process::{Forked, shared_words, spin};
use crate::values::Rng;
use crate::wait::wait_until;
use splinter::{Store, Writer};
use std::sync::atomic::Ordering::Relaxed;

/// Long enough that a writer is nearly always in the middle of one.
pub const LEN: usize = 1 << 18;

/// Kills writers one after the other, each while it sets `key` to `body` again and again, until `is_enough` says so after one
/// of the deaths. Returns whether it did. `writer` runs in the child.
pub fn kill_writers(
    seed: u64,
    body: &[u8],
    writer: impl Fn() -> Writer,
    mut is_enough: impl FnMut() -> bool,
) -> bool {
    let begun = shared_words(1);
    let mut rng = Rng(seed);
    (0..3_000).any(|_| {
        begun[0].store(0, Relaxed);
        let victim = Forked::new(|| {
            let mut writer = writer();
            loop {
                let _ = writer.set("key", body);
                begun[0].store(1, Relaxed);
            }
        });
        wait_until("it writes", || begun[0].load(Relaxed) == 1);
        spin(rng.below(1_000));
        victim.kill();
        is_enough()
    })
}

/// Stops a child again and again until `wanted` says that it stands where it should. Leaves it stopped there.
pub fn stop_when(child: &mut Forked, wanted: impl Fn() -> bool) {
    let mut rng = Rng(8);
    let is_caught = (0..50_000).any(|_| {
        spin(rng.below(400));
        child.stop();
        let is_caught = wanted();
        if !is_caught {
            child.go_on();
        }
        is_caught
    });
    assert!(is_caught, "the writer was never caught at it");
}

/// Tells whether a living writer holds a claim.
pub fn holds_a_claim(store: &Store) -> bool {
    store.inspect().expect("an inspection").live_claims > 0
}
