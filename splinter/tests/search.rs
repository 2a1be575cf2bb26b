//! Searches against a plain scan in 64-bit floats over the same keys. Invariant 24.

use splinter::{
    Config, Error, Expect, Hit, Lifetime, Location, Metric, Search, Store, Transaction, Type, Writer,
};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::vectors::{Clusters, normal, random, score, tolerance};
use splinter_testkit::{Folder, Rng, config, geometry};
use std::collections::HashSet;

/// A key that the test knows.
#[derive(Clone, Default)]
struct Known {
    key: String,
    vector: Vec<f32>,
    labels: u64,
    kind: Type,
}

/// A store and what is in it.
struct World {
    store: Store,
    writer: Writer,
    keys: Vec<Known>,
    dim: usize,
}

impl World {
    fn new(slots: u64, dim: usize) -> Self {
        Self::with(&config(geometry(slots, 64, dim as u32, 8), splinter::Scrub::None), dim)
    }

    fn with(config: &Config, dim: usize) -> Self {
        let store = Store::anonymous(config).unwrap();
        let writer = store.writer().unwrap();
        Self { store, writer, keys: Vec::new(), dim }
    }

    /// Sets a key with its vector, if it has one.
    fn put(&mut self, known: Known) {
        self.writer.set(&known.key, known.key.as_bytes()).unwrap();
        if !known.vector.is_empty() {
            self.writer.set_vector(&known.key, &known.vector).unwrap();
        }
        if known.labels != 0 {
            self.writer.label(&known.key, known.labels).unwrap();
        }
        if known.kind != Type::Void {
            self.writer.set_type(&known.key, known.kind).unwrap();
        }
        self.keys.push(known);
    }

    /// Sets a key with a vector.
    fn add(&mut self, key: impl Into<String>, vector: Vec<f32>) {
        self.put(Known { key: key.into(), vector, ..Known::default() });
    }

    /// Sets so many keys with random vectors, a label for each of six bits of their number, and two types.
    fn fill(&mut self, rng: &mut Rng, count: usize) {
        for number in 0..count {
            self.put(Known {
                key: format!("{}:{number}", ["doc", "img", "document"][number % 3]),
                vector: random(rng, self.dim),
                labels: number as u64 & 63,
                kind: [Type::Json, Type::Binary][number / 3 % 2],
            });
        }
    }

    fn known(&self, hit: &Hit) -> &Known {
        let known = self.keys.iter().find(|known| known.key.as_bytes() == hit.key.as_ref());
        known.unwrap_or_else(|| panic!("{hit:?} is a key that the test does not know"))
    }

    /// Returns the scores of all keys that match, the highest first.
    fn scores(&self, metric: Metric, query: &[f32], matches: impl Fn(&Known) -> bool) -> Vec<f64> {
        let is_finite = |known: &&Known| known.vector.iter().all(|part| part.is_finite());
        let found = self.keys.iter().filter(|known| !known.vector.is_empty() && matches(known));
        let mut scores: Vec<_> =
            found.filter(is_finite).map(|known| score(metric, &known.vector, query)).collect();
        scores.sort_unstable_by(|one, other| other.total_cmp(one));
        scores
    }

    /// Asserts that hits are keys that match, with their scores and versions, in order, and as many as there have to be.
    /// Returns the lowest score that is a hit's.
    fn check(
        &self,
        hits: &[Hit],
        (metric, query, k): (Metric, &[f32], usize),
        matches: impl Fn(&Known) -> bool,
    ) {
        let about = format!("{metric}, dimension {}, k {k}", self.dim);
        let scores = self.scores(metric, query, &matches);
        assert_eq!(hits.len(), k.min(scores.len()), "{about}");
        assert_eq!(hits.iter().map(|hit| hit.key).collect::<HashSet<_>>().len(), hits.len(), "{about}");
        for hit in hits {
            let known = self.known(hit);
            assert!(matches(known), "{about}: {hit:?}");
            let wanted = score(metric, &known.vector, query);
            let margin = tolerance(metric, &known.vector, query);
            assert!((hit.score - wanted).abs() <= margin, "{about}: {hit:?}, and its score is {wanted}");
            let version = self.store.get_entry(hit.key, &mut [0; 64]).unwrap().version;
            assert_eq!((version.slot, version.epoch), (hit.slot, hit.epoch));
        }
        let order = |hit: &Hit| (-hit.score, hit.slot);
        assert!(hits.is_sorted_by(|one, other| order(one) < order(other)), "{about}: {hits:?}");
    }

