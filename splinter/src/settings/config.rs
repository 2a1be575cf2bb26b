//! What a store is made of and how it is opened: plain data, checked by its users.

use crate::arena::Scrub;
use crate::arena::cache::Eviction;
use crate::kernel::{HugePages, Placement};
use std::fmt;
use std::str::FromStr;

/// The sizes that are fixed when a store is created.
///
/// ```
/// let geometry = splinter::Geometry { slots: 50_000, ..Default::default() };
/// assert_eq!(geometry.max_value_len, 4096);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// The maximum number of keys: 1 to 2^32 − 2.
    pub slots: u64,
    /// The longest value in bytes: 1 to 2^32 − 64.
    pub max_value_len: u64,
    /// Components of a vector, or 0 for a store without vectors; at most 2^20.
    pub vector_dim: u32,
    /// How many writers can be registered at once: 1 to 1,023.
    pub max_writers: u32,
}

impl Default for Geometry {
    /// 1,024 slots of 4,096 bytes, 768-component vectors, 64 writers: about 15 MiB, reserved at creation by default.
    fn default() -> Self {
        Self { slots: 1024, max_value_len: 4096, vector_dim: 768, max_writers: 64 }
    }
}

/// How a store is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The sizes.
    pub geometry: Geometry,
    /// The scrub level it starts with.
    pub scrub: Scrub,
    /// Which key makes room for a new one when no slot is free. Fixed when the store is created.
    pub eviction: Eviction,
    /// On which NUMA nodes its pages go.
    pub placement: Placement,
    /// Whether to ask for huge pages.
    pub huge_pages: HugePages,
    /// How much of the memory is taken at once.
    pub reserve: Reserve,
    /// The file mode of a named store, exactly; without one 0600, or what the environment's
    /// `SPLINTER_DEFAULT_UMASK` (octal) leaves of 0666. One that takes reading or writing from the owner is refused.
    pub mode: Option<u32>,
    /// The seed of the hash that places keys. The default is the environment's `SPLINTER_HASH_SEED`, or a random one, so
    /// that nobody can choose keys that slow others down. Set it to make two stores alike, byte for byte.
    pub hash_seed: Option<u64>,
    /// Whether the store keeps a sketch of each vector, by which searches find the nearest ones; the default. Without
    /// sketches a search looks at every vector. A sketch takes a bit for each component and eight bytes more. Fixed when
    /// the store is created.
    pub sketches: bool,
}

impl Default for Config {
    /// A store of the [default geometry](Geometry::default) with sketches, the default of each other option, and no mode or
    /// seed of its own.
    fn default() -> Self {
        Self {
            geometry: Geometry::default(),
            scrub: Scrub::default(),
            eviction: Eviction::default(),
            placement: Placement::default(),
            huge_pages: HugePages::default(),
            reserve: Reserve::default(),
            mode: None,
            hash_seed: None,
            sketches: true,
        }
    }
}

/// How much of a store's memory is reserved at creation. That of header and writer table always is.
///
/// A store that does not fit is refused then. All other memory is taken when it is first touched, and the process gets a
/// fatal signal if there is none left in `/dev/shm` or on the disk.
///
/// ```
/// use splinter::{Config, Reserve, Store};
///
/// let store = Store::anonymous(&Config { reserve: Reserve::All, ..Config::default() })?;
/// # Ok::<(), splinter::StoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// Nothing.
    Nothing,
    /// All of a store of at most 64 MiB that asks for no huge pages, where the file system can do that. A larger one may
    /// be meant to be sparse, and filling it would take its time.
    #[default]
    Small,
    /// All. Where the file system cannot do that, no store is created.
    All,
}

/// How a store is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Maps the store for reading only: no writer can be registered.
    pub read_only: bool,
    /// Sets another placement for pages not yet touched, and moves those that hold data, while others use
    /// them: all of them for a process with `CAP_SYS_NICE`, else those that nobody else has mapped.
    /// Reserved huge pages stay; [`Store::residency`](crate::Store::residency) shows what became of the rest.
    pub placement: Option<Placement>,
    /// Whether to ask for huge pages.
    pub huge_pages: HugePages,
}

impl Scrub {
    /// The three levels, from the fastest to the cleanest.
    pub const ALL: [Self; 3] = [Self::None, Self::Hybrid, Self::Full];
}

impl fmt::Display for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Hybrid => "hybrid",
            Self::Full => "full",
        })
    }
}

impl FromStr for Scrub {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        by_name(&Self::ALL, text, "none, hybrid or full")
    }
}

impl Eviction {
    /// All ways of eviction.
    pub const ALL: [Self; 3] = [Self::Expired, Self::Sieve, Self::Lru];
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Expired => "expired",
            Self::Sieve => "sieve",
            Self::Lru => "lru",
        })
    }
}

impl FromStr for Eviction {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        by_name(&Self::ALL, text, "expired, sieve or lru")
    }
}

/// The names a slot's type can have. They inform, and are not enforced; but a `BIGUINT` slot holds a
/// 64-bit unsigned integer on which [`crate::Writer::integer`] acts.
///
/// ```
/// assert_eq!("json".parse(), Ok(splinter::Type::Json));
/// assert_eq!(splinter::Type::VarText.to_string(), "VARTEXT");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Type {
    /// Nothing was said: what every new slot is.
    #[default]
    Void = 0,
    /// A signed integer, as bytes.
    BigInt = 1,
    /// An unsigned 64-bit integer.
    BigUint = 2,
    /// JSON text.
    Json = 3,
    /// Bytes of any kind.
    Binary = 4,
    /// An image.
    ImgData = 5,
    /// Sound.
    Audio = 6,
    /// Text.
    VarText = 7,
    /// Moving pictures.
    Video = 8,
}

impl Type {
    /// All types, by their number in the arena.
    pub const ALL: [Self; 9] = [
        Self::Void,
        Self::BigInt,
        Self::BigUint,
        Self::Json,
        Self::Binary,
        Self::ImgData,
        Self::Audio,
        Self::VarText,
        Self::Video,
    ];

    /// Returns the type with an arena's number; a number without a type is `VOID`.
    pub(crate) fn from_kind(kind: u64) -> Self {
        Self::ALL.get(kind as usize).copied().unwrap_or_default()
    }

    pub(crate) fn kind(self) -> u64 {
        self as u64
    }

    /// Whether values of this type are text.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::VarText)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Void => "VOID",
            Self::BigInt => "BIGINT",
            Self::BigUint => "BIGUINT",
            Self::Json => "JSON",
            Self::Binary => "BINARY",
            Self::ImgData => "IMGDATA",
            Self::Audio => "AUDIO",
            Self::VarText => "VARTEXT",
            Self::Video => "VIDEO",
        })
    }
}

impl FromStr for Type {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let names = "VOID, BIGINT, BIGUINT, JSON, BINARY, IMGDATA, AUDIO, VARTEXT or VIDEO";
        by_name(&Self::ALL, text, names)
    }
}

/// A name that stands for nothing, with those that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    name: String,
    known: &'static str,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not one of {}", self.name, self.known)
    }
}

impl std::error::Error for UnknownName {}

pub(crate) fn by_name<T: Copy + fmt::Display>(
    all: &[T],
    name: &str,
    known: &'static str,
) -> Result<T, UnknownName> {
    let found = all.iter().find(|one| one.to_string().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| UnknownName { name: name.to_owned(), known })
}
