//! Where the gate builds: a temporary folder with one work tree for each side, which has the side's tree in it and the probe
//! beside it. Both work trees look alike to the compiler, so that equal sources become equal machine code. Removes itself, and
//! the work trees that it made. Knows cargo and git; not what is measured.

use super::child::{self, Stop};
use super::record::Subject;
use splinter_harness::files::unique_name;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longest that a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

/// Longest that a question to git or the compiler may take.
const ASK_LIMIT: Duration = Duration::from_secs(120);

/// The probe's sources, as this program was built with them.
const PROBE: [(&str, &str); 3] = [
    ("main.rs", include_str!("../../probe/src/main.rs")),
    ("operations.rs", include_str!("../../probe/src/operations.rs")),
    ("callgrind.rs", include_str!("../../probe/src/callgrind.rs")),
];

/// Where a side's sources come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder, as it is now.
    Folder(PathBuf),
    /// A revision of the repository around the current folder.
    Revision(String),
    /// A probe that was built already: the program `splinter-probe`.
    Program(PathBuf),
}

/// The program's name for a side's work tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The base.
    Base,
    /// The head.
    Head,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
        }
    }
}

/// The folder.
#[derive(Debug)]
pub struct BuildDirectory {
    folder: PathBuf,
    /// Compiler flags added to those of the environment, for both sides.
    flags: String,
    work_trees: Vec<PathBuf>,
}

/// A side whose sources are in place.
#[derive(Clone, Debug)]
pub struct WorkTree {
    /// The work tree's own folder.
    folder: PathBuf,
    /// The tree's own folder, where that is not the work tree's to build in.
    elsewhere: Option<PathBuf>,
    /// The probe, where there is nothing to build.
    built: Option<PathBuf>,
    /// What it is a work tree of.
    pub subject: Subject,
}

impl BuildDirectory {
    /// Makes the folder.
    ///
    /// # Errors
    /// [`Stop::Failed`] when it cannot be made.
    pub fn open(flags: &str) -> Result<Self, Stop> {
        let folder = std::env::temp_dir().join(unique_name("splinter-gate"));
        fs::create_dir(&folder)
            .map_err(|error| Stop::failed(&format!("cannot make {}", folder.display()), error))?;
        Ok(Self { folder, flags: flags.to_owned(), work_trees: Vec::new() })
    }

    /// Returns the folder, for what else is to vanish in the end.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a side's sources in place.
    ///
    /// # Errors
    /// [`Stop::Failed`] when there is no such revision or folder, or it has no store in it.
    pub fn prepare(&mut self, side: Side, source: &Source) -> Result<WorkTree, Stop> {
        let work_tree = self.folder.join(side.name());
        let tree = work_tree.join("tree");
        let failed = |error| Stop::failed("cannot prepare a build", error);
        fs::create_dir_all(work_tree.join("src")).map_err(failed)?;
        let mut elsewhere = None;
        let subject = match source {
            Source::Program(program) => {
                let shown = program.display().to_string();
                self.require_probe(program, &shown)?;
                // It stays what it is, whatever is built there meanwhile.
                let copy = work_tree.join("splinter-probe");
                fs::copy(program, &copy).map_err(|error| Stop::failed(&shown, error))?;
                return Ok(WorkTree {
                    folder: work_tree,
                    elsewhere: None,
                    built: Some(copy),
                    subject: Subject { name: shown, revision: "as it was built".to_owned() },
                });
            }
            Source::Revision(name) => {
                let revision = self.revision(name)?;
                self.work_trees.push(tree.clone());
                let path = tree.to_string_lossy();
                self.git(Path::new("."), &["worktree", "add", "--detach", "--quiet", &path, &revision])?;
                Subject { name: name.clone(), revision: short(&revision) }
            }
            Source::Folder(folder) => {
                let folder = folder
                    .canonicalize()
                    .map_err(|error| Stop::failed(&folder.display().to_string(), error))?;
                std::os::unix::fs::symlink(&folder, &tree).map_err(failed)?;
                let subject = Subject { name: "working tree".to_owned(), revision: self.state_of(&folder)? };
                elsewhere = Some(folder);
                subject
            }
        };
        if !tree.join("splinter/Cargo.toml").is_file() {
            return Err(Stop::Failed(format!(
                "{}: there is no folder splinter with a crate in it",
                subject.name
            )));
        }
        for (name, text) in PROBE {
            fs::write(work_tree.join("src").join(name), text).map_err(failed)?;
        }
        let workspace = fs::read_to_string(tree.join("Cargo.toml")).map_err(failed)?;
        fs::write(work_tree.join("Cargo.toml"), manifest(&workspace)).map_err(failed)?;
        // Dependencies are those that the tree has locked.
        let _ = fs::copy(tree.join("Cargo.lock"), work_tree.join("Cargo.lock"));
        Ok(WorkTree { folder: work_tree, elsewhere, built: None, subject })
    }

