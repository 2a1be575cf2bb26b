//! Which processors the program finds and pins to, on kernels with more possible ones than a `cpu_set_t` has bits.

mod common;

use common::{held, program, refuses};
use serde_json::Value;
use splinter_testkit::confined::on_many_processors;

/// Runs with `--json` as on a kernel with 2,048 possible processors.
fn record(line: &str) -> Value {
    let mut command = program();
    command.args(line.split(' ')).arg("--json");
    let output = on_many_processors(&mut command).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let found: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {errors}"));
    let passed = output.status.code() == Some(0);
    assert!(passed || held(output.status.code(), &found), "{line}: {errors}");
    found
}

#[test]
fn processors_are_found_and_pinned_to_however_many_the_kernel_has_room_for() {
    let here = common::record("topology").1;
    let there = record("topology");
    assert_eq!(there["machine"]["processors"], here["machine"]["processors"]);
    let usable = here["machine"]["processors"].as_array().unwrap();
    let usable = usable.iter().filter(|one| one["usable"] == true).count();
    let run = "run --scrub hybrid --writers 2 --readers 2 --keys 64 --ops 400";
    for workers in ["threads", "processes"] {
        let run = record(&format!("{run} --pin compact --workers {workers}"));
        assert_eq!(run["environment"]["processors"], usable);
        for worker in run["placement"]["workers"].as_array().unwrap() {
            assert_eq!(worker["pinned"], true, "{worker}");
            assert_eq!(worker["observed"], Value::from(vec![worker["requested"].clone()]));
        }
    }
    let wake = record("wake --quick");
    assert_eq!(wake["placement"]["processors"], usable);
    let sweep = record("sweep --quick --first update --second get --scrub hybrid --jobs 1");
    assert_eq!(sweep["verdict"], "pass");
}

#[test]
fn a_processor_with_a_high_number_is_one_that_may_not_be_there() {
    for (flag, verb) in [("--pin", "run"), ("--pin", "topology"), ("--cpu-a", "wake")] {
        for cpu in ["1500", "65535"] {
            refuses(verb, &[(&format!("{flag} {cpu}"), &format!("processor {cpu}"))]);
        }
    }
    refuses("run", &[("--pin 70000", "65535")]);
}
