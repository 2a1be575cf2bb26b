//! A contender: a filled store of some make, with its name, version and a note. Only the module that makes it knows the store.

use splinter_harness::error::RunError;
use splinter_perf::records::peers::Entrant;
use splinter_stress::Workload;
use splinter_stress::peer::{self, Drive, Peer};
use std::any::Any;

/// A store that takes part.
pub(crate) struct Contender {
    /// Its name in tables and records.
    pub(crate) name: String,
    /// Whose program or library it is, and which version.
    pub(crate) version: String,
    /// What a reader of its figures must know.
    pub(crate) note: Option<&'static str>,
    /// Drives it for a workload's time.
    pub(crate) drive: Driver,
    /// Whether what it reads can be checked: a pipelined answer is that of an earlier call.
    pub(crate) checked: bool,
    /// What has to outlive its drives.
    _keeps: Box<dyn Any>,
}

/// Drives one store.
pub(crate) type Driver = Box<dyn Fn(&Workload) -> Result<Drive, RunError>>;

/// How a contender is made of a name for a workload; an error says in one line why it cannot take part.
pub(crate) type Make = fn(&str, &Workload) -> Result<Contender, String>;

impl Contender {
    /// Fills a store and makes a contender of it.
    pub(crate) fn new<P: Peer + 'static>(
        name: impl Into<String>,
        version: impl Into<String>,
        workload: &Workload,
        peer: P,
    ) -> Result<Self, String> {
        peer::fill(workload, &peer).map_err(|error| error.to_string())?;
        Ok(Self {
            name: name.into(),
            version: version.into(),
            note: None,
            drive: Box::new(move |workload| peer::drive(workload, &peer)),
            checked: true,
            _keeps: Box::new(()),
        })
    }

    /// Begins its entry in a record with what is known before anything is measured.
    pub(crate) fn entrant(&self) -> Entrant {
        Entrant {
            name: self.name.clone(),
            version: self.version.clone(),
            note: self.note.map(str::to_owned),
            ..Entrant::default()
        }
    }

    /// Adds what must be known.
    pub(crate) fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    /// Keeps something for as long as the contender is there.
    pub(crate) fn keeping(self, keeps: impl Any) -> Self {
        Self { _keeps: Box::new(keeps), ..self }
    }

    /// Says that its reads cannot be checked.
    pub(crate) fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }
}
