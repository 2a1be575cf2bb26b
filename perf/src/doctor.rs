//! Whether this machine is fit for measuring: what it runs beside the measurement, how its processors are clocked, what its
//! clock costs, and what it lets a process do. Reads the kernel's files; a check that cannot be made is unknown. Each check is
//! a pure function of what was read.

use crate::clock;
use crate::pinning;
use crate::unit::Unit;
use serde::{Deserialize, Serialize};
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::counters;
use splinter_harness::disturbance::{ProcessorUse, Usage, disturbed};
use splinter_harness::environment::Environment;
use splinter_harness::environment::load_average;
use splinter_harness::machine::sysfs::text as read;
use splinter_harness::table::headed;
use splinter_harness::verdict::Verdict;
use std::fs;
use std::time::Duration;

/// How long the machine is watched for other load.
const WATCH: Duration = Duration::from_millis(300);

/// The costliest clock that is still good, in nanoseconds a reading: more is a system call or an emulated device.
const DEAREST_CLOCK_NS: f64 = 100.0;

/// The greatest share of the last ten seconds in which threads may have waited for a processor, in percent.
const MOST_PRESSURE_PERCENT: f64 = 10.0;

/// Whether a part of the machine is fit for measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Fit for measuring.
    Good,
    /// Not fit.
    Bad,
    /// Unknown: not reported by the kernel.
    Unknown,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "BAD",
            Self::Unknown => "unknown",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: String,
    /// Whether that is good.
    #[serde(rename = "fitness")]
    pub status: Status,
    /// The command that changes it; none where it is good, or nothing can be done from here.
    #[serde(rename = "change", default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What all checks found, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Doctor {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Doctor {
    /// Makes all checks, in about a third of a second. The calling thread is not pinned.
    #[must_use]
    pub fn examine() -> Self {
        let mut environment = Environment::read();
        let usage = Usage::now(&ProcessorUse::ALL);
        std::thread::sleep(WATCH);
        environment.note(&usage);
        let clock_source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let checks = vec![
            load(load_average(), environment.processors),
            other_load(&environment),
            quota(&environment),
            governor(read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            turbo(
                read("/sys/devices/system/cpu/intel_pstate/no_turbo"),
                read("/sys/devices/system/cpu/cpufreq/boost"),
            ),
            smt(read("/sys/devices/system/cpu/smt/active")),
            huge_pages(&environment.huge_pages[0]),
            mitigations(&read("/proc/cmdline").unwrap_or_default(), vulnerabilities()),
            source(clock_source),
            clock_cost(clock::cost_of_now(Duration::from_millis(2)), ClockCost::measure()),
            pinned(),
            pressure(read("/proc/pressure/cpu").as_deref()),
            counters("hardware counters", counters::hardware(), read("/proc/sys/kernel/perf_event_paranoid")),
            counters("software counters", counters::software(), read("/proc/sys/kernel/perf_event_paranoid")),
        ];
        Self { checks }
    }

    /// Returns whether figures of this machine can support a verdict: pass without anything bad, else inconclusive.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let bad = |check: &Check| check.status == Status::Bad;
        if self.checks.iter().any(bad) { Verdict::Inconclusive } else { Verdict::Pass }
    }

    /// Lays the checks out as text.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.checks.iter().map(|Check { name, state, status, remedy }| {
            [name.clone(), status.word().to_owned(), state.clone(), remedy.clone().unwrap_or_default()]
        });
        headed(&["check", "", "state", "to change it"], rows)
    }
}

fn check(name: &str, state: impl Into<String>, is_good: bool, remedy: &str) -> Check {
    Check {
        name: name.to_owned(),
        state: state.into(),
        status: if is_good { Status::Good } else { Status::Bad },
        remedy: (!is_good && !remedy.is_empty()).then(|| remedy.to_owned()),
    }
}

fn unknown(name: &str) -> Check {
    Check {
        name: name.to_owned(),
        state: "not reported by the kernel".to_owned(),
        status: Status::Unknown,
        remedy: None,
    }
}

fn load(average: Option<f64>, processors: usize) -> Check {
    let Some(average) = average else {
        return unknown("load");
    };
    let state = format!("{average:.2} on {processors} processors");
    let is_good = average < 0.1 * processors as f64;
    check("load", state, is_good, "end other work: see 'top', then wait a minute")
}

