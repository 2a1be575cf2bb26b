//! Groups of accounts, among which transactions move amounts: their keys, and what these hold.

/// Accounts of a group.
pub(crate) const ACCOUNTS: usize = 3;
/// Keys of a group: the journal, then the accounts.
pub(crate) const KEYS: usize = 1 + ACCOUNTS;
/// What each account holds at first: more than is ever taken away.
pub(crate) const OPENING: u64 = 1 << 48;

/// Returns the integer that a key holds.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_le_bytes)
}