    /// Asserts that of hits, and besides that none with a higher score was missed.
    fn check_exact(
        &self,
        hits: &[Hit],
        (metric, query, k): (Metric, &[f32], usize),
        matches: impl Fn(&Known) -> bool,
    ) {
        self.check(hits, (metric, query, k), &matches);
        for (hit, wanted) in hits.iter().zip(self.scores(metric, query, matches)) {
            let margin = tolerance(metric, &self.known(hit).vector, query);
            assert!((hit.score - wanted).abs() <= margin, "{metric}: {hit:?} in place of one with {wanted}");
        }
    }

    fn search(&self, query: &[f32]) -> Search<'_> {
        self.store.search(query).unwrap()
    }
}

fn names(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.key.to_string()).collect()
}

/// Vectors at which arithmetic goes wrong.
fn extremes(dim: usize, rng: &mut Rng) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for value in [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1)] {
        all.push(vec![value; dim]);
        let mut single = vec![0.0; dim];
        single[rng.below(dim as u64) as usize] = value;
        all.push(single);
    }
    all.push((0..dim).map(|_| normal(rng) * 1e38).collect());
    all.push((0..dim).map(|_| normal(rng) * 1e-44).collect());
    all
}

#[test]
fn hits_are_right_and_of_exact_searches_the_best_for_every_metric_dimension_and_number() {
    for (dim, count) in [(1, 40), (3, 300), (64, 300), (100, 200), (768, 60)] {
        let mut rng = Rng(dim as u64);
        let mut world = World::new(count as u64 + 60, dim);
        world.fill(&mut rng, count);
        for (number, vector) in extremes(dim, &mut rng).into_iter().enumerate() {
            world.add(format!("extreme {number}"), vector);
        }
        for (number, value) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
            let mut vector = random(&mut rng, dim);
            vector[rng.below(dim as u64) as usize] = value;
            world.add(format!("not finite {number}"), vector);
        }
        world.add("no vector", Vec::new());
        let mut queries = extremes(dim, &mut rng);
        queries.extend((0..3).map(|_| random(&mut rng, dim)));
        for (turn, query) in queries.iter().enumerate() {
            for (number, metric) in Metric::ALL.into_iter().enumerate() {
                for (place, k) in [0, 1, 10, 1_000_000].into_iter().enumerate() {
                    // To save time, a third of all pairs for each query, and with one number of threads.
                    if (turn + number + place) % 3 > 0 {
                        continue;
                    }
                    let threads = 1 + (turn + place) % 4;
                    let search = || world.search(query).metric(metric).k(k).threads(threads);
                    world.check(&search().run().unwrap(), (metric, query, k), |_| true);
                    world.check(&search().depth(k.min(12)).run().unwrap(), (metric, query, k), |_| true);
                    world.check_exact(&search().exact(true).run().unwrap(), (metric, query, k), |_| true);
                }
            }
        }
    }
}

#[test]
fn a_store_without_sketches_is_searched_exactly() {
    let mut rng = Rng(2);
    let with_sketches = config(geometry(400, 64, 64, 8), splinter::Scrub::None);
    let mut world = World::with(&Config { sketches: false, ..with_sketches }, 64);
    world.fill(&mut rng, 400);
    for metric in Metric::ALL {
        let query = random(&mut rng, 64);
        let hits = world.search(&query).metric(metric).k(7).depth(7).run().unwrap();
        world.check_exact(&hits, (metric, &query, 7), |_| true);
    }
}

