//! The operations that the gate counts and times, as a program of its own: built beside each of two revisions of the store,
//! so that nothing but the store differs. `list` names the operations; `count SEED` has Callgrind count laps of each; `time
//! NAME SEED MILLISECONDS` times it. Not meant to be used by hand.

mod callgrind;
mod operations;

use operations::{LAP, OPERATIONS, Operation, Problem, Setup};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Operations between two readings of the clock where latencies are taken: one alone is no longer than the clock's step.
const BURST: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match done(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("splinter-probe: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn done(arguments: &[&str]) -> Result<(), Problem> {
    match *arguments {
        ["list"] => OPERATIONS.iter().for_each(|operation| println!("{}", operation.name)),
        ["count", seed] => OPERATIONS.iter().try_for_each(|operation| count(operation, number(seed)?))?,
        ["time", name, seed, millis] => {
            let operation = find(name)?;
            let span = Duration::from_millis(number(millis)?);
            let (goodput_per_s, p99_ns) = time(operation, number(seed)?, span)?;
            println!("{goodput_per_s} {p99_ns}");
        }
        _ => return Err("give list, count SEED or time NAME SEED MILLISECONDS".to_owned()),
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Operation, Problem> {
    let found = OPERATIONS.iter().find(|operation| operation.name == name);
    found.ok_or_else(|| format!("there is no operation '{name}'"))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

/// Has a lap of no operation and one of [`LAP`] counted, each under the operation's name and its number of operations. What
/// both cost, the request to count included, is no part of an operation.
fn count(operation: &Operation, seed: u64) -> Result<(), Problem> {
    let mut setup = operation.setup(seed)?;
    operation.prepare(&mut setup)?;
    operation.run(&mut setup, 0..LAP)?;
    for operations in [0, LAP] {
        let name = format!("{} #{operations}\0", operation.name);
        operation.prepare(&mut setup)?;
        callgrind::zero();
        let run = operation.run(&mut setup, 0..operations);
        callgrind::dump(&name);
        run?;
    }
    Ok(())
}

/// Times laps until the span is over, the first few aside. Returns the operations per second of the median lap, and the
/// time of one operation in nanoseconds: of a lap's bursts the 99th percentile, of the laps the median. So a lap that
/// something else fell into weighs no more than another. Laps for one and the other take turns.
fn time(operation: &Operation, seed: u64, span: Duration) -> Result<(f64, f64), Problem> {
    let mut setup = operation.setup(seed)?;
    let warm = Instant::now();
    while warm.elapsed() < span / 8 {
        lap(operation, &mut setup)?;
        slow_burst(operation, &mut setup)?;
    }
    let (mut laps, mut bursts) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while laps.is_empty() || start.elapsed() < span {
        laps.push(lap(operation, &mut setup)?);
        bursts.push(slow_burst(operation, &mut setup)?);
    }
    let goodput_per_s = LAP as f64 / quantile(&mut laps, 0.5).as_secs_f64();
    let p99_ns = quantile(&mut bursts, 0.5).as_nanos() as f64 / BURST as f64;
    Ok((goodput_per_s, p99_ns))
}

/// Takes a lap at one go. Returns how long it took.
fn lap(operation: &Operation, setup: &mut Setup) -> Result<Duration, Problem> {
    operation.prepare(setup)?;
    let start = Instant::now();
    operation.run(setup, 0..LAP)?;
    Ok(start.elapsed())
}

/// Takes a lap in bursts. Returns the 99th percentile of how long they took.
fn slow_burst(operation: &Operation, setup: &mut Setup) -> Result<Duration, Problem> {
    operation.prepare(setup)?;
    let mut bursts = Vec::with_capacity(LAP / BURST);
    for from in (0..LAP).step_by(BURST) {
        let start = Instant::now();
        operation.run(setup, from..from + BURST)?;
        bursts.push(start.elapsed());
    }
    Ok(quantile(&mut bursts, 0.99))
}

/// Returns the duration that a share of them does not exceed.
fn quantile(durations: &mut [Duration], share: f64) -> Duration {
    durations.sort_unstable();
    let rank = (share * durations.len() as f64).ceil() as usize;
    durations[rank.clamp(1, durations.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::{OPERATIONS, done, find, quantile, time};
    use std::time::Duration;

    #[test]
    fn every_operation_can_be_timed() {
        for operation in &OPERATIONS {
            let (goodput_per_s, p99_ns) = time(operation, 1, Duration::ZERO).expect(operation.name);
            assert!(goodput_per_s > 0.0 && p99_ns > 0.0, "{}", operation.name);
        }
    }

    #[test]
    fn a_quantile_is_one_of_the_durations() {
        let mut durations: Vec<Duration> = (1..=200).rev().map(Duration::from_nanos).collect();
        assert_eq!(quantile(&mut durations, 0.5), Duration::from_nanos(100));
        assert_eq!(quantile(&mut durations, 0.99), Duration::from_nanos(198));
        assert_eq!(quantile(&mut durations[..1], 0.99), Duration::from_nanos(1));
    }

    #[test]
    fn an_unknown_operation_or_command_is_refused() {
        assert!(find("no such operation").is_err());
        assert!(done(&["time", "inc", "1", "soon"]).is_err());
        assert!(done(&[]).is_err());
    }
}
