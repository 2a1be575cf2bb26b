//! Which processors the program finds on a kernel with more possible ones than a `cpu_set_t` has bits.

use serde_json::Value;
use splinter_testkit::confined::on_many_processors;
use std::process::Command;

#[test]
fn a_sample_is_pinned_however_many_processors_the_kernel_has_room_for() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splinter-perf"));
    command.args("limits --quick --rounds 1 --only cmpxchg --json".split(' '));
    let output = on_many_processors(&mut command).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // 4 where others disturb it.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 4)), "{errors}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let usable = splinter_harness::affinity::allowed();
    assert_eq!(record["environment"]["processors"], usable.len());
    assert_eq!(record["config"]["pinned_to"], *usable.last().unwrap());
}
