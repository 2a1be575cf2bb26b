//! The command `init`: creates a store.

use super::prelude::*;
use crate::options::{self, not_one_of, number, text};
use crate::output::{json_bytes, listed, shown};
use crate::store_file;
use splinter::{
    Config, Eviction, Geometry, HugePages, Location, Placement, Reserve, Scrub, Store, StoreError,
};

pub(super) static COMMAND: Command = Command {
    name: "init",
    usage: &["STORE [OPTION]..."],
    summary: "Creates a store",
    details: "\
STORE is a name in shared memory; for splinterp_cli and splinterpctl, a path.
It must not exist yet. Its sizes are fixed from then on: by default, 1,024 keys
with values of 4,096 bytes and vectors of 768 components, and 64 writers at
once. A store of up to about 64 MiB takes all its memory at once, or is not
created if there is too little. A larger one, and one of huge pages, takes its
memory as it is used, unless --reserve is given. The command creates a store
that is larger than its file system or the memory, and warns: once the room is
used up, a write that needs more ends its program by SIGBUS.

With --evict sieve or lru the store is a cache: a new key that finds it full
takes the place of one that was not used lately. sieve keeps the keys that are
used again, and lru those that were used last. Keys that pin names stay. By
default only keys whose deadline has passed make room.

The store keeps a sketch of each vector: a bit for each component, by which a
search finds the nearest ones. With --no-sketches a search looks at all vectors.",
    args: &[Arg::one("STORE", Kind::Store)],
    options: &[
        Opt::valued("--slots", "N", "how many keys it holds at most").short('s'),
        Opt::valued("--max-value", "BYTES", "the longest value").short('l'),
        Opt::valued("--length", "BYTES", "another name for --max-value"),
        Opt::valued("--dim", "N", "components of a vector; 0 for no vectors"),
        Opt::valued("--writers", "N", "how many can write at once"),
        Opt::valued("--lanes", "N", "another name for --writers"),
        Opt::valued("--backing", "WHERE", "shared or file, under any of the program's names")
            .kind(Kind::Choice(BACKINGS)),
        Opt::valued("--huge-pages", "HOW", "off, advise or collapse").kind(Kind::Choice(HUGE)),
        Opt::valued("--node", "NODE", "a NUMA node, several (0,1) to interleave, or all"),
        Opt::valued("--mode", "OCTAL", "its permissions, as chmod takes them: 640"),
        Opt::valued("--scrub", "LEVEL", "none, hybrid or full: which stale bytes are zeroed")
            .kind(Kind::Choice(SCRUB)),
        Opt::valued("--evict", "HOW", "expired, sieve or lru: which keys make room in a full store")
            .kind(Kind::Choice(EVICTION)),
        Opt::flag("--no-sketches", "keeps no sketches of vectors"),
        Opt::flag("--reserve", "takes all memory at once, or fails if it is not there"),
    ],
    run,
};

const BACKINGS: &[&str] = &["shared", "file"];
const HUGE: &[&str] = &["off", "advise", "collapse"];
const SCRUB: &[&str] = &["none", "hybrid", "full"];
const EVICTION: &[&str] = &["expired", "sieve", "lru"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let name = call.arguments[0];
    let location = match call.value("--backing") {
        None => session.location(name)?,
        Some(b"shared") => Location::shared(text("STORE", name)?)?,
        Some(b"file") => Location::file(options::path(name)),
        Some(other) => return Err(not_one_of(other, BACKINGS).with_context("--backing")),
    };
    let config = config(call)?;
    let store = Store::create(&location, &config).map_err(|error| match error {
        StoreError::Exists(place) => {
            Failure::new(format!("{} exists already ({place}); use opens it", shown(name)))
        }
        error => error.into(),
    })?;
    for note in store.notes().iter().chain(store_file::growth_warning(&store).as_ref()) {
        session.warn(&format!("init: {note}"));
    }
    let Geometry { slots, max_value_len, vector_dim, max_writers } = config.geometry;
    let sizes = match config.geometry == Geometry::default() {
        true => "default geometry".to_owned(),
        false => {
            format!("{slots} slots of {max_value_len} bytes, vectors of {vector_dim}, {max_writers} writers")
        }
    };
    let cache = match config.eviction {
        Eviction::Expired => String::new(),
        way => format!("; it is a cache ({way})"),
    };
    session.report(
        [b"Creating '", &*listed(name), b"' with ", sizes.as_bytes(), cache.as_bytes(), b"."].concat(),
        &json!({
            "store": json_bytes(name), "location": location.to_string(), "slots": slots,
            "max_value_length": max_value_len, "vector_dim": vector_dim, "max_writers": max_writers,
            "eviction": config.eviction.to_string(), "sketches": store.has_sketches(),
        }),
    )
}

fn config(call: &Call<'_>) -> Result<Config, Failure> {
    let usual = Geometry::default();
    let max_value_len = call.number("--max-value")?.or(call.number("--length")?);
    let writers = call.number("--writers")?.or(call.number("--lanes")?);
    let geometry = Geometry {
        slots: call.number("--slots")?.unwrap_or(usual.slots),
        max_value_len: max_value_len.unwrap_or(usual.max_value_len),
        vector_dim: call.number("--dim")?.unwrap_or(usual.vector_dim),
        max_writers: writers.unwrap_or(usual.max_writers),
    };
    let huge_pages = match call.value("--huge-pages") {
        None | Some(b"off") => HugePages::Off,
        Some(b"advise") => HugePages::Advise,
        Some(b"collapse") => HugePages::Collapse,
        Some(other) => return Err(not_one_of(other, HUGE).with_context("--huge-pages")),
    };
    let scrub = match call.value("--scrub") {
        None => Scrub::default(),
        Some(level) => scrub("--scrub", level)?,
    };
    let eviction = match call.value("--evict") {
        None => Eviction::default(),
        Some(way) => {
            let parsed = text("--evict", way)?.parse();
            parsed.map_err(|error| Failure::usage(format!("--evict: {error}")))?
        }
    };
    let placement = call.value("--node").map_or(Ok(Placement::default()), placement)?;
    let mode = call.value("--mode").map(mode).transpose()?;
    // A small store reserves its memory: an error now is better than a store that cannot be filled.
    let reserve = if call.has("--reserve") { Reserve::All } else { Reserve::Small };
    let sketches = !call.has("--no-sketches");
    Ok(Config { geometry, scrub, eviction, placement, huge_pages, reserve, mode, hash_seed: None, sketches })
}

pub(super) fn scrub(what: &str, level: &[u8]) -> Result<Scrub, Failure> {
    let parsed = text(what, level)?.parse();
    parsed.map_err(|error| Failure::usage(format!("{what}: {error}")))
}

fn placement(nodes: &[u8]) -> Result<Placement, Failure> {
    if nodes == b"all" {
        return Ok(Placement::Interleave(Vec::new()));
    }
    let numbers = nodes.split(|byte| *byte == b',').map(|node| number("--node", node));
    let numbers = numbers.collect::<Result<Vec<u32>, _>>()?;
    Ok(match numbers[..] {
        [node] => Placement::Bind(node),
        _ => Placement::Interleave(numbers),
    })
}

/// Parses an octal mode. The store itself checks which bits it accepts.
fn mode(digits: &[u8]) -> Result<u32, Failure> {
    let octal = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    let mode = octal.and_then(|text| u32::from_str_radix(text, 8).ok());
    mode.ok_or_else(|| {
        let digits = shown(digits);
        Failure::usage(format!(
            "--mode: {digits} is not octal; give reading and writing bits (0666), as 640 does"
        ))
    })
}