fn other_load(environment: &Environment) -> Check {
    let (state, is_good) = match disturbed(&environment.disturbances) {
        None => ("nobody else takes processor time".to_owned(), true),
        Some(why) => (why, false),
    };
    check("steal, others", state, is_good, "end other work, or use a machine of its own")
}

fn quota(environment: &Environment) -> Check {
    let Some(quota) = &environment.cpu_quota else {
        return check("quota", "none", true, "");
    };
    let state = format!("{} grants {:.2} processors", quota.group, quota.processors);
    let is_good = quota.processors >= environment.processors as f64;
    let remedy = format!(
        "echo max | sudo tee {0}/cpu.max, or of version 1: echo -1 | sudo tee {0}/cpu.cfs_quota_us",
        quota.group
    );
    check("quota", state, is_good, &remedy)
}

fn governor(governor: Option<String>) -> Check {
    let Some(governor) = governor else {
        return unknown("frequency governor");
    };
    let is_good = governor == "performance";
    let remedy = "sudo cpupower frequency-set -g performance";
    check("frequency governor", governor, is_good, remedy)
}

fn turbo(no_turbo: Option<String>, boost: Option<String>) -> Check {
    let (is_on, remedy) = match (no_turbo, boost) {
        (Some(off), _) => (off == "0", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"),
        (None, Some(on)) => (on == "1", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"),
        (None, None) => return unknown("turbo"),
    };
    check("turbo", if is_on { "on" } else { "off" }, !is_on, remedy)
}

fn smt(active: Option<String>) -> Check {
    let Some(active) = active else {
        return unknown("SMT");
    };
    let is_on = active == "1";
    let state =
        if is_on { "on: logical processors share cores" } else { "off: one logical processor per core" };
    let remedy = "echo off | sudo tee /sys/devices/system/cpu/smt/control";
    check("SMT", state, !is_on, remedy)
}

fn huge_pages(policy: &str) -> Check {
    match policy {
        "always" | "madvise" | "never" => check(
            "huge pages",
            policy,
            policy != "never",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        _ => unknown("huge pages"),
    }
}

/// Returns how many vulnerabilities of the processors the kernel mitigates.
fn vulnerabilities() -> Option<usize> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").ok()?;
    let text = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap_or_default();
    let mitigated = |text: &String| text.contains("Mitigation");
    Some(entries.flatten().map(text).filter(mitigated).count())
}

fn mitigations(command_line: &str, mitigated: Option<usize>) -> Check {
    let is_off = command_line.split(' ').any(|word| word == "mitigations=off");
    let Some(mitigated) = mitigated else {
        return unknown("mitigations");
    };
    let state = match is_off {
        true => "off: calls and wakes are cheaper than on other machines".to_owned(),
        false => format!("on, for {mitigated} vulnerabilities"),
    };
    check("mitigations", state, !is_off, "boot without mitigations=off")
}

fn source(source: Option<String>) -> Check {
    let Some(source) = source else {
        return unknown("clock source");
    };
    let is_good = !["hpet", "acpi_pm", "jiffies", "pit"].contains(&source.as_str());
    let remedy = "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource";
    check("clock source", source, is_good, remedy)
}

fn clock_cost(now_ns: f64, counter: ClockCost) -> Check {
    let state = format!(
        "{} a reading; timing nothing reads {:.0} ns +-{:.0}",
        Unit::Nanoseconds.show(now_ns),
        counter.empty_ns,
        counter.error_ns
    );
    let is_good = now_ns.max(counter.empty_ns) <= DEAREST_CLOCK_NS;
    check("clock cost", state, is_good, "see 'clock source'")
}

fn pinned() -> Check {
    // On a thread of its own: what is pinned stays so.
    let pinned = pinning::apart(|| pinning::pin(0));
    let is_good = matches!(pinned, Ok(Some(_)));
    let state = if is_good { "allowed" } else { "refused" };
    let remedy = "let the process call sched_setaffinity: see the sandbox's seccomp profile";
    check("pinning", state, is_good, remedy)
}

fn pressure(text: Option<&str>) -> Check {
    let average = text.and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("some "))?;
        let word = line.split(' ').find_map(|word| word.strip_prefix("avg10="))?;
        word.parse::<f64>().ok()
    });
    let Some(average) = average else {
        return unknown("processor pressure");
    };
    let state = format!("threads waited for {average:.1} % of the last ten seconds");
    let is_good = average <= MOST_PRESSURE_PERCENT;
    check("processor pressure", state, is_good, "end other work, then wait ten seconds")
}

