//! Tests of the transcripts that users know, byte for byte: typed lines and output at a terminal. Only the version and
//! the names of stores are replaced, since others may use those names.

mod common;

use common::terminal::{Terminal, play};
use common::{Bench, wait_until_asleep};

/// Replaces the version and the stores' names in a transcript by those of this run.
fn adapt(transcript: &str, stores: &[(&str, &str)]) -> String {
    let mut text =
        transcript.replace("version 0.9.0 build 4e09f5e", &format!("version {}", splinter_cli::BUILD));
    for (name, store) in stores {
        for (before, after) in [("init ", "\n"), ("use ", "\n"), ("to ", "\n"), ("'", "'"), ("\n", " #")] {
            text = text.replace(&format!("{before}{name}{after}"), &format!("{before}{store}{after}"));
        }
    }
    text
}

/// The session in the original's README, version 0.9.0.
const SESSION: &str = r#"splinter_cli version 0.9.0 build 4e09f5e
To quit, press ctrl-c or ctrl-d.
no-conn # init splinter_test
Creating 'splinter_test' with default geometry.
no-conn # use splinter_test
use: now connected to splinter_test
splinter_test # set test_one "Hello, world!"
splinter_test # set test_two "How are you?"
splinter_test # list
Key Name | Epoch | Value Length
------------------------------------------------------------------
test_two | 2 | 12
test_one | 2 | 13
splinter_test # watch test_two --oneshot
... update from another terminal ...
13:Fine, thanks!
splinter_test # export
{
"store": {
"total_slots": 1024,
"active_keys": 2
},
"keys": [
{
"key": "test_two",
"epoch": 4,
"value_length": 13
},
{
"key": "test_one",
"epoch": 2,
"value_length": 13
}
]
}
splinter_test #
"#;

/// The session with a prefix in the same README.
const PREFIX: &str = "splinter_cli version 0.9.0 build 4e09f5e
To quit, press ctrl-c or ctrl-d.
no-conn # init test
Creating 'test' with default geometry.
no-conn # use test
use: now connected to test
test # list
Key Name | Epoch | Value Length
------------------------------------------------------------------
test # set foo bar
test # list
Key Name | Epoch | Value Length
------------------------------------------------------------------
demo::namespace::foo | 2 | 3
test # get foo
3:bar
test #
";

#[test]
fn a_session_at_the_prompt_reads_as_it_did() {
    let bench = Bench::new();
    let store = bench.store("splinter_test");
    let mut terminal = Terminal::start(&mut bench.command("splinter_cli"), "dumb");
    play(&mut terminal, &adapt(SESSION, &[("splinter_test", &store)]), |terminal| {
        wait_until_asleep(terminal.process());
        bench.good(&store, &["set", "test_two", "Fine, thanks!"]);
    });
}

#[test]
fn a_prefix_stands_before_every_key() {
    for by_variable in [false, true] {
        let bench = Bench::new();
        let store = bench.store("test");
        let mut command = bench.command("splinter_cli");
        match by_variable {
            false => command.args(["--prefix", "demo::namespace::"]),
            true => command.env("SPLINTER_NS_PREFIX", "demo::namespace::"),
        };
        let mut terminal = Terminal::start(&mut command, "dumb");
        play(&mut terminal, &adapt(PREFIX, &[("test", &store)]), |_| ());
    }
}
