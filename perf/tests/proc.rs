//! What the program says where `/proc` is missing.

use splinter_testkit::confined::without_proc;

#[test]
fn what_cannot_be_measured_without_proc_is_refused_by_its_name() {
    for verb in ["limits --quick", "micro --quick", "reproduce --quick", "tune", "gate --base HEAD"] {
        let Some(mut command) = without_proc(env!("CARGO_BIN_EXE_splinter-perf")) else { return };
        let output = command.args(verb.split(' ')).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{verb}: {error}");
        assert!(error.contains("/proc is not mounted"), "{verb}: {error}");
    }
}
