//! Runs the README line by line, both the shell commands and the session at the prompt, and compares the output.

mod common;

use common::terminal::{Terminal, play};
use common::{Bench, run};
use std::process::Command;

/// The name of the store in the README, replaced by a unique name.
const STORE: &str = "five-minutes";
/// The line printed after each command, on standard output and error together.
const END: &str = "-- end of the command --";

/// Returns the fenced code blocks, each with its language.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, found)) = rest.split_once("\n```") {
        let (language, found) = found.split_once('\n').expect("a language line");
        let (block, after) = found.split_once("\n```\n").expect("a closing fence");
        blocks.push((language, block));
        rest = after;
    }
    blocks
}

/// Splits a shell session into commands, each with its output.
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
                // Each block runs in a new shell, with the `export` lines of earlier blocks. The effects of their other
                // commands exist already.
                let mut script = format!("exec 2>&1\n{earlier}");
                for (command, _) in commands(block) {
                    script.push_str(&format!("{command}\necho '{END}'\n"));
                    if command.starts_with("export ") {
                        earlier.push_str(&format!("{command}\n"));
                    }
                }
                let mut shell = Command::new("sh");
                bench.prepare(shell.arg("-c").arg(&script));
                let told = run(&mut shell, b"");
                let out = String::from_utf8(told.out).expect("UTF-8");
                let end = format!("{END}\n");
                let mut outputs = out.split(&end);
                for (command, expected) in commands(block) {
                    assert_eq!(outputs.next(), Some(&*expected), "$ {command}");
                    count += 1;
                }
                assert_eq!((outputs.next(), outputs.next()), (Some(""), None));
            }
            "text" => {
                let (_, session) = block.split_once('\n').expect("a banner line");
                let banner = format!("splinter_cli version {}", splinter_cli::BUILD);
                let mut prompt = bench.command("splinter_cli");
                let mut terminal = Terminal::start(prompt.env("SPLINTER_DEFAULT_STORE", &store), "dumb");
                play(&mut terminal, &format!("{banner}\n{session}"), |_| ());
                count += 1;
            }
            // Skip the build instructions: the program is built.
            "sh" => {}
            other => panic!("no test for a block in {other}"),
        }
    }
    assert!(count > 30, "only {count} commands were run");
    assert!(!std::path::Path::new(&format!("/dev/shm/{store}")).exists());
}
