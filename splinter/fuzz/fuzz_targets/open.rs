//! Bytes of any kind as a store's file: opened or refused, and what is opened can be used, for wrong answers at worst.
#![no_main]

use arbitrary::Arbitrary;
use splinter::StoreError;
use splinter_fuzz::case::{List, Step};
use splinter_fuzz::exercise::Exercise;
use splinter_fuzz::hostile::{Patch, fill, memory_file, open, scribble, specimen};
use std::os::unix::fs::FileExt;

#[derive(Arbitrary, Debug)]
struct Case {
    writable: bool,
    steps: [Step; 3],
    bytes: Bytes,
}

#[derive(Arbitrary, Debug)]
enum Bytes {
    /// A store with patches, cut short or not.
    Patched { which: u8, cut: Option<u16>, patches: List<Patch> },
    /// A store of other sizes: magic, version and state are right.
    Sized { words: [u16; 4], rest: List<u16> },
    /// Anything, in a file of any length.
    Any { len: u16, bytes: List<u8> },
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let file = match &case.bytes {
        Bytes::Patched { which, cut, patches } => {
            let specimen = specimen(*which);
            let file = memory_file(specimen.bytes.len() as u64);
            fill(&file, &specimen.bytes);
            scribble(&file, specimen, &patches.0);
            if let Some(cut) = cut {
                file.set_len(u64::from(*cut) * 8).expect("another length");
            }
            file
        }
        Bytes::Sized { words, rest } => {
            let file = memory_file(1 << 19);
            let head = &specimen(0).bytes[..168];
            file.write_all_at(head, 0).expect("a header");
            for (word, at) in words.iter().chain(&rest.0).zip((16..).step_by(8)) {
                file.write_all_at(&u64::from(*word).to_le_bytes(), at).expect("a word");
            }
            file
        }
        Bytes::Any { len, bytes: List(bytes) } => {
            let file = memory_file(u64::from(*len) * 4);
            let len = bytes.len().min(usize::from(*len) * 4);
            file.write_all_at(&bytes[..len], 0).expect("bytes");
            file
        }
    };
    match open(&file, case.writable) {
        Ok(store) => {
            let mut exercise = Exercise::new(store);
            case.steps.iter().for_each(|step| exercise.step(step));
            exercise.look_around();
        }
        Err(StoreError::NotAStore { subject, reason }) => {
            assert!(!subject.is_empty() && !reason.is_empty());
        }
        Err(error) => panic!("refused otherwise: {error}"),
    }
});
