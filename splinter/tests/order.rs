//! A thread that sees a change of a key also sees all that the writer did before. Here that is plain memory outside the
//! store, which each kind of change hands to another thread. x86-64 processors seldom show a missing order;
//! ThreadSanitizer and DRD always do.

use splinter::{IntegerOp, Store, Writer};
use splinter_testkit::{geometry, retry, store};
use std::cell::UnsafeCell;
use std::thread;
use std::time::{Duration, Instant};

/// An odd number: the key that comes and goes is there in the end.
const ROUNDS: usize = 199;
const KEY: &str = "key";
const GROUP: u8 = 3;

/// Memory that is written and read plainly: only the store keeps the two apart.
struct Plain([UnsafeCell<u64>; ROUNDS]);

#[allow(unsafe_code, reason = "a race is what must not happen here")]
// SAFETY: a cell is read only once the store showed the change that its writer made after writing it.
unsafe impl Sync for Plain {}

#[allow(unsafe_code, reason = "a race is what must not happen here")]
impl Plain {
    /// On the heap: DRD looks at no stack.
    fn new() -> Box<Self> {
        Box::new(Self(std::array::from_fn(|_| UnsafeCell::new(0))))
    }

    fn write(&self, round: usize, value: u64) {
        // SAFETY: no thread reads the cell before the change of this round.
        unsafe { *self.0[round].get() = value };
    }

    fn read(&self, round: usize) -> u64 {
        // SAFETY: the change of this round was seen, and no thread writes the cell again.
        unsafe { *self.0[round].get() }
    }
}

/// Has one thread write a cell and then make a change, for each round; and this one read all cells whose
/// changes it has seen: `look` returns how many those are, and is called until it has seen them all.
fn hands_over(store: &Store, mut change: impl FnMut(&mut Writer, u64) + Send, mut look: impl FnMut() -> u64) {
    let plain = Plain::new();
    thread::scope(|scope| {
        let (plain, rounds) = (&*plain, 0..ROUNDS);
        scope.spawn(move || {
            let mut writer = store.writer().unwrap();
            for round in rounds {
                plain.write(round, round as u64 + 7);
                change(&mut writer, round as u64 + 1);
                thread::yield_now();
            }
        });
        let (mut seen, start) = (0, Instant::now());
        while seen < ROUNDS {
            let now = look() as usize;
            for round in seen..now {
                assert_eq!(plain.read(round), round as u64 + 7);
            }
            seen = seen.max(now);
            assert!(start.elapsed() < Duration::from_secs(60), "changes that no watcher sees");
            thread::yield_now();
        }
    });
}

