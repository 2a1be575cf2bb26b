//! Looking at all of a store: a copy of its records, its damage, and the repair of that.

mod inspection;
mod repair;
mod snapshot;

pub use self::{
    inspection::Inspection,
    repair::Repair,
    snapshot::{Content, HeaderSnapshot, SlotSnapshot},
};
