//! The final check: reads every key once more, after the last worker has ended, and compares it with what was acknowledged
//! to the writers. It is exact for shared keys, too:
//!
//! - The first piece of a value is that of some writer's *last* acknowledged set: any earlier one
//!   was overwritten by it. It is the prefilled one only if no writer ever set or removed the key.
//! - Each writer's pieces in a value follow each other without a gap, and end with its last
//!   acknowledged one. On the prefilled piece all appends of all writers follow.
//! - A key may be missing only if some writer's last operation on it was an unset. Of a cache other keys may be missing too,
//!   but no more than it says to have evicted.
//! - An integer or a tally is the sum of all acknowledged additions.
//! - The journal of a group of accounts counts all acknowledged transactions, and each account holds what they added to it.
//! - A chain has the number, and its epoch has moved by twice the number, of all acknowledged writes.
//! - A lock is there exactly if some writer holds it, as that one left it.
//! - A key that was set for a time is some writer's last set, before that one's deadline. It may be missing only from some
//!   last set's deadline on.
//! - Labels are the union of the acknowledged ones, where no writer removed the key or one writer
//!   knows all of it. Those of a cache are some of the acknowledged ones.
//! - A vector is some writer's last; it is there if its only writer did nothing to the value since, unless the store is a
//!   cache.
//!
//! A writer that died may have written once more than it noted.

use super::acks::{AckTable, KeyAcks};
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::oracle::checks::{Checks, Faults};
use crate::proof::accounts;
use crate::proof::value::{self, PREFILL, Stamp};
use crate::target::{Miss, Reads, retry};
use crate::workload::Workload;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// Keys that one task checks.
const PART: u64 = 1 << 12;
/// How long a key may be busy that no process writes any more.
const PATIENCE: Duration = Duration::from_millis(10);

/// What the stored keys are compared with.
#[derive(Debug)]
pub(crate) struct FinalCheck<'a> {
    workload: &'a Workload,
    acks: &'a [AckTable<'a>],
    /// By writer: it ended without a report.
    dead: &'a [bool],
    /// The epochs of the chains before the first write.
    first_epochs: &'a [u64],
    /// Keys that the store says to have evicted.
    evicted: u64,
}

/// Reads the epochs of the chains of a filled store.
///
/// # Errors
/// Why one of them cannot be read.
pub(crate) fn first_epochs(workload: &Workload, target: &impl Reads) -> Result<Vec<u64>, Miss> {
    let mut buf = vec![0; workload.buffer_len()];
    let chains = workload.key_sets().of(Family::Chain);
    chains.map(|index| Ok(target.view(&keys::name(Family::Chain, index), &mut buf)?.1)).collect()
}

/// A writer that may have written a key, and its acknowledgements.
struct Author<'a> {
    id: u16,
    acks: KeyAcks<'a>,
    dead: bool,
}

impl Author<'_> {
    /// Tells whether `stamp` can be this writer's write `seq`, or the one that it died in.
    fn wrote(&self, stamp: Stamp, seq: u64) -> bool {
        seq > 0 && stamp.is(self.id, seq) || self.dead && stamp.is(self.id, self.acks.last() + 1)
    }
}