/// A store with one key that holds `value`, in a group.
fn with_key(value: &[u8]) -> Store {
    let store = store(geometry(8, 4096, 3, 4));
    let mut writer = store.writer().unwrap();
    writer.set(KEY, value).unwrap();
    writer.register(KEY, GROUP).unwrap();
    drop(writer);
    store
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

#[test]
fn values_carry_what_was_done_before_they_were_set() {
    // Invariant 1.
    let store = with_key(&[0; 8]);
    let set = |writer: &mut Writer, round: u64| writer.set(KEY, &round.to_le_bytes()).unwrap();
    hands_over(&store, set, || {
        let mut buf = [0; 8];
        retry(|| store.get(KEY, &mut buf)).unwrap();
        number(&buf)
    });
    let store = with_key(&[0; 300]);
    let long = |writer: &mut Writer, round: u64| {
        let mut value = [0; 300];
        value[..8].copy_from_slice(&round.to_le_bytes());
        writer.set(KEY, &value).unwrap();
    };
    let first = |value: &splinter::View<'_>| u64::from(value.bytes().next().unwrap());
    hands_over(&store, long, || retry(|| store.get_with(KEY, first)).unwrap());
}

#[test]
fn appended_bytes_carry_what_was_done_before() {
    // Invariant 1.
    let store = with_key(b"");
    let append = |writer: &mut Writer, _| assert!(writer.append(KEY, b"0123456789").is_ok());
    hands_over(&store, append, || retry(|| store.value_len(KEY)).unwrap() as u64 / 10);
}

#[test]
fn integers_carry_what_was_done_before_they_changed() {
    // Invariant 10.
    let store = with_key(b"0");
    store.writer().unwrap().set_u64(KEY, 0).unwrap();
    let count = |writer: &mut Writer, _| assert!(writer.integer(KEY, IntegerOp::Inc(1)).is_ok());
    hands_over(&store, count, || retry(|| store.get_u64(KEY)).unwrap());
}

#[test]
fn tandems_carry_what_was_done_before_they_were_set() {
    // Invariant 11.
    let store = with_key(b"");
    store.writer().unwrap().set_tandem("tandem", &[&[0; 8][..]; 3]).unwrap();
    let set = |writer: &mut Writer, round: u64| {
        writer.set_tandem("tandem", &[&round.to_le_bytes()[..]; 3]).unwrap();
    };
    let mut values = vec![Vec::new(); 3];
    hands_over(&store, set, || {
        retry(|| store.tandem("tandem", &mut values)).unwrap();
        number(&values[2])
    });
}

#[test]
fn vectors_carry_what_was_done_before_they_were_set() {
    // Invariant 1.
    let store = with_key(b"");
    store.writer().unwrap().set_vector(KEY, &[0.0; 3]).unwrap();
    let set = |writer: &mut Writer, round: u64| writer.set_vector(KEY, &[round as f32; 3]).unwrap();
    let mut vector = [0.0; 3];
    hands_over(&store, set, || {
        retry(|| store.vector(KEY, &mut vector)).unwrap();
        vector[2] as u64
    });
}

#[test]
fn epochs_carry_what_was_done_before_the_change() {
    // Invariant 6: a bump changes nothing but the epoch.
    let store = with_key(b"");
    let before = store.epoch(KEY).unwrap();
    let bump = |writer: &mut Writer, _| writer.bump(KEY).unwrap();
    hands_over(&store, bump, || (retry(|| store.epoch(KEY)).unwrap() - before) / 2);
}

#[test]
fn new_keys_and_missing_ones_carry_what_was_done_before() {
    // Invariants 2 and 9. The key alternates between there and gone.
    let store = with_key(b"");
    let turn = |writer: &mut Writer, round: u64| match round % 2 {
        1 => writer.set("comes", &round.to_le_bytes()).unwrap(),
        _ => assert_eq!(writer.unset("comes"), Ok(8)),
    };
    let mut last = 0;
    hands_over(&store, turn, || {
        match retry(|| store.get_vec("comes")) {
            Ok(value) => last = number(&value),
            // Gone again since, if it was there.
            Err(_) => last += last % 2,
        }
        last
    });
}

#[test]
fn signals_carry_what_was_done_before_the_change() {
    // Invariant 14.
    let store = with_key(&[0; 8]);
    let mut watcher = store.watch(&[GROUP]).unwrap();
    let set = |writer: &mut Writer, round: u64| writer.set(KEY, &round.to_le_bytes()).unwrap();
    let mut heard = 0;
    hands_over(&store, set, || {
        let deadline = Instant::now() + Duration::from_millis(1);
        heard += match watcher.wait(Some(deadline)) {
            Ok(change) => u64::from(change.is_some()),
            Err(lagged) => lagged.missed,
        };
        heard
    });
}

#[test]
fn polls_carry_what_was_done_before_the_change() {
    // Invariant 6.
    let store = with_key(b"");
    let first = store.epoch(KEY).unwrap();
    let set = |writer: &mut Writer, round: u64| writer.set(KEY, &round.to_le_bytes()).unwrap();
    let mut epoch = first;
    hands_over(&store, set, || {
        let deadline = Instant::now() + Duration::from_secs(50);
        epoch = retry(|| store.poll_after(KEY, epoch, Some(deadline))).unwrap();
        (epoch - first) / 2
    });
}

#[test]
fn a_writer_id_that_is_given_back_carries_what_was_done_before() {
    // Invariant 5: only the owner of a writer id changes its counters, without atomic additions. Each thread owns the only
    // id in turn.
    let store = store(geometry(8, 64, 0, 1));
    let plain = Plain::new();
    let next = UnsafeCellCounter::new();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut done = 0;
                while done < ROUNDS / 4 {
                    // The owner of the only writer id has the counter, too.
                    let Ok(_writer) = store.writer() else {
                        thread::yield_now();
                        continue;
                    };
                    plain.write(next.bump(), 7);
                    done += 1;
                }
            });
        }
    });
    assert_eq!(next.bump(), ROUNDS / 4 * 3);
}

/// A counter that is counted plainly.
struct UnsafeCellCounter(UnsafeCell<usize>);

#[allow(unsafe_code, reason = "a race is what must not happen here")]
// SAFETY: only the owner of the only writer id counts.
unsafe impl Sync for UnsafeCellCounter {}

#[allow(unsafe_code, reason = "a race is what must not happen here")]
impl UnsafeCellCounter {
    fn new() -> Box<Self> {
        Box::new(Self(UnsafeCell::new(0)))
    }

    /// Returns the count, and adds one.
    fn bump(&self) -> usize {
        let count = self.0.get();
        // SAFETY: only the owner of the only writer id gets here.
        let before = unsafe { *count };
        // SAFETY: as above.
        unsafe { *count = before + 1 };
        before
    }
}
