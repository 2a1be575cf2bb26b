//! Generates `splinter.h` from the functions, structures and constants that the macros keep. This module is compiled
//! for tests only. A test compares the committed header with the generated one, and first writes it if
//! `SPLINTER_HEADER=write` is set.

use crate::declarations::{Function, Shape};
use crate::interface::SECTIONS;
use crate::shapes::{
    BID_SNAPSHOT, CANDIDATE, CONSTANTS, EMBED_DIM, EVICTIONS, EXPECTATIONS, HEADER_SNAPSHOT, METRICS,
    OPERATIONS, OUTCOME, QUEUE_MESSAGE, QUEUE_SNAPSHOT, SEARCH_HIT, SEARCH_OPTIONS, SLOT, SLOT_SNAPSHOT,
    SPLINTER_KEY_MAX, STARTS, name_of_intent,
};
use splinter::Intent;
use std::fmt::Write;

/// The values of `errno` after a failure, and what they mean.
pub(crate) const ERRORS: [(&str, &str); 17] = [
    (
        "EAGAIN",
        "another thread writes the key, or it changed during every try; a queue is full or empty: try again",
    ),
    ("ENOENT", "no such key, store, bid, queue or group"),
    ("EEXIST", "the name, id or key exists already"),
    ("ESTALE", "the key has another epoch than the caller expects"),
    ("EMSGSIZE", "a buffer is too small, or a value too long"),
    ("ENAMETOOLONG", "a key has more than 63 bytes"),
    ("ENOSPC", "the store, a table or memory is full"),
    ("EPROTOTYPE", "the key is of another type"),
    ("ETIMEDOUT", "the time ran out"),
    ("EINVAL", "an argument is out of bounds"),
    ("EIDRM", "the queue was removed"),
    ("EBADMSG", "a key of the queue was overwritten by something else, or removed"),
    ("ENODEV", "the event bus is not armed"),
    ("EOPNOTSUPP", "this store or this process cannot do that"),
    ("EPERM", "the bid belongs to another process"),
    ("EROFS", "the store is open read-only"),
    ("ENOTRECOVERABLE", "an error in the library itself"),
];

/// The general documentation, in paragraphs: results, with the list of errors after it; errors of the kernel; the rest.
pub(crate) const ABOUT: [&str; 6] = [
    "Functions return 0, or the number that is asked for. On failure they set errno and return -1, or -2 if the call itself
is wrong: a NULL pointer that must not be NULL, or no open store. Functions that return no int return 0 or NULL on
failure. A function that succeeds leaves errno as it was.",
    "Functions that open or create a store may also set errno to an error of the kernel.",
    "A process has one default store, which functions without a handle use. Functions whose names begin with splinter_store_
take a handle, and do the same on any number of stores. Any thread may call any function at any time, and so may a
forked child. The handle of a closed store is an error. Programs must not pass pointers to too little memory, call
functions from a signal handler, or leave a function that the library calls other than by returning. No call is a
cancellation point: a thread that is cancelled during a call ends after it.",
    "A store of at most 64 MiB takes all its memory when it is created, which fails with ENOSPC if there is too little. A
larger store, and one on a file system that cannot reserve memory, takes it as it is used. If /dev/shm or the disk is
full then, the process gets SIGBUS.",
    "Each thread that writes has its own writer until it ends. One process can have a quarter of the store's writers (of 256
in a store that these functions created). If a process has more threads, or no descriptor or memory left, its threads
take turns. If all writers belong to other processes, writing fails with ENOSPC.",
    "These functions signal the groups of a key: splinter_set, splinter_append, splinter_client_set_tandem,
splinter_bump_slot, splinter_retrain_slot, splinter_commit, and those that pulse. Otherwise, removing a key and changing
integers, types, vectors, labels, times and flags signal no group. So a program that waits for a group can mark a key as
done without waking itself. Polling a key and the event bus report every change.",
];

/// The macros that a program may define, and their effects.
pub(crate) const MACROS: [(&str, &str); 2] = [
    ("SPLINTER_PERSISTENT", "names are paths with either library, as in libsplinter_p"),
    ("SPLINTER_EMBEDDINGS", "declares the functions for vectors, and adds vectors to slot snapshots"),
];

