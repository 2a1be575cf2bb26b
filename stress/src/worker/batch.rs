//! A reader that gets many values in one call. The rest of a reader is in `reader`.

use super::Assignment;
use super::pacing::Pace;
use super::recorder::Recorder;
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::target::{Miss, Reads};

/// What one call takes and gives.
#[derive(Debug)]
pub(super) struct Batch {
    indices: Vec<u64>,
    names: Vec<[u8; 8]>,
    bufs: Vec<u8>,
    stride: usize,
    results: Vec<Result<usize, Miss>>,
}

impl Batch {
    /// Prepares for the calls of a workload; none where it gets one value a call.
    pub(super) fn new(assignment: &Assignment<'_>) -> Option<Self> {
        let size = assignment.workload.batch as usize;
        let stride = assignment.workload.buffer_len();
        (size > 1).then(|| Self {
            indices: vec![0; size],
            names: vec![[0; 8]; size],
            // Written once, so that no page is touched first while it counts.
            bufs: vec![1; size * stride],
            stride,
            results: vec![Err(Miss::Again); size],
        })
    }

    /// Gets as many values as it is for, or as are left of the reader's share. Each is an attempt of its own; what is timed
    /// is the call. Returns how many.
    pub(super) fn get<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &impl Reads,
        mut draw: impl FnMut() -> u64,
    ) -> usize {
        let size = self.indices.len().min(recorder.left_of_share());
        for (index, name) in self.indices.iter_mut().zip(&mut self.names).take(size) {
            *index = draw();
            *name = keys::name(Family::Value, *index);
        }
        let (names, bufs, stride) = (&self.names[..size], &mut self.bufs, self.stride);
        recorder.attempts(Op::Get, &mut self.results[..size], |results| {
            target.get_many(names, bufs, stride, results);
        });
        size
    }

    /// Returns what came of one of them: its key's number and name, and the value or why there is none.
    pub(super) fn answer(&self, place: usize) -> (u64, &[u8; 8], Result<&[u8], &Miss>) {
        let at = place * self.stride;
        let value = self.results[place].as_ref();
        let value = value.map(|len| &self.bufs[at..at + len]);
        (self.indices[place], &self.names[place], value)
    }
}
