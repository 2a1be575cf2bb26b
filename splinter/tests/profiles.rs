//! Profiles: a store follows what a file says, an error names the wrong line, and a tuning changes no answer.

use splinter::{
    Config, Error, Geometry, HugePages, IntegerOp, Placement, Profile, Scrub, Store, StoreError, Tuning,
};
use splinter_testkit::Folder;
use splinter_testkit::process::rerun;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SMALL: Geometry = Geometry { slots: 64, max_value_len: 64, vector_dim: 0, max_writers: 4 };

/// The tuning is the process's: tests that change it take turns.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn small() -> Store {
    Store::anonymous(&Config { geometry: SMALL, ..Config::default() }).expect("a store")
}

#[test]
fn a_written_profile_is_read_back_the_same() {
    let full = Profile {
        tuning: Tuning {
            claim_patience: 0,
            back_off_pauses: 4096,
            spin: Duration::from_nanos(1234),
            prefetch_depth: 7,
        },
        scrub: Some(Scrub::Full),
        huge_pages: Some(HugePages::Collapse),
        placement: Some(Placement::Bind(3)),
        slot_factor: 2,
        workers: [("pin".to_owned(), "0-3,8".to_owned())].into(),
    };
    for profile in [Profile::default(), full] {
        let text = profile.to_string();
        assert_eq!(text.parse::<Profile>().expect(&text), profile, "{text}");
    }
}

#[test]
fn a_missing_setting_keeps_the_callers_value() {
    let asked = Config { geometry: SMALL, scrub: Scrub::Full, ..Config::default() };
    assert_eq!(Profile::default().over(asked.clone()), asked);
    let text = "# words\n\n[store] # more\nmemory = \"interleave\"\nslot_factor = 0_3\n";
    let config = text.parse::<Profile>().expect("a profile").over(asked);
    assert_eq!(config.geometry, Geometry { slots: 192, ..SMALL });
    assert_eq!((config.scrub, config.placement), (Scrub::Full, Placement::Interleave(Vec::new())));
}

#[test]
fn an_error_names_its_line() {
    for (text, word) in [
        ("[process]\nspin = 5", "line 2: there is no 'spin'"),
        ("[process]\nspin_ns = -5", "line 2: -5 is not a whole number"),
        ("[process]\nclaim_patience = 5000000000", "line 2: 5000000000"),
        ("[process]\nprefetch_depth = 33", "line 2: prefetch_depth is 33, and must be 1 to 32"),
        ("[store]\n\nslot_factor = 0", "line 3: "),
        ("[store]\nscrub = none", "line 2: none is not a text in quotes"),
        ("[store]\nscrub = \"some\"", "line 2: \"some\" is not one of"),
        ("[store]\nhuge_pages = \"on\"", "line 2: \"on\""),
        ("[store]\nmemory = \"node:\"", "line 2: \"node:\""),
        ("[store]\nmemory = \"local\"\nmemory = \"local\"", "line 3: 'memory' is there twice"),
        ("[stores]", "line 1: there is no section 'stores'"),
        ("spin_ns = 5", "line 1: 'spin_ns' is in no section"),
        ("[process]\nwhat", "line 2: 'what' is neither"),
    ] {
        let error = text.parse::<Profile>().expect_err(text).to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{text}: {error}");
    }
    let folder = Folder::new();
    let wrong = folder.put("profile-wrong", "[store]\nscrub = 5\n");
    let error = Profile::load(&wrong).expect_err("it is wrong").to_string();
    assert!(error.contains("profile-wrong") && error.contains("line 2"), "{error}");
    assert!(matches!(Profile::load("/nowhere/at/all"), Err(StoreError::Os { .. })));
    assert!(matches!(Profile::load("/dev/zero"), Err(StoreError::Tuning(_))));
}

