//! Transactions of the model.

use super::{Model, check_key, computed};
use crate::op::{Content, Guess, Part, Reply};
use splinter::{Error, Lifetime, Type};

impl Model {
    /// Makes the changes of different keys at once, or none.
    pub(super) fn commit(&mut self, parts: &[Part]) -> Reply {
        let refusals = self.refusals(parts);
        if refusals.is_empty() {
            Reply::Committed(parts.iter().map(|part| self.change_part(part)).collect())
        } else {
            Reply::Refused(refusals)
        }
    }

    /// Lists the keys for which a transaction can be refused, and why.
    fn refusals(&self, parts: &[Part]) -> Vec<(usize, Error)> {
        // What is impossible whatever the store holds comes first, and in the transaction's order.
        let parts = || parts.iter().enumerate();
        let invalid = parts().find_map(|(place, part)| Some((place, check_key(&part.key).err()?)));
        let impossible = || parts().find_map(|(place, part)| Some((place, self.check_sizes(part).err()?)));
        if let Some(refusal) = invalid.or_else(impossible) {
            return vec![refusal];
        }
        let inserted = || parts().filter(|(_, part)| !self.has(part) && inserts(part));
        let is_full = (self.entries.len() + inserted().count()) as u64 > self.geometry.slots;
        let without_room = inserted().filter(|_| is_full).map(|(place, _)| (place, Error::Full));
        parts().filter_map(|(place, part)| Some((place, self.refusal(part)?))).chain(without_room).collect()
    }

    fn has(&self, part: &Part) -> bool {
        self.entries.contains_key(&part.key)
    }

    fn check_sizes(&self, part: &Part) -> Result<(), Error> {
        part.vector.as_ref().map_or(Ok(()), |vector| self.check_vector(&part.key, vector))?;
        match &part.content {
            Content::Set(value) => self.check_len(value.len()),
            Content::SetU64(_) | Content::Integer(_) | Content::IntegerOr(..) => self.check_len(8),
            Content::Keep | Content::Unset => Ok(()),
        }
    }

    /// Returns why a key is not as its change needs it.
    fn refusal(&self, part: &Part) -> Option<Error> {
        let may_be_missing =
            (part.content == Content::Unset || part.is_check()) && may_be_absent(part) || inserts(part);
        match (part.guess, &part.content) {
            _ if !self.has(part) => (!may_be_missing).then_some(Error::NotFound),
            (Guess::Absent | Guess::Wrong, _) => Some(Error::Changed { epoch: 0 }),
            (_, Content::Integer(_) | Content::IntegerOr(..)) => self.number(&part.key).err(),
            _ => None,
        }
    }

    /// Makes one key's change. Returns whether its content changed, and its number.
    fn change_part(&mut self, part: &Part) -> (bool, Option<u64>) {
        let (key, level) = (&part.key, self.level);
        let was_present = self.has(part);
        if part.content == Content::Unset {
            return (self.entries.remove(key).is_some(), None);
        }
        if !was_present && part.is_check() {
            return (false, None);
        }
        let old = self.number(key).ok();
        let number = match part.content {
            Content::SetU64(number) => Some(number),
            Content::Integer(op) => old.map(|old| computed(op, old)),
            Content::IntegerOr(op, initial) => Some(computed(op, old.unwrap_or(initial))),
            _ => None,
        };
        let bytes = number.map(|number| number.to_le_bytes().to_vec());
        let value = if let Content::Set(value) = &part.content { Some(value.clone()) } else { bytes };
        let is_set = matches!(part.content, Content::Set(_) | Content::SetU64(_));
        let entry = self.get_or_insert(key).expect("room that was checked");
        let changes = entry.changes;
        if let Some(value) = value {
            entry.replace(value, false, level);
            entry.seen.vector = None;
        }
        if number.is_some() {
            // It lies in a buffer, as bytes do.
            (entry.is_number, entry.seen.kind) = (true, Type::BigUint);
        }
        if let Some(vector) = &part.vector {
            (entry.seen.vector, entry.kept) = (Some(vector.clone()), entry.kept_beside());
        }
        // Value and vector change at once.
        entry.changes = changes + u64::from(part.is_of_content());
        entry.seen.labels = (entry.seen.labels | part.labels[0]) & !part.labels[1];
        let lasting = if is_set { Lifetime::Endless } else { Lifetime::Unchanged };
        self.set_lifetime(key, part.lifetime.unwrap_or(lasting));
        (part.is_of_content(), number)
    }
}

