//! Searches while writers change what is searched, in threads and in processes that are killed: each hit is a vector that
//! the key had, with its epoch. Invariant 24.

use splinter::{Config, Error, Expect, Hit, Metric, Scrub, Store, Transaction, Version, Writer};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::vectors::{random, score, tolerance};
use splinter_testkit::{Rng, SetAtEnd, assert_sound, config, geometry, retry, store, wait_until};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const DIM: usize = 64;
/// Keys of each writer.
const KEYS: u64 = 40;

/// The vector that step `sequence` of a writer gives a key: every component follows from both.
fn vector(key: u64, sequence: u64) -> Vec<f32> {
    random(&mut Rng(key << 40 ^ sequence), DIM)
}

fn name(key: u64) -> String {
    format!("key {key}")
}

/// A vector that a key had: its sequence, and the version that the writer was told.
type Had = (u64, Version);

/// How far a writer is with each of its keys. A key's sequence is at least the first word and at most the second.
struct Progress {
    done: Vec<AtomicU64>,
    begun: Vec<AtomicU64>,
}

/// A writer of the keys of one number, and what it gave them.
struct Author {
    own: u64,
    sequence: u64,
    rng: Rng,
    log: Vec<Vec<Had>>,
}

impl Author {
    fn new(own: u64) -> Self {
        Self { own, sequence: 0, rng: Rng(own), log: vec![Vec::new(); KEYS as usize] }
    }

