//! The oracle: what each worker remembers of [values that prove themselves](crate::proof), and the comparison at the end. Split
//! by moment: [`checks`] at each answer, [`monotonic`] at each read, [`acks`] at each
//! acknowledgement, [`final_check`] once after the run. [`accounts`] has what transactions keep,
//! [`leases`] what deadlines forbid.

mod accounts;
pub(crate) mod acks;
pub(crate) mod checks;
pub(crate) mod final_check;
mod leases;
pub(crate) mod monotonic;
