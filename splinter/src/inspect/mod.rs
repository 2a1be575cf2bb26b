//! Looks at a whole store: copies its records, finds damage, and repairs it.

mod inspection;
mod repair;
mod snapshot;

pub use self::{
    inspection::Inspection,
    repair::Repair,
    snapshot::{Content, HeaderSnapshot, SlotSnapshot},
};