#[test]
fn of_the_same_score_the_lower_slot_comes_first_whatever_the_number_of_threads() {
    let mut world = World::new(700, 3);
    for number in 0..700 {
        world.add(format!("same {number}"), vec![1.0, 2.0, -2.0]);
    }
    for metric in Metric::ALL {
        for is_exact in [false, true] {
            for threads in [0, 1, 2, 3, 64, 10_000] {
                let search = world.search(&[0.5, 0.25, 1.0]).metric(metric).exact(is_exact).threads(threads);
                let slots: Vec<_> = search.k(30).run().unwrap().iter().map(|hit| hit.slot).collect();
                assert_eq!(slots, (0..30).collect::<Vec<_>>(), "{metric}, {threads} threads");
            }
        }
    }
}

#[test]
fn threads_find_what_one_finds() {
    let mut rng = Rng(3);
    let mut world = World::new(3_000, 64);
    world.fill(&mut rng, rounds(3_000) as usize);
    for turn in 0..6 {
        let query = random(&mut rng, 64);
        let search = |threads| {
            let search = world.search(&query).metric(Metric::ALL[turn % 3]).exact(turn < 2).k(20);
            let search = if turn % 2 == 0 { search } else { search.labels_any(0b101).group_orders(true) };
            search.threads(threads).run().unwrap()
        };
        let one = search(1);
        assert_eq!(one.len(), 20);
        for threads in [2, 3, 5, 47, 48] {
            assert_eq!(search(threads), one, "{threads} threads");
        }
    }
}

#[test]
fn filters_leave_as_many_hits_as_match_however_few() {
    let mut rng = Rng(4);
    let mut world = World::new(2_000, 64);
    world.fill(&mut rng, 1_000);
    // One in a hundred has label 9.
    for number in (0..1_000).step_by(100) {
        let known = &mut world.keys[number];
        known.labels |= 1 << 9;
        world.writer.label(&known.key, 1 << 9).unwrap();
    }
    let late = world.store.epoch(&world.keys[999].key).unwrap();
    type Filter = (fn(Search<'_>) -> Search<'_>, fn(&Known) -> bool);
    let filters: [Filter; 11] = [
        (|search| search.labels_all(1 << 9), |known| known.labels & 1 << 9 != 0),
        (|search| search.labels_all(0b11), |known| known.labels & 0b11 == 0b11),
        (|search| search.labels_any(0b110), |known| known.labels & 0b110 != 0),
        (|search| search.labels_none(0b111), |known| known.labels & 0b111 == 0),
        (|search| search.labels_all(0).labels_any(0).labels_none(0).prefix(""), |_| true),
        (|search| search.prefix("doc"), |known| known.key.starts_with("doc")),
        (|search| search.prefix("document:1"), |known| known.key.starts_with("document:1")),
        (|search| search.prefix("img:998"), |known| known.key == "img:998"),
        (|search| search.kind(Type::Json), |known| known.kind == Type::Json),
        (
            |search| search.kind(Type::Binary).prefix("img:").labels_all(1).labels_none(2),
            |known| known.kind == Type::Binary && known.key.starts_with("img:") && known.labels & 3 == 1,
        ),
        (|search| search.labels_all(1 << 40), |_| false),
    ];
    for (turn, (filter, matches)) in filters.into_iter().enumerate() {
        let query = random(&mut rng, 64);
        let metric = Metric::ALL[turn % 3];
        for k in [1, 5, 2_000] {
            let search = || filter(world.search(&query)).metric(metric).k(k);
            world.check(&search().run().unwrap(), (metric, &query, k), matches);
            world.check(&search().depth(1).threads(3).run().unwrap(), (metric, &query, k), matches);
            world.check_exact(&search().exact(true).run().unwrap(), (metric, &query, k), matches);
        }
    }
    for impossible in [&[b'x'; 64][..], b"doc\0", b"\0"] {
        assert_eq!(world.search(&random(&mut rng, 64)).prefix(impossible).run().unwrap(), []);
    }
    // All keys were set alike, so an epoch says which have been changed since.
    for changed in &world.keys[..3] {
        world.writer.bump(&changed.key).unwrap();
    }
    let query = random(&mut rng, 64);
    let hits = world.search(&query).min_epoch(late + 2).run().unwrap();
    let changed: Vec<_> = world.keys[..3].iter().map(|known| known.key.clone()).collect();
    world.check(&hits, (Metric::Cosine, &query, 10), |known| changed.contains(&known.key));
}

#[test]
fn what_cannot_be_searched_for_is_refused() {
    let mut world = World::new(8, 3);
    world.add("k", vec![1.0, 2.0, 3.0]);
    world.add("bare", Vec::new());
    world.add("odd", vec![1.0, f32::NAN, 3.0]);
    let store = &world.store;
    for dim in [0, 1, 2, 4, 768] {
        assert_eq!(store.search(&vec![1.0; dim]).err(), Some(Error::WrongDimension));
    }
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(store.search(&[0.0, 0.0, bad]).err(), Some(Error::NotFinite));
    }
    for (key, error) in [("none", Error::NotFound), ("bare", Error::NotFound), ("odd", Error::NotFinite)] {
        assert_eq!(store.nearest_to(key).err(), Some(error));
        assert_eq!(store.similarity("k", key, Metric::Dot), Err(error));
        assert_eq!(store.similarity(key, "k", Metric::L2), Err(error));
    }
    assert_eq!(store.nearest_to("").err(), Some(Error::KeyEmpty));
    assert_eq!(store.similarity("k", [b'x'; 64], Metric::Dot), Err(Error::KeyTooLong));
    let plain = World::new(8, 0).store;
    assert_eq!(plain.search(&[]).err(), Some(Error::WrongDimension));
    assert_eq!(plain.nearest_to("k").err(), Some(Error::WrongDimension));
    assert_eq!(plain.similarity("k", "k", Metric::Cosine), Err(Error::WrongDimension));
    assert_eq!(World::new(8, 3).search(&[1.0; 3]).run(), Ok(vec![]));
}

