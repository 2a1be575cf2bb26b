//! A folder that stands for the root of a machine, for tests of what reads the kernel's files.

use std::fs;
use std::path::PathBuf;

/// The folder; removed when dropped.
pub(crate) struct Tree(pub PathBuf);

impl Tree {
    /// Makes it, with files by their paths from the root.
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let tree = Self(std::env::temp_dir().join(format!("splinter-{name}-{}", std::process::id())));
        let _ = fs::remove_dir_all(&tree.0);
        fs::create_dir_all(&tree.0).unwrap();
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    /// Writes a line to a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
