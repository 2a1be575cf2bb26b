//! What the program says where `/proc` is missing.

use splinter_testkit::confined::without_proc;

#[test]
fn what_cannot_be_measured_without_proc_is_refused_by_its_name_and_the_rest_works() {
    let start = |line: &str| {
        let mut command = without_proc(env!("CARGO_BIN_EXE_splinter-stress"))?;
        Some(command.args(line.split(' ')).output().unwrap())
    };
    for verb in [
        "run --ops 100",
        "run --workers processes --ops 100",
        "matrix --ops 100",
        "wake --quick",
        "kill --kills 3",
        "hostile --duration 1s",
        "queue --messages 100",
        "numa",
        "sweep --quick",
    ] {
        let Some(output) = start(verb) else { return };
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{verb}: {error}");
        assert_eq!(error.lines().count(), 1, "{verb}: {error}");
        assert!(error.contains("/proc is not mounted"), "{verb}: {error}");
        assert!(output.stdout.is_empty(), "{verb}");
    }
    for verb in ["run --print-workload", "topology", "completions bash"] {
        let output = start(verb).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{verb}: {error}");
    }
}
