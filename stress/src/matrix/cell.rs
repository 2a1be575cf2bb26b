//! The cells of a matrix: every combination of settings, what each is called, and the order in which they are run. Pure.

use super::axis::{Axis, Setting};
use crate::workload::Workload;
use splinter_harness::rng::Rng;

/// Stream of random numbers for the order: no worker's.
const ORDER: u64 = 2 << 32;

/// One combination.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// What is run.
    pub workload: Workload,
    /// What it has on each axis that was given.
    pub settings: Vec<(Axis, Setting)>,
}

/// Returns all cells; the last axis changes first.
#[must_use]
pub(super) fn all(base: &Workload, axes: &[(Axis, Vec<Setting>)]) -> Vec<Cell> {
    let mut cells = vec![Cell { workload: base.clone(), settings: Vec::new() }];
    for (axis, settings) in axes {
        let with = |cell: &Cell| -> Vec<Cell> {
            let each = settings.iter();
            each.map(|setting| cell.with(*axis, setting)).collect()
        };
        cells = cells.iter().flat_map(with).collect();
    }
    cells
}

impl Cell {
    fn with(&self, axis: Axis, setting: &Setting) -> Self {
        let mut settings = self.settings.clone();
        settings.push((axis, setting.clone()));
        Self { workload: setting.over(&self.workload), settings }
    }

    /// Names it by the axes that were given.
    #[must_use]
    pub(super) fn title(&self) -> String {
        let words = self.settings.iter();
        let words: Vec<String> = words.map(|(axis, setting)| format!("{axis} {setting}")).collect();
        words.join(", ")
    }

    /// Names the file of its record, by all axes, so that a folder can hold matrices of different ones.
    #[must_use]
    pub(super) fn file_name(&self) -> String {
        let words = Axis::all().map(|axis| {
            let setting = axis.of(&self.workload).to_string();
            // What a shell or a path would take for something else; no setting has these letters.
            let setting = setting.replace(',', "+").replace(':', "-");
            format!("{}-{setting}", axis.field().replace('_', "-"))
        });
        words.collect::<Vec<_>>().join("_") + ".json"
    }
}

/// Puts things into an order drawn by a seed.
#[must_use]
pub(super) fn shuffled(mut order: Vec<usize>, seed: u64) -> Vec<usize> {
    Rng::new(seed, ORDER).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn axes(texts: &[(&str, &str)]) -> Vec<(Axis, Vec<Setting>)> {
        let parsed = |&(axis, text): &(&str, &str)| {
            let axis = Axis::named(axis);
            (axis, axis.parse_all(text).unwrap())
        };
        texts.iter().map(parsed).collect()
    }

    #[test]
    fn every_combination_is_a_cell_with_a_name_of_its_own() {
        let axes = axes(&[
            ("scrub", "all"),
            ("writers", "1,2"),
            ("value_len", "64,4096/64/16..256"),
            ("key_choice", "hot:3,zipf:0.99"),
            ("pin", "0-3,8/none"),
        ]);
        let cells = all(&Workload::default(), &axes);
        assert_eq!(cells.len(), 3 * 2 * 3 * 2 * 2);
        let names: BTreeSet<String> = cells.iter().map(Cell::file_name).collect();
        assert_eq!(names.len(), cells.len());
        for name in &names {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            assert!(name.chars().all(plain) && !name.starts_with('.'), "{name}");
        }
        assert_eq!(
            cells[0].file_name(),
            "scrub-none_writers-1_readers-32_value-len-64+4096_key-choice-hot-3_pin-0-3+8.json"
        );
        assert_eq!(cells[1].title(), "scrub none, writers 1, value_len 64,4096, key_choice hot:3, pin none");
        assert_eq!(cells[0].workload.writers, 1);
        assert_eq!(cells[0].workload.readers, Workload::default().readers);
    }

    #[test]
    fn no_axis_is_one_cell() {
        let cells = all(&Workload::default(), &[]);
        assert_eq!(cells.len(), 1);
        assert_eq!(cells[0].workload, Workload::default());
    }

    #[test]
    fn the_order_is_drawn_by_the_seed_and_leaves_nothing_out() {
        let straight: Vec<usize> = (0..50).collect();
        let order = |seed| shuffled(straight.clone(), seed);
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), straight);
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, straight);
    }
}
