//! Searches over damaged sketches: hits are fewer or worse, and never wrong. Invariants 16 and 24.

use splinter::{Hit, Metric, Scrub, Store};
use splinter_testkit::raw::Raw;
use splinter_testkit::valgrind::rounds;
use splinter_testkit::vectors::random;
use splinter_testkit::{Rng, config, geometry};
use std::fs::File;
use std::os::unix::fs::FileExt;

const DIM: usize = 100;
const KEYS: u64 = 300;

#[test]
fn damaged_sketches_cost_hits_and_make_none_wrong() {
    let store = Store::anonymous(&config(geometry(KEYS + 5, 8, DIM as u32, 2), Scrub::None)).unwrap();
    let (mut writer, mut rng) = (store.writer().unwrap(), Rng(1));
    for number in 0..KEYS {
        let key = format!("k{number}");
        writer.set(&key, b"").unwrap();
        writer.set_vector(&key, &random(&mut rng, DIM)).unwrap();
    }
    let (raw, file) = (Raw::new(&store), File::from(store.fd().try_clone_to_owned().unwrap()));
    let (at, len) = (raw.sketch_at(0), (raw.sketch_at(1) - raw.sketch_at(0)) as usize);
    for round in 0..rounds(60) {
        let query = random(&mut rng, DIM);
        let metric = Metric::ALL[round as usize % 3];
        let search = || store.search(&query).unwrap().metric(metric);
        let all = |hits: Vec<Hit>| {
            let mut hits = hits;
            hits.sort_unstable_by_key(|hit| hit.slot);
            hits
        };
        let before = all(search().all().exact(true).run().unwrap());
        assert_eq!(before.len() as u64, KEYS);
        for slot in 0..KEYS + 5 {
            let mut sketch = rng.bytes(len);
            match round % 6 {
                0 => sketch.fill(0),
                1 => sketch.fill(0xff),
                // Norms and corrections that are infinite, no numbers, negative, huge or tiny.
                2 => {
                    let odd = [f32::INFINITY, f32::NAN, -f32::INFINITY, -1.0, f32::MAX, 1e-45, -0.0, 1.0];
                    sketch[..4].copy_from_slice(&rng.pick(&odd).to_le_bytes());
                    sketch[4..8].copy_from_slice(&rng.pick(&odd).to_le_bytes());
                }
                // The sketches of other vectors.
                3 => sketch = raw.sketch(rng.below(KEYS)),
                _ => {}
            }
            file.write_all_at(&sketch, at + slot * len as u64).unwrap();
        }
        assert_eq!(all(search().all().exact(true).run().unwrap()), before);
        for (k, depth) in [(1, 1), (10, 10), (10, 150), (400, 20)] {
            let hits = search().k(k).depth(depth).threads(1 + k % 3).run().unwrap();
            assert!(hits.len() <= k && hits.iter().all(|hit| before.contains(hit)), "{hits:?}");
            let hits = search().k(k).depth(depth).group_orders(true).prefix("k").run().unwrap();
            assert!(hits.len() <= k && hits.iter().all(|hit| before.contains(hit)), "{hits:?}");
        }
        let near = search().all().min_score(0.0).depth(5).run().unwrap();
        assert!(near.iter().all(|hit| hit.score >= 0.0 && before.contains(hit)), "{near:?}");
    }
    // Written anew, the vectors are found again.
    for number in 0..KEYS {
        writer.set_vector(format!("k{number}"), &random(&mut rng, DIM)).unwrap();
    }
    assert_eq!(store.search(&random(&mut rng, DIM)).unwrap().k(20).depth(20).run().unwrap().len(), 20);
}
