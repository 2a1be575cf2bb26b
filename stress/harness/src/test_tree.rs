//! A folder that stands for the root of a machine, for tests of what reads the kernel's files.

use splinter_testkit::Folder;
use std::fs;
use std::path::Path;

/// The folder; removed when dropped.
pub(crate) struct Tree(Folder);

impl Tree {
    /// Makes it, with files by their paths from the root.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(Folder::new());
        files.iter().for_each(|(path, text)| tree.write(path, text));
        tree
    }

    /// Returns its path.
    pub(crate) fn root(&self) -> &Path {
        self.0.as_ref()
    }

    /// Writes a line to a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
}