const CLOCK: &str = "
#if defined(__x86_64__) && defined(__GNUC__)
static inline uint64_t splinter_now(void)
{
    return __builtin_ia32_rdtsc();
}
#else
uint64_t splinter_now(void);
#endif
";

/// Generates the header: fills the places between `@` in `splinter.h.in`.
fn generate() -> String {
    let parts = [
        ("@ABOUT@", about as fn(&mut String)),
        ("@CONSTANTS@", constants),
        ("@FLAGS@", flags),
        ("@ENUMERATIONS@", enumerations),
        ("@STRUCTURES@", structures),
        ("@PATHS@", paths),
        ("@FUNCTIONS@", functions),
    ];
    let template = include_str!("splinter.h.in").replace("@EMBED_DIM@", &EMBED_DIM.to_string());
    parts.into_iter().fold(template, |header, (place, write)| {
        let mut part = String::new();
        write(&mut part);
        header.replace(place, part.trim_end_matches('\n'))
    })
}

fn about(out: &mut String) {
    let mut lines = Vec::new();
    for (index, paragraph) in ABOUT.iter().enumerate() {
        lines.push(String::new());
        lines.extend(paragraph.lines().map(str::to_owned));
        if index == 0 {
            lines.push(String::new());
            lines.extend(ERRORS.iter().map(|(name, why)| format!("    {name:<16} {why}")));
        }
    }
    lines.push(String::new());
    lines.extend(MACROS.iter().map(|(name, what)| format!("{name}  {what}")));
    for line in lines {
        writeln!(out, "{}", format!(" * {line}").trim_end()).unwrap();
    }
}

fn constants(out: &mut String) {
    for constant in CONSTANTS {
        if !constant.notes.is_empty() {
            out.push('\n');
            comment(out, "", constant.notes);
        }
        let value = match constant.name {
            "SPLINTER_MAGIC" => format!("{:#X}u", constant.value).replace("0X", "0x"),
            "NS_PER_MS" => format!("{}ULL", constant.value),
            _ => constant.value.to_string(),
        };
        define(out, constant.name, &value);
    }
}

fn enumerations(out: &mut String) {
    let operations = OPERATIONS.map(|(name, _)| name).into_iter().zip(0..);
    enumeration(out, "The operations of splinter_integer_op.", operations, "splinter_integer_op_t");
    let expectations = EXPECTATIONS.map(|(name, _)| name).into_iter().zip(0..);
    enumeration(out, "What splinter_set_if and its kin expect of a key.", expectations, "splinter_expect_t");
    let starts = STARTS.map(|(name, _)| name).into_iter().zip(0..);
    enumeration(out, "Where a new group of a queue begins.", starts, "splinter_queue_start_t");
    let evictions = EVICTIONS.map(|(name, _)| name).into_iter().zip(0..);
    enumeration(out, "Which key makes room for a new one in a full store.", evictions, "splinter_eviction_t");
    let metrics = METRICS.map(|(name, _)| name).into_iter().zip(0..);
    enumeration(out, "What a score measures: L2 is the negated distance.", metrics, "splinter_metric_t");
    let intents = (0..).map_while(Intent::from_number).map(|one| (name_of_intent(one), one as u32));
    let note = "The use that a bidder intends for the store's memory.";
    enumeration(out, note, intents, "splinter_intent_t");
}

/// The structures, in order.
pub(crate) const SHAPES: [&Shape; 10] = [
    &HEADER_SNAPSHOT,
    &SLOT_SNAPSHOT,
    &SLOT,
    &BID_SNAPSHOT,
    &OUTCOME,
    &QUEUE_MESSAGE,
    &QUEUE_SNAPSHOT,
    &SEARCH_HIT,
    &CANDIDATE,
    &SEARCH_OPTIONS,
];

fn structures(out: &mut String) {
    for shape in SHAPES {
        structure(out, shape);
    }
}

fn paths(out: &mut String) {
    let functions = SECTIONS.iter().flat_map(|section| section.functions);
    for path in functions.filter(|function| function.name.ends_with("_path")) {
        define(out, path.name.trim_end_matches("_path"), path.name);
    }
}

