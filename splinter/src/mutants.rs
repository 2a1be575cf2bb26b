//! Mutation testing: planted mistakes that show that the checks find mistakes. A build with `--cfg splinter_mutants`
//! contains all of them, and `SPLINTER_MUTANT=NAME` in a process's environment makes one happen. Other builds contain
//! nothing of them. `ci/mutants` knows which check finds which mistake. A slowdown is of the same kind, costs time
//! alone, and is for a gate to find. Each mistake stands at its place in the source; this file only has the list.

/// Makes the mistake `name` if the process asks for it: executes a statement or, with `let x = wrong`, replaces `x`
/// from here on.
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

/// Executes the slowdown `name`, a statement that breaks no promise and costs time, if the process asks for it.
/// `ci/plants` shows that the gate of `splinter-perf` finds it.
macro_rules! slowdown {
    ($name:literal, $extra_work:expr) => {
        #[cfg(splinter_mutants)]
        if $crate::mutants::is_made(const { $crate::mutants::index_of($name) }) {
            $extra_work;
        }
    };
}

#[cfg(splinter_mutants)]
pub(crate) use self::made::{do_extra_work, index_of, is_made, is_selected};

#[cfg(splinter_mutants)]
mod made {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Every mistake: its name, the numbers of the invariants that it breaks (`docs/protocol.md`), and what it does.
    /// One line each, which `ci/mutants` reads as well.
    #[rustfmt::skip]
    const MISTAKES: [(&str, &str, &str); 81] = [
        ("read-unvalidated", "1", "a read returns its copy without a second look at the state"),
        ("validation-unfenced", "1", "a read's second look at the state is not ordered behind its copy"),
        ("claim-unfenced", "1", "writes under a claim are not ordered behind the claim"),
        ("key-outside-read", "1", "a reader compares the key before its optimistic read begins"),
        ("publish-relaxed", "1", "the descriptor is stored without release ordering"),
        ("publish-early", "1 7", "a writer makes the other buffer current before it has written it"),
        ("buffer-current", "1 7", "a writer writes a value to the buffer that is current"),
        ("refusal-hidden", "4 13", "a set that is refused, as by Again, is reported as done"),
        ("value-truncated", "13", "a value that is too long is cut"),
        ("append-unwritten", "1 4", "an append raises the length and writes nothing"),
        ("vector-kept", "1", "the vector of an overwritten value stays"),
        ("busy-diverted", "3 5", "a key whose slot is held goes to another slot"),
        ("living-recovered", "1 5", "a writer recovers a claim without asking whether its owner lives"),
        ("store-id-overruled", "1 5", "a thread takes a writer id that another store's writer is about to take, so that the kernel is later asked about the wrong store"),
        ("store-id-outdated", "1 5", "a thread that was stopped while it took a writer id replaces the store id of a later owner"),
        ("number-load-store", "10", "an integer operation overwrites changes made since it read the number"),
        ("epoch-restarted", "6", "the epoch of a removed key's slot starts over"),
        ("epoch-unraised", "1", "a writer wipes bytes that readers may still be copying"),
        ("undo-unmarked", "1", "a claim that wrote the other buffer and came to nothing does not say so"),
        ("descriptor-early", "4", "a writer takes the descriptor that it read before its claim: another's flags are lost"),
        ("metadata-uncounted", "1", "a change of labels is not counted, so that labels and times of two moments are read together"),
        ("expectation-ignored", "19", "a change happens although the key is not as expected"),
        ("deadline-ignored", "21", "a key is there after its deadline"),
        ("deadline-in-place", "21", "a deadline is written over the one that readers may be looking at"),
        ("deadline-unvalidated", "21", "a read takes a deadline for the key's without a second look at the key"),
        ("deadline-outdated", "21", "a writer takes a key for one without a deadline because it was one before the claim"),
        ("check-skipped", "19", "a writer that saw a key expired claims it unchecked although its deadline was moved"),
        ("tandem-outlived", "21", "a tandem is read although the deadline of an order passed meanwhile"),
        ("missing-unchecked", "11", "a consistent read looks for a missing key once"),
        ("home-unchecked", "11", "a consistent read does not see that a missing key came and went"),
        ("removal-unclaimed", "11", "a missing key that a transaction removes can be set before the commit"),
        ("deadline-early", "21", "a transaction does not look at deadlines again once it has all claims"),
        ("visit-unmarked", "22", "reads and sets leave no mark of their visit in a cache"),
        ("hint-outdated", "22", "the hint of a removed key counts for the key that has its slot now"),
        ("eviction-outdated", "22", "a key is evicted although it was set or pinned since it was chosen"),
        ("pin-ignored", "22", "a pinned key is evicted"),
        ("own-evicted", "22", "a transaction evicts its own keys"),
        ("sketch-unwritten", "23", "a vector is published without its sketch"),
        ("sketch-kept", "23", "the sketch of a vector that went stays"),
        ("sketch-untouched", "23", "a transaction commits a vector whose sketch may have no memory"),
        ("sketch-unrecovered", "23", "the recovery of a claim leaves the sketch as it was"),
        ("hit-unvalidated", "24", "a search returns what it read of a key without a second look at the state"),
        ("filter-unrepeated", "24", "a search takes it from its scan that a key passes the filter, and does not check that as it reads the vector"),
        ("recovery-floorless", "6", "the recovery of a removal does not raise the epoch floor"),
        ("number-uncommitted", "10", "a number that is set under a claim is current before the rest of the change"),
        ("number-unwiped", "10", "a read that began before a number and its vector were replaced takes the new number with the old vector"),
        ("floor-unraised", "6 19", "a key that was removed may come back with an epoch that it had before"),
        ("commit-repeated", "2", "a writer id's next owner may commit a tandem with the same word as a dead one"),
        ("death-outdated", "5", "a claim is recovered from a living owner, because the one before it was dead"),
        ("commit-unnumbered", "2", "a reader takes the commit of another tandem for that of the claim it sees"),
        ("number-unsignalled", "14", "an integer operation looks for subscriptions only before its exchange"),
        ("lasting-late", "14", "a lasting subscription looks for the key before it is in the table: a key that is inserted in between is not signalled"),
        ("arrival-overlooked", "14", "a wait for a missing key does not see that a writer inserts it: it sleeps, and is not signalled"),
        ("claim-unlisted", "14", "a watcher that lists its keys does not note which slots writers hold: their changes may go unsignalled"),
        ("return-overlooked", "14", "a watcher of a prefix calls a key removed that has come back in another slot"),
        ("tail-unscrubbed", "12", "nothing is zeroed behind a value"),
        ("retired-unscrubbed", "12", "level full leaves the retired copy"),
        ("removal-unscrubbed", "12", "nothing is zeroed when a key is removed"),
        ("extent-late", "12", "a writer raises an extent after it has written the bytes"),
        ("bucket-unclaimed", "3", "a writer adds a key to the index without a claim on its home bucket"),
        ("distance-unraised", "2 9", "an entry outside its home bucket does not raise the maximum distance"),
        ("distance-unlowered", "9", "the maximum distance is never lowered: misses become slow"),
        ("secrets-public", "9", "the hash has well-known secrets: chosen keys make searches slow"),
        ("gap-unfilled", "9", "entries that were displaced do not come back once there is room"),
        ("compact-unmarked", "9", "a writer marks no home for the holder of a claim that was in its way: searches stay slow"),
        ("move-unversioned", "2", "a writer moves an entry to where a search has looked already, and does not raise the version"),
        ("entry-kept", "9", "a removed key's entry stays in the index"),
        ("bucket-abandoned", "7", "a dead writer's claim on a bucket is never recovered"),
        ("recovery-idle", "7 11", "a dead writer's claim is released without finishing or undoing its work"),
        ("recovery-unraised", "1 12", "a dead writer's claim is recovered without raising the epoch, so that readers accept bytes that are wiped"),
        ("tandem-undone", "7 11", "a committed tandem is undone, slot by slot, if its writer died"),
        ("intent-unnoted", "7", "a writer does not note which slot it is about to claim"),
        ("tandem-one-by-one", "11", "readers ignore a tandem's commit: its orders become current one by one"),
        ("tandem-unchecked", "11", "a tandem is read as a number of single keys"),
        ("few-unchecked", "11", "a consistent read of a few keys does not look at them again"),
        ("prepared-believed", "2", "a reader uses the prepared word of a tandem's claim after the claim has ended"),
        ("signal-early", "14", "a change is signalled before it is published"),
        ("sleepers-first", "14", "a writer looks for sleepers before it signals"),
        ("wake-omitted", "14", "a writer does not wake the sleepers of a group"),
        ("poller-unwoken", "6 14", "a writer does not wake the waiters for one key"),
        ("ring-overwritten", "14", "a writer that comes late puts its signal over a newer one"),
    ];

