//! The parts of a case of operations: plain data that arbitrary bytes decode to.

use arbitrary::{Arbitrary, Result, Unstructured};
use splinter::{BidTerms, Eviction, Geometry, IntegerOp, Intent, Lifetime, Scrub, Type};
use splinter_testkit::{Content, Guess, Op, Part};
use std::time::Duration;

/// A store, and what is done to it.
#[derive(Arbitrary, Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub steps: List<Step>,
}

/// A list that goes on for as long as there are bytes: to cut bytes out of the middle leaves the rest as it was.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for List<T> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut list = Vec::new();
        while !bytes.is_empty() {
            list.push(T::arbitrary(bytes)?);
        }
        Ok(Self(list))
    }
}

/// The store of a case.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Shape {
    slots: u8,
    max_value_len: u8,
    vector_dim: u8,
    max_writers: u8,
    level: u8,
    /// Whether it has a name in shared memory, otherwise it is anonymous; and what it evicts.
    kind: u8,
}

impl Shape {
    /// One slot, one bucket, several buckets, more than one map word; values of a byte, around a word, around a line,
    /// and of no power of two; no vectors, and vectors that end within a word.
    pub fn geometry(&self) -> Geometry {
        let slots = [1, 2, 3, 4, 5, 8, 11, 70][usize::from(self.slots) % 8];
        let max_value_len = [1, 7, 8, 20, 63, 64, 65, 150][usize::from(self.max_value_len) % 8];
        let vector_dim = [0, 1, 3, 17][usize::from(self.vector_dim) % 4];
        Geometry { slots, max_value_len, vector_dim, max_writers: u32::from(self.max_writers) % 3 + 1 }
    }

    pub fn scrub(&self) -> Scrub {
        level(self.level)
    }

    /// A name takes the file system, which is slow: one in eight has one.
    pub fn is_named(&self) -> bool {
        self.kind.is_multiple_of(8)
    }

    /// Half of the stores are caches.
    pub fn eviction(&self) -> Eviction {
        match self.kind / 8 % 4 {
            0 | 1 => Eviction::Expired,
            2 => Eviction::Sieve,
            _ => Eviction::Lru,
        }
    }
}

/// One thing done, mostly to one key.
#[derive(Arbitrary, Clone, Debug)]
pub struct Step {
    /// Which writer does it.
    pub writer: u8,
    pub key: KeyName,
    pub action: Action,
}

/// A key of a small pool, in which there are orders of tandems, the longest keys, and some that are none.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct KeyName(u8);

impl KeyName {
    /// Names one of those that are keys, in turn.
    pub fn valid(number: u8) -> Self {
        Self([0, 1, 2, 3, 4, 6, 11, 12][usize::from(number) % 8])
    }

    pub fn bytes(self) -> Vec<u8> {
        match self.0 % 32 {
            0 => b"k".into(),
            1 => b"k.1".into(),
            2 => b"k.2".into(),
            3 => b"k.1.1".into(),
            4 => vec![b'x'; 63],
            5 => vec![b'y'; 61],
            6 => vec![0xff; 8],
            7 => vec![0xfe; 33],
            8 => Vec::new(),
            9 => vec![b'z'; 64],
            10 => b"a\0b".into(),
            n => format!("n{n}").into_bytes(),
        }
    }
}

/// A value: its length and the kind of its bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Body {
    len: u8,
    content: u8,
}

impl Body {
    /// Makes the value: digits, eight raw bytes, or any length up to one byte too many, never with a zero in it.
    pub fn bytes(self, max_value_len: u64) -> Vec<u8> {
        let len = u64::from(self.len) % (max_value_len + 2);
        match self.content % 8 {
            0 => u64::from(self.len).wrapping_mul(77_777_777_777_777_777).to_string().into_bytes(),
            1 => u64::from(self.len).to_string().into_bytes(),
            2 => (u64::from(self.len) << 32 | 7).to_le_bytes().into(),
            3 => vec![self.content | 1; (max_value_len + 1 - len % 2) as usize],
            _ => (0..len).map(|at| (at as u8 ^ self.content) | 1).collect(),
        }
    }
}

