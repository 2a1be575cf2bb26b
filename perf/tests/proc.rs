//! The program's answer where `/proc` is missing.

#[path = "../../stress/tests/common/without_proc.rs"]
mod without_proc;

use without_proc::without_proc;

#[test]
fn measuring_without_proc_is_refused_by_its_name() {
    for verb in ["limits --quick", "micro --quick", "reproduce --quick", "tune", "gate --base HEAD"] {
        let Some(mut command) = without_proc(env!("CARGO_BIN_EXE_splinter-perf")) else {
            eprintln!("SKIPPED: no namespace can be had here");
            return;
        };
        let output = command.args(verb.split(' ')).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{verb}: {error}");
        assert!(error.contains("/proc is not mounted"), "{verb}: {error}");
    }
}