#[test]
fn the_names_of_metrics_read_as_they_are_written() {
    for metric in Metric::ALL {
        assert_eq!(metric.to_string().parse(), Ok(metric));
    }
    assert_eq!("L2".parse(), Ok(Metric::L2));
    assert!("euclid".parse::<Metric>().unwrap_err().to_string().contains("cosine, dot or l2"));
}

#[test]
fn a_key_is_left_out_of_the_search_for_its_like_and_similarities_are_scores() {
    let mut rng = Rng(5);
    let mut world = World::new(500, 100);
    world.fill(&mut rng, 500);
    for turn in 0..12 {
        let known = &world.keys[turn * 40];
        let metric = Metric::ALL[turn % 3];
        let handle = world.store.resolve(&known.key).unwrap();
        for is_exact in [false, true] {
            let hits =
                world.store.nearest_to(handle).unwrap().metric(metric).exact(is_exact).k(9).run().unwrap();
            world.check(&hits, (metric, &known.vector, 9), |other| other.key != known.key);
            for hit in &hits {
                assert_eq!(world.store.similarity(hit.key, handle, metric), Ok(hit.score));
            }
        }
        let own = world.store.similarity(&known.key, &known.key, metric).unwrap();
        assert!((own - score(metric, &known.vector, &known.vector)).abs() < 1e-9);
    }
}

