//! Envelopes for messages between programs: one line of JSON with the payload, its type, its sender and its lifetime.
//! Also a cheaper check for values without an envelope: a fixed byte at each end. Knows neither stores nor commands.
//! `splinter/docs/envelope.md` defines the format for other languages.

use crate::byte_order_mark;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Asks for something, and expects a response.
    Query,
    /// Answers a query.
    Response,
    /// Reports something; needs no answer.
    Event,
    /// Reports that something failed.
    Error,
    /// Says that the sender is alive.
    Heartbeat,
}

impl Type {
    /// All types.
    pub const ALL: [Self; 5] = [Self::Query, Self::Response, Self::Event, Self::Error, Self::Heartbeat];
    /// The names of the types, in the same order.
    pub const NAMES: &[&str] = &["query", "response", "event", "error", "heartbeat"];

    /// Returns the type with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the type's name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A message with its required and optional fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The unique id of the message.
    pub id: String,
    /// When it was sent, in milliseconds since 1970 began (UTC).
    pub ts: u64,
    /// The sender.
    pub from: String,
    /// The type.
    pub kind: Type,
    /// The content: any JSON.
    pub payload: Value,
    /// The lifetime in milliseconds from `ts` on; unlimited if none.
    pub ttl_ms: Option<u64>,
    /// The receiver; everybody if none.
    pub to: Option<String>,
    /// The id of a conversation: the same in a query and in all that follows from it.
    pub trace: Option<String>,
    /// The position in a sequence of messages, from 0.
    pub seq: Option<u64>,
    /// Whether it is the last message of its sequence.
    pub eof: bool,
}

/// The error for a line that is not an envelope, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no envelope: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Envelope {
    /// Creates a message with the current time and a new id.
    pub fn new(from: impl Into<String>, kind: Type, payload: Value) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (ts, next) = (now_ms(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            id: format!("{ts:x}-{:x}-{next:x}", std::process::id()),
            ts,
            from: from.into(),
            kind,
            payload,
            ttl_ms: None,
            to: None,
            trace: None,
            seq: None,
            eof: false,
        }
    }

    /// Parses an envelope from a line, with or without its newline. Ignores unknown fields.
    ///
    /// ```
    /// use splinter_cli::envelope::{Envelope, Type};
    ///
    /// let line = r#"{"id":"1","ts":1700000000000,"from":"a","type":"query","payload":{"q":1}}"#;
    /// let envelope = Envelope::parse(line.as_bytes())?;
    /// assert_eq!((envelope.kind, envelope.payload["q"].as_u64()), (Type::Query, Some(1)));
    /// assert_eq!(envelope.to_string(), line);
    /// # Ok::<(), splinter_cli::envelope::Malformed>(())
    /// ```
    ///
    /// # Errors
    /// Not one line of JSON, a missing field, or a field of the wrong type.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let line = byte_order_mark::without(line).map_err(|why| Malformed(why.to_owned()))?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.contains(&b'\n') {
            return Err(Malformed("it is more than one line".to_owned()));
        }
        let value = serde_json::from_slice(line).map_err(|error| Malformed(error.to_string()))?;
        let Value::Object(mut fields) = value else {
            return Err(Malformed("it is not a JSON object".to_owned()));
        };
        let kind = string(&mut fields, "type")?;
        let kind = kind.ok_or_else(|| missing("type"))?;
        let kind = Type::from_name(&kind).ok_or_else(|| {
            Malformed(format!("type is {kind:?}, and must be one of {}", Type::NAMES.join(", ")))
        })?;
        let eof = match fields.remove("eof") {
            None => false,
            Some(Value::Bool(eof)) => eof,
            Some(_) => return Err(Malformed("eof is not true or false".to_owned())),
        };
        let required = |field: &str, found: Option<String>| match found {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(Malformed(format!("{field} is empty"))),
            None => Err(missing(field)),
        };
        Ok(Self {
            id: required("id", string(&mut fields, "id")?)?,
            ts: number(&mut fields, "ts")?.ok_or_else(|| missing("ts"))?,
            from: required("from", string(&mut fields, "from")?)?,
            kind,
            payload: fields.remove("payload").ok_or_else(|| missing("payload"))?,
            ttl_ms: number(&mut fields, "ttl_ms")?,
            to: string(&mut fields, "to")?,
            trace: string(&mut fields, "trace")?,
            seq: number(&mut fields, "seq")?,
            eof,
        })
    }

    /// Tells whether the lifetime ended before `now_ms`, in milliseconds since 1970 began.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.ttl_ms.is_some_and(|ttl_ms| now_ms > self.ts.saturating_add(ttl_ms))
    }

    /// Tells whether the message is for `name` or for everybody.
    pub fn is_for(&self, name: &str) -> bool {
        self.to.as_ref().is_none_or(|to| to == name)
    }
}

