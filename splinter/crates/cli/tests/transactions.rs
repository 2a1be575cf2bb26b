//! Tests of transactions that need more than a shell: processes that move amounts, pipes, and large scripts of any bytes.

mod common;

use common::terminal::Terminal;
use common::{Sandbox, file, outcome, run, wait_until_reading};
use splinter::{Error, Location, Store};
use splinter_testkit::Running;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

fn open(store: &str) -> Store {
    Store::open(&Location::shared(store).unwrap()).unwrap()
}

/// Moves an amount from one account to the other by `splinterctl`, if both are still as this process read them, until
/// that was done `moves` times. Other processes see to it that some attempts fail.
fn move_amounts(sandbox: &Sandbox, store: &str, moves: u64) {
    let accounts = open(store);
    let read = |key| loop {
        let mut number = [0; 8];
        match accounts.get_entry(key, &mut number) {
            Ok(entry) => return (u64::from_le_bytes(number), entry.version.epoch),
            Err(error) => assert_eq!(error, Error::Again),
        }
    };
    let mut moved = 0;
    while moved < moves {
        let ((a, epoch_of_a), (b, epoch_of_b)) = (read("a"), read("b"));
        let checks = format!("check a --if-epoch {epoch_of_a}\ncheck b --if-epoch {epoch_of_b}\n");
        let amount = moved % 5;
        let script = format!("{checks}set a {}\nset b {}\n", a.wrapping_sub(amount), b.wrapping_add(amount));
        let words = ["--use", store, "transaction"];
        let done = run(sandbox.command("splinterctl").args(words), script.as_bytes());
        match done.code {
            Some(0) => moved += 1,
            Some(1) => assert!(done.err.contains("is busy"), "{done:?}"),
            code => {
                assert_eq!(code, Some(5), "{done:?}");
                let (line, key) = if done.err.contains("line 1:") { (1, "a") } else { (2, "b") };
                let why = format!("transaction: line {line}: \"{key}\" is not as expected: it has epoch ");
                assert!(done.err.contains(&why), "{done:?}");
            }
        }
    }
}

#[test]
fn processes_that_move_amounts_at_once_keep_the_sum() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let script = "math a inc 1000 --initial 0\nmath b inc 0 --initial 0\n";
    let words = ["--use", &store, "transaction"];
    assert_eq!(run(sandbox.command("splinterctl").args(words), script.as_bytes()).good(), "1000\n0\n");
    // One process computes amounts by math, two others set amounts that they have read, as often as they can.
    file(&sandbox.folder, "forth", "math a dec 3\nmath b inc 3\n");
    file(&sandbox.folder, "back", "math b dec 2\nmath a inc 2\n");
    let lines = "transaction forth\ntransaction back\n".repeat(500);
    let computed = thread::scope(|scope| {
        let movers = [(); 2].map(|()| scope.spawn(|| move_amounts(&sandbox, &store, 40)));
        let mut command = sandbox.command("splinter_cli");
        let computed = run(command.args(["--use", &store]), lines.as_bytes());
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        computed
    });
    // On a slow machine a process may lose the processor while it holds a key.
    assert!(computed.code == Some(0) || computed.err.contains("is busy"), "{computed:?}");
    let accounts = open(&store);
    assert_eq!(accounts.get_u64("a").unwrap().wrapping_add(accounts.get_u64("b").unwrap()), 1000);
}

#[test]
fn a_long_script_of_any_bytes_is_one_transaction() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("s");
    let words = ["init", &store, "--max-value", "65536"];
    run(sandbox.command("splinterctl").args(words), b"").good();
    let all: Vec<u8> = (0..=255).collect();
    let value = |number: usize| [number.to_string().as_bytes(), &all.repeat(200)].concat();
    // Between single quotes all bytes stand for themselves, except the quote and the end of the line.
    let quoted = |value: &[u8]| {
        let parts = value.split_inclusive(|byte| b"'\n".contains(byte));
        let parts = parts.map(|part| match part.split_last() {
            Some((b'\'', rest)) => [b"'", rest, b"'\\'"].concat(),
            Some((b'\n', rest)) => [b"'", rest, b"'\\n"].concat(),
            _ => [b"'", part, b"'"].concat(),
        });
        parts.collect::<Vec<_>>().concat()
    };
    let mut script = b"# nothing\n\n".repeat(100_000);
    for number in 0..255 {
        let mut line = format!("set key{number} ").into_bytes();
        line.extend(quoted(&value(number)));
        script.extend([&*line, b"\r\n", b"# nothing\n"].concat());
        script.extend(format!("label key{number} 0x{number:x}\n").repeat(40).bytes());
    }
    let words = ["--use", &store, "transaction"];
    assert_eq!(run(sandbox.command("splinterctl").args(words), &script).good(), "");
    let stored = open(&store);
    for number in 0..255 {
        let snapshot = stored.content(format!("key{number}")).unwrap();
        assert_eq!((snapshot.value, snapshot.slot.labels), (value(number), number as u64));
    }
    // With a mistake at its end, none of it happens.
    let epoch = stored.header().epoch;
    script.extend(b"set key0 again");
    let refused = run(sandbox.command("splinterctl").args(words), &script);
    refused.failed(
        2,
        &format!(
            "splinterctl: transaction: line {}: set: line 200001 already sets, unsets or computes \"key0\"",
            200_000 + 255 * 42 + 1
        ),
    );
    assert_eq!(stored.header().epoch, epoch);
}

