//! Tests of `ingest` with watchers, with long texts, and with several processes at once.

mod common;
mod store_sandbox;

use common::terminal::Terminal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use splinter::{Error, Geometry, Store, Type};
use splinter_testkit::wait::wait_until;
use std::thread;
use store_sandbox::{Running, StoreSandbox, bad, good, small};

/// Returns the text that a document holds, if its index and chunks belong together.
fn text_of(store: &Store, key: &str) -> String {
    let index: Value = serde_json::from_slice(&store.get_vec(key).unwrap()).unwrap();
    let chunks = index["chunks"].as_u64().unwrap();
    let chunks = (1..=chunks).map(|order| store.get_vec(format!("{key}.{order}")).unwrap());
    let text = String::from_utf8(chunks.collect::<Vec<_>>().concat()).unwrap();
    assert_eq!(index["bytes"], text.len());
    text
}

/// Returns a text of `count` chunks of eight bytes, each with the word.
fn long_text(word: &str, count: usize) -> String {
    (0..count).map(|number| format!("{word}{number:05}")).collect()
}

/// The error line of a command that was refused while a key was held.
#[derive(Debug)]
struct Refused(String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[test]
fn groups_hear_of_the_transaction_then_of_each_chunk_and_then_of_the_index() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    store.register_labels(0x600, 7).unwrap();
    store.register_labels(0x4000, 8).unwrap();
    let mut watchers = [7, 8].map(|group| store.watch(&[group]).unwrap());
    let mut heard = || {
        watchers.each_mut().map(|watcher| {
            let changes = std::iter::from_fn(|| watcher.try_next().unwrap());
            let keys = changes.map(|change| change.key.unwrap().to_string());
            keys.collect::<Vec<_>>().join(" ")
        })
    };
    let ingest = |text: &str, words: &[&str]| {
        let words = [&["ingest", "--key", "t", "--chunk", "8"], words].concat();
        good(sandbox.fed(&words, text.as_bytes()))
    };
    let long = "one two three four five six";
    assert_eq!(ingest(long, &[]), "\"t\": 4 chunks, 27 bytes\n");
    // The first time by the transaction, which signals each group once.
    assert_eq!(heard(), ["t.1 t.1 t.2 t.3 t.4 t", ""]);
    // Known keys are signalled as new ones are.
    assert_eq!(ingest(long, &[]), "\"t\": 4 chunks, 27 bytes\n");
    assert_eq!(heard(), ["t.1 t.1 t.2 t.3 t.4 t", ""]);
    assert_eq!(
        ingest("one two three", &["--label", "0x4000"]),
        "\"t\": 2 chunks, 13 bytes; removed 2 chunks\n"
    );
    assert_eq!(heard(), ["t.1 t.1 t.2 t", "t.1 t.1 t.2"]);
    // Nobody hears of a refusal.
    let refused = sandbox.fed(&["ingest", "--key", "t"], b"\xff");
    assert_eq!((refused.status.code(), heard()), (Some(1), [String::new(), String::new()]));
    for (key, kind) in [("t", Type::Json), ("t.1", Type::VarText)] {
        assert_eq!(store.snapshot(key).unwrap().kind, kind);
    }
}

#[test]
fn nothing_changes_while_another_writer_holds_one_of_the_keys() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let ingest = |text: &str| sandbox.fed(&["ingest", "--key", "t", "--chunk", "8"], text.as_bytes());
    good(ingest("one two three four"));
    let content = || {
        let mut keys: Vec<_> = store.keys().map(|key| store.content(key).unwrap()).collect();
        keys.sort_by(|one, other| one.slot.key.as_ref().cmp(other.slot.key.as_ref()));
        keys.into_iter().map(|key| (key.slot.key.to_string(), key.slot.epoch, key.value)).collect::<Vec<_>>()
    };
    let then = content();
    for held in ["t", "t.1", "t.3"] {
        // A longer text has new keys, a shorter one removes some.
        for text in ["eins zwei drei vier fuenf sechs", "eins"] {
            let refused = store.writer().unwrap().update(held, |old, new| {
                let refused = bad(1, ingest(text));
                new.extend_from_slice(old.unwrap());
                // An error, so that the holder changes nothing.
                Err::<(), _>(Refused(refused))
            });
            let why = format!("splinterctl: ingest: \"{held}\" is busy: another writer holds it; try again");
            assert_eq!(refused.unwrap_err().0, why);
            assert_eq!(content(), then);
        }
    }
}

