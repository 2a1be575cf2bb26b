//! The walkthrough in the README does what it says, line by line: what a shell is given, and what is typed at the prompt.

mod common;

use common::terminal::{Terminal, play};
use common::{Bench, run};
use std::process::Command;

/// The name of the store there, for which a name of this run stands.
const STORE: &str = "five-minutes";
/// Printed after each command, on both outputs' common end.
const END: &str = "-- end of the command --";

/// Lists what stands between fences that begin with a language.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, found)) = rest.split_once("\n```") {
        let (language, found) = found.split_once('\n').expect("a line");
        let (block, after) = found.split_once("\n```\n").expect("an end");
        blocks.push((language, block));
        rest = after;
    }
    blocks
}

/// Takes a session at a shell apart: each command, and what comes out.
fn commands(block: &str) -> Vec<(&str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, String::new())),
            (None, Some((_, output))) => output.push_str(&format!("{line}\n")),
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    commands
}

#[test]
fn every_line_of_the_walkthrough_does_what_it_says() {
    let bench = Bench::new();
    let store = bench.store(STORE);
    let readme = include_str!("../README.md").replace(STORE, &store);
    let mut earlier = String::new();
    let mut count = 0;
    for (language, block) in blocks(&readme) {
        match language {
            "console" => {
                // One shell for all blocks: what is exported stays. Those before have done their work already.
                let mut script = format!("exec 2>&1\n{earlier}");
                for (command, _) in commands(block) {
                    script.push_str(&format!("{command}\necho '{END}'\n"));
                    if command.starts_with("export ") {
                        earlier.push_str(&format!("{command}\n"));
                    }
                }
                let mut shell = Command::new("sh");
                bench.settle(shell.arg("-c").arg(&script));
                let told = run(&mut shell, b"");
                let out = String::from_utf8(told.out).expect("text");
                let end = format!("{END}\n");
                let mut outputs = out.split(&end);
                for (command, expected) in commands(block) {
                    assert_eq!(outputs.next(), Some(&*expected), "$ {command}");
                    count += 1;
                }
                assert_eq!((outputs.next(), outputs.next()), (Some(""), None));
            }
            "text" => {
                let (_, session) = block.split_once('\n').expect("a banner");
                let banner = format!("splinter_cli version {}", splinter_cli::BUILD);
                let mut prompt = bench.command("splinter_cli");
                let mut terminal =
                    Terminal::start(prompt.env("SPLINTER_DEFAULT_STORE", &store), "dumb");
                play(&mut terminal, &format!("{banner}\n{session}"), |_| ());
                count += 1;
            }
            // How to build it, which has been done.
            "sh" => {}
            other => panic!("a block that nobody runs: {other}"),
        }
    }
    assert!(count > 30, "{count} commands were run");
    assert!(!std::path::Path::new(&format!("/dev/shm/{store}")).exists());
}