/// The kind of a step.
#[derive(Arbitrary, Clone, Debug)]
pub enum Action {
    Set(Body),
    SetAgain(Body),
    SetAt(Body),
    SetMany([(KeyName, Body); 3]),
    Append(Body),
    Unset,
    UnsetAgain,
    Bump,
    SetNumber(u64),
    Integer(Number),
    IntegerAt(Number),
    SetType(u8),
    Label(u64),
    Unlabel(u64),
    SetFlags(u16),
    ClearFlags(u16),
    SetCtime(u64, u8),
    SetAtime(u64, u8),
    SetVector { components: u8, salt: u8 },
    ClearVector,
    SetTandem(Orders, [Body; 3]),
    UnsetTandem(Orders),
    Register(u8),
    Unregister(u8),
    Pulse,
    RouteLabels(u64, u8),
    UnrouteLabels(u64, u8),
    Purge,
    SetScrub(u8),
    AutoVacuum(bool),
    SetUserFlags(u16),
    ClearUserFlags(u16),
    ReportParseFailure,
    Keep,
    Watch(u8, u8),
    WatchAll,
    Listen,
    Resync,
    Poll { back: u8 },
    Read(Orders, [KeyName; 3]),
    Writers(u8),
    Reopen,
    Bid(BidStep),
    Inspect,
    SetIf(u8, Body),
    AppendIf(u8, Body),
    UnsetIf(u8),
    SetNumberIf(u8, u64),
    SetTypeIf(u8, u8),
    Update(Body),
    Swap(Body),
    IntegerOr(Number, u64),
    SetWith(u8, Body, Stay),
    Stay(Stay),
    Sweep,
    Commit([Change; 2]),
    CommitMany([Change; 5]),
    Pin(bool),
}

impl Action {
    /// Returns the operation on a key of a store of these sizes, or on the whole store. Returns none for steps by handles,
    /// and for those that change nothing.
    pub fn op(&self, key: &[u8], geometry: &Geometry) -> Option<Op> {
        let (key, max) = (key.to_vec(), geometry.max_value_len);
        Some(match *self {
            Self::Set(body) | Self::SetAgain(body) => Op::Set(key, body.bytes(max)),
            Self::SetMany(pairs) => {
                Op::SetMany(pairs.iter().map(|(key, body)| (key.bytes(), body.bytes(max))).collect())
            }
            Self::Append(body) => Op::Append(key, body.bytes(max)),
            Self::Unset | Self::UnsetAgain => Op::Unset(key),
            Self::Bump => Op::Bump(key),
            Self::Pulse => Op::Pulse(key),
            Self::SetNumber(number) => Op::SetU64(key, number),
            Self::Integer(number) => Op::Integer(key, number.op()),
            Self::SetType(number) => Op::SetType(key, kind(number)),
            Self::Label(mask) => Op::Label(key, mask),
            Self::Unlabel(mask) => Op::Unlabel(key, mask),
            Self::SetFlags(mask) => Op::SetSlotFlags(key, mask),
            Self::ClearFlags(mask) => Op::ClearSlotFlags(key, mask),
            Self::SetCtime(time, by) => Op::SetCtime(key, time, by.into()),
            Self::SetAtime(time, by) => Op::SetAtime(key, time, by.into()),
            Self::SetVector { components, salt } => Op::SetVector(key, vector(components, salt, geometry)),
            Self::ClearVector => Op::ClearVector(key),
            Self::SetTandem(orders, bodies) => {
                Op::SetTandem(key, (0..orders.count()).map(|order| bodies[order % 3].bytes(max)).collect())
            }
            Self::UnsetTandem(orders) => Op::UnsetTandem(key, orders.count()),
            Self::Register(group) => Op::Register(key, group % 66),
            Self::Unregister(group) => Op::Unregister(key, group % 66),
            Self::RouteLabels(mask, group) => Op::RegisterLabels(mask, group % 66),
            Self::UnrouteLabels(mask, group) => Op::UnregisterLabels(mask, group % 66),
            Self::SetScrub(number) => Op::SetScrub(level(number)),
            Self::AutoVacuum(on) => Op::SetScrub(if on { Scrub::Full } else { Scrub::None }),
            Self::SetUserFlags(mask) => Op::SetUserFlags(mask),
            Self::ClearUserFlags(mask) => Op::ClearUserFlags(mask),
            Self::ReportParseFailure => Op::ReportParseFailure,
            Self::Purge => Op::Purge,
            Self::SetIf(number, body) => Op::If(guess(number), Op::Set(key, body.bytes(max)).into()),
            Self::AppendIf(number, body) => Op::If(guess(number), Op::Append(key, body.bytes(max)).into()),
            Self::UnsetIf(number) => Op::If(guess(number), Op::Unset(key).into()),
            Self::SetNumberIf(number, word) => Op::If(guess(number), Op::SetU64(key, word).into()),
            Self::SetTypeIf(number, of) => Op::If(guess(number), Op::SetType(key, kind(of)).into()),
            Self::Update(body) => Op::Update(key, body.bytes(max)),
            Self::Swap(body) => Op::Swap(key, body.bytes(max)),
            Self::IntegerOr(number, initial) => Op::IntegerOr(key, number.op(), initial),
            Self::SetWith(number, body, stay) => {
                Op::If(guess(number), Op::SetWith(key, body.bytes(max), stay.lifetime()).into())
            }
            Self::Stay(stay) => Op::SetLifetime(key, stay.lifetime()),
            Self::Sweep => Op::Sweep,
            Self::Commit(changes) => commit(&changes, geometry),
            Self::CommitMany(changes) => commit(&changes, geometry),
            Self::Pin(pinned) => Op::Pin(key, pinned),
            _ => return None,
        })
    }
}

