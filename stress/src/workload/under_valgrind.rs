//! Cuts a workload down under Valgrind: few workers on few keys, and void times.

use crate::choice::KeyChoice;
use crate::open_loop::Arrivals;
use crate::options::{Span, Warmup};
use crate::workload::Workload;
use std::time::Duration;

/// Upper limits under Valgrind, which runs one thread at a time, about thirty times slower.
const WRITERS: u32 = 4;
const READERS: u32 = 2;
const WATCHERS: u32 = 2;
const KEYS: u64 = 96;
const MILLIS: u64 = 1_500;
const OPS: u64 = 6_000;

/// Cuts a workload down to a few seconds under Valgrind. Returns, in words, what was cut.
pub(crate) fn cut(workload: &mut Workload) -> Option<String> {
    let mut cuts = Vec::new();
    let mut number = |what: &str, value: &mut u32, most: u32| {
        if *value > most {
            cuts.push(format!("{what} {value} to {most}"));
            *value = most;
        }
    };
    number("writers", &mut workload.writers, WRITERS);
    number("readers", &mut workload.readers, READERS);
    number("watchers", &mut workload.watchers, WATCHERS);
    let keys = match workload.key_choice {
        KeyChoice::Hot(hot) => KEYS.max(hot),
        _ => KEYS,
    };
    if workload.keys > keys {
        cuts.push(format!("keys {} to {keys}", workload.keys));
        workload.keys = keys;
    }
    match &mut workload.span {
        Span::DurationMs(millis) if *millis > MILLIS => {
            cuts.push(format!("duration {millis} ms to {MILLIS} ms"));
            *millis = MILLIS;
        }
        Span::Ops(ops) if *ops > OPS => {
            cuts.push(format!("operations {ops} to {OPS}"));
            *ops = OPS;
        }
        _ => {}
    }
    if let Some(rate) = workload.rate.take() {
        // Spinning until a start would keep all others from running.
        cuts.push(format!("rate {rate} to a closed loop"));
        workload.arrivals = Arrivals::Uniform;
    }
    if workload.warmup != Warmup::For(Duration::ZERO) {
        cuts.push("no warm-up".to_owned());
        workload.warmup = Warmup::For(Duration::ZERO);
    }
    (!cuts.is_empty()).then(|| cuts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_cut_down_and_stays_sound() {
        let mut workload = Workload::default();
        let cuts = cut(&mut workload).unwrap();
        assert_eq!(workload.validate(), Ok(()));
        assert!(cuts.starts_with("writers 32 to 4, readers 32 to 2"), "{cuts}");
        assert!(workload.keys <= KEYS && workload.warmup == Warmup::For(Duration::ZERO));
        assert_eq!(cut(&mut workload), None);
    }
}