    /// Finds out whether a program is a probe: called without arguments, it says its name and what it takes.
    fn require_probe(&self, program: &Path, shown: &str) -> Result<(), Stop> {
        let left = child::run(&mut Command::new(program), &self.folder, shown, ASK_LIMIT)?;
        if !left.status.success() && left.errors.starts_with("splinter-probe: ") {
            return Ok(());
        }
        Err(Stop::Failed(format!(
            "{shown} is not a splinter-probe: give a revision, a folder, or a probe that this command built"
        )))
    }

    /// Returns the commit that a name stands for in the repository around the current folder.
    fn revision(&self, name: &str) -> Result<String, Stop> {
        let mut command = Command::new("git");
        command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]);
        let left = child::run(&mut command, &self.folder, "git rev-parse", ASK_LIMIT)?;
        if left.status.success() {
            return Ok(left.out.trim().to_owned());
        }
        // Of a name alone that it does not know, git says nothing.
        let words: Vec<&str> = left.errors.split_whitespace().collect();
        let why = if words.is_empty() { String::new() } else { format!(": git says '{}'", words.join(" ")) };
        Err(Stop::Failed(format!(
            "'{name}' is no folder and no baseline file, and no revision of this repository{why}"
        )))
    }

    /// Builds the probe in a work tree and returns the program.
    ///
    /// # Errors
    /// [`Stop::Failed`] with what the compiler said.
    pub fn build_probe(&self, work_tree: &WorkTree) -> Result<PathBuf, Stop> {
        if let Some(program) = &work_tree.built {
            return Ok(program.clone());
        }
        let what = format!("building the probe with the store of {}", work_tree.subject.name);
        let target = work_tree.folder.join("target");
        let build = |offline: &[&str]| {
            let mut command = self.cargo(&work_tree.folder);
            command.args(["build", "--release", "--quiet"]).args(offline);
            command.arg("--target-dir").arg(&target);
            child::run(&mut command, &self.folder, &what, BUILD_LIMIT)
        };
        // The crates that the tree's own build has fetched are there already.
        let mut left = build(&["--offline"])?;
        if !left.status.success() {
            left = build(&[])?;
        }
        left.success(&what)?;
        Ok(target.join("release/splinter-probe"))
    }

    /// Builds the stress suite of a work tree's tree and returns the program. A folder's is built where it always is, and so
    /// mostly there already.
    ///
    /// # Errors
    /// [`Stop::Failed`] with what the compiler said.
    pub fn build_stress(&self, work_tree: &WorkTree) -> Result<PathBuf, Stop> {
        let what = format!("building the stress suite of {}", work_tree.subject.name);
        if work_tree.built.is_some() {
            return Err(Stop::failed(&what, "it is a program, which has none: leave --tier invariants out"));
        }
        let tree = work_tree.elsewhere.clone().unwrap_or_else(|| work_tree.folder.join("tree"));
        let mut command = self.cargo(&tree);
        command.args(["build", "--release", "--locked", "--package", "splinter-stress"]);
        command.args(["--bin", "splinter-stress", "--message-format", "json-render-diagnostics"]);
        if work_tree.elsewhere.is_none() || !self.flags.is_empty() {
            command.arg("--target-dir").arg(work_tree.folder.join("stress-target"));
        }
        let messages = child::run(&mut command, &self.folder, &what, BUILD_LIMIT)?.success(&what)?;
        executable(&messages).ok_or_else(|| Stop::failed(&what, "cargo names no program"))
    }

    /// Returns what decides, beside the sources, which machine code is built: the compiler, the target and the flags.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the compiler cannot be asked.
    pub fn compiler(&self) -> Result<Compiler, Stop> {
        let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        command.arg("-vV").current_dir(&self.folder);
        let what = "asking the compiler for its version";
        let text = child::run(&mut command, &self.folder, what, ASK_LIMIT)?.success(what)?;
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Compiler {
            rustc: text.lines().next().unwrap_or_default().to_owned(),
            target: host.unwrap_or_default().to_owned(),
            flags: self.rustflags().to_string_lossy().into_owned(),
        })
    }

    /// Returns the version of a program that answers to `--version`, or `None` where there is none.
    #[must_use]
    pub fn version_of(&self, program: &str) -> Option<String> {
        let mut command = Command::new(program);
        command.arg("--version");
        let left = child::run(&mut command, &self.folder, program, ASK_LIMIT).ok()?;
        left.status.success().then(|| left.out.trim().to_owned())
    }

    fn cargo(&self, folder: &Path) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(folder);
        let flags = self.rustflags();
        if !flags.is_empty() {
            command.env("RUSTFLAGS", flags);
        }
        command
    }

    fn rustflags(&self) -> OsString {
        let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
        if !self.flags.is_empty() {
            if !flags.is_empty() {
                flags.push(" ");
            }
            flags.push(&self.flags);
        }
        flags
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> Result<String, Stop> {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        let what = format!("git {}", arguments.first().unwrap_or(&""));
        let left = child::run(&mut command, &self.folder, &what, ASK_LIMIT)?;
        Ok(left.success(&what)?.trim().to_owned())
    }

    /// Says which revision a folder is at, and whether it has changes; "unknown" outside of a repository.
    fn state_of(&self, folder: &Path) -> Result<String, Stop> {
        let ask = |arguments: &[&str]| match self.git(folder, arguments) {
            Err(Stop::Interrupted) => Err(Stop::Interrupted),
            Err(Stop::Failed(_)) => Ok(None),
            Ok(text) => Ok(Some(text)),
        };
        let Some(revision) = ask(&["rev-parse", "HEAD"])? else {
            return Ok("unknown".to_owned());
        };
        let changes = ask(&["status", "--porcelain"])?.unwrap_or_default();
        let suffix = if changes.is_empty() { "" } else { " and changes" };
        Ok(short(&revision) + suffix)
    }
}

