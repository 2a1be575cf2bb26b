//! What becomes of the flags that say what to run.

use super::*;
use crate::open_loop::Arrivals;
use crate::options::{Huge, Memory, Pin};
use crate::workload::table::HISTORY_LIMIT;
use splinter_harness::text::parse_count;

fn parsed(flags: &str) -> WorkloadFlags {
    let run: RunArguments = super::super::parsed(flags).unwrap();
    run.flags
}

fn workloads(flags: &str) -> Vec<Workload> {
    parsed(flags).workloads().unwrap()
}

fn levels(workloads: &[Workload]) -> Vec<Scrub> {
    workloads.iter().map(|workload| workload.scrub).collect()
}

/// Does something with a file of this text.
fn with_file<T>(text: &str, act: impl FnOnce(&Path) -> T) -> T {
    act(Path::new(&splinter_testkit::Folder::new().put("workload.toml", text)))
}

#[test]
fn no_flags_are_the_default_workload_at_every_scrub_level() {
    let all = workloads("");
    assert_eq!(all.len(), 3);
    for (workload, scrub) in all.into_iter().zip(Scrub::ALL) {
        assert_eq!(workload, Workload { scrub, ..Workload::default() });
    }
}

#[test]
fn the_defaults_that_help_names_are_those_of_the_workload() {
    let command = RunArguments::augment_args(Command::new("run"));
    let help = |name: &str| {
        let argument = command.get_arguments().find(|it| it.get_id() == name);
        argument.unwrap().get_help().unwrap().to_string()
    };
    let tuning = splinter::Tuning::default();
    let current = |value: u128| format!("[default: the current value, {value}]");
    for (name, end) in [
        ("scrub", "[default: all]".to_owned()),
        ("writers", "at most 1023 [default: 32]".to_owned()),
        ("duration", "[default: 5s]".to_owned()),
        ("mix", "[default: set=1]".to_owned()),
        ("pin_readers", "[default: behind the writers]".to_owned()),
        ("huge_pages", "[default: off; collapse where none is said]".to_owned()),
        ("history_limit", "[default: 4M]".to_owned()),
        ("ops", "all workers together".to_owned()),
        ("oracle", "says not to".to_owned()),
        ("claim_patience", current(tuning.claim_patience.into())),
        ("back_off_pauses", current(tuning.back_off_pauses.into())),
        ("spin_ns", current(tuning.spin.as_nanos())),
        ("prefetch_depth", current(tuning.prefetch_depth.into())),
    ] {
        assert!(help(name).ends_with(&end), "{name}: {}", help(name));
    }
    assert_eq!(parse_count("4M"), Ok(HISTORY_LIMIT));
}

#[test]
fn flags_end_up_in_the_workload() {
    let workload = workloads(
        "--scrub none --ops 5k --pin 0-1 --pin-readers none --interleave --huge-pages --backing shared:x --no-oracle --mix int --rate 2M --arrivals poisson",
    )
    .remove(0);
    let expected = Workload {
        scrub: Scrub::None,
        span: Span::Ops(5_000),
        pin: Pin::List(vec![0, 1]),
        pin_readers: Some(Pin::None),
        memory: Memory::Interleave,
        huge_pages: Huge::Collapse,
        backing: Backing::Shared("x".to_owned()),
        oracle: false,
        mix: "int".parse().unwrap(),
        rate: Some(2_000_000),
        arrivals: Arrivals::Poisson,
        ..Workload::default()
    };
    assert_eq!(workload, expected);
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let text = "writers = 3\nkeys = 99\nspan = { ops = 10 }\nrate = 1000\nscrub = \"full\"\noracle = false\n";
    let all =
        with_file(text, |path| workloads(&format!("--workload {} --keys 50 --duration 2s", path.display())));
    let expected = Workload {
        writers: 3,
        keys: 50,
        span: Span::DurationMs(2_000),
        rate: Some(1_000),
        scrub: Scrub::Full,
        oracle: false,
        ..Workload::default()
    };
    assert_eq!(all, [expected]);
    let text = "oracle = false\nhistogram = false\nscrub = \"full\"\n";
    let observed = |flags: &str| {
        with_file(text, |path| {
            let workload = workloads(&format!("--workload {} {flags}", path.display())).remove(0);
            [workload.oracle, workload.histogram]
        })
    };
    assert_eq!(observed(""), [false, false]);
    assert_eq!(observed("--oracle --histogram"), [true, true]);
    assert_eq!(observed("--no-oracle --oracle"), [true, false]);
    assert_eq!(observed("--oracle --no-oracle"), [false, false]);
    let levels = |text: &str, flags: &str| {
        with_file(text, |path| levels(&workloads(&format!("--workload {} {flags}", path.display()))))
    };
    assert_eq!(levels("scrub = \"full\"", "--scrub none"), [Scrub::None]);
    assert_eq!(levels("scrub = \"all\"", ""), Scrub::ALL);
    assert_eq!(levels("", ""), Scrub::ALL);
    assert_eq!(levels("scrub = [\"none\", \"full\"]", ""), [Scrub::None, Scrub::Full]);
}

