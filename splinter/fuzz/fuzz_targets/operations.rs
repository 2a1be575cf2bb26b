//! Sequences of all operations against a map that does the same.
#![no_main]

use splinter_fuzz::case::Case;

libfuzzer_sys::fuzz_target!(|case: Case| splinter_fuzz::operations::run(&case));
