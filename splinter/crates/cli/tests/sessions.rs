//! Runs the sessions of the README, of `docs/queue.md` and of `sessions/`, and compares what each command prints.
//!
//! A file of `sessions/` has sections, each with its claim as the heading. A section runs in a shell of its own, in an
//! empty folder, with a new store; `$STORE` and `$SPLINTER_DEFAULT_STORE` are its name. A line that begins with `$ ` is
//! a command, after a number one with that exit code; lines after `> ` continue it. What it prints follows, and `[..]`
//! stands there for any characters of a line. The files `prompt*.txt` are for `prompt.rs`.

mod common;

use common::terminal::{Terminal, play};
use common::{Sandbox, run};
use regex::Regex;
use std::path::Path;
use std::process::Command;

/// The line printed after each command and before its exit code, on standard output and error together.
const END: &str = "-- end of the command, exit code ";

/// The exit code of a command after which the shell ended or hung.
const NO_CODE: &str = "none";

/// A command of a session, its exit code if that matters, and what it prints.
struct Step {
    command: String,
    exit_code: Option<String>,
    output: String,
}

/// Parses a session.
fn steps(session: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in session.lines() {
        let command =
            line.split_once("$ ").filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()));
        match (command, steps.last_mut()) {
            (Some((code, command)), _) => {
                let exit_code = if code.is_empty() { "0" } else { code };
                steps.push(Step {
                    command: format!("{command}\n"),
                    exit_code: Some(exit_code.to_owned()),
                    output: String::new(),
                });
            }
            (None, Some(step)) => match line.strip_prefix("> ") {
                Some(more) => step.command.push_str(&format!("{more}\n")),
                None => step.output.push_str(&format!("{line}\n")),
            },
            (None, None) => assert_eq!(line, "", "output before a command"),
        }
    }
    steps
}

