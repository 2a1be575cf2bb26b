//! Other work for the processors: a thread each, at ordinary priority, that never sleeps.

use crate::threads;
use splinter_harness::affinity;
use splinter_harness::rng::splitmix64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

/// Work that goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Keeps some processors busy.
    ///
    /// # Errors
    /// One line if the kernel does not give a thread.
    pub(crate) fn on(cpus: &[usize]) -> Result<Self, String> {
        let mut load = Self { stop: Arc::default(), threads: Vec::new() };
        for &cpu in cpus {
            let stop = Arc::clone(&load.stop);
            load.threads.push(threads::start(move || {
                // One that runs elsewhere is a load all the same.
                let _ = affinity::pin(cpu);
                // Arithmetic, not pauses: those would tell a hypervisor that there is nothing to do.
                let mut number = 0;
                while !stop.load(Relaxed) {
                    std::hint::black_box(splitmix64(&mut number));
                }
            })?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // It does nothing that could have panicked.
            let _ = thread.join();
        }
    }
}
