//! The smaller choices of a workload: how workers run, for how long, where, and where the store
//! lives. Each has one text form.

use serde::{Deserialize, Serialize};
use splinter_harness::as_text;
use splinter_harness::cpulist;
use splinter_harness::named_enum;
use splinter_harness::text::{parse_count, parse_duration, print_duration};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// What a worker is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It draws from the mix.
    Writer,
    /// It reads what writers write.
    Reader,
    /// It watches what writers write.
    Watcher,
}

named_enum! {
    /// What a worker is.
    pub enum Workers: "kind of worker" {
        /// Threads of one process.
        Threads = "threads",
        /// A process each.
        Processes = "processes",
    }
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// After this long, in milliseconds.
    DurationMs(u64),
    /// After this many completed operations (anything but `Again`), dealt out evenly over the
    /// workers.
    Ops(u64),
}

/// How long the workers run before anything is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Warmup {
    /// Until goodput is steady.
    Auto,
    /// This long.
    For(Duration),
}

/// Which processors workers are put on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pin {
    /// Wherever the scheduler likes.
    None,
    /// One after the other, neighbours first: sibling threads, then cores, then nodes.
    Compact,
    /// As far apart as possible: nodes in turn, sibling threads last.
    Scatter,
    /// On one NUMA node's processors, neighbours first.
    Node(usize),
    /// On the processors of one last-level cache, neighbours first.
    Llc(usize),
    /// Dealt to the nodes in equal contiguous shares; within a node cores first, sibling threads last.
    PerNode,
    /// The same with last-level caches.
    PerLlc,
    /// One to a core, on the first of its sibling threads; from the front again when there are more.
    PerCore,
    /// These, in this order, from the front again when there are more workers.
    List(Vec<usize>),
}

/// Which NUMA node the store's memory is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Memory {
    /// The node of the thread that first touches a page.
    Local,
    /// This one.
    Node(u32),
    /// All of them in turn, page by page.
    Interleave,
    /// Each writer's keys on the node that it runs on: it gives them their first values itself.
    PerWriter,
}

named_enum! {
    /// Whether the store asks for huge pages, and how.
    pub enum Huge: "way to get huge pages" {
        /// Not at all.
        Off = "off",
        /// By advice, which the kernel may follow.
        Advise = "advise",
        /// By collapsing what is there.
        Collapse = "collapse",
        /// From the kernel's pool.
        Hugetlb = "hugetlb",
    }
}

/// Where the store lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Backing {
    /// In a memfd.
    Anonymous,
    /// In named shared memory.
    Shared(String),
    /// In a file.
    File(PathBuf),
}

/// Returns the file that shared memory of this name is in; one leading `/` is dropped, as `shm_open` does.
pub(crate) fn shared_file(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name.strip_prefix('/').unwrap_or(name))
}

impl Backing {
    /// Returns the file of a store in shared memory, in which no result may go.
    pub(crate) fn shared_file(&self) -> Option<PathBuf> {
        match self {
            Self::Shared(name) => Some(shared_file(name)),
            Self::Anonymous | Self::File(_) => None,
        }
    }
}

impl Span {
    /// Parses a time.
    ///
    /// # Errors
    /// One line that says what would do.
    pub(crate) fn parse_duration(text: &str) -> Result<Self, String> {
        let millis = parse_duration(text)?.as_millis();
        Ok(Self::DurationMs(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DurationMs(millis) => f.write_str(&print_duration(Duration::from_millis(*millis))),
            Self::Ops(ops) => write!(f, "{ops}ops"),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix("ops") {
            Some(ops) => parse_count(ops).map(Self::Ops),
            None => Self::parse_duration(text),
        }
    }
}

impl fmt::Display for Warmup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::For(span) => f.write_str(&print_duration(*span)),
        }
    }
}

impl FromStr for Warmup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { parse_duration(text).map(Self::For) }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Compact => f.write_str("compact"),
            Self::Scatter => f.write_str("scatter"),
            Self::Node(node) => write!(f, "node:{node}"),
            Self::Llc(cache) => write!(f, "llc:{cache}"),
            Self::PerNode => f.write_str("per-node"),
            Self::PerLlc => f.write_str("per-llc"),
            Self::PerCore => f.write_str("per-core"),
            Self::List(cpus) => f.write_str(&cpulist::print(cpus)),
        }
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no placement: use none, compact, scatter, node:N, llc:N, per-node, \
                 per-llc, per-core or processors, as in 0-3,8"
            )
        };
        let number = |number: &str| number.parse::<usize>().map_err(|_| wrong());
        match (text, text.split_once(':')) {
            ("none", _) => Ok(Self::None),
            ("compact", _) => Ok(Self::Compact),
            ("scatter", _) => Ok(Self::Scatter),
            ("per-node", _) => Ok(Self::PerNode),
            ("per-llc", _) => Ok(Self::PerLlc),
            ("per-core", _) => Ok(Self::PerCore),
            (_, Some(("node", node))) => number(node).map(Self::Node),
            (_, Some(("llc", cache))) => number(cache).map(Self::Llc),
            (list, _) if list.starts_with(|c: char| c.is_ascii_digit()) => {
                cpulist::parse(list).map(Self::List)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Node(node) => write!(f, "node:{node}"),
            Self::Interleave => f.write_str("interleave"),
            Self::PerWriter => f.write_str("per-writer"),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("node:").map(str::parse)) {
            ("local", _) => Ok(Self::Local),
            ("interleave", _) => Ok(Self::Interleave),
            ("per-writer" | "per-lane", _) => Ok(Self::PerWriter),
            (_, Some(Ok(node))) => Ok(Self::Node(node)),
            _ => Err(format!("'{text}' is no memory placement: use local, node:N, interleave or per-writer")),
        }
    }
}

impl From<Huge> for splinter::HugePages {
    fn from(huge: Huge) -> Self {
        match huge {
            Huge::Off => Self::Off,
            Huge::Advise => Self::Advise,
            Huge::Collapse => Self::Collapse,
            Huge::Hugetlb => Self::Hugetlb,
        }
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Shared(name) => write!(f, "shared:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for Backing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "anonymous" => Ok(Self::Anonymous),
            Some(("shared", name)) if !name.is_empty() => Ok(Self::Shared(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(format!("'{text}' is no backing: use anonymous, shared:NAME or file:PATH")),
        }
    }
}

as_text!(Warmup);
as_text!(Pin);
as_text!(Memory);
as_text!(Backing);

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: FromStr<Err = String> + fmt::Display>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(
                text.parse::<T>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string(),
                *text
            );
        }
        for text in bad {
            let error = text.parse::<T>().err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn every_choice_round_trips_through_its_text() {
        round_trip::<Workers>(&["threads", "processes"], &["", "fibers"]);
        round_trip::<Span>(&["5s", "20ms", "700ops"], &["", "7 operations"]);
        round_trip::<Warmup>(&["auto", "0s", "500ms"], &["", "soon"]);
        round_trip::<Pin>(
            &["none", "compact", "scatter", "node:2", "llc:7", "per-node", "per-llc", "per-core", "0-3,8"],
            &["", "0-", "tight", "node:", "node:x", "llc:", "llc:-1", "per-socket"],
        );
        round_trip::<Memory>(&["local", "node:3", "interleave", "per-writer"], &["", "node:", "far"]);
        round_trip::<Huge>(&["off", "advise", "collapse", "hugetlb"], &["", "on"]);
        round_trip::<Backing>(&["anonymous", "shared:demo", "file:/tmp/a:b"], &["", "shared:", "tape"]);
    }
}