    /// Sets, replaces, moves and removes vectors until the flag is set. Others may remove the keys, too.
    fn write(&mut self, store: &Store, progress: &Progress, is_over: &AtomicBool) {
        let mut writer = store.writer().unwrap();
        while !is_over.load(Relaxed) {
            self.sequence += 1;
            let sequence = self.sequence;
            let place = self.rng.below(KEYS) as usize;
            let key = self.own * KEYS + place as u64;
            let (name, new) = (name(key), vector(key, sequence));
            let version = match self.rng.below(8) {
                // The next vector may come in another slot.
                0 => retry(|| writer.unset(&name)).map(|_| None),
                1 => retry(|| writer.label(&name, 1 << self.rng.below(3))).map(|()| None),
                choice => {
                    progress.begun[place].store(sequence, SeqCst);
                    if choice == 2 || !store.contains(&name).unwrap() {
                        let mut transaction = Transaction::new();
                        transaction.key(&name).set(b"value").set_vector(&new);
                        let made = retry(|| writer.commit(&transaction).map_err(Error::from));
                        made.map(|outcomes| outcomes[0].version)
                    } else {
                        retry(|| writer.set_vector_if(&name, &new, Expect::Present)).map(Some)
                    }
                }
            };
            match version {
                Ok(Some(version)) => {
                    progress.done[place].store(sequence, SeqCst);
                    self.log[place].push((sequence, version));
                }
                Ok(None) | Err(Error::NotFound | Error::Changed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Forgets all vectors of a key but those that it may have now.
    fn forget(&mut self) {
        self.log.iter_mut().for_each(|log| drop(log.drain(..log.len().saturating_sub(2))));
    }
}

/// Hits of one search, with its query and what each key had at least before it, and at most after it.
struct Found {
    query: Vec<f32>,
    metric: Metric,
    hits: Vec<Hit>,
    done: Vec<u64>,
    begun: Vec<u64>,
}

/// How many searches there were, how many hits had the epoch of their vector, and how many that before.
#[derive(Default)]
struct Checked {
    searches: usize,
    exact: u64,
    published: u64,
}

/// Searches for some time and so often, in so many threads, while the authors write. Each hit must be a vector that its
/// key had during the search.
fn search_beside(
    store: &Store,
    authors: &mut [Author],
    [time, least]: [u64; 2],
    threads: u64,
    checked: &mut Checked,
) {
    let done = |author: &Author| {
        let last = |log: &Vec<Had>| log.last().map_or(0, |(sequence, _)| *sequence);
        author.log.iter().map(|log| AtomicU64::new(last(log))).collect()
    };
    let progress = |author: &Author| Progress { done: done(author), begun: done(author) };
    let progress: Vec<_> = authors.iter().map(progress).collect();
    let is_over = AtomicBool::new(false);
    let found: Vec<Found> = thread::scope(|scope| {
        for (author, progress) in authors.iter_mut().zip(&progress) {
            let is_over = &is_over;
            scope.spawn(move || author.write(store, progress, is_over));
        }
        let _end = SetAtEnd(&is_over);
        let progress = &progress;
        let search = |seed| {
            let seed = (checked.searches as u64) << 8 | seed;
            scope.spawn(move || search_for(store, progress, seed, Duration::from_secs(time), least / threads))
        };
        let searching: Vec<_> = (0..threads).map(search).collect();
        searching.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    checked.searches += found.len();
    let logs: Vec<_> = authors.iter().flat_map(|author| &author.log).collect();
    for found in &found {
        let keys: HashSet<_> = found.hits.iter().map(|hit| hit.key).collect();
        assert_eq!(keys.len(), found.hits.len(), "{:?}", found.hits);
        for hit in &found.hits {
            let key: u64 = hit.key.to_string()[4..].parse().unwrap();
            let log = logs[key as usize];
            let place = log.partition_point(|(_, version)| version.epoch < hit.epoch);
            let is_right = |(sequence, version): &&Had| {
                let had = vector(key, *sequence);
                let margin = tolerance(found.metric, &had, &found.query);
                version.slot == hit.slot
                    && (score(found.metric, &had, &found.query) - hit.score).abs() <= margin
            };
            // Of a writer that was stopped while it published the next version, the epoch may be that before.
            let is_exact = log.get(place).filter(|(_, version)| version.epoch == hit.epoch).filter(is_right);
            let next = log[place..].iter().find(|(_, version)| version.epoch > hit.epoch).filter(is_right);
            let Some((sequence, _)) = is_exact.or(next) else {
                let near = log.iter().skip(place.saturating_sub(1)).take(2);
                panic!("{hit:?} is of no vector of the key: {:?}", near.collect::<Vec<_>>())
            };
            *(if is_exact.is_some() { &mut checked.exact } else { &mut checked.published }) += 1;
            let bounds = found.done[key as usize]..=found.begun[key as usize];
            assert!(bounds.contains(sequence), "{hit:?} has sequence {sequence}, which is not of {bounds:?}");
        }
    }
}

#[test]
fn every_hit_is_a_vector_that_its_key_had_during_the_search_with_its_epoch() {
    let store = store(geometry(2 * KEYS + 40, 64, DIM as u32, 8));
    let mut authors = [Author::new(0), Author::new(1)];
    let mut checked = Checked::default();
    search_beside(&store, &mut authors, [3, rounds(2_000)], 1, &mut checked);
    let Checked { searches, exact, published } = checked;
    println!("{searches} searches, {exact} hits with their epoch, {published} of a change being published");
    // A look waits for writers that run, so only stopped ones can show.
    assert!(exact > published, "{exact} {published}");
    assert_sound(&store, store.len());
}

#[test]
#[ignore = "takes minutes; run it with --release and alone: it forks"]
fn a_million_searches_beside_four_writers_and_a_process_that_removes_keys_find_only_what_was_true() {
    let store = store(geometry(4 * KEYS + 40, 64, DIM as u32, 8));
    let [removed] = shared_words(1) else { unreachable!("one word") };
    let mut authors = [0, 1, 2, 3].map(Author::new);
    let mut checked = Checked::default();
    while checked.searches < 1_000_000 {
        // Each of them is killed, wherever it is.
        let remover = Forked::new(|| remove(&store, checked.searches as u64, removed));
        search_beside(&store, &mut authors, [0, 20_000], 2, &mut checked);
        remover.kill();
        authors.iter_mut().for_each(Author::forget);
    }
    let (Checked { searches, exact, published }, removed) = (checked, removed.load(Relaxed));
    println!(
        "{searches} searches beside {removed} removals by other processes: {exact} hits with their epoch,"
    );
    println!("{published} of a change being published");
    assert!(exact > published && removed > 10_000, "{exact} {published} {removed}");
}

/// Removes keys until it is killed.
fn remove(store: &Store, seed: u64, removed: &AtomicU64) {
    let mut writer = store.writer().expect("the writer id of a dead writer");
    let mut rng = Rng(seed);
    loop {
        let is_gone = retry(|| writer.unset(name(rng.below(4 * KEYS)))).is_ok();
        removed.fetch_add(is_gone.into(), Relaxed);
        spin(200);
    }
}

/// Searches for some time and so often.
fn search_for(store: &Store, progress: &[Progress], seed: u64, time: Duration, least: u64) -> Vec<Found> {
    let all = |of: fn(&Progress) -> &Vec<AtomicU64>| -> Vec<u64> {
        progress.iter().flat_map(|progress| of(progress).iter().map(|word| word.load(SeqCst))).collect()
    };
    let (start, mut rng, mut all_found) = (Instant::now(), Rng(seed), Vec::new());
    while start.elapsed() < time || (all_found.len() as u64) < least {
        let turn = all_found.len();
        let (query, metric) = (random(&mut rng, DIM), Metric::ALL[turn % 3]);
        let done = all(|progress| &progress.done);
        let search = store.search(&query).unwrap().metric(metric).k(6);
        let search = match turn % 4 {
            0 => search.exact(true),
            1 => search.depth(12).labels_any(0b11),
            2 => search.depth(6).threads(2),
            _ => search.depth(20).rescore(|found| found.score),
        };
        // If a slot changed all the while, the search says so.
        let Ok(hits) = retry_search(search) else { continue };
        all_found.push(Found { query, metric, hits, done, begun: all(|progress| &progress.begun) });
    }
    all_found
}

fn retry_search(search: splinter::Search<'_>) -> Result<Vec<Hit>, Error> {
    let result = search.run();
    assert!(matches!(result, Ok(_) | Err(Error::Again)), "{result:?}");
    result
}

#[test]
fn a_search_that_is_stopped_anywhere_while_vectors_change_returns_one_whole_with_its_epoch() {
    alone("a_search_that_is_stopped_anywhere_while_vectors_change_returns_one_whole_with_its_epoch", || {
        const LONG: usize = 8192;
        // Writes are quick without sketches.
        let plain = config(geometry(2, 64, LONG as u32, 2), Scrub::None);
        let store = Store::anonymous(&Config { sketches: false, ..plain }).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("key", b"").unwrap();
        // Each change raises the epoch by two, so the epoch tells which number all components are.
        let first = writer.set_vector_if("key", &[0.0; LONG], Expect::Any).unwrap().epoch;
        let [found, wrong] = shared_words(2) else { unreachable!("two words") };
        let mut searcher = Forked::new(|| {
            loop {
                let hits = store.search(&[1.0; LONG]).unwrap().metric(Metric::Dot).run().unwrap();
                let number = (hits[0].epoch - first) / 2;
                let is_right = hits[0].score == (number * LONG as u64) as f64;
                (if is_right { found } else { wrong }).fetch_add(1, Relaxed);
            }
        });
        let (mut rng, mut number) = (Rng(3), 0);
        for _ in 0..rounds(1_500) {
            spin(rng.below(300));
            searcher.stop();
            for _ in 0..3 {
                number += 1;
                writer.set_vector("key", &[number as f32; LONG]).unwrap();
            }
            searcher.go_on();
        }
        let before = found.load(Relaxed);
        wait_until("it searches to the end", || found.load(Relaxed) > before);
        assert_eq!(wrong.load(Relaxed), 0, "beside {} that are right", found.load(Relaxed));
        searcher.kill();
    });
}

#[test]
fn no_vector_is_found_under_a_label_that_it_never_had() {
    // A transaction gives a key a vector on one side and the label, or one on the other side and no label.
    const KEYS: usize = 30;
    let store = store(geometry(KEYS as u64, 64, DIM as u32, 8));
    let names: Vec<_> = (0..KEYS).map(|key| format!("k{key}")).collect();
    let side = |number: usize, is_labelled: bool| {
        let mut vector = random(&mut Rng(number as u64), DIM);
        vector[0] = if is_labelled { 10.0 } else { -10.0 };
        vector
    };
    let set = |writer: &mut Writer, place: usize, number: usize, is_labelled: bool| {
        let vector = side(number, is_labelled);
        let mut transaction = Transaction::new();
        let change = transaction.key(&names[place]).set(b"").set_vector(&vector);
        if is_labelled {
            change.label(1)
        } else {
            change.unlabel(1)
        };
        retry(|| writer.commit(&transaction).map_err(Error::from)).unwrap();
    };
    let mut writer = store.writer().unwrap();
    (0..KEYS).for_each(|place| set(&mut writer, place, 0, true));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                set(&mut writer, number % KEYS, number, (number / KEYS).is_multiple_of(2));
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        let _end = SetAtEnd(&is_over);
        let mut query = vec![0.0; DIM];
        query[0] = 1.0;
        let start = Instant::now();
        for round in 0.. {
            if round >= rounds(2_000) && start.elapsed() > Duration::from_millis(500) {
                break;
            }
            // Those without the label are nearest to one query, those with it to the other.
            query[0] = -query[0];
            let search =
                || store.search(&query).unwrap().metric(Metric::Dot).k(5).depth(5).exact(round % 4 == 3);
            let labelled = retry_search(search().labels_all(1)).unwrap_or_default();
            assert!(labelled.iter().all(|hit| hit.score == 10.0 * f64::from(query[0])), "{labelled:?}");
            let others = retry_search(search().labels_none(1)).unwrap_or_default();
            assert!(others.iter().all(|hit| hit.score == -10.0 * f64::from(query[0])), "{others:?}");
        }
    });
}

#[test]
fn similarities_are_of_one_moment() {
    let store = store(geometry(8, 64, DIM as u32, 8));
    let is_over = AtomicBool::new(false);
    let set = |writer: &mut Writer, number: u64| {
        let one = random(&mut Rng(number), DIM);
        let other: Vec<_> = one.iter().map(|part| -part).collect();
        let mut transaction = Transaction::new();
        transaction.key("one").set(b"").set_vector(&one);
        transaction.key("other").set(b"").set_vector(&other);
        retry(|| writer.commit(&transaction).map_err(Error::from)).unwrap();
    };
    let mut writer = store.writer().unwrap();
    set(&mut writer, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                set(&mut writer, number);
                if is_over.load(Relaxed) {
                    break;
                }
            }
        });
        let _end = SetAtEnd(&is_over);
        for _ in 0..rounds(5_000) {
            let cosine = retry(|| store.similarity("one", "other", Metric::Cosine)).unwrap();
            assert!((cosine + 1.0).abs() < 1e-9, "{cosine}");
        }
    });
}

