//! Reads a machine, by hwloc where it is built in, else from `/sys`; and which machine, this one or one
//! that is described to hwloc.

use super::Machine;
use super::sysfs;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A machine that this one may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineSource {
    /// One in hwloc's words, as in `pack:2 numa:2 l3:1 core:8 pu:2`.
    Synthetic(String),
    /// One that `lstopo --of xml` has written to a file.
    File(PathBuf),
}

/// Reads this machine. The answer names the reader, and why it was not hwloc.
#[cfg(feature = "hwloc")]
#[must_use]
pub fn this_machine() -> Machine {
    super::hwloc::this_machine(&sysfs::usable()).unwrap_or_else(|error| {
        let machine = sysfs::this_machine();
        Machine { source: format!("{} (not hwloc: {error})", machine.source), ..machine }
    })
}

/// Reads this machine. The answer names the reader.
#[cfg(not(feature = "hwloc"))]
#[must_use]
pub fn this_machine() -> Machine {
    sysfs::this_machine()
}

impl MachineSource {
    /// Reads the machine that is described.
    ///
    /// # Errors
    /// One line that says what is wrong with the description, or that this build cannot read any.
    #[cfg(feature = "hwloc")]
    pub fn read(&self) -> Result<Machine, String> {
        match self {
            Self::Synthetic(words) => super::hwloc::synthetic(words),
            Self::File(path) => super::hwloc::exported(path),
        }
    }

    /// Reads nothing: hwloc is not in this build.
    ///
    /// # Errors
    /// One line that says which build has it.
    #[cfg(not(feature = "hwloc"))]
    pub fn read(&self) -> Result<Machine, String> {
        Err(format!(
            "'{self}' is for hwloc to read, which is not in this build: build with --features hwloc, \
             as scripts/bench does"
        ))
    }
}

impl fmt::Display for MachineSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic(words) => write!(f, "synthetic:{words}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for MachineSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("synthetic:") {
            Some(words) if !words.trim().is_empty() => Ok(Self::Synthetic(words.to_owned())),
            None if !text.is_empty() => Ok(Self::File(text.into())),
            _ => Err(format!(
                "'{text}' describes no machine: give a file that 'lstopo --of xml' wrote, or \
                 synthetic:SPEC, as in 'synthetic:pack:2 numa:2 l3:1 core:8 pu:2'"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_round_trip() {
        for text in ["synthetic:pack:2 core:2 pu:1", "machine.xml"] {
            assert_eq!(text.parse::<MachineSource>().unwrap().to_string(), text);
        }
        for text in ["", "synthetic:", "synthetic: "] {
            assert!(!text.parse::<MachineSource>().unwrap_err().contains('\n'));
        }
    }

    #[test]
    fn every_reader_of_this_machine_finds_the_same() {
        let (found, by_kernel) = (this_machine(), sysfs::this_machine());
        let source = if cfg!(feature = "hwloc") { "hwloc" } else { "/sys" };
        assert_eq!(found.source, source);
        assert_eq!(found.processors, by_kernel.processors);
        assert_eq!(found.caches, by_kernel.caches);
        let nodes = |machine: &Machine| {
            let nodes = machine.nodes.iter();
            let of = nodes.map(|node| (node.id, node.processors.clone(), node.memory));
            of.collect::<Vec<_>>()
        };
        assert_eq!(nodes(&found), nodes(&by_kernel));
    }

    #[cfg(not(feature = "hwloc"))]
    #[test]
    fn without_hwloc_a_description_is_refused_with_the_build_that_reads_it() {
        let source: MachineSource = "synthetic:core:2 pu:1".parse().unwrap();
        assert!(source.read().unwrap_err().contains("--features hwloc"));
    }
}
