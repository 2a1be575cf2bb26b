//! The oracle: values that prove themselves when they are read back, what each worker remembers, and the comparison at the
//! end. Split by moment: [`value`] and [`vector`] at each operation, [`monotonic`] at each read, [`acks`] at each
//! acknowledgement, [`final_check`] once after the run.

pub(crate) mod acks;
pub(crate) mod checks;
pub(crate) mod final_check;
pub(crate) mod monotonic;
pub(crate) mod value;
pub(crate) mod vector;