#[test]
fn searches_go_on_after_writers_were_killed_anywhere() {
    alone("searches_go_on_after_writers_were_killed_anywhere", || {
        let store = store(geometry(KEYS + 8, 64, DIM as u32, 8));
        let begun = shared_words(1);
        let mut rng = Rng(13);
        for round in 0..rounds(150) {
            begun[0].store(0, Relaxed);
            let victim = Forked::new(|| write_until_killed(&store, round, &begun[0]));
            wait_until("it writes", || begun[0].load(Relaxed) == 1);
            spin(rng.below(2_000));
            victim.kill();
            // Nothing changes now, whatever claims the dead writer left.
            let vectors: Vec<_> = store
                .vectors()
                .map(|view| (*view.key(), view.version(), view.components().collect::<Vec<_>>()))
                .collect();
            let query = random(&mut rng, DIM);
            for metric in Metric::ALL {
                let search = || store.search(&query).unwrap().metric(metric).k(KEYS as usize);
                let exact = search().exact(true).run().unwrap();
                assert_eq!(exact.len(), vectors.len());
                for hit in &exact {
                    let (_, version, vector) = vectors.iter().find(|(key, ..)| *key == hit.key).unwrap();
                    assert_eq!((version.slot, version.epoch), (hit.slot, hit.epoch));
                    let margin = tolerance(metric, vector, &query);
                    assert!((score(metric, vector, &query) - hit.score).abs() <= margin, "{hit:?}");
                }
                let hits = store.search(&query).unwrap().metric(metric).k(8).depth(8).run().unwrap();
                assert!(hits.iter().all(|hit| exact.contains(hit)), "{hits:?}");
                // The dead writer may have changed one sketch of the vector that stayed.
                assert!(hits.len() + 1 >= 8.min(vectors.len()), "{hits:?}");
            }
        }
        // Recovered, everything is found again.
        let mut writer = store.writer().unwrap();
        for key in 0..KEYS {
            let _ = retry(|| writer.bump(name(key)));
        }
        let query = random(&mut rng, DIM);
        let hits = store.search(&query).unwrap().k(8).depth(8).run().unwrap();
        assert_eq!(hits.len(), 8.min(store.vectors().count()));
    });
}

fn write_until_killed(store: &Store, round: u64, begun: &AtomicU64) -> ! {
    let mut writer = store.writer().expect("the writer id of a dead writer");
    let mut rng = Rng(round);
    loop {
        let key = rng.below(KEYS);
        let (name, new) = (name(key), vector(key, rng.next() >> 30));
        let _ = match rng.below(8) {
            0 => writer.unset(&name).map(drop),
            1 => writer.set(&name, b"without a vector"),
            2 | 3 => {
                let mut transaction = Transaction::new();
                transaction.key(&name).set(b"value").set_vector(&new);
                writer.commit(&transaction).map(drop).map_err(Error::from)
            }
            _ => writer.set_vector(&name, &new),
        };
        begun.store(1, Relaxed);
    }
}
