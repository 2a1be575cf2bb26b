//! The command `ingest`: stores a text as a tandem, which is an index and the chunks of the text.

use super::prelude::*;
use super::transaction::not_interrupted;
use crate::byte_order_mark;
use crate::chunks::{self, MIN_LIMIT};
use crate::options;
use crate::output::{counted, json_bytes, json_mask, json_text, shown};
use crate::tandem::{INDEX_LABEL, Part, Stop, Tandem, name};
use serde_json::Value;
use splinter::{Error, KEY_MAX, Key, StoreError, Type};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

pub(super) static COMMAND: Command = Command {
    name: "ingest",
    usage: &["FILE [--key KEY] [OPTION]...", "--key KEY [OPTION]..."],
    summary: "Stores a text as a tandem: an index, and the text in chunks",
    details: "\
FILE is text in UTF-8. Without FILE, or if it is -, the text is standard input.
Without --key, the key is the name of FILE. It has 59 bytes at most, with any
prefix. KEY becomes the index, in JSON: the numbers of chunks and bytes, FILE,
and when it was ingested, in seconds since 1970. KEY.1, KEY.2 and so on become
the chunks, of the type VARTEXT: together they are the text, byte for byte.

A chunk has at most BYTES: without --chunk, 64 less than the store's longest
value, or as many as that if it has no more than 64. It ends after the last
paragraph in its second half, or else a sentence, a line, a word, a character.

The index gets the label 0x400, each chunk 0x200 or those of --label; labels
that they had remain. Chunks that an index of ingest names there, and the new
text does not need, are removed, if they are VARTEXT and have a label.

If it sets and removes up to 254 chunks, they and their index change all at
once, but for types, which are set before. Otherwise they change in batches, the
index last. If the process dies between, some chunks are of the new text, others
of the old one or gone, and the index is the old one or none. Running it again
mends that. New keys without a chunk go after a minute. If several processes
ingest long texts under one KEY, each starts over until its text is whole.

Groups that are bound to a label or key hear of the last batch once, as of its
first key that concerns them. Then they hear of each chunk, and of the index. If
the process dies between, running it again signals all. A group that is bound to
removed chunks only may hear of one.

orders get KEY prints up to 255 of the keys, and unset --tandem KEY removes as
many.",
    args: &[Arg::optional("FILE", Kind::File)],
    options: &[
        Opt::valued("--key", "KEY", "the key of the index").kind(Kind::Key).short('k'),
        Opt::valued("--label", "MASK", "the labels of the chunks; 0x200, if not given").short('l'),
        Opt::valued("--chunk", "BYTES", "how many bytes a chunk has at most"),
    ],
    run,
};

/// The label of a chunk, by which the original's programs find what to embed.
const CHUNK_LABEL: u64 = 0x200;
/// How many bytes shorter than the longest value chunks are, if they have no other limit.
const MARGIN: u64 = 64;
/// The bytes of a key's end that tell the number of a chunk: a point and three digits.
const ORDER_LEN: usize = 4;

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let word = call.get(0).unwrap_or(b"-");
    let base = base(session, call, word)?;
    let label = match call.value("--label") {
        None => CHUNK_LABEL,
        Some(word) => match session.labels.mask("--label", word, &session.interrupt)? {
            0 => return Err(Failure::usage("--label: 0 is no label; give one, as in 0x200")),
            mask => mask,
        },
    };
    let store = session.store()?.clone();
    if store.is_read_only() {
        return Err(StoreError::ReadOnly.into());
    }
    let geometry = store.geometry();
    let limit = limit(call, geometry.max_value_len)?;
    // The text may take long to arrive.
    session.release_writer();
    let (text, from) = read(session, word, geometry.slots.saturating_sub(1).saturating_mul(limit as u64))?;
    not_interrupted(session)?;
    session.warn_if_lost();
    let chunks = chunks::split(&text, limit);
    let (count, needed) = (chunks.len(), chunks.len() as u64 + 1);
    if needed > geometry.slots {
        let slots = geometry.slots;
        return Err(Failure::new(format!("{from} needs {needed} slots; the store has {slots}")));
    }
    let last = name(&base, count);
    Key::new(&last).map_err(|error| Failure::key(&last, error))?;
    let source = if word == b"-" { b"(stdin)" } else { word };
    let index = index(count, text.len(), source, geometry.max_value_len as usize).ok_or_else(|| {
        let most = geometry.max_value_len;
        Failure::new(format!("the index does not fit into the {most} bytes of this store's longest value"))
    })?;
    let mut parts: Vec<Part<'_>> = Vec::with_capacity(count + 1);
    for (order, chunk) in (1..).zip(chunks) {
        let key = name(&base, order);
        parts.push(Part { key, value: chunk.as_bytes(), kind: Type::VarText, label });
    }
    parts.push(Part { key: base.clone(), value: index.as_bytes(), kind: Type::Json, label: INDEX_LABEL });
    let mut writer = session.writer()?;
    let is_interrupted = || session.is_interrupted();
    let mut tandem = Tandem::new(&parts, &is_interrupted);
    let removed = tandem.store(&mut writer).map_err(|stop| {
        let failure = match stop {
            Stop::Refused(_, Error::Full) => {
                Failure::new(format!("{from} needs {needed} slots; the store has fewer left"))
            }
            Stop::Refused(key, error) => Failure::key(&key, error),
            Stop::Overtaken => Failure::key(&base, Error::Again),
            Stop::Interrupted => Failure::new("interrupted"),
        };
        let message = match tandem.stored() {
            0 => return failure,
            stored => {
                format!("{}; {stored} of {count} chunks are new, the index is as before", failure.message)
            }
        };
        Failure { message, ..failure }
    })?;
    let (chunks, bytes) = (counted(count as u64, "chunk"), counted(text.len() as u64, "byte"));
    let gone = match removed {
        0 => String::new(),
        removed => format!("; removed {}", counted(removed, "chunk")),
    };
    let answer = json!({
        "key": json_bytes(&base), "chunks": count, "bytes": text.len(), "label": json_mask(label),
        "epoch": writer.epoch(&base).ok(), "removed": removed,
    });
    session.report(format!("{}: {chunks}, {bytes}{gone}", shown(&base)), &answer)
}

