//! Names and folders that no other test has, removed after it.

use splinter::Location;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Returns a name that no other process or call gets.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    name(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a name for a call of a process. A part is random: the kernel gives a process id to a later process again, and at
/// the same time to a process in another namespace that has the same `/tmp`.
fn name(process: u32, call: u64) -> String {
    let random = RandomState::new().hash_one(call);
    format!("splinter-it-{process}-{call}-{random:016x}")
}

/// A unique name for a store in shared memory. Dropping it removes the store.
#[derive(Debug)]
pub struct Named(pub Location);

impl Named {
    /// Draws a name.
    #[allow(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(Location::shared(unique()).expect("a good name"))
    }

    /// Returns the path of the store's file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.0.to_string())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.0.unlink();
    }
}

/// A temporary folder. Dropping it removes all that it holds.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a folder.
    #[allow(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self::drawn(&std::env::temp_dir(), unique)
    }

    /// Makes a folder of the first name drawn that nothing in `parent` has.
    fn drawn(parent: &Path, mut draw: impl FnMut() -> String) -> Self {
        loop {
            let path = parent.join(draw());
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no temporary folder {}: {error}", path.display()),
            }
        }
    }

    /// Returns the path of a file in it, which need not exist.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file. Returns its path as text.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }

    /// Reads a file of text.
    pub fn get(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).expect("a file of text")
    }

    /// Lists what it holds, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
        let mut names: Vec<_> = names.map(|name| name.expect("text")).collect();
        names.sort_unstable();
        names
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_file_of_a_drawn_name_stay_and_another_name_is_drawn() {
        let parent = Folder::new();
        std::fs::create_dir(parent.join("left")).unwrap();
        parent.put("left/kept", "a leftover");
        parent.put("file", "another");
        let mut names = ["left", "file", "fresh", "spare"].into_iter();
        let folder = Folder::drawn(parent.as_ref(), || names.next().unwrap().to_owned());
        assert_eq!((folder.as_ref(), folder.names()), (&*parent.join("fresh"), vec![]));
        drop(folder);
        assert_eq!(parent.names(), ["file", "left"]);
        assert_eq!(parent.get("left/kept"), "a leftover");
    }

    #[test]
    #[should_panic(expected = "no temporary folder")]
    fn a_folder_that_cannot_be_made_under_any_name_is_an_error() {
        let parent = Folder::new();
        Folder::drawn(&parent.join("absent"), unique);
    }

    #[test]
    fn processes_that_get_the_same_id_draw_different_names() {
        assert_ne!(name(1, 0), name(1, 0));
    }
}
