//! What nearly every command uses.

pub(super) use crate::command::{Call, Command};
pub(super) use crate::failure::Failure;
pub(super) use crate::options::{Arg, Kind, Opt};
pub(super) use crate::output::Format;
pub(super) use crate::session::Session;
pub(super) use serde_json::json;