#[test]
fn a_tuning_holds_until_the_next_and_a_wrong_one_changes_nothing() {
    let _mine = my_turn();
    let ends = Tuning { claim_patience: 0, back_off_pauses: 0, spin: Duration::MAX, prefetch_depth: 1 };
    ends.apply().expect("it is within bounds");
    assert_eq!(Tuning::current(), ends);
    let wrong = Tuning { back_off_pauses: u32::MAX, ..Tuning::default() };
    assert!(matches!(wrong.apply(), Err(StoreError::Tuning(_))));
    assert_eq!(Tuning::current(), ends);
    Tuning::default().apply().expect("it is within bounds");
    assert_eq!(Tuning::current(), Tuning::default());
}

#[test]
fn batches_of_any_depth_have_all_keys() {
    let _mine = my_turn();
    let store = small();
    let mut writer = store.writer().expect("a writer id");
    let keys: Vec<String> = (0..40).map(|key| format!("key {key}")).chain([String::new()]).collect();
    for depth in [1, 5, 31, 32] {
        Tuning { prefetch_depth: depth, ..Tuning::current() }.apply().expect("a depth");
        let pairs: Vec<(&String, String)> = keys.iter().map(|key| (key, format!("{depth} {key}"))).collect();
        let mut set = vec![Err(Error::Again); pairs.len()];
        writer.set_many(&pairs, &mut set);
        let mut got = vec![Err(Error::Again); keys.len()];
        let mut bufs = vec![0; keys.len() * 64];
        store.get_many(&keys, &mut bufs, 64, &mut got);
        for (place, (_, value)) in pairs.iter().enumerate().take(40) {
            assert_eq!(set[place], Ok(()), "{depth}, {place}");
            let len = got[place].expect("it was set");
            assert_eq!(&bufs[place * 64..place * 64 + len], value.as_bytes(), "{depth}");
        }
        assert_eq!((set[40], got[40]), (Err(Error::KeyEmpty), Err(Error::KeyEmpty)));
    }
}

#[test]
fn integers_add_up_under_every_back_off() {
    let _mine = my_turn();
    for pauses in [0, 1, 64, 5000] {
        Tuning { back_off_pauses: pauses, ..Tuning::current() }.apply().expect("within bounds");
        let store = small();
        store.writer().expect("a writer id").set_u64("n", 0).expect("room");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut writer = store.writer().expect("a writer id");
                    let mut done = 0;
                    while done < 500 {
                        done += u32::from(writer.integer("n", IntegerOp::Inc(1)).is_ok());
                    }
                });
            }
        });
        assert_eq!(store.get_u64("n"), Ok(1500), "{pauses}");
    }
}

/// Has a process of its own open a store under a profile, and returns its tuning and its notes.
fn under(test: &str, file: &str) -> String {
    let output = rerun(test).env(SEEN, "1").env("SPLINTER_PROFILE", file).output();
    let output = output.expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const SEEN: &str = "SPLINTER_TEST_SEEN";

#[test]
fn the_environment_names_the_profile_of_a_process() {
    if std::env::var_os(SEEN).is_some() {
        let store = small();
        println!("{:?} {:?}", Tuning::current(), store.notes());
        return;
    }
    let test = "the_environment_names_the_profile_of_a_process";
    let folder = Folder::new();
    let good = folder.put("profile-good", "[process]\nclaim_patience = 77\n[store]\nscrub = \"full\"\n");
    let said = under(test, &good);
    assert!(said.contains("claim_patience: 77") && said.contains("[]"), "{said}");
    let bad = folder.put("profile-bad", "[process]\nclaim_patience = 77\nclaim_patience = 78\n");
    let said = under(test, &bad);
    let default = format!("claim_patience: {}", Tuning::default().claim_patience);
    assert!(said.contains(&default) && said.contains("line 3") && said.contains("there twice"), "{said}");
}

#[test]
fn a_call_of_the_process_wins_over_the_environment() {
    if std::env::var_os(SEEN).is_some() {
        Tuning { claim_patience: 5, ..Tuning::default() }.apply().expect("within bounds");
        let _store = small();
        println!("{:?}", Tuning::current());
        return;
    }
    let folder = Folder::new();
    let other = folder.put("profile-other", "[process]\nclaim_patience = 77\n");
    let said = under("a_call_of_the_process_wins_over_the_environment", &other);
    assert!(said.contains("claim_patience: 5,"), "{said}");
}
