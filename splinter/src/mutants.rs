//! Mistakes that are made on purpose, to show that the checks find them: a test of the tests. A build with
//! `--cfg splinter_mutants` has all of them, and `SPLINTER_MUTANT=NAME` in a process's environment has it make
//! one; without the cfg nothing of them is in the program. `ci/mutants` says which check finds which. Burdens are of
//! the same kind, cost time alone, and are for a gate to find. Nothing here knows what it spoils: each mistake
//! stands where it is made.

/// Makes the mistake `name`, a statement, if that is the one current; or, of `let x = wrong`, has `x` be
/// something else from here on.
macro_rules! mutant {
    ($name:literal, let $right:ident = $wrong:expr) => {
        #[cfg(splinter_mutants)]
        let $right = if $crate::mutants::is_made(const { $crate::mutants::index_of($name) }) {
            $wrong
        } else {
            $right
        };
    };
    ($name:literal, $wrong:expr) => {
        #[cfg(splinter_mutants)]
        if $crate::mutants::is_made(const { $crate::mutants::index_of($name) }) {
            $wrong;
        }
    };
}

/// Carries the burden `name`, a statement that breaks no promise and costs time, if that is the one current: for the
/// gate of `splinter-perf` to find, as `ci/plants` has it do.
macro_rules! slowdown {
    ($name:literal, $extra_work:expr) => {
        #[cfg(splinter_mutants)]
        if $crate::mutants::is_made(const { $crate::mutants::index_of($name) }) {
            $extra_work;
        }
    };
}

#[cfg(splinter_mutants)]
pub(crate) use self::made::{index_of, is_made, is_turn, work_for_nothing};

#[cfg(splinter_mutants)]
mod made {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Every mistake by its name, with the invariants that it breaks and what it is. One line each, which
    /// `ci/mutants` reads as well.
    #[rustfmt::skip]
    const MISTAKES: [(&str, &str, &str); 42] = [
        ("read-unvalidated", "1", "a copy is handed on without a second look at the state"),
        ("validation-unfenced", "1", "the second look at the state is not ordered behind the copy"),
        ("claim-unfenced", "1", "what is written under a claim is not ordered behind the claim"),
        ("key-outside-read", "1", "the key is compared before the window is opened"),
        ("publish-relaxed", "1", "the meta word is stored without release ordering"),
        ("publish-early", "1 7", "the other buffer is put in force before it is written"),
        ("buffer-current", "1 7", "a value is written to the buffer that is in force"),
        ("refusal-hidden", "4 13", "a set that is refused, as by Again, is reported as done"),
        ("value-truncated", "13", "a value that is too long is cut"),
        ("append-unwritten", "1 4", "an append raises the length and writes nothing"),
        ("vector-kept", "1", "the vector of an overwritten value stays"),
        ("busy-diverted", "3 5", "a key whose slot is held goes to another slot"),
        ("living-recovered", "1 5", "a claim is taken over without asking whether its owner lives"),
        ("keeper-overruled", "1 5", "a lane is taken though another store's writer is about to: the kernel is asked about the wrong store then, once that has the lane"),
        ("number-load-store", "10", "an integer operation overwrites what came since it read the number"),
        ("epoch-restarted", "6", "the epoch of a removed key's slot starts over"),
        ("epoch-unraised", "1", "bytes are wiped though readers may still be copying them"),
        ("tail-unscrubbed", "12", "nothing is zeroed behind a value"),
        ("retired-unscrubbed", "12", "level full leaves the retired copy"),
        ("removal-unscrubbed", "12", "nothing is zeroed when a key is removed"),
        ("extent-late", "12", "an extent is raised after the bytes that it is to cover were written"),
        ("bucket-unclaimed", "3", "a key is entered into the index without a claim on its home chunk"),
        ("distance-unraised", "2 9", "an entry behind the home chunk does not raise the reach"),
        ("distance-unlowered", "9", "the reach is never lowered: misses become slow"),
        ("secrets-public", "9", "keys are placed by secrets that everybody knows: chosen keys make searches slow"),
        ("gap-unfilled", "9", "entries that were pushed away do not come back once there is room"),
        ("compact-unmarked", "9", "what a claim is in the way of is left undone: searches stay slow"),
        ("move-unversioned", "2", "an entry is moved to where a search has looked already, and nothing tells"),
        ("entry-kept", "9", "a removed key's entry stays in the index"),
        ("bucket-abandoned", "7", "a dead writer's claim on a chunk is never taken over"),
        ("recovery-idle", "7 11", "a dead writer's claim is given back without finishing or undoing its work"),
        ("recovery-unraised", "1 12", "a dead writer's claim is taken over without raising the epoch, so that readers accept what is wiped"),
        ("tandem-undone", "7 11", "a committed tandem is undone, slot by slot, when its writer died"),
        ("intent-unnoted", "7", "a writer does not note which slot it is about to claim"),
        ("tandem-one-by-one", "11", "a tandem's commit counts for nothing: its orders come into force one by one"),
        ("tandem-unchecked", "11", "a tandem is read as a number of single keys"),
        ("prepared-believed", "2", "the pending word of a tandem's claim is believed after the claim has ended"),
        ("signal-early", "14", "a change is signalled before it is published"),
        ("sleepers-first", "14", "a writer looks for sleepers before it signals"),
        ("wake-omitted", "14", "nobody who sleeps for a group is woken"),
        ("poller-unwoken", "6 14", "nobody who waits for one key is woken"),
        ("ring-overwritten", "14", "a writer that comes late puts its signal over a newer one"),
    ];

