//! Which processor a thread runs on. The processors are read once, before anything is pinned: a pinned thread
//! sees, and hands to the threads it starts, only its own.

use splinter_harness::affinity;
use splinter_harness::text::refusal_or;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

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
    let sent = runner()?.lock().unwrap_or_else(PoisonError::into_inner).send(job);
    sent.map_err(|_| "no thread to run on")?;
    waiting.recv().map_err(|_| "the work panicked, or no thread could be started for it".to_owned())
}

/// Runs `work` on a thread of its own and waits for its result: the caller stays where it is, wherever `work` pins itself.
///
/// # Errors
/// When `work` panicked, or the thread cannot be started.
pub fn apart<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, String> {
    scope(|scope| spawn(scope, work)?.join().map_err(|_| "the work panicked".to_owned()))
}

/// Starts a thread of a scope.
///
/// # Errors
/// As [`no_thread`].
pub(crate) fn spawn<'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> R + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, R>, String> {
    Builder::new().spawn_scoped(scope, work).map_err(no_thread)
}

/// Says why a thread cannot be started, and what to do.
pub(crate) fn no_thread(error: std::io::Error) -> String {
    let advice = "raise the limits on processes (ulimit -u) and on memory (ulimit -v)";
    format!("cannot start a thread: {}", refusal_or(error, advice))
}

/// Makes sure that threads can be started, which every measurement needs: the unpinned one, and two at once beside it.
///
/// # Errors
/// One line that says what to do.
pub fn require_threads() -> Result<(), String> {
    runner()?;
    apart(|| apart(|| ()))?
}

type Job = Box<dyn FnOnce() + Send>;

/// Returns the way to the unpinned thread, which is started by the first call of [`pin`], before it pins. Work
/// runs on a thread of its own below it, so that a panic ends that work alone.
fn runner() -> Result<&'static Mutex<Sender<Job>>, String> {
    static RUNNER: OnceLock<Result<Mutex<Sender<Job>>, String>> = OnceLock::new();
    let runner = RUNNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        let run = move || {
            for job in jobs {
                // Its caller waits for a result, and learns that there is none.
                let _ = apart(job);
            }
        };
        Builder::new().spawn(run).map_err(no_thread)?;
        Ok(Mutex::new(sender))
    });
    runner.as_ref().map_err(Clone::clone)
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
