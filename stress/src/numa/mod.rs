//! Proof that memory and workers go where they are asked to, on a machine with several NUMA nodes: one row
//! for each thing asked, with what the kernel says of it, page by page.
//!
//! Pages are asked for by three ways that share no code: the store's own account, `move_pages` called
//! here, and the kernel's `numa_maps`. They must agree, and every page must be where it was asked to be.
//! [`judge`] and [`positions`] decide and are pure, [`expected`] is what the machine is said to be, [`maps`] reads
//! what the kernel writes, [`memory`] makes and fills stores, [`moves`] moves one that is in use, [`runs`] runs
//! the workers.

mod expected;
#[cfg(feature = "hwloc")]
mod hwloc;
mod judge;
mod maps;
mod memory;
mod moves;
mod positions;
mod record;
mod report;
mod runs;

pub use expected::Expected;
pub use record::{NumaPlan, NumaRecord, NumaRow, Plant};
pub use report::numa_summary;

use splinter_harness::environment::Environment;
use splinter_harness::interrupt;
use splinter_harness::machine::Machine;
use splinter_harness::machine::sysfs;
use splinter_harness::progress::Progress;
use splinter_harness::verdict::Verdict;

/// Checks everything that can be checked on this machine, and returns the record.
#[must_use]
pub fn numa(plan: &NumaPlan, progress: &mut dyn Progress) -> NumaRecord {
    let environment = Environment::read();
    // The kernel's own word: hwloc's is held against it.
    let machine = sysfs::this_machine();
    let mut rows = judge::machine(plan, &machine);
    #[cfg(feature = "hwloc")]
    rows.extend(hwloc::rows(&machine));
    let checks: [(Check, &[Plant]); 4] = [
        (memory::rows, &[Plant::Unbound, Plant::Page]),
        (moves::rows, &[Plant::Unmoved]),
        (runs::pins, &[Plant::Unpinned]),
        (runs::stress, &[Plant::Unpinned]),
    ];
    for (check, finds) in checks {
        // A planted mistake is looked for by the checks that find it, and by no others.
        let wanted = plan.plant.is_none_or(|plant| finds.contains(&plant));
        if wanted && !plan.machine_only && !interrupt::requested() {
            rows.extend(check(plan, &machine, progress));
        }
    }
    progress.done();
    if interrupt::requested() {
        rows.push(NumaRow::not_checked("the rest", "", "interrupted"));
    }
    NumaRecord::new(plan, machine, rows, environment)
}

type Check = fn(&NumaPlan, &Machine, &mut dyn Progress) -> Vec<NumaRow>;

/// Returns the verdict of some rows: the gravest; of none, inconclusive.
fn verdict(rows: &[NumaRow]) -> Verdict {
    let gravest = rows.iter().map(|row| row.verdict).max();
    gravest.unwrap_or(Verdict::Inconclusive)
}
