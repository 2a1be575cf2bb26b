//! A folder for what a contender keeps, in shared memory where there is some; it is removed with all that is in it.

use splinter_harness::files::unique_name;
use std::io;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder of its own.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(unique_name(&format!("splinter-peers-{name}")));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed cannot be helped here.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
