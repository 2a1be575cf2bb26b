//! Shared by the tests of Splinter: a sequential model of a store, and helpers that each test would otherwise write anew.
//!
//! [`Op`] is one operation with its arguments. [`perform`] does it to a store, [`Model::apply`] to a map in memory, and both
//! give an [`Answer`]. So a random test draws operations and compares:
//!
//! ```
//! use splinter_testkit::{Model, Op, perform};
//!
//! let config = splinter::Config::default();
//! let store = splinter::Store::anonymous(&config).unwrap();
//! let (mut writer, mut model) = (store.writer().unwrap(), Model::new(config.geometry, config.scrub));
//! for op in [Op::Set(b"key".into(), b"12".into()), Op::Append(b"key".into(), b"3".into()), Op::Unset(b"none".into())] {
//!     assert_eq!(perform(&op, &mut writer), model.apply(&op), "{op:?}");
//! }
//! model.assert_store(&store);
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`op`], [`model`], [`compare`] | operations, the model, and a store against the model |
//! | [`sound`] | whether a store is sound, and all of its slots can be used |
//! | [`raw`] | a store's file, read by its format alone |
//! | [`stores`], [`names`] | stores of any geometry, and of any format version; names and folders that are removed after a test |
//! | [`values`] | random numbers, and values that tell whether they are whole |
//! | [`vectors`] | vectors for searches, and scores by plain sums |
//! | [`signals`] | a key in some groups, and every way to change it |
//! | [`wait`] | waits that have a limit |
//! | [`process`] | forked children, and tests that run alone in a process |
//! | [`kills`], [`trace`] | writers killed or stopped during a write; children that are stopped at each instruction |
//! | [`faults`] | limits, and small file systems |
//! | [`program`] | programs that run to their end, and their refusals |
//! | [`confined`] | programs on a kernel with many processors, on small file systems, or without `/proc` |
//! | [`valgrind`] | whether Valgrind runs the test |
//!
//! A test that cannot run here calls [`skipped`]. Supports panic where something fails that no test expects to fail.

pub mod compare;
pub mod confined;
pub mod faults;
pub mod kills;
pub mod model;
pub mod names;
pub mod op;
pub mod process;
pub mod program;
pub mod raw;
pub mod signals;
mod skip;
pub mod sound;
pub mod stores;
pub mod trace;
pub mod valgrind;
pub mod values;
pub mod vectors;
pub mod wait;

pub use model::{Entry, Model, Seen};
pub use names::{Folder, Named, unique};
pub use op::{Answer, Content, Guess, Op, Part, Reply, perform};
pub use program::{Running, refused};
pub use skip::skipped;
pub use sound::{assert_every_slot_usable, assert_sound, assert_sound_but_for_stale_bytes, retry};
pub use stores::{committed, config, geometry, store};
pub use values::{Rng, sequence, value};
pub use wait::{SetAtEnd, wait_for, wait_until};
