//! Entries: a key with its value, type, labels, groups, flags, times, vector and pin. Converts entries to JSON and back,
//! and writes them into a store. `export`, `import` and copies of stores use it. Knows no command.

use crate::output::json_bytes;
use crate::retry::retry_busy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use splinter::{Content, Error, GROUPS, LABELS, Type, Writer};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Bytes(Vec<u8>),
    Number(u64),
}

/// How often [`Entry::put`] begins, if the key goes each time before all of it is set.
const ATTEMPTS: u32 = 100;

/// A key and all its fields, without the epoch, which the store sets itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The whole key, with any prefix.
    pub(crate) key: Vec<u8>,
    pub(crate) value: Data,
    pub(crate) kind: Type,
    /// Its labels, one bit each.
    pub(crate) labels: u64,
    /// The groups it is registered with, one bit each.
    pub(crate) groups: u64,
    pub(crate) flags: u16,
    /// When it was created, in a unit that the writers choose.
    pub(crate) ctime: u64,
    /// When it was last used, in a unit that the writers choose.
    pub(crate) atime: u64,
    /// Its vector; empty if it has none.
    pub(crate) vector: Vec<f32>,
    /// For how long it stays, if it has a deadline.
    pub(crate) ttl: Option<Duration>,
    /// Whether a cache keeps it.
    pub(crate) pinned: bool,
}

impl From<Content> for Entry {
    fn from(content: Content) -> Self {
        let Content { slot, value, number, vector, .. } = content;
        Self {
            key: slot.key.as_ref().to_vec(),
            value: number.map_or(Data::Bytes(value), Data::Number),
            kind: slot.kind,
            labels: slot.labels,
            groups: slot.registered,
            flags: slot.user_flags,
            ctime: slot.ctime,
            atime: slot.atime,
            vector,
            ttl: slot.ttl,
            pinned: slot.pinned,
        }
    }
}

