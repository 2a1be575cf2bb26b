//! Counts a probe's operations under Valgrind's Callgrind. Knows the probe's and Callgrind's formats; judges nothing.

use super::child::{self, Stop};
use super::instructions::Count;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest that one count may take: it takes some seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// Counts the operations of a probe `repeats` times.
///
/// # Errors
/// [`Stop::Failed`] when Valgrind or the probe failed, or no count can be made of what they wrote.
pub fn count(
    probe: &Path,
    environment: &[(String, String)],
    folder: &Path,
    seed: u64,
    repeats: u32,
) -> Result<Vec<Count>, Stop> {
    let what = "counting instructions under Callgrind";
    let mut counts = Vec::new();
    for _ in 0..repeats {
        let out = folder.join("callgrind");
        // The files of an earlier count are not to be counted again.
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).map_err(|error| Stop::failed(what, error))?;
        let mut file = OsStr::new("--callgrind-out-file=").to_owned();
        file.push(out.join("out"));
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "-q"]).arg(file).arg(probe);
        command.args(["count", &seed.to_string()]);
        command.envs(environment.iter().cloned());
        // Keys lie where they lay in the last count.
        command.env("SPLINTER_HASH_SEED", "0");
        child::run(&mut command, folder, what, LIMIT)?.success(what)?;
        let mut dumps = Vec::new();
        for entry in fs::read_dir(&out).map_err(|error| Stop::failed(what, error))? {
            let path = entry.map_err(|error| Stop::failed(what, error))?.path();
            dumps.push(fs::read_to_string(path).map_err(|error| Stop::failed(what, error))?);
        }
        let found = per_operation(&dumps).map_err(|why| Stop::failed(what, why))?;
        counts.push(found);
    }
    Count::merge(&counts).map_err(|why| Stop::failed(what, why))
}

/// Makes of the dumps the instructions of one operation each: those of a lap, less those of a lap of none. In the order
/// that the dumps were written in.
fn per_operation(dumps: &[String]) -> Result<Vec<(String, f64)>, String> {
    let mut read: Vec<Dump<'_>> = dumps.iter().filter_map(|text| Dump::read(text)).collect();
    read.sort_unstable_by_key(|dump| dump.part);
    let mut found = Vec::new();
    for pair in read.chunks(2) {
        let [empty, full] = pair else {
            return Err("a lap is missing".to_owned());
        };
        if empty.name != full.name || empty.operations != 0 || full.operations == 0 {
            return Err(format!("the laps of '{}' do not fit together", full.name));
        }
        let instructions = full.instructions.saturating_sub(empty.instructions);
        found.push((full.name.to_owned(), instructions as f64 / full.operations as f64));
    }
    if found.is_empty() {
        return Err("Callgrind wrote no counts".to_owned());
    }
    Ok(found)
}

/// One dump that the probe asked for.
struct Dump<'a> {
    part: u64,
    name: &'a str,
    operations: u64,
    instructions: u64,
}

impl<'a> Dump<'a> {
    /// Reads a dump; `None` for one that the probe did not ask for, as that at its end.
    fn read(text: &'a str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let (name, operations) = field("desc: Trigger: Client Request: ")?.rsplit_once(" #")?;
        Some(Self {
            part: field("part: ")?.trim().parse().ok()?,
            name,
            operations: operations.trim().parse().ok()?,
            instructions: field("totals: ")?.trim().parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::per_operation;

    fn dump(part: u64, trigger: &str, totals: u64) -> String {
        format!(
            "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\npart: {part}\n\ndesc: Trigger: {trigger}\n\n\
             events: Ir\nsummary: {totals}\n\nfn=(1) main\n10 {totals}\n\ntotals: {totals}\n"
        )
    }

    #[test]
    fn an_operation_is_a_full_lap_less_an_empty_one() {
        let dumps = [
            dump(11, "Program termination", 7622),
            dump(10, "Client Request: set #4096", 1_126_832),
            dump(9, "Client Request: set #0", 43),
            dump(1, "Client Request: unset, set 64 B #0", 49),
            dump(2, "Client Request: unset, set 64 B #4096", 49 + 4096 * 7),
        ];
        let found = per_operation(&dumps).unwrap();
        assert_eq!(found[0], ("unset, set 64 B".to_owned(), 7.0));
        assert_eq!(found[1], ("set".to_owned(), (1_126_832.0 - 43.0) / 4096.0));
    }

    #[test]
    fn counts_that_do_not_fit_together_are_no_counts() {
        let lap = |part, trigger: &str| dump(part, trigger, 100);
        assert!(per_operation(&[]).is_err());
        assert!(per_operation(&[lap(1, "Client Request: set #0")]).is_err());
        let other = [lap(1, "Client Request: set #0"), lap(2, "Client Request: get #4096")];
        assert!(per_operation(&other).is_err());
        let twice = [lap(1, "Client Request: set #0"), lap(2, "Client Request: set #0")];
        assert!(per_operation(&twice).is_err());
    }
}