fn functions(out: &mut String) {
    for section in &SECTIONS {
        write!(out, "\n/* {} */\n", section.title).unwrap();
        if !section.guard.is_empty() {
            write!(out, "\n#ifdef {}\n", section.guard).unwrap();
        }
        section.functions.iter().for_each(|function| declare(out, function));
        if !section.guard.is_empty() {
            writeln!(out, "#endif").unwrap();
        }
    }
}

fn define(out: &mut String, name: &str, value: &str) {
    writeln!(out, "#define {name} {value}").unwrap();
}

/// Writes an enumeration of names and their numbers.
fn enumeration(out: &mut String, note: &str, members: impl Iterator<Item = (&'static str, u32)>, name: &str) {
    let members: Vec<_> = members.map(|(member, number)| format!("    {member} = {number}")).collect();
    // No comma at the end: C++98 and -pedantic refuse one.
    write!(out, "\n/* {note} */\ntypedef enum {{\n{}\n}} {name};\n", members.join(",\n")).unwrap();
}

/// Writes the flags of `splinter_flag_*`: sixteen for the system, of which only the first has a name, and sixteen for
/// programs.
fn flags(out: &mut String) {
    for flag in 0..32 {
        let name = match flag {
            0 => "SPL_FLAG_AUTO_VACUUM".to_owned(),
            1..16 => format!("SPL_FLAG_RES_GP{}", flag + 1),
            _ => format!("SPL_FLAG_USR{}", flag - 15),
        };
        define(out, &name, &format!("(1u << {flag})"));
    }
}

fn comment(out: &mut String, indent: &str, notes: &[&str]) {
    let mut lines = notes.iter().map(|note| note.trim());
    write!(out, "{indent}/* {}", lines.next().unwrap_or_default()).unwrap();
    for line in lines {
        write!(out, "\n{indent} * {line}").unwrap();
    }
    out.push_str(" */\n");
}

/// Returns the C type of a Rust type, as it is written before a name.
fn c_type(rust: &str) -> &'static str {
    let bare: String = rust.replace("'_, ", "").replace("<'_>", "").replace(' ', "");
    match bare.as_str() {
        "c_int" => "int ",
        "c_uint" => "unsigned int ",
        "c_ushort" => "unsigned short ",
        "u8" => "uint8_t ",
        "u16" => "uint16_t ",
        "u32" => "uint32_t ",
        "u64" => "uint64_t ",
        "usize" => "size_t ",
        "f64" => "double ",
        "()" => "void ",
        "Text" | "*constc_char" => "const char *",
        "Handle" => "splinter_store_t *",
        "TransactionHandle" => "splinter_transaction_t *",
        "QueueHandle" => "splinter_queue_t *",
        "ConsumerHandle" => "splinter_consumer_t *",
        "HeaderPtr" => "struct splinter_header *",
        "HeaderConst" => "const struct splinter_header *",
        "SlotPtr" => "struct splinter_slot *",
        "SlotConst" => "const struct splinter_slot *",
        "*mutc_void" | "Out<c_void>" => "void *",
        "*constc_void" | "In<c_void>" => "const void *",
        "In<*constc_void>" => "const void **",
        "In<*constc_char>" => "const char *const *",
        "In<usize>" => "const size_t *",
        "In<f32>" => "const float *",
        "Out<f32>" => "float *",
        "Out<u8>" => "uint8_t *",
        "Out<u64>" => "uint64_t *",
        "Out<usize>" => "size_t *",
        "Out<f64>" => "double *",
        "Out<*mutc_char>" => "char **",
        "Out<HeaderSnapshot>" => "splinter_header_snapshot_t *",
        "Out<SlotSnapshot>" | "Out<SlotSnapshotWithVector>" => "splinter_slot_snapshot_t *",
        "Out<c_char>" => "char *",
        "Out<QueueMessage>" => "splinter_queue_message_t *",
        "Out<QueueSnapshot>" => "splinter_queue_snapshot_t *",
        "In<SearchOptions>" => "const splinter_search_t *",
        "Out<SearchHit>" => "splinter_hit_t *",
        "Out<Outcome>" => "splinter_outcome_t *",
        "Out<BidSnapshot>" => "struct splinter_shard_bid_snapshot *",
        _ => panic!("no C type is known for {rust}"),
    }
}

