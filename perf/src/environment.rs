//! What a record says of the machine that was measured, and whether others disturbed the measurement. Knows nothing of what
//! was measured.

use crate::clock;
use crate::doctor::Doctor;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch, Usage};
use splinter_harness::environment::Environment;

/// The environment as far as it is known before a measurement. [`complete`](Self::complete) has the rest.
#[derive(Clone, Debug)]
pub struct EnvironmentWatch {
    environment: Environment,
    doctor: Doctor,
    usage: Usage,
}

impl EnvironmentWatch {
    /// Reads what can be known before. What disturbs is judged over all processors, unless rounds are watched.
    #[must_use]
    pub fn start() -> Self {
        Self {
            doctor: Doctor::examine(),
            environment: Environment::read(),
            usage: Usage::now(&ProcessorUse::ALL),
        }
    }

    /// Returns what is known before.
    #[must_use]
    pub fn before(&self) -> &Environment {
        &self.environment
    }

    /// Returns whether the machine is fit for measuring, as it was before.
    #[must_use]
    pub fn doctor(&self) -> Doctor {
        self.doctor.clone()
    }

    /// Adds what is known after, of rounds that were watched: only what disturbed the rounds that count is noted.
    #[must_use]
    pub fn complete_rounds(self, rounds: &RoundWatch) -> Environment {
        let mut environment = self.complete();
        (environment.disturbances, environment.rounds_again) = rounds.outcome();
        environment
    }

    /// Adds what is known after: what the hypervisor, control groups and other processes took meanwhile, and the rate of the
    /// time-stamp counter.
    #[must_use]
    pub fn complete(mut self) -> Environment {
        self.environment.note(&self.usage);
        self.environment.tsc_ghz = 1.0 / clock::ns_per_cycle();
        self.environment
    }
}