impl<'a> FinalCheck<'a> {
    /// Prepares the check; `dead` tells of each writer whether it ended early.
    #[must_use]
    pub(crate) fn new(
        workload: &'a Workload,
        acks: &'a [AckTable<'a>],
        dead: &'a [bool],
        first_epochs: &'a [u64],
        evicted: u64,
    ) -> Self {
        Self { workload, acks, dead, first_epochs, evicted }
    }

    /// Reads and compares everything, with all processors.
    pub(crate) fn run(&self, target: &(impl Reads + Sync)) -> Faults {
        let sets = self.workload.key_sets();
        let part = |(family, keys): (Family, Range<u64>)| {
            let mut checks = Checks::new(self.workload);
            let mut missing = 0;
            match family {
                Family::Value => missing = self.values(keys, &mut checks, target),
                Family::Counter => {
                    self.sums(family, keys, &mut checks, |_, _, key| target.read_int(key).map(Some));
                }
                Family::Tally => {
                    let mut buf = vec![0; self.workload.buffer_len()];
                    self.sums(family, keys, &mut checks, |checks, index, key| {
                        target.get(key, &mut buf).map(|len| checks.numbered(family, index, key, &buf[..len]))
                    });
                }
                Family::Group => self.groups(keys, &mut checks, target),
                Family::Chain => {
                    let mut buf = vec![0; self.workload.buffer_len()];
                    self.sums(family, keys, &mut checks, |checks, index, key| {
                        let (len, epoch) = target.view(key, &mut buf)?;
                        let number = checks.numbered(family, index, key, &buf[..len]);
                        let moved =
                            self.first_epochs.get(index as usize).map(|first| epoch.wrapping_sub(*first));
                        if let (Some(number), Some(moved)) = (number, moved)
                            && moved != 2 * number
                        {
                            checks.faults.lost_update(key, || {
                                format!("its epoch has moved by {moved} with {number} writes")
                            });
                        }
                        Ok(number)
                    });
                }
                Family::Lock => self.locks(keys, &mut checks, target),
                Family::Lease => self.leases(keys, &mut checks, target),
                Family::Account => self.accounts(keys, &mut checks, target),
            }
            (checks.faults, missing)
        };
        let parts_of = |family: Family| {
            let end = sets.of(family).end;
            (0..end.div_ceil(PART)).map(move |at| (family, at * PART..end.min((at + 1) * PART)))
        };
        let parts: Vec<_> = Family::ALL.into_iter().flat_map(parts_of).collect();
        let nothing = || (Faults::default(), 0);
        let (mut faults, missing) = parts.into_par_iter().map(part).reduce(nothing, |mut left, right| {
            left.0.merge(right.0);
            (left.0, left.1 + right.1)
        });
        faults.lost_by_a_cache(missing, self.evicted);
        faults
    }

    fn authors(&self, family: Family, key: u64) -> Vec<Author<'_>> {
        let covering = (0..).zip(self.acks).filter(|(_, acks)| acks.covers(family, key));
        covering
            .map(|(id, acks)| Author {
                id,
                acks: acks.entry(family, key),
                dead: self.dead.get(usize::from(id)).copied().unwrap_or(false),
            })
            .collect()
    }

    /// Returns how many keys are missing that only an eviction explains.
    fn values(&self, keys: Range<u64>, checks: &mut Checks, target: &impl Reads) -> u64 {
        let mut missing = 0;
        let mut buf = vec![0; self.workload.buffer_len()];
        for index in keys {
            let key = keys::name(Family::Value, index);
            let authors = self.authors(Family::Value, index);
            match retry(PATIENCE, || target.get(&key, &mut buf)) {
                Ok(len) => value(&key, &buf[..len], &authors, checks),
                Err(Miss::NotFound) => {
                    let removed = |author: &Author<'_>| {
                        author.acks.was_unset() || author.dead && self.workload.may_miss()
                    };
                    match authors.iter().any(removed) {
                        true => {}
                        false if self.workload.evicts() => missing += 1,
                        false => checks.faults.spurious_miss(Op::Get, &key),
                    }
                    continue;
                }
                Err(miss) => unexpected(checks, Op::Get, &key, &miss),
            }
            if self.workload.mix.has(Op::Label) {
                self.labels(&key, &authors, checks, target);
            }
            if self.workload.mix.has(Op::Vector) {
                self.vector(&key, &authors, checks, target);
            }
        }
        missing
    }

    fn labels(&self, key: &[u8; 8], authors: &[Author<'_>], checks: &mut Checks, target: &impl Reads) {
        let evicts = self.workload.evicts();
        let is_unsure = self.workload.may_miss() && authors.len() > 1;
        if is_unsure && !evicts || authors.iter().any(|author| author.dead) {
            return;
        }
        let expected = authors.iter().fold(0, |labels, author| labels | author.acks.labels());
        match retry(PATIENCE, || target.labels(key)) {
            Ok(found) if found == expected || evicts && found & !expected == 0 => {}
            Ok(found) => checks
                .faults
                .lost_update(key, || format!("labels {found:#x}, acknowledged were {expected:#x}")),
            Err(miss) => unexpected(checks, Op::Label, key, &miss),
        }
    }

    fn vector(&self, key: &[u8; 8], authors: &[Author<'_>], checks: &mut Checks, target: &impl Reads) {
        let mut found = vec![0.0; self.workload.geometry().vector_dim as usize];
        match retry(PATIENCE, || target.read_vector(key, &mut found)) {
            Ok(()) => {
                let Some(stamp) = checks.vector(key, &found) else {
                    return;
                };
                if !authors.iter().any(|author| stamp.is(author.id, author.acks.vector().0) || author.dead) {
                    let Stamp { writer, seq, .. } = stamp;
                    checks.faults.lost_update(key, || {
                        format!("vector of writer {writer} sequence {seq}, not its last")
                    });
                }
            }
            Err(Miss::NotFound) => {
                if let [author] = authors
                    && author.acks.vector().1
                    && !author.dead
                    && !self.workload.evicts()
                {
                    checks.faults.lost_update(key, || {
                        format!("no vector, acknowledged was {}", author.acks.vector().0)
                    });
                }
            }
            Err(miss) => unexpected(checks, Op::ReadVector, key, &miss),
        }
    }

    /// Compares numbers with the sums of what was added to them. One that is none has been reported.
    fn sums(
        &self,
        family: Family,
        keys: Range<u64>,
        checks: &mut Checks,
        mut read: impl FnMut(&mut Checks, u64, &[u8; 8]) -> Result<Option<u64>, Miss>,
    ) {
        for index in keys {
            let key = keys::name(family, index);
            let authors = self.authors(family, index);
            let expected = authors.iter().fold(0u64, |sum, author| sum.wrapping_add(author.acks.sum()));
            let dead = authors.iter().any(|author| author.dead);
            match retry(PATIENCE, || read(checks, index, &key)) {
                Ok(None) => {}
                Ok(Some(found)) if found == expected || dead && found > expected => {}
                Ok(Some(found)) => {
                    checks
                        .faults
                        .lost_update(&key, || format!("holds {found}, acknowledged were {expected}"));
                }
                Err(Miss::NotFound) => checks.faults.spurious_miss(Op::ReadInt, &key),
                Err(miss) => unexpected(checks, Op::ReadInt, &key, &miss),
            }
        }
    }

    fn groups(&self, keys: Range<u64>, checks: &mut Checks, target: &impl Reads) {
        let mut orders = vec![Vec::new(); self.workload.orders as usize];
        for index in keys {
            let base = keys::name(Family::Group, index);
            match retry(PATIENCE, || target.read_tandem(&base, &mut orders)) {
                Ok(()) => {
                    let Some(stamp) = checks.group(index, base, &orders) else {
                        continue;
                    };
                    origin(&base, stamp, &self.authors(Family::Group, index), checks);
                }
                Err(Miss::NotFound) => checks.faults.spurious_miss(Op::ReadTandem, &base),
                Err(miss) => unexpected(checks, Op::ReadTandem, &base, &miss),
            }
        }
    }

    fn leases(&self, keys: Range<u64>, checks: &mut Checks, target: &impl Reads) {
        let mut buf = vec![0; self.workload.buffer_len()];
        for index in keys {
            let key = keys::name(Family::Lease, index);
            let authors = self.authors(Family::Lease, index);
            let before = target.time();
            match retry(PATIENCE, || target.get(&key, &mut buf)) {
                Ok(len) => {
                    let Some(stamp) = checks.lease(index, &key, &buf[..len], before) else {
                        continue;
                    };
                    let author = authors.iter().find(|author| author.wrote(stamp, author.acks.set()));
                    if let Some(author) = author.filter(|author| !author.dead) {
                        checks.leased(&key, author.acks.deadline(), before);
                    }
                    origin(&key, stamp, &authors, checks);
                }
                Err(Miss::NotFound) => {
                    let now = target.time();
                    if !authors.iter().any(|author| author.dead || author.acks.deadline() <= now) {
                        checks.faults.spurious_miss(Op::ReadExpire, &key);
                    }
                }
                Err(miss) => unexpected(checks, Op::ReadExpire, &key, &miss),
            }
        }
    }

    fn locks(&self, keys: Range<u64>, checks: &mut Checks, target: &impl Reads) {
        let mut buf = vec![0; self.workload.buffer_len()];
        for index in keys {
            let key = keys::name(Family::Lock, index);
            let authors = self.authors(Family::Lock, index);
            let found = match retry(PATIENCE, || target.get(&key, &mut buf)) {
                Ok(len) => match checks.stamped(Family::Lock, index, &key, &buf[..len]) {
                    Some(stamp) => Some((stamp.writer, stamp.seq)),
                    None => continue,
                },
                Err(Miss::NotFound) => None,
                Err(miss) => {
                    unexpected(checks, Op::ReadSetIf, &key, &miss);
                    continue;
                }
            };
            let held = authors.iter().filter(|author| author.acks.last() > 0 && !author.acks.was_unset());
            let held: Vec<_> = held.map(|author| (author.id, author.acks.last())).collect();
            if !held.iter().copied().eq(found) && !authors.iter().any(|author| author.dead) {
                checks.faults.lost_update(&key, || {
                    format!("holds (writer, sequence) {found:?}, acknowledged and not removed were {held:?}")
                });
            }
        }
    }

    fn accounts(&self, keys: Range<u64>, checks: &mut Checks, target: &impl Reads) {
        let mut values = vec![Vec::new(); accounts::KEYS];
        for index in keys {
            let base = keys::name(Family::Account, index);
            match retry(PATIENCE, || target.read_tandem(&base, &mut values)) {
                Ok(()) => {
                    let authors = self.authors(Family::Account, index);
                    if checks.accounts(index, &base, &values).is_none() || authors.iter().any(|it| it.dead) {
                        continue;
                    }
                    let found = values.iter().filter_map(|value| accounts::number(value));
                    let added = |place: usize| {
                        let opening = if place == 0 { 0 } else { accounts::OPENING };
                        let added = authors.iter().map(|author| match place {
                            0 => author.acks.last(),
                            _ => author.acks.added(place),
                        });
                        added.fold(opening, u64::wrapping_add)
                    };
                    let expected = (0..accounts::KEYS).map(added);
                    if !found.clone().eq(expected.clone()) {
                        let [found, expected]: [Vec<u64>; 2] = [found.collect(), expected.collect()];
                        checks.faults.lost_update(&base, || {
                            format!("holds {found:?}, acknowledged were {expected:?}")
                        });
                    }
                }
                Err(Miss::NotFound) => checks.faults.spurious_miss(Op::ReadTransaction, &base),
                Err(miss) => unexpected(checks, Op::ReadTransaction, &base, &miss),
            }
        }
    }
}

/// Reports a read that failed.
fn unexpected(checks: &mut Checks, op: Op, key: &[u8], miss: &Miss) {
    checks.faults.unexpected(op, key, &format!("{miss:?}"));
}

/// Compares a value with what was acknowledged to its authors.
fn value(key: &[u8; 8], value: &[u8], authors: &[Author<'_>], checks: &mut Checks) {
    let hash = splinter::hash_key(key);
    let mut pieces = Vec::new();
    let first = match value::check_pieces(value, hash, |stamp| pieces.push(stamp)) {
        Ok(first) => first,
        Err(flaw) => return checks.broken(key, value, flaw),
    };
    if !origin(key, first, authors, checks) {
        return;
    }
    let mut by_writer: BTreeMap<u16, Vec<Stamp>> = BTreeMap::new();
    for stamp in pieces {
        by_writer.entry(stamp.writer).or_default().push(stamp);
    }
    let prefilled = first.is(PREFILL, 1) && first.seq_bits == 48;
    for author in authors.iter().filter(|_| first.seq_bits == 48) {
        let last = author.acks.last();
        let own = by_writer.get(&author.id).map_or(&[][..], Vec::as_slice);
        let gap = own.windows(2).any(|pair| pair[1].seq != pair[0].seq + 1);
        let late = prefilled && own.first().is_some_and(|stamp| stamp.seq != 1);
        let ends = match own.last() {
            Some(stamp) => !author.acks.was_unset() && author.wrote(*stamp, last),
            None => !prefilled || last == 0,
        };
        if gap || late || !ends {
            let seqs: Vec<u64> = own.iter().map(|stamp| stamp.seq).collect();
            checks.faults.lost_update(key, || {
                format!(
                    "holds writes {seqs:?} of writer {}, whose last acknowledged one was {last}",
                    author.id
                )
            });
        }
    }
}

/// Checks that a stamp is that of some writer's last acknowledged set, or of the prefill if there was none.
fn origin(key: &[u8], stamp: Stamp, authors: &[Author<'_>], checks: &mut Checks) -> bool {
    let untouched = authors.iter().all(|author| author.acks.set() == 0 && !author.acks.was_unset());
    let sound = untouched && stamp.is(PREFILL, 1)
        || authors.iter().any(|author| author.wrote(stamp, author.acks.set()));
    if !sound {
        checks.faults.lost_update(key, || {
            let last: Vec<_> = authors
                .iter()
                .map(|author| (author.id, author.acks.set()))
                .filter(|last| last.1 > 0)
                .collect();
            let shown = &last[..last.len().min(4)];
            format!(
                "holds writer {} sequence {}; last acknowledged (writer, sequence): {shown:?}",
                stamp.writer, stamp.seq
            )
        });
    }
    sound
}

#[cfg(test)]
#[path = "final_check_tests.rs"]
mod tests;