/// Returns the key of the index. Fails if it leaves no room for the numbers of chunks.
fn base(session: &Session, call: &Call<'_>, file: &[u8]) -> Result<Vec<u8>, Failure> {
    let named = match call.value("--key") {
        Some(key) => key,
        None if file == b"-" => {
            return Err(Failure::usage("standard input has no name; --key says under which key to store it"));
        }
        None => options::path(file).file_name().map(OsStrExt::as_bytes).ok_or_else(|| {
            Failure::usage(format!("{} has no name that could be the key; give --key", shown(file)))
        })?,
    };
    let base = session.key(named);
    let most = KEY_MAX - ORDER_LEN;
    if base.len() > most {
        let (key, len) = (shown(&base), base.len());
        let why = format!("the key has {len} bytes, and {most} leave room for the numbers of chunks");
        return Err(Failure::usage(format!("{key}: {why}; give another by --key")));
    }
    Key::new(&base).map_err(|error| Failure::key(&base, error))?;
    Ok(base)
}

/// Returns the most bytes of a chunk, in a store whose values have `most` bytes.
fn limit(call: &Call<'_>, most: u64) -> Result<usize, Failure> {
    let least = MIN_LIMIT as u64;
    let limit = match call.number("--chunk")? {
        Some(given) if given < least => {
            let why = format!("--chunk: a character may have {least} bytes, so chunks have at least as many");
            return Err(Failure::usage(why));
        }
        Some(given) if given > most => {
            return Err(Failure::usage(format!("--chunk: this store's values have at most {most} bytes")));
        }
        None if most < least => {
            return Err(Failure::new(format!(
                "this store's values have at most {most} bytes: too few for text"
            )));
        }
        Some(given) => given,
        None if most > MARGIN => (most - MARGIN).max(least),
        None => most,
    };
    Ok(limit as usize)
}

/// Reads the text, of at most `most` bytes. Returns the name of its source for messages, too.
fn read(session: &Session, word: &[u8], most: u64) -> Result<(String, String), Failure> {
    let (from, name) = open_input(session, word)?;
    let mut bytes = Vec::new();
    let reading = format!("read {name}");
    let read = from.take(most.saturating_add(1)).read_to_end(&mut bytes);
    let len = read.map_err(|error| Failure::io(&reading, &error))?;
    if len == 0 {
        return Err(Failure::new(format!("{name} is empty")));
    }
    if len as u64 > most {
        return Err(Failure::new(format!(
            "{name} has more than the {most} bytes that the chunks of this store can hold"
        )));
    }
    byte_order_mark::without(&bytes).map_err(|why| Failure::io(&reading, &io::Error::other(why)))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::io(&reading, &io::Error::other(format!("it is not UTF-8: byte {at} begins no character")))
    })?;
    Ok((text, name))
}

/// Formats the index, in at most `most` bytes: it has the end of a source that would be too long. Returns none if there
/// is not even room for the rest.
fn index(chunks: usize, bytes: usize, source: &[u8], most: usize) -> Option<String> {
    let ingested = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs());
    // In the order that the original has.
    let with = |source: &Value| {
        let source = json_text(source);
        format!(r#"{{"chunks":{chunks},"bytes":{bytes},"source":{source},"ingested":{ingested}}}"#)
    };
    let whole = json_bytes(source);
    let text = String::from_utf8_lossy(source);
    let ends = text.char_indices().skip(1).map(|(at, _)| json!(format!("\u{2026}{}", &text[at..])));
    let mut all = [whole].into_iter().chain(ends).chain([json!("")]).map(|source| with(&source));
    all.find(|index| index.len() <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_as_much_of_its_source_as_there_is_room_for() {
        let fields = |index: &str| serde_json::from_str::<Value>(index).unwrap();
        let whole = index(2, 7, b"a \"b\"\n\x1b.txt", 4096).unwrap();
        assert!(
            whole.starts_with(r#"{"chunks":2,"bytes":7,"source":"a \"b\"\n\u001b.txt","ingested":"#),
            "{whole}"
        );
        assert_eq!(fields(&whole)["source"], "a \"b\"\n\u{1b}.txt");
        assert!(fields(&whole)["ingested"].as_u64().unwrap() > 1_700_000_000);
        let long = "/a/long/path/to/k\u{e4}se".as_bytes();
        let short = index(2, 7, long, 64).unwrap();
        assert!(short.len() <= 64, "{short}");
        let source = fields(&short)["source"].as_str().unwrap().to_owned();
        assert!(source.starts_with('\u{2026}') && source.ends_with("\u{e4}se"), "{source}");
        assert_eq!(fields(&index(2, 7, long, 56).unwrap())["source"], "");
        assert_eq!(index(2, 7, long, 40), None);
        assert_eq!(fields(&index(1, 1, b"\xff", 4096).unwrap())["source"], json!({ "base64": "/w==" }));
    }
}
