//! Checks of groups of accounts, among which transactions move amounts. A group is a journal, which counts its transactions, and
//! accounts, whose sum never changes. The keys have the names of a tandem's orders, so that one call reads them all as
//! they were at one moment.

use super::checks::Checks;
use crate::keys::Family;
use crate::proof::accounts::{ACCOUNTS, OPENING, number};

impl Checks {
    /// Checks what was read of a group in one step: the accounts have the sum that they began with, and the journal does
    /// not go back. Returns the number of the last transaction.
    pub(crate) fn accounts(&mut self, index: u64, base: &[u8; 8], values: &[Vec<u8>]) -> Option<u64> {
        let numbers: Option<Vec<u64>> = values.iter().map(|value| number(value)).collect();
        match numbers.as_deref() {
            Some([journal, balances @ ..]) if self.balances(base, balances) => {
                self.forward(Family::Account, index, base, *journal);
                Some(*journal)
            }
            Some(_) => None,
            None => {
                self.faults.torn(base, || format!("a group of accounts holds {values:02x?}"));
                None
            }
        }
    }

    /// Tells whether balances of one moment have the sum that they began with.
    pub(crate) fn balances(&mut self, base: &[u8; 8], balances: &[u64]) -> bool {
        let sum = |balances: &[u64]| balances.iter().fold(0_u64, |sum, balance| sum.wrapping_add(*balance));
        let sound = sum(balances) == sum(&[OPENING; ACCOUNTS]);
        if !sound {
            let off = sum(balances).wrapping_sub(sum(&[OPENING; ACCOUNTS])).cast_signed();
            self.faults
                .torn(base, || format!("balances {balances:?} of one moment are {off:+} off their sum"));
        }
        sound
    }
}