/// Formats the line, without its newline: required fields first, then the optional ones that are set.
impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| Value::from(text).to_string();
        let (id, from, kind) = (quoted(&self.id), quoted(&self.from), self.kind.name());
        let (ts, payload) = (self.ts, &self.payload);
        write!(f, r#"{{"id":{id},"ts":{ts},"from":{from},"type":"{kind}","payload":{payload}"#)?;
        for (name, number) in [("ttl_ms", self.ttl_ms), ("seq", self.seq)] {
            number.map_or(Ok(()), |number| write!(f, r#","{name}":{number}"#))?;
        }
        for (name, text) in [("to", &self.to), ("trace", &self.trace)] {
            text.as_ref().map_or(Ok(()), |text| write!(f, r#","{name}":{}"#, quoted(text)))?;
        }
        f.write_str(if self.eof { r#","eof":true}"# } else { "}" })
    }
}

/// Returns the time, in milliseconds since 1970 began (UTC); 0 before that.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

fn missing(field: &str) -> Malformed {
    Malformed(format!("{field} is missing"))
}

fn string(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Malformed> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Malformed(format!("{name} is not a string"))),
    }
}

fn number(fields: &mut Map<String, Value>, name: &str) -> Result<Option<u64>, Malformed> {
    let whole = |value: Value| {
        let number = value.as_u64();
        number.ok_or_else(|| Malformed(format!("{name} is not a whole number from 0 to 2^64 - 1")))
    };
    fields.remove(name).map(whole).transpose()
}

/// Puts `{` before a value and `}` after it, so that [`unseal`] can check that both ends are there.
///
/// ```
/// use splinter_cli::envelope::{seal, unseal};
///
/// assert_eq!(seal(b"this is my data"), b"{this is my data}");
/// assert_eq!(unseal(b"{this is my data}"), Ok(&b"this is my data"[..]));
/// assert_eq!(unseal(b"{this is my da").unwrap_err().to_string(), "torn: its last byte is not }");
/// ```
pub fn seal(value: &[u8]) -> Vec<u8> {
    [b"{", value, b"}"].concat()
}

/// Removes the two bytes that [`seal`] added. It finds a value that was cut short or that begins elsewhere. It is a
/// spot check: it finds no error in between.
///
/// # Errors
/// The end that is missing.
pub fn unseal(sealed: &[u8]) -> Result<&[u8], Torn> {
    match sealed {
        [b'{', inner @ .., b'}'] => Ok(inner),
        [] => Err(Torn::Empty),
        [b'{', ..] => Err(Torn::Last),
        _ => Err(Torn::First),
    }
}

/// The end of a sealed value that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Both: the value is empty.
    Empty,
    /// The first byte.
    First,
    /// The last byte.
    Last,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "torn: it is empty",
            Self::First => "torn: its first byte is not {",
            Self::Last => "torn: its last byte is not }",
        })
    }
}

impl std::error::Error for Torn {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LEAST: &str = r#"{"id":"i","ts":5,"from":"f","type":"event","payload":null}"#;

