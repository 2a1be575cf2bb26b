//! The imports of nearly every command.

pub(super) use crate::command::{Call, Command};
pub(super) use crate::failure::Failure;
pub(super) use crate::options::{Arg, Kind, Opt};
pub(super) use crate::output::Format;
pub(super) use crate::session::Session;
pub(super) use serde_json::json;

use crate::retry::retry_key;
use serde_json::Value;
use splinter::{Error, Writer};

/// Changes the key that `word` names by `act`, and answers with `answer` in JSON.
pub(super) fn change_key(
    session: &mut Session,
    word: &[u8],
    answer: Value,
    mut act: impl FnMut(&mut Writer, &[u8]) -> Result<(), Error>,
) -> Result<(), Failure> {
    let key = session.key(word);
    let mut writer = session.writer()?;
    retry_key(&key, || act(&mut writer, &key))?;
    session.answer_of(&writer, &key, answer)
}
