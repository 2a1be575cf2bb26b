//! Open stores: creating and opening one, who may write to it, and what concerns it as a whole.

mod create;
mod flags;
mod kernel_os;
mod layout;
mod registration;
mod store;
mod store_time;
mod timer;

pub(crate) use self::registration::{Rebind, Registration};
pub(crate) use self::store::Inner;
pub(crate) use self::timer::RECOVERY_INTERVAL;
pub use self::{create::Draft, flags::Flags, store::Store};