    #[test]
    fn envelopes_read_as_they_were_written() {
        let mut envelope = Envelope::new("me \"and\" you\n", Type::Query, json!({ "a": [1, "ü"] }));
        assert_eq!(Envelope::parse(envelope.to_string().as_bytes()), Ok(envelope.clone()));
        envelope.ttl_ms = Some(u64::MAX);
        envelope.seq = Some(0);
        (envelope.to, envelope.trace) = (Some("t".into()), Some(String::new()));
        envelope.eof = true;
        let line = envelope.to_string();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(Envelope::parse(format!("{line}\n").as_bytes()), Ok(envelope));
    }

    #[test]
    fn every_type_is_read_by_its_name() {
        for kind in Type::ALL {
            let line = LEAST.replace("event", kind.name());
            assert_eq!(Envelope::parse(line.as_bytes()).unwrap().kind, kind);
        }
    }

    #[test]
    fn ids_differ() {
        let ids = || Envelope::new("f", Type::Event, Value::Null).id;
        assert_ne!(ids(), ids());
    }

    #[test]
    fn malformed_envelopes_are_refused_with_the_reason() {
        let with = |from: &str, to: &str| LEAST.replace(from, to);
        for (line, why) in [
            ("[]".to_owned(), "it is not a JSON object"),
            (format!("{LEAST}\n{LEAST}"), "it is more than one line"),
            (with("\"id\":\"i\",", ""), "id is missing"),
            (with("\"i\"", "\"\""), "id is empty"),
            (with("\"i\"", "7"), "id is not a string"),
            (with("\"ts\":5,", ""), "ts is missing"),
            (with("5", "-5"), "ts is not a whole number from 0 to 2^64 - 1"),
            (with("5", "5.5"), "ts is not a whole number from 0 to 2^64 - 1"),
            (with("\"from\":\"f\",", ""), "from is missing"),
            (with("\"type\":\"event\",", ""), "type is missing"),
            (with("\"payload\":null", "\"x\":1"), "payload is missing"),
            (with("null}", "1,\"eof\":1}"), "eof is not true or false"),
            (with("null}", "1,\"to\":null}"), "to is not a string"),
            (
                with("event", "gossip"),
                "type is \"gossip\", and must be one of query, response, event, error, heartbeat",
            ),
        ] {
            let error = Envelope::parse(line.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("no envelope: {why}"));
        }
        for line in [&b""[..], b"\xff", b"{", b"{\"id\":}"] {
            let error = Envelope::parse(line).unwrap_err().to_string();
            assert!(error.starts_with("no envelope: ") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_byte_order_mark_in_front_is_passed_over() {
        let line = format!("\u{feff}{LEAST}");
        assert_eq!(Envelope::parse(line.as_bytes()), Envelope::parse(LEAST.as_bytes()));
        let error = Envelope::parse(b"\xff\xfe{\0}\0").unwrap_err().to_string();
        assert_eq!(error, "no envelope: it is UTF-16; save it as UTF-8");
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let line = LEAST.replace("null}", "null,\"hops\":[1]}");
        assert_eq!(Envelope::parse(line.as_bytes()), Envelope::parse(LEAST.as_bytes()));
    }

    #[test]
    fn a_message_expires_and_is_for_its_receiver() {
        let mut envelope = Envelope::parse(LEAST.as_bytes()).unwrap();
        assert!(!envelope.has_expired(u64::MAX) && envelope.is_for("anybody"));
        envelope.ttl_ms = Some(10);
        assert!(!envelope.has_expired(15) && envelope.has_expired(16));
        envelope.ttl_ms = Some(u64::MAX);
        assert!(!envelope.has_expired(u64::MAX));
        envelope.to = Some("me".into());
        assert!(envelope.is_for("me") && !envelope.is_for("anybody"));
    }

    #[test]
    fn a_value_without_one_of_its_ends_is_torn() {
        assert_eq!(unseal(&seal(b"")), Ok(&b""[..]));
        assert_eq!(unseal(&seal(b"}{")), Ok(&b"}{"[..]));
        assert_eq!(unseal(b""), Err(Torn::Empty));
        assert_eq!(unseal(b"{"), Err(Torn::Last));
        assert_eq!(unseal(b"}"), Err(Torn::First));
        assert_eq!(unseal(b"x}"), Err(Torn::First));
    }
}
