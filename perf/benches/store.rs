//! The operations of `splinter-perf micro` under criterion, over the same fixtures: for comparing one build with the
//! next by hand. Each iteration is one lap, so read the throughput, not the time. Limits and targets are
//! `micro`'s business.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use nix::fcntl::{FcntlArg, fcntl};
use splinter_perf::micro::big::Big;
use splinter_perf::micro::integer::Counter;
use splinter_perf::micro::keyed::Keyed;
use splinter_perf::micro::miss::{Miss, Past};
use splinter_perf::pinning;
use std::fmt::Debug;
use std::fs::{self, File};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

const SEED: u64 = 1;

/// Keys of the large store: fewer than in `micro`, and still far more than a cache holds.
const MANY_KEYS: usize = 1_000_000;

/// Adds one lap over prepared state to a group.
fn lap<T, E: Debug>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    ops: u64,
    state: &mut T,
    lap: impl Fn(&mut T) -> Result<(), E>,
) {
    group.throughput(Throughput::Elements(ops));
    group.bench_function(name, |bencher| {
        bencher.iter(|| lap(state).expect("the store does it"));
    });
}

fn get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get");
    for (name, value_len) in [("64 B", 64), ("1 KiB", 1024)] {
        let mut keyed = Keyed::new(value_len, SEED).expect("the store can be filled");
        lap(&mut group, name, Keyed::OPS, &mut keyed, Keyed::get);
    }
}

fn set(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("set");
    for (name, value_len) in [("64 B", 64), ("1 KiB", 1024)] {
        let mut keyed = Keyed::new(value_len, SEED).expect("the store can be filled");
        lap(&mut group, name, Keyed::OPS, &mut keyed, Keyed::set);
    }
}

fn handle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handle");
    let mut keyed = Keyed::new(64, SEED).expect("the store can be filled");
    lap(&mut group, "get 64 B", Keyed::OPS, &mut keyed, Keyed::get_by_handle);
    lap(&mut group, "set 64 B", Keyed::OPS, &mut keyed, Keyed::set_by_handle);
}

fn miss(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("miss");
    let pasts = [
        ("new store", Past::New),
        ("90 % full", Past::NinetyPercentFull),
        ("after a million set-unset", Past::Churned),
    ];
    for (name, past) in pasts {
        let mut miss = Miss::new(past, SEED).expect("the store can be filled");
        lap(&mut group, name, Miss::OPS, &mut miss, Miss::get);
    }
}

fn inc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inc");
    let mut counter = Counter::new().expect("the store can be filled");
    lap(&mut group, "uncontended", Counter::OPS, &mut counter, Counter::add);
}

fn get_many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get_many");
    let mut big = Big::new(MANY_KEYS, SEED).expect("the store can be filled");
    lap(&mut group, "one by one, 1 M keys", Big::OPS, &mut big, Big::get);
    lap(&mut group, "32 at once, 1 M keys", Big::OPS, &mut big, Big::get_many);
}

/// What it costs to learn whether a writer lives: by a lock on a byte, as format 2 did it, and by a word that the kernel marks.
fn asking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("asking");
    let path = std::env::temp_dir().join(splinter_testkit::unique());
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let (owner, asker) = (open().expect("a file"), open().expect("the file"));
    fs::remove_file(&path).expect("the file's name can go");
    let lock = libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&owner, FcntlArg::F_OFD_SETLK(&lock)).expect("nobody holds the lock");
    group.bench_function("a lock", |bencher| {
        bencher.iter(|| {
            let mut found = lock;
            fcntl(&asker, FcntlArg::F_OFD_GETLK(&mut found)).map(|_| found.l_type)
        });
    });
    let word = AtomicU64::new(1 << 32 | u64::from(std::process::id()));
    group.bench_function("a word", |bencher| {
        bencher.iter(|| black_box(&word).load(Acquire) as u32);
    });
}

/// Pins the benchmarks' thread and keeps them short: there are a dozen.
fn configured() -> Criterion {
    let _ = pinning::pin(pinning::processors().len().saturating_sub(1));
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
}

criterion_group! {
    name = benches;
    config = configured();
    targets = get, set, handle, miss, inc, get_many, asking
}
criterion_main!(benches);