#[test]
fn a_long_text_comes_in_batches_and_a_shorter_one_removes_what_it_does_not_need() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(Geometry { slots: 1200, max_value_len: 100, vector_dim: 0, max_writers: 2 });
    for count in [254_u64, 255, 1000, 300, 1199, 254, 1] {
        let text: String = (0..count).map(|number| format!("{number:04}")).collect();
        let answer = sandbox.fed(&["ingest", "--key", "t", "--chunk", "4", "--json"], text.as_bytes());
        let answer: Value = serde_json::from_str(&good(answer)).unwrap();
        assert_eq!(answer["chunks"], count);
        assert_eq!(text_of(&store, "t"), text);
        assert_eq!(store.keys().count() as u64, count + 1);
        let typed = store.keys().filter(|key| store.snapshot(key).unwrap().kind == Type::VarText);
        assert_eq!(typed.count() as u64, count);
    }
    let text = "0123".repeat(1200);
    let refused = sandbox.fed(&["ingest", "--key", "t", "--chunk", "4"], text.as_bytes());
    assert_eq!((refused.status.code(), store.keys().count()), (Some(1), 2));
    // A store without room for all chunks of several batches keeps what it had.
    store.writer().unwrap().set("other", b"x").unwrap();
    let refused = sandbox.fed(&["ingest", "--key", "u", "--chunk", "4"], &text.as_bytes()[..4 * 1197]);
    assert_eq!(
        String::from_utf8_lossy(&refused.stderr),
        "splinterctl: ingest: standard input needs 1198 slots; the store has fewer left\n"
    );
    assert_eq!((store.keys().count(), text_of(&store, "t")), (3, "0000".to_owned()));
}

#[test]
fn readers_find_one_whole_text_while_two_processes_ingest_theirs() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let texts = ["one two three four five six seven eight nine", "eins zwei drei"];
    let files = [0, 1].map(|number| {
        let path = sandbox.path(&format!("text{number}"));
        std::fs::write(&path, texts[number]).unwrap();
        format!("ingest {} --key t --chunk 8\n", path.display()).repeat(300)
    });
    good(sandbox.fed(&["ingest", "--key", "t", "--chunk", "8"], texts[0].as_bytes()));
    let keys: Vec<String> =
        ["t".to_owned()].into_iter().chain((1..=9).map(|order| format!("t.{order}"))).collect();
    let checked = thread::scope(|scope| {
        let running = files.each_ref().map(|script| {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let mut command = sandbox.program("splinter_cli");
                store_sandbox::fed(command.args(["--use", &sandbox.name]), script.as_bytes())
            })
        });
        let mut checked = 0;
        loop {
            let is_last = running.iter().all(thread::ScopedJoinHandle::is_finished);
            let (mut values, mut lens) = (vec![0; 256 * keys.len()], vec![Ok(0); keys.len()]);
            match store.read_consistent(&keys, &mut values, 256, &mut lens) {
                Ok(()) => {
                    let value = |place: usize| &values[256 * place..][..lens[place].unwrap_or_default()];
                    let index: Value = serde_json::from_slice(value(0)).unwrap();
                    let chunks = index["chunks"].as_u64().unwrap() as usize;
                    let chunks: Vec<&[u8]> = (1..=chunks).map(value).collect();
                    let text = String::from_utf8(chunks.concat()).unwrap();
                    assert!(texts.contains(&&*text), "{text}");
                    checked += 1;
                }
                Err(error) => assert_eq!(error, Error::Again),
            }
            if is_last {
                break;
            }
        }
        for done in running {
            let done = done.join().unwrap();
            let error = String::from_utf8_lossy(&done.stderr);
            // On a slow machine a process may lose the processor while it holds a key.
            assert!(done.status.success() || error.contains("is busy"), "{error}");
        }
        checked
    });
    assert!(checked > 10, "only {checked} reads");
    assert!(texts.contains(&&*text_of(&store, "t")));
}