impl Function {
    /// Returns the parameters as C has them: the part before a name, the name, and the part behind it. The twin has the
    /// handle as its first parameter.
    pub(crate) fn c_parameters(&self, of_twin: bool) -> Vec<(String, &'static str, &'static str)> {
        let store = of_twin.then(|| ("splinter_store_t *".to_owned(), "store", ""));
        let parameter = |(name, rust): &(&'static str, &str)| match *rust {
            "Visit" => ("void (*".to_owned(), *name, ")(const char *key, uint64_t epoch, void *data)"),
            rust => (c_type(rust).to_owned(), *name, ""),
        };
        store.into_iter().chain(self.parameters.iter().map(parameter)).collect()
    }

    /// Returns the type of the result, as C has it before a name.
    pub(crate) fn c_return_type(&self) -> &'static str {
        c_type(self.returns)
    }
}

/// Writes the declaration of a function and its twin.
fn declare(out: &mut String, function: &Function) {
    out.push('\n');
    comment(out, "", function.notes);
    if function.name == "splinter_now" {
        out.push_str(CLOCK.trim_start());
        return;
    }
    for (name, of_twin) in [(function.name, false), (function.twin, true)] {
        let parameters = function.c_parameters(of_twin);
        let listed = match &parameters[..] {
            [] => "void".to_owned(),
            some => {
                let words = some.iter().map(|(before, name, behind)| format!("{before}{name}{behind}"));
                words.collect::<Vec<_>>().join(", ")
            }
        };
        if !name.is_empty() {
            writeln!(out, "{}{name}({listed});", function.c_return_type()).unwrap();
        }
    }
}

/// Writes the declaration of a structure.
pub(crate) fn structure(out: &mut String, shape: &Shape) {
    out.push('\n');
    comment(out, "", shape.notes);
    writeln!(out, "struct {} {{", shape.name).unwrap();
    for (index, (notes, name, rust)) in shape.fields.iter().enumerate() {
        comment(out, "    ", notes);
        let aligned = match (index, shape.align) {
            (0, align @ 1..) => format!("SPLINTER_ALIGNED({align}) "),
            _ => String::new(),
        };
        let declared = match *rust {
            "KeyBuffer" => format!("char {name}[SPLINTER_KEY_MAX]"),
            "Rescore" => format!("double (*{name})(const splinter_candidate_t *candidate, void *data)"),
            rust => format!("{}{name}", c_type(rust)),
        };
        writeln!(out, "    {aligned}{declared};").unwrap();
    }
    if shape.name == "splinter_slot_snapshot" {
        out.push_str("#ifdef SPLINTER_EMBEDDINGS\n    /* Its vector; zero if it has none. */\n");
        out.push_str("    float embedding[SPLINTER_EMBED_DIM];\n#endif\n");
    }
    writeln!(out, "}};\ntypedef struct {0} {0}_t;", shape.name).unwrap();
}

/// Compares a committed file with the generated text. Writes the file first if `SPLINTER_HEADER=write` is set.
pub(crate) fn compare(file: &str, generated: &str) {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SPLINTER_HEADER").is_some_and(|what| what == "write") {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{path} is out of date: SPLINTER_HEADER=write cargo test -p splinter-capi --lib generates it again"
    );
}

#[test]
fn the_committed_header_is_what_the_definitions_say() {
    compare("include/splinter.h", &generate());
}

#[test]
fn names_and_lines_fit() {
    let header = generate();
    assert!(SPLINTER_KEY_MAX == 64 && header.contains("#define SPLINTER_KEY_MAX 64\n"));
    for section in &SECTIONS {
        for function in section.functions {
            assert!(function.name.starts_with("splinter_"), "{}", function.name);
            assert!(function.twin.is_empty() || function.twin.starts_with("splinter_store_"));
        }
    }
}
