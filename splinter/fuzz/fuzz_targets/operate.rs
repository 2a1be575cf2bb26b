//! A store that is open while somebody scribbles over it: errors and wrong answers, but no crash, no hang, and no length
//! out of bounds.
#![no_main]

use arbitrary::Arbitrary;
use splinter_fuzz::case::{List, Step};
use splinter_fuzz::exercise::Exercise;
use splinter_fuzz::hostile::{Patch, fill, memory_file, open, scribble, specimen};

#[derive(Arbitrary, Debug)]
struct Case {
    which: u8,
    rounds: List<Round>,
}

#[derive(Arbitrary, Debug)]
enum Round {
    Scribble(Patch),
    ScribbleMore([Patch; 4]),
    Do(Step),
    DoMore([Step; 3]),
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let specimen = specimen(case.which);
    let file = memory_file(specimen.bytes.len() as u64);
    fill(&file, &specimen.bytes);
    let mut exercise = Exercise::new(open(&file, true).expect("a sound store"));
    for round in &case.rounds.0 {
        match round {
            Round::Scribble(patch) => {
                scribble(&file, specimen, std::slice::from_ref(patch));
                exercise.read_all();
            }
            Round::ScribbleMore(patches) => {
                scribble(&file, specimen, patches);
                exercise.read_all();
            }
            Round::Do(step) => exercise.step(step),
            Round::DoMore(steps) => steps.iter().for_each(|step| exercise.step(step)),
        }
    }
    exercise.look_around();
});
