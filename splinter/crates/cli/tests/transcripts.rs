//! Tests of the transcripts that users know, byte for byte: typed lines and output at a terminal. Only the version and
//! the names of stores are replaced, since others may use those names.

mod common;

use common::terminal::{Terminal, play};
use common::{Bench, run, wait_until_asleep};

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

#[test]
fn the_first_steps_work_as_they_are_shown() {
    // init, then a shell's alias for --use, then list, set, get, head, unset and list.
    let bench = Bench::new();
    let demo = bench.store("demo");
    let made = run(bench.command("splinterctl").args(["init", &demo]), b"").good();
    assert_eq!(made, format!("Creating '{demo}' with default geometry.\n"));
    let heading = format!("Key Name | Epoch | Value Length\n{}\n", "-".repeat(66));
    assert_eq!(bench.good(&demo, &["list"]), heading);
    assert_eq!(bench.good(&demo, &["set", "foo", "hello, world"]), "");
    assert_eq!(bench.good(&demo, &["get", "foo"]), "12:hello, world\n");
    let head = bench.good(&demo, &["head", "foo"]);
    assert!(head.starts_with("key: foo\n") && head.contains("\nvalue_length: 12\n"), "{head}");
    assert_eq!(bench.good(&demo, &["unset", "foo"]), "");
    assert_eq!(bench.good(&demo, &["list"]), heading);
}

#[test]
fn the_script_of_the_developer_documents_works_on_a_file_and_in_memory() {
    for name in ["splinterctl", "splinterpctl"] {
        let bench = Bench::new();
        let store = bench.store("splinter_demo");
        let value = "Come hear Uncle John's band";
        run(bench.command(name).args(["init", &store]), b"").good();
        run(bench.command(name).args(["--use", &store, "set", "foo_key", value]), b"").good();
        let mut watch = bench.command(name);
        let watch = watch.args(["--use", &store, "watch", "foo_key", "--oneshot"]);
        let watch = watch.stdout(std::process::Stdio::piped()).spawn().expect("start the watch");
        wait_until_asleep(watch.id());
        let value = "playing to the tide";
        run(bench.command(name).args(["--use", &store, "set", "foo_key", value]), b"").good();
        assert_eq!(common::finish(watch).stdout, b"19:playing to the tide\n");
        assert_eq!(bench.folder.join(&store).exists(), name == "splinterpctl");
    }
}