/// Runs a session in a shell, after the commands `setup`. Returns a line for each command that does not do what it must.
fn mistakes(sandbox: &Sandbox, store: &str, setup: &str, steps: &[Step]) -> Vec<String> {
    let ended = format!("echo \"{END}$?\"\n");
    let commands: String =
        steps.iter().flat_map(|step| [&step.command, &ended]).map(String::as_str).collect();
    let mut shell = Command::new("sh");
    sandbox.prepare(shell.args(["-c", &format!("exec 2>&1\n{setup}{commands}")]).env("STORE", store));
    let answer = String::from_utf8_lossy(&run(&mut shell, b"").out).replace(store, "$STORE");
    let mut rest = answer.as_str();
    let mut mistakes = Vec::new();
    for Step { command, exit_code, output } in steps {
        let (printed, code);
        (printed, rest) = rest.split_once(END).unwrap_or((rest, NO_CODE));
        (code, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        let pattern = regex::escape(output.replace(store, "$STORE").trim_end()).replace(r"\[\.\.\]", ".*");
        let end = if output.trim_end().is_empty() { "" } else { "\n" };
        let is_as_written = Regex::new(&format!("^{pattern}{end}$")).unwrap().is_match(printed);
        let has_its_code = exit_code.as_ref().map_or(code != NO_CODE, |written| written == code);
        if !is_as_written || !has_its_code {
            mistakes.push(format!("$ {command}{output}and not this, with exit code {code}:\n{printed}"));
        }
    }
    mistakes
}

/// Runs the sections of a file of `sessions/`.
fn play_sections(text: &str) {
    let mut wrong = Vec::new();
    let (introduction, sections) = text.split_once("\n## ").expect("a section");
    assert!(!introduction.contains("$ "), "a command before the first heading");
    for section in sections.split("\n## ") {
        let (claim, session) = section.split_once('\n').unwrap();
        let steps = steps(session.trim_end());
        assert!(!steps.is_empty(), "no command shows this: {claim}");
        let sandbox = Sandbox::new();
        let store = sandbox.init("s");
        let setup = "export SPLINTER_DEFAULT_STORE=$STORE\n";
        let mistakes = mistakes(&sandbox, &store, setup, &steps);
        wrong.extend(mistakes.iter().map(|mistake| format!("{claim}\n{mistake}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_on_keys_answer_as_written() {
    play_sections(include_str!("sessions/keys.txt"));
}

#[test]
fn conditions_and_deadlines_hold_as_written() {
    play_sections(include_str!("sessions/conditions.txt"));
}

#[test]
fn transactions_happen_as_a_whole_or_not_at_all_as_written() {
    play_sections(include_str!("sessions/transactions.txt"));
}

#[test]
fn queues_hand_on_messages_as_written() {
    play_sections(include_str!("sessions/queues.txt"));
}

#[test]
fn caches_evict_and_keep_as_written() {
    play_sections(include_str!("sessions/caches.txt"));
}

#[test]
fn orders_and_bids_answer_as_written() {
    play_sections(include_str!("sessions/orders_and_bids.txt"));
}

#[test]
fn commands_on_whole_stores_answer_as_written() {
    play_sections(include_str!("sessions/stores.txt"));
}

#[test]
fn texts_are_ingested_as_written() {
    play_sections(include_str!("sessions/ingest.txt"));
}

#[test]
fn searches_find_what_is_near_as_written() {
    play_sections(include_str!("sessions/search.txt"));
}

#[test]
fn wrong_calls_are_refused_as_written() {
    play_sections(include_str!("sessions/mistakes.txt"));
}

#[test]
fn json_is_as_written() {
    play_sections(include_str!("sessions/json.txt"));
}

#[test]
fn scripts_and_streams_work_as_written() {
    play_sections(include_str!("sessions/scripts.txt"));
}

/// Returns the fenced code blocks, each with its language.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a language line"))
}

#[test]
fn every_line_of_the_readme_does_what_it_says() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("five-minutes");
    let readme = include_str!("../README.md").replace("five-minutes", &store);
    let mut earlier = String::new();
    let mut count = 0;
    for (language, block) in blocks(&readme) {
        match language {
            "console" => {
                // Each block runs in a new shell, with the `export` lines of earlier blocks. The effects of their other
                // commands exist already.
                let mut steps = steps(block);
                steps.iter_mut().for_each(|step| step.exit_code = None);
                count += steps.len();
                let mistakes = mistakes(&sandbox, &store, &earlier, &steps);
                assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
                let exports = steps.iter().map(|step| step.command.as_str());
                earlier.extend(exports.filter(|command| command.starts_with("export ")));
            }
            "text" => {
                let (_, session) = block.split_once('\n').expect("a banner line");
                let banner = format!("splinter_cli version {}", splinter_cli::BUILD);
                let mut prompt = sandbox.command("splinter_cli");
                let mut terminal = Terminal::start(prompt.env("SPLINTER_DEFAULT_STORE", &store), "dumb");
                play(&mut terminal, &format!("{banner}\n{session}\n"), |_| ());
                count += 1;
            }
            // Skip the build instructions: the program is built.
            "sh" => {}
            other => panic!("no test for a block in {other}"),
        }
    }
    assert!(count > 30, "only {count} commands were run");
    assert!(!Path::new(&format!("/dev/shm/{store}")).exists());
}

#[test]
fn the_shell_in_the_document_on_queues_answers_as_written() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let mut count = 0;
    for (language, block) in blocks(include_str!("../../../docs/queue.md")) {
        // A test of the C library runs the program in C.
        if language == "console" {
            let mut steps = steps(block);
            steps.iter_mut().for_each(|step| step.exit_code = None);
            count += steps.len();
            let mistakes = mistakes(&sandbox, &store, "export SPLINTER_DEFAULT_STORE=$STORE\n", &steps);
            assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
        }
    }
    assert!(count > 4, "only {count} commands were run");
}