/// How long a key stays, in ways that do not depend on the clock.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Stay(u8);

impl Stay {
    fn lifetime(self) -> Lifetime {
        match self.0 % 8 {
            0 => Lifetime::Endless,
            1 => Lifetime::Unchanged,
            2 => Lifetime::For(Duration::ZERO),
            3 => Lifetime::For(Duration::MAX),
            4 => Lifetime::Until(u64::MAX - u64::from(self.0)),
            _ => Lifetime::Until(0),
        }
    }
}

/// What a transaction does with one key.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Change {
    key: KeyName,
    guess: u8,
    content: NewContent,
    /// Which of the others there are, one bit each, and how the vector is made.
    others: u8,
    salt: u8,
    labels: [u64; 2],
    stay: Stay,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum NewContent {
    Keep,
    Set(Body),
    SetNumber(u64),
    Integer(Number),
    IntegerOr(Number, u64),
    Unset,
}

impl Change {
    fn part(&self, geometry: &Geometry) -> Part {
        let has = |bit: u8| self.others >> bit & 1 != 0;
        let content = match self.content {
            NewContent::Keep => Content::Keep,
            NewContent::Set(body) => Content::Set(body.bytes(geometry.max_value_len)),
            NewContent::SetNumber(number) => Content::SetU64(number),
            NewContent::Integer(number) => Content::Integer(number.op()),
            NewContent::IntegerOr(number, initial) => Content::IntegerOr(number.op(), initial),
            NewContent::Unset => Content::Unset,
        };
        // Nothing in half of the cases: else most transactions would be refused.
        let expected = if self.guess < 128 { Guess::Any } else { guess(self.guess) };
        Part {
            guess: expected,
            vector: (has(0) && has(1)).then(|| vector(self.salt, self.salt, geometry)),
            labels: if has(2) { self.labels } else { [0; 2] },
            lifetime: (has(3) && has(4)).then(|| self.stay.lifetime()),
            ..Part::new(self.key.bytes(), content)
        }
    }
}

/// Makes a transaction: of several changes of a key, the first.
fn commit(changes: &[Change], geometry: &Geometry) -> Op {
    let mut parts: Vec<Part> = Vec::new();
    for part in changes.iter().map(|change| change.part(geometry)) {
        if parts.iter().all(|other| other.key != part.key) {
            parts.push(part);
        }
    }
    Op::Commit(parts)
}

fn vector(components: u8, salt: u8, geometry: &Geometry) -> Vec<f32> {
    let right = geometry.vector_dim as usize;
    let len = if components < 240 { right } else { usize::from(components) % 5 };
    (0..len).map(|at| f32::from(salt) + at as f32 + 0.5).collect()
}

/// An integer operation.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Number {
    kind: u8,
    word: u64,
}

impl Number {
    pub fn op(self) -> IntegerOp {
        match self.kind % 6 {
            0 => IntegerOp::And(self.word),
            1 => IntegerOp::Or(self.word),
            2 => IntegerOp::Xor(self.word),
            3 => IntegerOp::Not,
            4 => IntegerOp::Inc(self.word),
            _ => IntegerOp::Dec(self.word),
        }
    }
}

/// How many orders a tandem has: mostly few, now and then more than there may be.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Orders(u8);

impl Orders {
    pub fn count(self) -> usize {
        match self.0 {
            255 => 256,
            250..=254 => 0,
            few => usize::from(few) % 5,
        }
    }
}

/// A step about bids.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum BidStep {
    Claim {
        id: u8,
        intent: u8,
        priority: u8,
        claimed_at: u8,
        expired: bool,
    },
    /// As many as a table has, and more.
    ClaimMany(u8),
    Rebid {
        id: u8,
        intent: u8,
        priority: u8,
        expired: bool,
    },
    Release(u8),
    Revoke(u8),
    Elect,
}

/// Makes the terms of a bid. One without duration has expired at once; others never do.
pub fn terms(intent: u8, priority: u8, expired: bool) -> BidTerms {
    let intent = Intent::ALL[usize::from(intent) % Intent::ALL.len()];
    BidTerms { intent, priority, duration: if expired { 0 } else { u64::MAX } }
}

fn guess(number: u8) -> Guess {
    Guess::ALL[usize::from(number) % Guess::ALL.len()]
}

fn level(number: u8) -> Scrub {
    Scrub::ALL[usize::from(number) % Scrub::ALL.len()]
}

fn kind(number: u8) -> Type {
    Type::ALL[usize::from(number) % Type::ALL.len()]
}