#[test]
fn the_prompt_ingests_files_and_not_its_own_input() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    std::fs::write(sandbox.path("speech"), "four score and seven").unwrap();
    let mut command = sandbox.program("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-u", &sandbox.name]), "dumb");
    terminal.find(" # ");
    terminal.type_in("ingest speech --chunk 11\n");
    terminal.find("\"speech\": 2 chunks, 20 bytes\n");
    terminal.type_in("get speech.2\n");
    terminal.find("9:and seven\n");
    terminal.type_in("ingest --key speech\n");
    terminal.find("ingest: commands come from standard input here; give a file\n");
    terminal.type_in("ingest none\n");
    terminal.find("ingest: cannot read \"none\": No such file or directory (os error 2)\n");
    terminal.find(" # ");
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(text_of(&store, "speech"), "four score and seven");
}

#[test]
fn two_processes_with_long_texts_leave_one_of_them_whole() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(Geometry { slots: 1200, max_value_len: 100, vector_dim: 0, max_writers: 4 });
    let texts = [long_text("one", 1000), long_text("two", 600)];
    for round in 0..10 {
        thread::scope(|scope| {
            let running = texts.each_ref().map(|text| {
                let words = ["ingest", "--key", "t", "--chunk", "8"];
                let sandbox = &sandbox;
                scope.spawn(move || sandbox.fed(&words, text.as_bytes()))
            });
            for done in running {
                good(done.join().unwrap());
            }
        });
        let text = text_of(&store, "t");
        assert!(texts.contains(&text), "round {round}: {text}");
        assert_eq!(store.keys().count(), text.len() / 8 + 1);
    }
}

#[test]
fn a_long_text_stays_whole_if_another_process_dies_that_began_to_store_its_own() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(Geometry { slots: 60_000, max_value_len: 100, vector_dim: 0, max_writers: 4 });
    let texts = ["one", "two"].map(|word| long_text(word, 50_000));
    for (file, text) in ["one", "two"].iter().zip(&texts) {
        std::fs::write(sandbox.path(file), text).unwrap();
    }
    let ingest =
        |file: &str| Running::start(&mut sandbox.ctl(&["ingest", file, "--key", "t", "--chunk", "8"]));
    let starts =
        |key: &str, word: &str| store.get_vec(key).is_ok_and(|value| value.starts_with(word.as_bytes()));
    // A process that is fast may be done before it is stopped, or stopped while it holds a key.
    let is_overtaken = (0..20).any(|_| {
        let mut first = ingest("one");
        let id = Pid::from_raw(first.child().id() as i32);
        wait_until("the first text is partly there", || starts("t.5000", "one"));
        kill(id, Signal::SIGSTOP).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        wait_until("it is stopped or done", || [") T ", ") Z "].iter().any(|ended| state().contains(ended)));
        let is_done = starts("t", "{");
        let mut second = ingest("two");
        let mut is_over = false;
        wait_until("the second text begins", || {
            is_over = second.child().try_wait().unwrap().is_some();
            is_over || starts("t.1", "two")
        });
        drop(second);
        let is_begun = starts("t.1", "two");
        kill(id, Signal::SIGCONT).unwrap();
        good(first.end());
        if !is_done {
            assert!(text_of(&store, "t") == texts[0], "the text is mixed");
        }
        let keys: Vec<_> = store.keys().collect();
        let mut writer = store.writer().unwrap();
        for key in keys {
            writer.unset(key).unwrap();
        }
        is_begun && !is_done && !is_over
    });
    assert!(is_overtaken);
}
