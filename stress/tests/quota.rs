//! Runs under the quota of a control group, where this machine lets a test make one.

mod common;

use serde_json::Value;
use splinter_testkit::{skipped, unique, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs under the quota, each beside one without it.
const PAIRS: u32 = 8;

/// A control group that grants a fifth of a processor; removed when dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Option<Self> {
        let name = unique();
        let make = |tree: &str, files: &[(&str, &str)]| {
            let group = Self(Path::new(tree).join(&name));
            fs::create_dir(&group.0).ok()?;
            let write = |&(file, text): &(&str, &str)| fs::write(group.0.join(file), text).is_ok();
            files.iter().all(write).then_some(group)
        };
        let first = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "20000")];
        let trees = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"];
        let mut groups = trees.iter().filter_map(|tree| make(tree, &first));
        groups.next().or_else(|| make("/sys/fs/cgroup", &[("cpu.max", "20000 100000")]))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be leaving.
        wait_until("the group is empty", || fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}

#[test]
fn what_a_quota_takes_is_recorded_and_called_by_its_name() {
    let Some(group) = Group::new() else {
        skipped("a run under a quota: no control group can be made here");
        return;
    };
    let run = |group: Option<&Group>, more: &str| {
        let program = env!("CARGO_BIN_EXE_splinter-stress");
        let flags = "--writers 2 --readers 2 --keys 64 --scrub hybrid --duration 1s --warmup 0s";
        let enter = group.map(|group| format!("echo $$ > {}/cgroup.procs && ", group.0.display()));
        let line = format!("{}exec {program} run {flags} {more}", enter.unwrap_or_default());
        let output = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let record = |group| serde_json::from_str::<Value>(&run(group, "--json")).unwrap();
    let under_quota = record(Some(&group));
    let quota = &under_quota["environment"]["cpu_quota"];
    assert_eq!(quota["group"], group.0.display().to_string());
    assert_eq!(quota["processors"], 0.2);
    assert!(quota["throttled_periods"].as_u64().unwrap() > 0, "{quota}");
    assert!(quota["throttled_ms"].as_u64().unwrap() > 0, "{quota}");
    let labels = under_quota["labels"].to_string();
    assert!(labels.contains("throttled: the quota of a control group"), "{labels}");
    let causes = under_quota["environment"]["disturbances"].to_string();
    assert!(causes.contains(r#""cause":"quota""#), "{causes}");
    let text = run(Some(&group), "");
    assert!(text.contains("  quota ") && text.contains("grants 0.20 processors"), "{text}");

    // The label of other load is for other processes. Some may really run beside this test: then runs without the quota are
    // labelled, too.
    let is_labelled = |record: &Value| record["labels"].to_string().contains("others used the processors");
    let mut without = 0;
    for _ in 0..PAIRS {
        if !is_labelled(&record(Some(&group))) {
            return;
        }
        without += u32::from(is_labelled(&record(None)));
    }
    assert!(without > 0, "{PAIRS} of {PAIRS} runs are labelled under the quota, {without} without it");
    skipped("whether a quota is taken for other load: other processes keep the processors busy");
}