#[test]
fn nothing_happens_before_a_slow_script_has_ended_and_no_writer_id_is_held() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("s");
    let words = ["init", &store, "--writers", "1"];
    run(sandbox.command("splinterctl").args(words), b"").good();
    let mut command = sandbox.command("splinterctl");
    command
        .args(["--use", &store, "transaction"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running::from(command.spawn().unwrap());
    let mut script = running.child().stdin.take().unwrap();
    script.write_all(b"set a 1\nmath n inc --initial 1\n").unwrap();
    wait_until_reading(running.child().id());
    // The one writer id is free, and the first lines have had no effect.
    sandbox.good(&store, &["set", "b", "1"]);
    assert_eq!(open(&store).value_len("a"), Err(Error::NotFound));
    script.write_all(b"set c 1\n").unwrap();
    drop(script);
    assert_eq!(outcome(running.end()).good(), "2\n");
    assert_eq!(sandbox.good(&store, &["list", "--raw"]).lines().count(), 4);
}

#[test]
fn a_store_that_is_removed_while_a_slow_script_arrives_is_reported() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let mut command = sandbox.command("splinterctl");
    command.args(["--use", &store, "transaction"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::from(command.spawn().unwrap());
    let mut script = running.child().stdin.take().unwrap();
    script.write_all(b"set a 1\n").unwrap();
    wait_until_reading(running.child().id());
    Location::shared(&*store).unwrap().unlink().unwrap();
    // The program looks once a second.
    thread::sleep(Duration::from_millis(1100));
    drop(script);
    let done = outcome(running.end());
    assert!(done.err.contains(" was removed: values set from now on are lost"), "{done:?}");
    assert_eq!((done.code, done.err.lines().count()), (Some(0), 1));
}

#[test]
fn a_key_that_another_writer_holds_is_busy() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "a", "1"]);
    // An update holds the key while its closure runs.
    let holder = open(&store);
    let updated = holder.writer().unwrap().update("a", |_, _| {
        let words = ["--use", &store, "transaction"];
        let refused = run(sandbox.command("splinterctl").args(words), b"set b 1\nset a 2\n");
        Ok::<_, Error>(refused)
    });
    let why = "splinterctl: transaction: line 2: \"a\" is busy: another writer holds it; try again";
    updated.unwrap().failed(1, why);
    assert_eq!(holder.value_len("b"), Err(Error::NotFound));
}

#[test]
fn the_prompt_reads_a_transaction_from_a_file() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    file(&sandbox.folder, "script", "set a 1\nmath n inc --initial 41\n");
    let mut command = sandbox.command("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-u", &store]), "dumb");
    terminal.find(" # ");
    terminal.type_in("transaction script\n");
    terminal.find("42\n");
    terminal.type_in("transaction\n");
    terminal.find("transaction: commands come from standard input here; give a file\n");
    terminal.type_in("check a --if-absent\n");
    terminal.find("check: \"a\" is not as expected: it has epoch 2\n");
    terminal.find(" # ");
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn an_answer_that_nobody_reads_undoes_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command("splinterctl");
    let script = file(&sandbox.folder, "script", "math n inc --initial 1\nset a 1\n");
    command.args(["--use", &store, "transaction"]).arg(script).stdout(pipe).stderr(Stdio::piped());
    let done = outcome(Running::from(command.spawn().unwrap()).end());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert_eq!(sandbox.good(&store, &["get", "n"]), "1:2\n");
}