#[test]
fn a_profile_comes_over_the_file_and_flags_over_the_profile() {
    let profile = "[process]\nspin_ns = 7\n[store]\nscrub = \"full\"\nslot_factor = 2\n\
        huge_pages = \"advise\"\n[workers]\npin = \"compact\"\n";
    let all =
        |flags: &str| with_file(profile, |path| workloads(&format!("--profile {} {flags}", path.display())));
    let [plain] = all("").try_into().unwrap();
    let expected = Workload {
        scrub: Scrub::Full,
        huge_pages: Huge::Advise,
        pin: Pin::Compact,
        claim_patience: Some(32),
        back_off_pauses: Some(1024),
        spin_ns: Some(7),
        prefetch_depth: Some(32),
        slots: Some(2 * Workload::default().geometry().slots),
        ..Workload::default()
    };
    assert_eq!(plain, expected);
    let [flagged] =
        all("--pin none --spin-ns 9 --huge-pages=off --slots 9000 --scrub none").try_into().unwrap();
    let expected = Workload {
        scrub: Scrub::None,
        huge_pages: Huge::Off,
        pin: Pin::None,
        spin_ns: Some(9),
        slots: Some(9000),
        ..expected
    };
    assert_eq!(flagged, expected);
}

#[test]
fn one_workload_has_one_level() {
    let one = |flags: &str| parsed(flags).workload();
    assert_eq!(one("").unwrap(), Workload::default());
    assert_eq!(one("--scrub full").unwrap().scrub, Scrub::Full);
    assert!(one("--scrub all").unwrap_err().contains("--scrub"));
    let scrub = |text: &str| {
        with_file(text, |path| one(&format!("--workload {}", path.display()))).map(|workload| workload.scrub)
    };
    assert_eq!(scrub("scrub = \"none\""), Ok(Scrub::None));
    assert!(scrub("scrub = \"all\"").is_err());
    assert_eq!(parsed("").duration(), Ok(None));
    let span = parsed("--duration 2s").duration();
    assert_eq!(span, Ok(Some(Duration::from_secs(2))));
}

#[test]
fn what_flags_stand_for_is_printed_and_read_back_the_same() {
    for flags in [
        "",
        "--scrub full --writers 2 --key-choice hot:3 --value-len 16..256 --rate 5k",
        "--history --pin 0-1,3 --node 0 --no-histogram --ops 5 --watchers 2 --watch-all",
    ] {
        let first = workloads(flags);
        let text = file::print(&first[0], &levels(&first));
        let again = with_file(&text, |path| workloads(&format!("--workload {}", path.display())));
        assert_eq!(first, again, "{text}");
    }
}

#[test]
fn flags_that_repeat_a_workload_stand_for_it() {
    let mut rng = splinter_harness::rng::Rng::new(5, 3);
    for _ in 0..50 {
        let mut workload = file::tests::random(&mut rng);
        if workload.watch_all {
            workload.watch_groups = 1;
        }
        let command = RunArguments::augment_args(Command::new("run").no_binary_name(true));
        let matches = command.get_matches_from(workload.flags());
        let run = RunArguments::from_arg_matches(&matches).unwrap();
        let (again, axes) = run.flags.base().unwrap();
        let [scrub] = axes[0].1.as_slice() else {
            panic!("{axes:?}");
        };
        assert_eq!(scrub.over(&again), workload);
    }
    assert_eq!(Workload::default().flags(), ["--scrub", "hybrid"]);
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    for (text, word) in [
        ("keys = 5\nwriter = 1", "line 2: there is no field 'writer'"),
        ("scrub = \"some\"", "line 1: 'some' is no scrub level"),
        ("writers = 0\nreaders = 0", "--writers"),
    ] {
        let error = with_file(text, |path| {
            parsed(&format!("--workload {}", path.display())).workloads().unwrap_err()
        });
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    }
    let missing = parsed("--workload /nowhere/at-all.toml").workloads().unwrap_err();
    assert!(missing.contains("/nowhere/at-all.toml"), "{missing}");
}

#[test]
fn a_number_out_of_range_is_refused_with_its_range() {
    let error = parsed("--writers 4096").workloads().unwrap_err().to_string();
    assert!(error.contains("--writers 4096 is out of range: give at most "), "{error}");
}