#[test]
fn a_range_query_finds_all_that_are_near_enough() {
    let mut rng = Rng(6);
    let mut world = World::new(1_200, 64);
    world.fill(&mut rng, 1_000);
    let query = random(&mut rng, 64);
    for number in 0..150 {
        let near = query.iter().map(|part| part + 0.3 * normal(&mut rng)).collect();
        world.add(format!("near {number}"), near);
    }
    let near = |known: &Known| score(Metric::Cosine, &known.vector, &query) >= 0.8;
    let of = (Metric::Cosine, &query[..], usize::MAX);
    let search = || world.search(&query).all().min_score(0.8);
    world.check_exact(&search().exact(true).run().unwrap(), of, near);
    world.check_exact(&search().exact(true).threads(4).run().unwrap(), of, near);
    // Nothing else is near, so the sketches miss nothing.
    world.check_exact(&search().run().unwrap(), of, near);
    world.check_exact(&search().depth(10).run().unwrap(), of, near);
    world.check(&search().k(20).run().unwrap(), (Metric::Cosine, &query, 20), near);
    world.check_exact(&search().k(20).exact(true).run().unwrap(), (Metric::Cosine, &query, 20), near);
    // Some of the best estimates are of keys that are not near enough: others take their place.
    let all = world.scores(Metric::Cosine, &query, |_| true);
    let least = (all[24] + all[25]) / 2.0;
    let is_nearest = |known: &Known| score(Metric::Cosine, &known.vector, &query) >= least;
    for k in [5, 15, 25, 40] {
        let hits = search().k(k).depth(k).min_score(least).run().unwrap();
        world.check(&hits, (Metric::Cosine, &query, k), is_nearest);
    }
    assert_eq!(search().min_score(1.1).run(), Ok(vec![]));
    assert_eq!(search().min_score(f64::NAN).run(), Ok(vec![]));
    assert_eq!(world.search(&query).all().run().unwrap().len(), 1_150);
}

#[test]
fn a_search_by_sketches_finds_98_of_100_of_the_nearest_in_clustered_data() {
    let (count, queries) = (rounds(2_000), rounds(12));
    let mut clusters = Clusters::new(7, 768, 60);
    let mut world = World::new(count, 768);
    for number in 0..count {
        world.add(format!("k{number}"), clusters.draw());
    }
    for metric in Metric::ALL {
        let mut found = 0;
        for _ in 0..queries {
            let query = clusters.draw();
            let wanted = world.search(&query).metric(metric).exact(true).run().unwrap();
            let hits = world.search(&query).metric(metric).run().unwrap();
            found += hits.iter().filter(|hit| wanted.contains(hit)).count() as u64;
        }
        let recall = found as f64 / (queries * 10) as f64;
        assert!(recall >= 0.98, "{metric}: {recall}");
    }
}

#[test]
fn expired_keys_are_never_hits_and_others_take_their_places() {
    let mut rng = Rng(8);
    let mut world = World::new(1_000, 64);
    let query = random(&mut rng, 64);
    for number in 0..500 {
        let near: Vec<f32> = query.iter().map(|part| part + 0.1 * normal(&mut rng)).collect();
        let (key, past) = (format!("past {number}"), Lifetime::Until(world.store.time() + 1));
        world.writer.set_with(&key, b"", Expect::Any, Lifetime::Endless).unwrap();
        world.writer.set_vector(&key, &near).unwrap();
        world.writer.set_lifetime(&key, past).unwrap();
    }
    world.fill(&mut rng, 300);
    for is_exact in [false, true] {
        for k in [1, 10, 1_000] {
            let search = || world.search(&query).exact(is_exact).k(k).depth(k);
            world.check(&search().run().unwrap(), (Metric::Cosine, &query, k), |_| true);
            let hits = search().prefix("").kind(Type::Json).run().unwrap();
            world.check(&hits, (Metric::Cosine, &query, k), |known| known.kind == Type::Json);
        }
    }
    assert_eq!(world.search(&query).prefix("past").run(), Ok(vec![]));
}