impl Entry {
    /// Converts the entry to JSON. Leaves out fields that are zero, empty, missing or `VOID`.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("key", json_bytes(&self.key));
        match &self.value {
            Data::Bytes(value) => add("value", json_bytes(value)),
            Data::Number(number) => add("value", json!(number)),
        };
        if self.kind != Type::Void {
            add("type", json!(self.kind.to_string()));
        }
        for (name, mask) in [("labels", self.labels), ("groups", self.groups)] {
            if mask != 0 {
                add(name, bits(mask).collect());
            }
        }
        let numbers = [("flags", self.flags.into()), ("ctime", self.ctime), ("atime", self.atime)];
        for (name, number) in numbers {
            if number != 0 {
                add(name, json!(number));
            }
        }
        if !self.vector.is_empty() {
            add("vector", json_vector(&self.vector));
        }
        if let Some(ttl) = self.ttl {
            add("ttl_ms", json!(ttl.as_millis() as u64));
        }
        if self.pinned {
            add("pinned", json!(true));
        }
        fields
    }

    /// Parses an entry from JSON. Ignores unknown fields. The error, part of a message, says which field is missing or
    /// has the wrong type.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let fields = value.as_object().ok_or("it is not a JSON object")?;
        let key = bytes("key", fields.get("key").ok_or("it has no key")?)?;
        let kind = match fields.get("type") {
            None => None,
            Some(Value::String(name)) => {
                Some(name.parse::<Type>().map_err(|error| format!("type: {error}"))?)
            }
            Some(_) => return Err("type is not a string".to_owned()),
        };
        let data = match fields.get("value").ok_or("it has no value")? {
            Value::Number(number) => {
                let number = number.as_u64().ok_or("value is not a number from 0 to 2^64 - 1")?;
                Data::Number(number)
            }
            other => Data::Bytes(bytes("value", other)?),
        };
        let kind = match (&data, kind) {
            (Data::Number(_), None | Some(Type::BigUint)) => Type::BigUint,
            (Data::Number(_), Some(kind)) => {
                return Err(format!("value is a number, and type is {kind}"));
            }
            (Data::Bytes(_), kind) => kind.unwrap_or_default(),
        };
        Ok(Self {
            key,
            value: data,
            kind,
            labels: mask(fields, "labels", LABELS)?,
            groups: mask(fields, "groups", GROUPS)?,
            flags: number(fields, "flags")?,
            ctime: number(fields, "ctime")?,
            atime: number(fields, "atime")?,
            vector: fields.get("vector").map_or(Ok(Vec::new()), parse_vector)?,
            ttl: match fields.get("ttl_ms") {
                None => None,
                Some(_) => Some(Duration::from_millis(number(fields, "ttl_ms")?)),
            },
            pinned: match fields.get("pinned") {
                None => false,
                Some(pinned) => pinned.as_bool().ok_or("pinned is neither true nor false")?,
            },
        })
    }

    /// Sets a key in a store to exactly this entry. This removes all else that the key had. Readers may see intermediate
    /// states. Fails with [`Error::WrongType`] for bytes that encode no number, if they are to be a `BIGUINT` and the
    /// key is none yet. After an error of type, length or dimension the key is unchanged.
    pub(crate) fn put(&self, writer: &mut Writer) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            match self.try_put(writer) {
                // Between two steps, another process removed the key, or made a cache evict it.
                Err(Error::NotFound) => {}
                done => return done,
            }
        }
        Err(Error::Again)
    }

    fn try_put(&self, writer: &mut Writer) -> Result<(), Error> {
        let dim = writer.geometry().vector_dim as usize;
        if !self.vector.is_empty() && self.vector.len() != dim {
            return Err(Error::WrongDimension);
        }
        let key = &self.key;
        match &self.value {
            Data::Number(number) => retry_busy(|| writer.set_u64(key, *number))?,
            Data::Bytes(value) => put_bytes(writer, key, self.kind, value)?,
        }
        if self.pinned {
            retry_busy(|| writer.pin(key))?;
        }
        let now = retry_busy(|| writer.snapshot(key))?;
        if now.kind != self.kind {
            // The key went between two steps, and came back without its type.
            return Err(Error::NotFound);
        }
        let (more, less) = (self.labels & !now.labels, now.labels & !self.labels);
        if more != 0 {
            retry_busy(|| writer.label(key, more))?;
        }
        if less != 0 {
            retry_busy(|| writer.unlabel(key, less))?;
        }
        if now.user_flags & !self.flags != 0 {
            retry_busy(|| writer.clear_slot_flags(key, !self.flags))?;
        }
        if self.flags & !now.user_flags != 0 {
            retry_busy(|| writer.set_slot_flags(key, self.flags))?;
        }
        if self.ctime != now.ctime {
            retry_busy(|| writer.set_ctime(key, self.ctime, 0))?;
        }
        if self.atime != now.atime {
            retry_busy(|| writer.set_atime(key, self.atime, 0))?;
        }
        for group in bits(self.groups & !now.registered) {
            retry_busy(|| writer.register(key, group))?;
        }
        for group in bits(now.registered & !self.groups) {
            retry_busy(|| writer.unregister(key, group))?;
        }
        if !self.vector.is_empty() {
            retry_busy(|| writer.set_vector(key, &self.vector))?;
        }
        if let Some(ttl) = self.ttl {
            retry_busy(|| writer.expire(key, ttl))?;
        }
        if now.pinned && !self.pinned {
            retry_busy(|| writer.unpin(key))?;
        }
        Ok(())
    }

    /// As [`Self::put`], in a store that no other process uses. No reader sees intermediate values there, so it can
    /// also store a `BIGUINT` whose bytes encode no number.
    pub(crate) fn put_unseen(&self, writer: &mut Writer) -> Result<(), Error> {
        match self.put(writer) {
            Err(Error::WrongType) => {
                retry_busy(|| writer.set_u64(&self.key, 0))?;
                self.put(writer)
            }
            done => done,
        }
    }
}

