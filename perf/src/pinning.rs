//! Which processor a thread runs on. The processors are read once, before anything is pinned: a pinned thread
//! sees, and hands to the threads it starts, only its own.

use splinter_harness::affinity;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Returns the processors this process may use, as they were at the first call.
#[must_use]
pub fn processors() -> &'static [usize] {
    static PROCESSORS: OnceLock<Vec<usize>> = OnceLock::new();
    PROCESSORS.get_or_init(affinity::allowed)
}

/// Pins the calling thread to the `index`-th of [`processors`], round robin. Returns the processor's number, or
/// `None` where the kernel did not allow it: the thread then runs where it ran before.
#[must_use]
pub fn pin(index: usize) -> Option<usize> {
    let processors = processors();
    let _ = runner();
    let cpu = *processors.get(index.checked_rem(processors.len())?)?;
    affinity::pin(cpu).then_some(cpu)
}

/// Runs `work` on a thread that was never pinned and waits for its result: work that starts threads of its own
/// would hand them the caller's one processor.
///
/// # Errors
/// When `work` panicked, or threads cannot be started.
pub fn unpinned<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, String> {
    let (result, waiting) = channel();
    let job: Job = Box::new(move || {
        // The caller waits for it.
        let _ = result.send(work());
    });
    let sent = runner().lock().unwrap_or_else(PoisonError::into_inner).send(job);
    sent.map_err(|_| "no thread to run on")?;
    waiting.recv().map_err(|_| "the work panicked".to_owned())
}

type Job = Box<dyn FnOnce() + Send>;

/// Returns the way to the unpinned thread, which is started by the first call of [`pin`], before it pins. Work
/// runs on a thread of its own below it, so that a panic ends that work alone.
fn runner() -> &'static Mutex<Sender<Job>> {
    static RUNNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    RUNNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for job in jobs {
                let _ = std::thread::spawn(job).join();
            }
        });
        Mutex::new(sender)
    })
}

#[cfg(test)]
mod tests {
    use super::{affinity, pin, processors, unpinned};

    #[test]
    fn threads_go_round_robin_over_the_processors() {
        let count = processors().len();
        assert!(count > 0);
        std::thread::spawn(move || {
            if let (Some(first), Some(again)) = (pin(0), pin(count)) {
                assert_eq!(first, again);
                assert_eq!(processors().len(), count, "a pinned thread must not see fewer processors");
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn unpinned_work_sees_every_processor() {
        let count = processors().len();
        std::thread::spawn(move || {
            let _ = pin(0);
            let seen = unpinned(|| affinity::allowed().len());
            assert_eq!(seen, Ok(count));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_panic_of_the_work_is_an_error_and_the_next_work_runs() {
        assert!(unpinned(|| panic!("on purpose")).is_err());
        assert_eq!(unpinned(|| 7), Ok(7));
    }
}