#[test]
fn a_tandem_gives_one_hit_its_best_order_however_many_orders_are_near() {
    let mut rng = Rng(9);
    let mut world = World::new(2_000, 64);
    let query = random(&mut rng, 64);
    // The orders of two tandems are nearer than all else.
    for base in ["crowd", "other"] {
        for order in 0..255 {
            let near = query.iter().map(|part| part + 0.2 * normal(&mut rng)).collect();
            world.add(if order == 0 { base.to_owned() } else { format!("{base}.{order}") }, near);
        }
    }
    for number in 0..150 {
        for order in ["", ".1", ".2", ".300", ".x"] {
            world.add(format!("single{number}{order}"), random(&mut rng, 64));
        }
    }
    let base_of = |key: &str| match key.rsplit_once('.') {
        Some((base, order)) if order.parse::<u32>().is_ok_and(|order| order < 255) => base.to_owned(),
        _ => key.to_owned(),
    };
    let mut best: std::collections::HashMap<String, f64> = std::collections::HashMap::new();
    for known in &world.keys {
        let entry = best.entry(base_of(&known.key)).or_insert(f64::NEG_INFINITY);
        *entry = entry.max(score(Metric::Cosine, &known.vector, &query));
    }
    let mut wanted: Vec<f64> = best.values().copied().collect();
    wanted.sort_unstable_by(|one, other| other.total_cmp(one));
    assert_eq!(wanted.len(), 2 + 3 * 150);
    for k in [1, 2, 3, 10, 100, 500] {
        for (is_exact, threads) in [(false, 1), (false, 3), (true, 1), (true, 3)] {
            let search = || world.search(&query).group_orders(true).k(k).exact(is_exact).threads(threads);
            let hits = search().run().unwrap();
            assert_eq!(hits.len(), k.min(wanted.len()), "k {k}, exact {is_exact}");
            let bases: HashSet<_> = names(&hits).iter().map(|name| base_of(name)).collect();
            assert_eq!(bases.len(), hits.len());
            let scores: Vec<_> = hits.iter().map(|hit| hit.score).collect();
            assert!(scores.is_sorted_by(|one, other| one >= other));
            let rescored = search().rescore(|found| found.score).run().unwrap();
            assert_eq!(rescored.len(), hits.len());
            if is_exact {
                let is_close = |(score, wanted): (&f64, &f64)| (score - wanted).abs() < 1e-9;
                assert!(scores.iter().zip(&wanted).all(is_close), "k {k}: {scores:?}");
                assert_eq!(rescored, hits);
            }
            assert!(k < 2 || bases.contains("crowd") && bases.contains("other"));
        }
    }
}

#[test]
fn rescoring_sees_what_it_needs_and_decides() {
    let mut rng = Rng(10);
    let mut world = World::new(600, 64);
    world.fill(&mut rng, 600);
    let query = random(&mut rng, 64);
    for is_exact in [false, true] {
        let mut seen = HashSet::new();
        let hits = world.search(&query).exact(is_exact).k(3).depth(50).rescore(|found| {
            let known = world.keys.iter().find(|known| known.key.as_bytes() == found.key.as_ref()).unwrap();
            assert_eq!(found.value, known.key.as_bytes());
            assert_eq!((found.labels, found.kind), (known.labels, known.kind));
            assert_eq!(world.store.epoch(found.key), Ok(found.epoch));
            assert!((found.score - score(Metric::Cosine, &known.vector, &query)).abs() < 1e-9);
            assert!(seen.insert(found.slot), "{found:?} is scored twice");
            -f64::from(found.slot)
        });
        let hits = hits.run().unwrap();
        let mut slots: Vec<_> = seen.iter().copied().collect();
        slots.sort_unstable();
        assert!(slots.len() >= 50, "{}", slots.len());
        assert_eq!(hits.iter().map(|hit| hit.slot).collect::<Vec<_>>(), slots[..3]);
        // What is no number is no hit, and others take its place. The score that is asked for is the new one.
        let odd = |slot: u32| if slot % 60 == 7 { f64::from(slot) } else { f64::NAN };
        let search = || world.search(&query).exact(is_exact).k(8).rescore(|found| odd(found.slot));
        assert_eq!(search().run().unwrap().iter().map(|hit| hit.slot % 60).collect::<Vec<_>>(), [7; 8]);
        let some = search().k(100).min_score(300.0).run().unwrap();
        assert_eq!(some.iter().map(|hit| hit.slot).collect::<Vec<_>>(), [547, 487, 427, 367, 307]);
    }
    let mut number = World::new(4, 2);
    number.writer.set_u64("n", 77).unwrap();
    number.writer.set_vector("n", &[1.0, 0.0]).unwrap();
    let value = |value: &[u8]| u64::from_le_bytes(value.try_into().unwrap()) as f64;
    let hits = number.search(&[1.0, 0.0]).rescore(|found| value(found.value)).run().unwrap();
    assert_eq!(hits[0].score, 77.0);
}