/// Sets the bytes and the type of a key. Readers see the old value or the new one, and nothing else: the bytes are set
/// before the type, and setting a type leaves the bytes as they are. A key that becomes a `BIGUINT` is first set to the
/// number that its bytes encode. If they encode none, that is impossible, and the key stays as it is.
fn put_bytes(writer: &mut Writer, key: &[u8], kind: Type, value: &[u8]) -> Result<(), Error> {
    let before = match retry_busy(|| writer.snapshot(key)) {
        Ok(now) => Some(now.kind),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    if kind == Type::BigUint && before != Some(kind) {
        if value.len() as u64 > writer.geometry().max_value_len {
            return Err(Error::ValueTooLong);
        }
        let number = as_number(value).ok_or(Error::WrongType)?;
        retry_busy(|| writer.set_u64(key, number))?;
    }
    retry_busy(|| writer.set(key, value))?;
    if before.unwrap_or_default() != kind && kind != Type::BigUint {
        retry_busy(|| writer.set_type(key, kind))?;
    }
    Ok(())
}

/// Converts bytes to a number as the store does for a `BIGUINT`: eight bytes are the number itself, others its digits.
fn as_number(value: &[u8]) -> Option<u64> {
    let is_digits = value.iter().all(u8::is_ascii_digit);
    let digits = || std::str::from_utf8(value).ok().filter(|_| is_digits)?.parse().ok();
    value.try_into().map_or_else(|_| digits(), |bytes| Some(u64::from_le_bytes(bytes)))
}

/// Lists the bits that are set in a mask, the lowest first.
pub(crate) fn bits(mask: u64) -> impl Iterator<Item = u8> {
    (0..u64::BITS as u8).filter(move |bit| mask >> bit & 1 != 0)
}

/// Converts a vector to JSON: a list of numbers, or base64 if a component is infinite or not a number.
fn json_vector(vector: &[f32]) -> Value {
    if vector.iter().all(|component| component.is_finite()) {
        return vector.iter().map(|component| json!(component)).collect();
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
    json!({ "base64": STANDARD.encode(bytes) })
}

fn parse_vector(value: &Value) -> Result<Vec<f32>, String> {
    let wrong = || "vector is neither a list of numbers nor base64 of 32-bit floats".to_owned();
    if let Value::Array(components) = value {
        let components = components.iter().map(Value::as_f64);
        let components = components.map(|component| component.map(|component| component as f32));
        return components.collect::<Option<_>>().ok_or_else(wrong);
    }
    let bytes = bytes("vector", value).map_err(|_| wrong())?;
    let (floats, rest) = bytes.as_chunks::<4>();
    if value.is_string() || !rest.is_empty() {
        return Err(wrong());
    }
    Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
}

/// Parses bytes that [`json_bytes`] wrote. The error begins with `what`.
pub(crate) fn bytes(what: &str, value: &Value) -> Result<Vec<u8>, String> {
    let wrong = || format!("{what} is neither a string nor {{\"base64\": \"...\"}}");
    match value {
        Value::String(text) => Ok(text.clone().into_bytes()),
        Value::Object(fields) if fields.len() == 1 => {
            let text = fields.get("base64").and_then(Value::as_str).ok_or_else(wrong)?;
            STANDARD.decode(text).map_err(|error| format!("{what} is not base64: {error}"))
        }
        _ => Err(wrong()),
    }
}

/// Parses a list of numbers below `count` as a mask.
fn mask(fields: &Map<String, Value>, name: &str, count: usize) -> Result<u64, String> {
    let wrong = || format!("{name} is not a list of numbers from 0 to {}", count - 1);
    let Some(list) = fields.get(name) else { return Ok(0) };
    let bit = |bit: &Value| bit.as_u64().filter(|bit| *bit < count as u64).map(|bit| 1 << bit);
    let list = list.as_array().ok_or_else(wrong)?;
    list.iter().try_fold(0, |mask, number| Some(mask | bit(number)?)).ok_or_else(wrong)
}

fn number<T: TryFrom<u64> + Default>(fields: &Map<String, Value>, name: &str) -> Result<T, String> {
    let Some(value) = fields.get(name) else { return Ok(T::default()) };
    let number = value.as_u64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("{name} is not a number from 0 to 2^{} - 1", size_of::<T>() * 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Eviction, Geometry, Store};
    use splinter_testkit::retry;
    use splinter_testkit::wait::wait_until;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn entry(value: Data, kind: Type) -> Entry {
        let (labels, groups, flags) = (1 << 63 | 1, 1 << 5, 0xffff);
        let vector = vec![0.1, -2.0];
        let (key, ctime, atime) = (b"k\xff".to_vec(), u64::MAX, 1);
        let (ttl, pinned) = (Some(Duration::from_millis(90_000)), true);
        Entry { key, value, kind, labels, groups, flags, ctime, atime, vector, ttl, pinned }
    }

    fn all() -> Vec<Entry> {
        let bytes = |bytes: &[u8]| Data::Bytes(bytes.to_vec());
        let mut all: Vec<Entry> = Type::ALL
            .into_iter()
            .flat_map(|kind| [&b""[..], b"12345678", b"42", b"\xff\0"].map(|value| (kind, value)))
            .map(|(kind, value)| entry(bytes(value), kind))
            .collect();
        all.push(entry(Data::Number(u64::MAX), Type::BigUint));
        all.push(Entry { vector: vec![f32::NEG_INFINITY, 1.0], ..entry(bytes(b"x"), Type::Json) });
        all.push(Entry {
            labels: 0,
            groups: 0,
            flags: 0,
            ctime: 0,
            atime: 0,
            vector: vec![],
            ttl: None,
            pinned: false,
            ..entry(bytes(b"plain"), Type::Void)
        });
        all
    }

    #[test]
    fn entries_read_as_they_were_written_in_json() {
        for entry in all() {
            let line = Value::Object(entry.to_json()).to_string();
            assert_eq!(Entry::parse(&serde_json::from_str(&line).unwrap()), Ok(entry), "{line}");
        }
    }

    /// Tells whether the entry's bytes encode no number.
    fn is_odd(entry: &Entry) -> bool {
        matches!(&entry.value, Data::Bytes(bytes) if matches!(&bytes[..], b"" | b"\xff\0"))
    }

    /// Reads an entry as a store has it, with the time that it stays as it was when the entry was put.
    fn held(store: &Store, key: &[u8]) -> Option<Entry> {
        let mut entry = Entry::from(store.content(key).ok()?);
        entry.ttl = entry.ttl.map(|left| Duration::from_secs(left.as_secs().next_multiple_of(90)));
        Some(entry)
    }

    #[test]
    fn an_entry_replaces_any_other_in_a_store() {
        let geometry = Geometry { slots: 4, max_value_len: 16, vector_dim: 2, max_writers: 1 };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let mut writer = store.writer().unwrap();
        for before in [None].into_iter().chain(all().iter().map(Some)) {
            for entry in all() {
                let _ = writer.unset(&entry.key);
                before.iter().for_each(|before| before.put_unseen(&mut writer).unwrap());
                let is_number = before.is_some_and(|before| before.kind == Type::BigUint);
                if entry.kind == Type::BigUint && !is_number && is_odd(&entry) {
                    // Readers could see an intermediate value.
                    assert_eq!(entry.put(&mut writer), Err(Error::WrongType));
                    assert_eq!(held(&store, &entry.key).as_ref(), before);
                    entry.put_unseen(&mut writer).unwrap();
                } else {
                    entry.put(&mut writer).unwrap();
                }
                assert_eq!(held(&store, &entry.key), Some(entry));
            }
        }
    }

    /// Sets the flag when dropped, also by a panic, so that the thread that polls it ends.
    struct End<'a>(&'a AtomicBool);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn readers_see_the_value_before_or_the_one_after_and_nothing_else() {
        let geometry = Geometry { slots: 4, max_value_len: 16, vector_dim: 2, max_writers: 1 };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let with = |value, kind| Entry { vector: vec![], ..entry(value, kind) };
        let bytes = |bytes: &[u8]| Data::Bytes(bytes.to_vec());
        let number = u64::from_le_bytes(*b"12345678");
        let entries = [
            with(bytes(b"text"), Type::VarText),
            with(bytes(b"{}"), Type::Json),
            with(Data::Number(number), Type::BigUint),
            with(bytes(b"bytes"), Type::Binary),
            with(bytes(b"12345678"), Type::BigUint),
            with(bytes(b"plain"), Type::Void),
        ];
        let odd = with(bytes(b"no number"), Type::BigUint);
        let known: [&[u8]; 5] = [b"text", b"{}", b"12345678", b"bytes", b"plain"];
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) {
                    seen.extend(store.content(&entries[0].key).ok().map(|content| content.value));
                }
                seen
            });
            let end = End(&is_over);
            let mut writer = store.writer().unwrap();
            for _ in 0..2000 {
                entries.iter().for_each(|entry| entry.put(&mut writer).unwrap());
                assert_eq!(odd.put(&mut writer), Err(Error::WrongType));
                // Each round creates the key again.
                writer.unset(&entries[0].key).unwrap();
            }
            drop(end);
            for seen in reader.join().unwrap() {
                assert!(known.contains(&seen.as_slice()), "{:?}", String::from_utf8_lossy(&seen));
            }
        });
    }

    #[test]
    fn entries_are_put_whole_into_a_cache_that_others_fill() {
        let geometry = Geometry { slots: 32, max_value_len: 16, vector_dim: 2, max_writers: 2 };
        let eviction = Eviction::Sieve;
        let store = Store::anonymous(&Config { geometry, eviction, ..Config::default() }).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let filler = scope.spawn(|| {
                let mut other = store.writer().unwrap();
                let mut count = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    // Refused if all that may go is held.
                    let _ = other.set(format!("other {count}"), b"");
                    count += 1;
                }
                count
            });
            let end = End(&is_over);
            let mut writer = store.writer().unwrap();
            let passing: Vec<Entry> = all().into_iter().filter(|entry| !is_odd(entry)).collect();
            for number in 0..1_000 {
                let key = format!("passes {number}").into_bytes();
                let entry = Entry { key, pinned: false, ..passing[number % passing.len()].clone() };
                retry(|| entry.put(&mut writer)).unwrap();
                // Evicted, or whole.
                assert!(held(&store, &entry.key).is_none_or(|held| held == entry), "{entry:?}");
            }
            let stays = entry(Data::Bytes(b"stays".to_vec()), Type::Json);
            retry(|| stays.put(&mut writer)).unwrap();
            let before = store.header().evicted;
            wait_until("the cache to evict 1,000 keys", || store.header().evicted > before + 1_000);
            assert_eq!(held(&store, &stays.key), Some(stays));
            drop(end);
            assert!(filler.join().unwrap() > 1_000);
        });
    }

    #[test]
    fn an_entry_that_does_not_fit_changes_nothing() {
        let geometry = Geometry { slots: 4, max_value_len: 3, vector_dim: 3, max_writers: 1 };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let mut writer = store.writer().unwrap();
        let mut entry = entry(Data::Bytes(b"long".to_vec()), Type::Json);
        assert_eq!(entry.put(&mut writer), Err(Error::WrongDimension));
        entry.vector.push(0.0);
        assert_eq!(entry.put(&mut writer), Err(Error::ValueTooLong));
        assert!(store.is_empty());
    }

    #[test]
    fn malformed_entries_are_refused_with_the_reason() {
        for (json, why) in [
            (json!([]), "it is not a JSON object"),
            (json!({ "value": "v" }), "it has no key"),
            (json!({ "key": "k" }), "it has no value"),
            (json!({ "key": 1, "value": "v" }), "key is neither a string nor {\"base64\": \"...\"}"),
            (json!({ "key": "k", "value": -1 }), "value is not a number from 0 to 2^64 - 1"),
            (json!({ "key": "k", "value": 1, "type": "JSON" }), "value is a number, and type is JSON"),
            (
                json!({ "key": "k", "value": "v", "labels": [64] }),
                "labels is not a list of numbers from 0 to 63",
            ),
            (json!({ "key": "k", "value": "v", "pinned": 1 }), "pinned is neither true nor false"),
            (json!({ "key": "k", "value": "v", "flags": 65536 }), "flags is not a number from 0 to 2^16 - 1"),
            (
                json!({ "key": "k", "value": "v", "vector": ["1"] }),
                "vector is neither a list of numbers nor base64 of 32-bit floats",
            ),
        ] {
            assert_eq!(Entry::parse(&json), Err(why.to_owned()));
        }
        let bad = Entry::parse(&json!({ "key": "k", "value": { "base64": "?" } })).unwrap_err();
        assert!(bad.starts_with("value is not base64: "), "{bad}");
        let bad = Entry::parse(&json!({ "key": "k", "value": "v", "type": "TEXT" })).unwrap_err();
        assert!(bad.starts_with("type: \"TEXT\" is not one of VOID"), "{bad}");
    }
}
