//! A run beside processes that take all of the machine: its invariants hold, its figures give no verdict.

mod common;

use common::{record, stress};
use std::process::{Child, Command, Stdio};

/// Processes that never rest; ended when dropped.
struct Burners(Vec<Child>);

impl Burners {
    fn start(count: usize) -> Self {
        let start = |_| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "while :; do :; done"]);
            shell.stdin(Stdio::null()).spawn().expect("there is a shell")
        };
        Self((0..count).map(start).collect())
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for burner in &mut self.0 {
            // It ends no other way.
            let _ = burner.kill();
            let _ = burner.wait();
        }
    }
}

#[test]
fn a_run_of_fixed_work_beside_other_load_is_labelled_and_gives_no_verdict_on_its_figures() {
    check("--ops 400k");
}

#[test]
fn a_run_for_a_fixed_time_beside_other_load_is_labelled_and_gives_no_verdict_on_its_figures() {
    check("--warmup 0s --duration 1s");
}

/// Runs a span of work beside other load.
fn check(span: &str) {
    let _burners = Burners::start(2 * splinter_harness::affinity::allowed().len());
    let line = format!("run --writers 1 --readers 1 --keys 64 --scrub none --pin none {span}");
    let (code, run) = record(&line);
    assert_eq!((code, &run["verdict"]), (Some(0), &"pass".into()));
    let causes = run["environment"]["disturbances"].to_string();
    assert!(causes.contains(r#""cause":"other_load""#), "{causes}");
    let labels = run["labels"].to_string();
    assert!(labels.contains("disturbed: others used the processors"), "{labels}");
    let (code, judged) = record(&format!("{line} --again 1"));
    assert_eq!((code, &judged["verdict"]), (Some(4), &"inconclusive".into()));
    assert_eq!(judged["environment"]["rounds_again"], 1);
    assert!(judged["reasons"][0].as_str().unwrap().starts_with("DISTURBED because"));
    let text = String::from_utf8(stress(&line).stdout).unwrap();
    // The hypervisor may have taken time as well.
    let why = text.split_once("no verdict, DISTURBED because ").map(|(_, why)| why);
    assert!(why.is_some_and(|why| why.contains("other processes took")), "{text}");
}
