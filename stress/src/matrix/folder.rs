//! The folder in which a matrix keeps a record for each cell: written whole or not at all, and taken for the cell's only if
//! the same was run, by the same build, on the same machine.

use super::cell::Cell;
use crate::record::Record;
use crate::workload::Workload;
use splinter_harness::environment::Environment;
use splinter_harness::files;
use splinter_harness::input;
use splinter_harness::text::refusal;
use splinter_harness::verdict::SCHEMA_VERSION;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    here: Environment,
}

impl Folder {
    /// Opens a folder, and makes it if there is none.
    ///
    /// # Errors
    /// One line.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        fs::create_dir_all(path).map_err(|error| {
            format!(
                "cannot make {}: {}; give a folder that can be written with --into",
                path.display(),
                refusal(error)
            )
        })?;
        Ok(Self { path: path.to_owned(), here: Environment::read() })
    }

    /// Returns where it is.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the record of a cell, if it is there.
    ///
    /// # Errors
    /// In words, in what the record that is there differs from the one that would be made.
    pub(super) fn find(&self, cell: &Cell, expected: &Workload) -> Result<Option<Box<Record>>, String> {
        let name = cell.file_name();
        let text = match input::read_text(&self.path.join(&name)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{name} cannot be read: {}", refusal(error))),
        };
        let record: Record =
            serde_json::from_str(&text).map_err(|error| format!("{name} is no record of a run: {error}"))?;
        match self.difference(&record, expected) {
            None => Ok(Some(Box::new(record))),
            Some(difference) => Err(format!("{name}: {difference}")),
        }
    }

    /// Says in what a record differs from the one that would be made.
    fn difference(&self, record: &Record, expected: &Workload) -> Option<String> {
        if record.schema_version != SCHEMA_VERSION || record.kind != "run" {
            return Some(format!("'{}' of version {}", record.kind, record.schema_version));
        }
        let of = |workload: &Workload| serde_json::to_value(workload).expect("plain data");
        if record.config != *expected {
            let (there, asked) = (of(&record.config), of(expected));
            let fields = [&there, &asked].into_iter().filter_map(|all| all.as_object());
            let field = fields
                .flat_map(|fields| fields.keys())
                .find(|&field| there.get(field) != asked.get(field))?;
            let value =
                |all: &serde_json::Value| all.get(field).map_or("none".to_owned(), ToString::to_string);
            return Some(format!("{field} is {} there, {} now", value(&there), value(&asked)));
        }
        let (there, here) = (&record.environment, &self.here);
        let facts = [
            ("revision", &there.build.git_revision, &here.build.git_revision),
            ("compiler", &there.build.rustc, &here.build.rustc),
            ("profile", &there.build.profile, &here.build.profile),
            ("compiler flags", &there.build.rustflags, &here.build.rustflags),
            ("target", &there.build.target, &here.build.target),
            ("processor", &there.cpu_model, &here.cpu_model),
            ("kernel", &there.kernel, &here.kernel),
        ];
        let differs = facts.into_iter().find(|(_, there, here)| there != here);
        if let Some((what, there, here)) = differs {
            return Some(format!("{what} is '{there}' there, '{here}' now"));
        }
        if there.build != here.build {
            return Some("another build".to_owned());
        }
        (there.processors != here.processors).then(|| {
            let (there, here) = (there.processors, here.processors);
            format!("{there} processors there, {here} now")
        })
    }

    /// Keeps the record of a cell, in place of one that is there.
    ///
    /// # Errors
    /// One line; what was there is left as it was.
    pub(super) fn keep(&self, cell: &Cell, record: &Record) -> Result<(), String> {
        let path = self.path.join(cell.file_name());
        files::write_file(&path, &files::as_json(record))
    }
}