fn counters(name: &str, opened: Result<(), String>, paranoid: Option<String>) -> Check {
    let paranoid = paranoid.unwrap_or_else(|| "unknown".to_owned());
    let (state, status) = match opened {
        Ok(()) => ("can be read".to_owned(), Status::Good),
        // Only figures beside the times are lacking.
        Err(why) => (format!("{why}; perf_event_paranoid is {paranoid}"), Status::Unknown),
    };
    let remedy = "sudo sysctl kernel.perf_event_paranoid=1; virtual machines may have none";
    Check {
        name: name.to_owned(),
        state,
        status,
        remedy: (status != Status::Good).then(|| remedy.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::cpu_quota::CpuQuota;
    use splinter_harness::disturbance::Cause;
    use splinter_harness::disturbance::Disturbance;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_bad_check_names_a_remedy_and_a_good_one_does_not() {
        let pairs = [
            (load(Some(0.1), 2), load(Some(1.4), 2)),
            (governor(text("performance")), governor(text("powersave"))),
            (turbo(text("1"), None), turbo(text("0"), None)),
            (turbo(None, text("0")), turbo(None, text("1"))),
            (smt(text("0")), smt(text("1"))),
            (huge_pages("madvise"), huge_pages("never")),
            (mitigations("quiet", Some(9)), mitigations("quiet mitigations=off", Some(0))),
            (source(text("tsc")), source(text("hpet"))),
            (
                pressure(Some("some avg10=0.00 avg60=20.00 total=5")),
                pressure(Some("some avg10=23.49 avg60=16.80 total=5\nfull avg10=0.00")),
            ),
        ];
        for (good, bad) in pairs {
            assert_eq!((good.status, &good.remedy), (Status::Good, &None), "{good:?}");
            assert_eq!(bad.status, Status::Bad, "{bad:?}");
            assert!(bad.remedy.is_some(), "{bad:?}");
            assert_eq!(good.name, bad.name);
        }
    }

    #[test]
    fn a_check_that_the_kernel_does_not_answer_is_unknown() {
        let checks = [
            load(None, 2),
            governor(None),
            turbo(None, None),
            smt(None),
            huge_pages("unavailable"),
            mitigations("", None),
            source(None),
            pressure(None),
        ];
        for check in checks {
            assert_eq!(check.status, Status::Unknown, "{check:?}");
        }
    }

    #[test]
    fn a_quota_below_the_processors_and_other_load_are_bad() {
        let mut environment = Environment::read();
        (environment.processors, environment.cpu_quota) = (2, None);
        assert_eq!(quota(&environment).status, Status::Good);
        assert_eq!(other_load(&environment).status, Status::Good);
        environment.cpu_quota = Some(CpuQuota {
            group: "/sys/fs/cgroup/jobs".to_owned(),
            processors: 0.5,
            throttled_periods: 0,
            throttled_ms: 0,
        });
        let found = quota(&environment);
        assert_eq!(found.status, Status::Bad);
        assert!(found.remedy.unwrap().contains("echo max | sudo tee /sys/fs/cgroup/jobs/cpu.max"));
        environment.disturbances = vec![Disturbance { cause: Cause::Steal, ms: 100, share: 0.2 }];
        assert_eq!(other_load(&environment).status, Status::Bad);
    }

    #[test]
    fn one_bad_check_leaves_no_verdict_to_this_machine() {
        let of = |checks| Doctor { checks }.verdict();
        let (good, bad) = (smt(text("0")), smt(text("1")));
        assert_eq!(of(vec![good.clone(), turbo(None, None)]), Verdict::Pass);
        assert_eq!(of(vec![good, bad]), Verdict::Inconclusive);
    }

    #[test]
    fn this_machine_can_be_examined() {
        let doctor = Doctor::examine();
        assert_eq!(doctor.checks.len(), 14);
        let json = serde_json::to_string(&doctor).unwrap();
        assert_eq!(serde_json::from_str::<Doctor>(&json).unwrap(), doctor);
        assert_eq!(doctor.text().lines().count(), 15);
    }
}
