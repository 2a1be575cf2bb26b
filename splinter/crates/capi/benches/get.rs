//! Measures how much longer a keyed get takes through the C library than in Rust: `cargo bench -p splinter-capi`.
//!
//! One thread gets the same keys of one store in the same order, in Rust and in C by turns. The rounds are short, so
//! that a disturbance of the machine slows both. The result of each is the first percentile of its rounds.

// Opts in for calling functions of a library that is loaded at run time.
#![allow(unsafe_code)]

use splinter::{Config, Geometry, Location, Store};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

type Open = extern "C" fn(*const c_char) -> c_int;
type StoreOpen = extern "C" fn(*const c_char) -> *mut c_void;
type Get = extern "C" fn(*const c_char, *mut c_void, usize, *mut usize) -> c_int;
type StoreGet = extern "C" fn(*mut c_void, *const c_char, *mut c_void, usize, *mut usize) -> c_int;
type Close = extern "C" fn();

const ROUNDS: usize = 2_000;
const GETS: usize = 4_096;
/// The byte that values consist of.
const VALUE: u8 = 7;

/// Builds the library in release mode, as it is installed, and loads it.
fn load() -> *mut c_void {
    let build = ["build", "--locked", "--release", "--message-format", "json", "-p", "splinter-capi"];
    let output = Command::new(env!("CARGO")).args(build).output().expect("cargo cannot be run");
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are not UTF-8");
    let path = messages.split('"').find(|part| part.ends_with("/libsplinter_c.so"));
    let path = CString::new(path.expect("cargo built no libsplinter_c.so")).expect("NUL in a path");
    // SAFETY: the path ends in NUL. The library is this crate's: loading it runs no initializer but Rust's own.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "the library cannot be loaded");
    library
}

/// Returns the address of an exported function.
fn find(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the library is loaded for good, and the name ends in NUL.
    let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!symbol.is_null(), "{name:?} is not exported");
    symbol
}

/// Times three ways to get, by turns. `pick` chooses a key by the number of the get and by the value that the last get
/// returned. Returns the nanoseconds of one get, for each way.
fn rounds(
    pick: impl Fn(usize, &[u8]) -> usize,
    first: impl Fn(usize, &mut [u8]) -> usize,
    second: impl Fn(usize, &mut [u8]) -> usize,
    third: impl Fn(usize, &mut [u8]) -> usize,
) -> [f64; 3] {
    let mut spent = [vec![], vec![], vec![]];
    let mut buf = vec![VALUE; 4096];
    for _ in 0..ROUNDS {
        spent[0].push(time(&mut buf, |number, buf| first(pick(number, buf), buf)));
        spent[1].push(time(&mut buf, |number, buf| second(pick(number, buf), buf)));
        spent[2].push(time(&mut buf, |number, buf| third(pick(number, buf), buf)));
    }
    spent.map(first_percentile)
}

/// Runs a round. Returns the nanoseconds of one get.
fn time(buf: &mut [u8], get: impl Fn(usize, &mut [u8]) -> usize) -> f64 {
    let start = Instant::now();
    for number in 0..GETS {
        black_box(get(number, buf));
    }
    start.elapsed().as_nanos() as f64 / GETS as f64
}

/// Returns the first percentile: the time of a round while nothing else uses the core, or its other hardware thread.
fn first_percentile(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 100]
}

fn main() {
    let library = load();
    // SAFETY: `splinter.h` declares the function with this type.
    let open: Open = unsafe { std::mem::transmute(find(library, c"splinter_open")) };
    // SAFETY: as above.
    let store_open: StoreOpen = unsafe { std::mem::transmute(find(library, c"splinter_store_open")) };
    // SAFETY: as above.
    let get: Get = unsafe { std::mem::transmute(find(library, c"splinter_get")) };
    // SAFETY: as above.
    let store_get: StoreGet = unsafe { std::mem::transmute(find(library, c"splinter_store_get")) };
    // SAFETY: as above.
    let close: Close = unsafe { std::mem::transmute(find(library, c"splinter_close")) };

    println!("a get by key, in ns: the first percentile of {ROUNDS} rounds of {GETS} gets");
    println!(
        "{:>6} {:>6} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8}",
        "keys", "key", "value", "way", "Rust", "C", "over", "handle"
    );
    // Keys of one length, and (0) of lengths that the processor cannot predict.
    for (keys, key_len, value_len) in
        [(1, 8, 64), (64, 8, 64), (64, 15, 64), (64, 0, 64), (4096, 8, 64), (64, 40, 1024)]
    {
        let name = splinter_testkit::unique();
        let location = Location::shared(name.as_str()).expect("invalid name");
        let geometry = Geometry { slots: 8192, ..Geometry::default() };
        let store = Store::create(&location, &Config { geometry, ..Config::default() }).expect("no store");
        let c_name = CString::new(name).expect("NUL in a name");
        assert_eq!(open(c_name.as_ptr()), 0);
        let handle = store_open(c_name.as_ptr());
        location.unlink().expect("unlink failed");
        let len_of = |number: usize| match key_len {
            0 => 5 + number.wrapping_mul(0x9e37_79b9) / 7 % 30,
            len => len,
        };
        let key = |number: usize| format!("{number:0>len$}", len = len_of(number));
        let c_keys: Vec<CString> =
            (0..keys).map(|number| CString::new(key(number)).expect("NUL in a key")).collect();
        let mut writer = store.writer().expect("no writer");
        for key in &c_keys {
            writer.set(key.to_bytes(), &vec![VALUE; value_len]).expect("set failed");
        }
        let slices: Vec<&[u8]> = c_keys.iter().map(|key| key.to_bytes()).collect();
        let pick = |number: usize| number.wrapping_mul(0x9e37_79b9) >> 5 & (keys - 1);
        let key_shown = if key_len == 0 { "5-34".to_owned() } else { key_len.to_string() };
        let print_row = |way: &str, [rust, c, by_handle]: [f64; 3]| {
            println!(
                "{keys:>6} {key_shown:>6} {value_len:>6} {way:>6} {rust:>8.1} {c:>8.1} {:>+8.1} {:>+8.1}",
                c - rust,
                by_handle - rust
            );
        };
        let by_rust = |number: usize, buf: &mut [u8]| store.get(slices[number], buf).expect("no value");
        let by_c = |number: usize, buf: &mut [u8]| {
            let mut len = 0;
            let (key, to) = (c_keys[number].as_ptr(), buf.as_mut_ptr().cast());
            assert_eq!(get(key, to, buf.len(), &raw mut len), 0);
            len
        };
        let by_handle = |number: usize, buf: &mut [u8]| {
            let mut len = 0;
            let (key, to) = (c_keys[number].as_ptr(), buf.as_mut_ptr().cast());
            assert_eq!(store_get(handle, key, to, buf.len(), &raw mut len), 0);
            len
        };
        // In a chain, the choice of the next key depends on the value that was read before.
        let in_chain = |number: usize, buf: &[u8]| pick(number ^ usize::from(buf[0] ^ VALUE));
        print_row("apart", rounds(|number, _| pick(number), by_rust, by_c, by_handle));
        print_row("chain", rounds(in_chain, by_rust, by_c, by_handle));
        close();
    }
}