    /// Every slowdown. `none` does nothing, so that a build with it compares with the others. `get-grown`: a get takes
    /// a few instructions more, about 3 %. `get-slowed`: three of twenty gets are done twice, 15 % more of them.
    const SLOWDOWNS: [&str; 3] = ["none", "get-grown", "get-slowed"];

    /// Executes some extra instructions a round.
    #[inline(always)]
    pub(crate) fn do_extra_work(rounds: u32) {
        for round in 0..rounds {
            std::hint::black_box(round);
        }
    }

    /// Whether this call is selected: so many of each twenty calls, counted over all threads.
    #[inline]
    pub(crate) fn is_selected(of_twenty: u32) -> bool {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        // Threads that count at the same time may count once, which is exact enough.
        let call = CALLS.load(Relaxed);
        CALLS.store(if call == 19 { 0 } else { call + 1 }, Relaxed);
        call < of_twenty
    }

    /// Returns the index of a mistake or slowdown that the source names, at compile time.
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
        panic!("the mistake is not listed");
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
        // Not a word of the models: they do not explore which mistake is made.
        static MADE: OnceLock<Option<usize>> = OnceLock::new();
        *MADE.get_or_init(requested) == Some(index)
    }

    /// Reads which mistake the process asks for. A check that ran without its mistake would seem to have missed it, so
    /// an unknown name ends the process.
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
