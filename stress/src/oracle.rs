//! The oracle: what is written so that reading it back proves something, what each worker
//! remembers, and what is compared at the end. Split by moment: [`body`] and [`vector`] at each
//! operation, [`seen`] at each read, [`ledger`] at each acknowledgement, [`sweep`] once after the
//! run.

pub(crate) mod body;
pub(crate) mod ledger;
pub(crate) mod seen;
pub(crate) mod sweep;
pub(crate) mod vector;