impl Drop for BuildDirectory {
    fn drop(&mut self) {
        for tree in &self.work_trees {
            // Not by the function `git`, which an interruption ends: an interrupted gate cleans up as well.
            let _ = Command::new("git").args(["worktree", "remove", "--force"]).arg(tree).output();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The settings that decide, beside the sources, which machine code is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The compiler with its version.
    pub rustc: String,
    /// The target.
    pub target: String,
    /// The flags.
    pub flags: String,
}

/// Returns the fingerprint of the probe's sources (FNV-1a, 64 bits): counts of different probes are not comparable.
#[must_use]
pub fn probe_fingerprint() -> String {
    let bytes = PROBE.iter().flat_map(|(name, text)| name.bytes().chain(text.bytes()));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn short(revision: &str) -> String {
    revision.get(..12).unwrap_or(revision).to_owned()
}

/// Returns the manifest of a work tree: the probe as a package, built with the profiles of the tree's workspace.
fn manifest(workspace: &str) -> String {
    let mut text =
        "[package]\nname = \"splinter-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
        [dependencies]\nsplinter = { path = \"tree/splinter\" }\n\n[workspace]\nexclude = [\"tree\"]\n"
            .to_owned();
    let mut within = false;
    for line in workspace.lines() {
        if line.starts_with('[') {
            within = line.starts_with("[profile.");
        }
        if within {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Finds the program in cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    let mut found = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    found.next_back()
}

#[cfg(test)]
mod tests {
    use super::{executable, manifest, probe_fingerprint};
    use std::path::PathBuf;

    #[test]
    fn a_work_tree_is_built_with_the_profiles_of_the_tree() {
        let text = manifest(
            "[workspace]\nmembers = [\"a\"]\n[profile.release]\nlto = \"thin\"\n\n[lints]\nx = 1\n[profile.dev]\nopt-level = 1\n",
        );
        assert!(
            text.contains("[profile.release]\nlto = \"thin\"\n\n[profile.dev]\nopt-level = 1\n"),
            "{text}"
        );
        assert!(!text.contains("members") && !text.contains("lints"), "{text}");
    }

    #[test]
    fn the_program_is_the_one_that_cargo_names() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\nno json\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/splinter-stress\"}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/splinter-stress")));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn the_probe_has_a_fingerprint() {
        assert_eq!(probe_fingerprint().len(), 16);
    }
}
