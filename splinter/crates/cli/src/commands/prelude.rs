//! The imports of nearly every command.

pub(super) use crate::command::{Call, Command};
pub(super) use crate::failure::Failure;
pub(super) use crate::options::{Arg, Kind, Opt};
pub(super) use crate::output::Format;
pub(super) use crate::session::Session;
pub(super) use serde_json::json;

use crate::input;
use crate::options;
use crate::output::shown;
use crate::retry::retry_key;
use crate::stdio;
use serde_json::Value;
use splinter::{Error, Writer};
use std::io::{BufRead, BufReader};

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

/// Opens the file that `word` names for reading; `-` is standard input. Returns its name for messages, too.
pub(super) fn open_input(session: &Session, word: &[u8]) -> Result<(Box<dyn BufRead>, String), Failure> {
    match word {
        b"-" if session.is_interactive || session.reads_commands => {
            Err(Failure::usage("commands come from standard input here; give a file"))
        }
        b"-" => Ok((Box::new(stdio::input()), "standard input".to_owned())),
        path => {
            let file = input::open(options::path(path), &session.interrupt);
            let name = shown(path);
            let file = file.map_err(|error| Failure::io(&format!("read {name}"), &error))?;
            Ok((Box::new(BufReader::new(file)), name))
        }
    }
}