fn may_be_absent(part: &Part) -> bool {
    matches!(part.guess, Guess::Any | Guess::Absent)
}

/// Whether the key gets a slot if it is missing. One that is expected to be missing has it until the commit.
pub(super) fn inserts(part: &Part) -> bool {
    match part.content {
        Content::Set(_) | Content::SetU64(_) | Content::IntegerOr(..) => may_be_absent(part),
        Content::Unset => part.guess == Guess::Absent,
        Content::Keep => part.guess == Guess::Absent && part.is_check(),
        Content::Integer(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Op, agree, is_done, perform};
    use crate::{Rng, config, geometry};
    use splinter::{IntegerOp, Scrub, Store};
    use std::time::Duration;

    const KEYS: u64 = 6;

    fn draw_lifetime(rng: &mut Rng) -> Lifetime {
        let (past, far) = (Lifetime::For(Duration::ZERO), Lifetime::For(Duration::MAX));
        *rng.pick(&[Lifetime::Endless, Lifetime::Unchanged, past, far, Lifetime::Until(0)])
    }

    fn draw_part(rng: &mut Rng, key: u64) -> Part {
        let (number, len) = (rng.next(), rng.below(70) as usize);
        let content = match rng.below(8) {
            0 | 1 => Content::Set(rng.bytes(len)),
            2 => Content::SetU64(number),
            3 => Content::Integer(IntegerOp::Inc(number)),
            4 => Content::IntegerOr(IntegerOp::Xor(number), 7),
            5 => Content::Unset,
            _ => Content::Keep,
        };
        Part {
            guess: if rng.below(2) == 0 { Guess::Any } else { *rng.pick(&Guess::ALL) },
            vector: (rng.below(4) == 0).then(|| vec![number as f32; 3]),
            labels: if rng.below(3) == 0 { [number, number >> 3] } else { [0; 2] },
            lifetime: (rng.below(4) == 0).then(|| draw_lifetime(rng)),
            ..Part::new(format!("k{key}").into_bytes(), content)
        }
    }

    /// Invariants 11, 19 and 21, by one thread: keys are set, expire, are found missing and are set again, alone and in
    /// transactions, in a store that is nearly full.
    #[test]
    fn transactions_deadlines_and_expectations_agree_with_the_model() {
        let geometry = geometry(KEYS - 1, 64, 3, 2);
        let store = Store::anonymous(&config(geometry, Scrub::Hybrid)).unwrap();
        let (mut writer, mut rng) = (store.writer().unwrap(), Rng(7));
        let mut model = Model::new(geometry, Scrub::Hybrid);
        let mut done = [0_u64; 2];
        for _ in 0..crate::valgrind::rounds(3_000) {
            let mut keys: Vec<u64> = (0..KEYS).collect();
            keys.retain(|_| rng.below(2) == 0);
            let key = format!("k{}", rng.below(KEYS)).into_bytes();
            let op = match rng.below(8) {
                0 => Op::Sweep,
                1 => Op::SetLifetime(key, draw_lifetime(&mut rng)),
                2 => Op::SetWith(key, rng.bytes(9), draw_lifetime(&mut rng)),
                3 => Op::If(
                    *rng.pick(&Guess::ALL),
                    Op::SetWith(key, rng.bytes(9), draw_lifetime(&mut rng)).into(),
                ),
                _ => Op::Commit(keys.into_iter().map(|key| draw_part(&mut rng, key)).collect()),
            };
            let (answer, right) = (perform(&op, &mut writer), model.apply(&op));
            assert!(agree(&answer, &right), "{op:?}: {answer:?}, and {right:?}");
            if let Op::Commit(parts) = &op {
                done[usize::from(is_done(&answer))] += u64::from(parts.len() > 1);
            }
            model.assert_store(&store);
        }
        assert!(done.iter().all(|count| *count > 10), "{done:?} refused and made");
    }
}