#[test]
fn a_candidate_that_no_longer_matches_when_it_is_read_is_no_hit_and_another_takes_its_place() {
    type Change = fn(&mut Writer, &str);
    let changes: [Change; 5] = [
        |writer, key| assert!(writer.unset(key).is_ok()),
        |writer, key| writer.unlabel(key, 1).unwrap(),
        |writer, key| writer.set(key, b"vectorless").unwrap(),
        |writer, key| writer.set_lifetime(key, Lifetime::Until(0)).unwrap(),
        |writer, key| {
            let mut transaction = Transaction::new();
            transaction.key(key).set(b"").set_vector(&[1.0; 64]).unlabel(1);
            writer.commit(&transaction).unwrap();
        },
    ];
    for change in changes {
        let mut rng = Rng(11);
        let mut world = World::new(1_000, 64);
        for number in 0..1_000 {
            world.put(Known {
                key: format!("k{number}"),
                vector: random(&mut rng, 64),
                labels: 1,
                kind: Type::Void,
            });
        }
        let query = random(&mut rng, 64);
        let nearest = world.search(&query).k(400).run().unwrap();
        // Once the first candidate was read, the next 400 change. That is after the scan.
        let (writer, mut first) = (&mut world.writer, None);
        let search = world.store.search(&query).unwrap().labels_all(1).k(10).depth(20).rescore(|found| {
            if first.is_none() {
                first = Some(found.key);
                let others = nearest.iter().filter(|other| other.key != found.key);
                others.for_each(|other| change(writer, &other.key.to_string()));
            }
            found.score
        });
        let hits = search.run().unwrap();
        assert_eq!(hits.len(), 10);
        let gone: HashSet<_> = nearest.iter().map(|hit| hit.key).filter(|key| Some(*key) != first).collect();
        assert!(hits.iter().all(|hit| !gone.contains(&hit.key)), "{hits:?}");
    }
}

#[test]
fn a_search_stores_nothing() {
    let folder = Folder::new();
    for eviction in splinter::Eviction::ALL {
        let path = folder.join(eviction.to_string());
        let location = Location::file(&path);
        let plain = config(geometry(300, 64, 64, 2), splinter::Scrub::None);
        let store = Store::create(&location, &Config { eviction, ..plain }).unwrap();
        let (mut writer, mut rng) = (store.writer().unwrap(), Rng(12));
        for number in 0..300 {
            let key = format!("k{number}");
            writer.set(&key, b"value").unwrap();
            writer.set_vector(&key, &random(&mut rng, 64)).unwrap();
        }
        // Where keys are evicted, more keys make the hand pass the visits of all.
        for number in 0..if eviction == splinter::Eviction::Expired { 0 } else { 3 } {
            writer.set(format!("more{number}"), b"value").unwrap();
        }
        drop(writer);
        // Opened anew, so that nothing lies in this process alone; once for reading only.
        for is_read_only in [false, true] {
            let options = splinter::OpenOptions { read_only: is_read_only, ..Default::default() };
            let store = Store::open_with(&location, &options).unwrap();
            let before = std::fs::read(&path).unwrap();
            for is_exact in [false, true] {
                let query = random(&mut rng, 64);
                let search = || store.search(&query).unwrap().exact(is_exact);
                assert_eq!(search().run().unwrap().len(), 10);
                assert_eq!(
                    search().labels_none(1).threads(2).rescore(|found| found.score).run().unwrap().len(),
                    10
                );
                assert_eq!(store.nearest_to("k207").unwrap().exact(is_exact).run().unwrap().len(), 10);
            }
            assert!(std::fs::read(&path).unwrap() == before, "{eviction}, for reading only: {is_read_only}");
            // A plain read of the same keys leaves visits, so the comparison can fail.
            if eviction == splinter::Eviction::Sieve && !is_read_only {
                store.keys().for_each(|key| drop(store.get_vec(key).unwrap()));
                assert!(std::fs::read(&path).unwrap() != before);
            }
        }
    }
}