    /// Every burden. With `none` a build is as if one were current, so that it compares with those that have one;
    /// `get-grown`: a get takes a few instructions more, about 3 %; `get-slowed`: of twenty gets three are done twice, 15 % more
    /// of them.
    const SLOWDOWNS: [&str; 3] = ["none", "get-grown", "get-slowed"];

    /// Works for nothing: some instructions a round.
    #[inline(always)]
    pub(crate) fn work_for_nothing(rounds: u32) {
        for round in 0..rounds {
            std::hint::black_box(round);
        }
    }

    /// Whether it is the turn of this call: of each twenty calls, all threads together, so many.
    #[inline]
    pub(crate) fn is_turn(of_twenty: u32) -> bool {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        // Threads that count at the same time may count once: it need not be exact.
        let call = CALLS.load(Relaxed);
        CALLS.store(if call == 19 { 0 } else { call + 1 }, Relaxed);
        call < of_twenty
    }

    /// Finds a mistake or a burden that the source names, while it is compiled.
    pub(crate) const fn index_of(name: &str) -> usize {
        let mut index = 0;
        while index < MISTAKES.len() {
            if is_same(MISTAKES[index].0.as_bytes(), name.as_bytes()) {
                return index;
            }
            index += 1;
        }
        let mut slowdown = 0;
        while slowdown < SLOWDOWNS.len() {
            if is_same(SLOWDOWNS[slowdown].as_bytes(), name.as_bytes()) {
                return MISTAKES.len() + slowdown;
            }
            slowdown += 1;
        }
        panic!("a mistake that is not listed");
    }

    const fn is_same(one: &[u8], other: &[u8]) -> bool {
        let mut at = 0;
        while at < one.len() && at < other.len() && one[at] == other[at] {
            at += 1;
        }
        at == one.len() && at == other.len()
    }

    /// Whether this process is to make a mistake.
    #[inline]
    pub(crate) fn is_made(index: usize) -> bool {
        // Not a word of the models: which mistake is made is no part of what they explore.
        static MADE: OnceLock<Option<usize>> = OnceLock::new();
        *MADE.get_or_init(requested) == Some(index)
    }

    /// Reads which mistake is to be made. A check that ran without the mistake it is to find would seem to
    /// have missed it, so a name that is not known ends the process.
    #[cold]
    fn requested() -> Option<usize> {
        let name = std::env::var_os("SPLINTER_MUTANT")?;
        let names = || MISTAKES.iter().map(|(known, ..)| *known).chain(SLOWDOWNS);
        let index = names().position(|known| name == *known);
        if index.is_none() {
            let names = names().collect::<Vec<&str>>().join(", ");
            eprintln!("SPLINTER_MUTANT: {} is not one of {names}", name.display());
            std::process::exit(2);
        }
        index
    }
}
