//! Tests of the man pages and the completion scripts, with the programs that read them.

mod common;
mod store_sandbox;

use common::terminal::Terminal;
use splinter_testkit::skipped;
use std::process::Command;
use store_sandbox::{Bounded, StoreSandbox, bad, fed, good, small};

/// Tells whether a program is installed. If not, reports a skipped test.
fn is_there(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        skipped(&format!("completion and pages: there is no {program} here"));
    }
    is_there
}

/// Runs a program with input, if it is installed.
fn try_program(program: &str, words: &[&str], input: &str) -> Option<std::process::Output> {
    is_there(program).then(|| fed(Command::new(program).args(words), input.as_bytes()))
}

/// Returns the names and aliases of all commands, in order.
fn commands(sandbox: &StoreSandbox) -> Vec<String> {
    let list = good(sandbox.program("splinterctl").arg("--list-modules").ended());
    let mut names: Vec<_> =
        list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Returns bash's completions of a line, if bash is installed.
fn completed(sandbox: &StoreSandbox, line: &str) -> Option<Vec<String>> {
    let script = good(sandbox.program("splinter_cli").args(["--completions", "bash"]).ended());
    let program = sandbox.path("bin/splinterctl");
    let words = format!(
        "{script}\nCOMP_LINE={line:?}; COMP_POINT=${{#COMP_LINE}}\n_splinter {program:?}\n\
         for word in \"${{COMPREPLY[@]}}\"; do echo \"$word\"; done\n"
    );
    let output = try_program("bash", &["--norc"], &words)?;
    let mut words: Vec<String> = good(output).lines().map(str::to_owned).collect();
    words.sort();
    Some(words)
}

#[test]
fn bash_completes_commands_options_choices_stores_and_keys() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    for key in ["demo::one", "demo::two", "with space", "other"] {
        writer.set(key, b"").unwrap();
    }
    let name = &sandbox.name;
    for (line, wanted) in [
        ("splinterctl expo".to_owned(), vec!["export"]),
        ("splinterctl --pref".to_owned(), vec!["--prefix"]),
        ("splinterctl export --fo".to_owned(), vec!["--format"]),
        ("splinterctl export --format n".to_owned(), vec!["ndjson"]),
        ("splinterctl export --format=n".to_owned(), vec!["ndjson"]),
        ("splinterctl export --output x".to_owned(), vec![]),
        ("splinterctl send k v -e --type qu".to_owned(), vec!["query"]),
        ("splinterctl help fsc".to_owned(), vec!["fsck"]),
        ("splinterctl init s --evict s".to_owned(), vec!["sieve"]),
        ("splinterctl unp".to_owned(), vec!["unpin"]),
        ("splinterctl orders un".to_owned(), vec!["unset"]),
        (format!("splinterctl -u {name} get o"), vec!["other"]),
        (format!("splinterctl --use={name} get w"), vec!["with\\ space"]),
        // For the shell, a word begins after its last colon.
        (format!("splinterctl --json --use {name} set demo::"), vec!["one", "two"]),
        (format!("splinterctl --use {}", &name[..name.len() - 1]), vec![&**name]),
        ("splinterctl set k v ".to_owned(), vec![]),
        ("splinterctl get x".to_owned(), vec![]),
    ] {
        let Some(found) = completed(&sandbox, &line) else { return };
        // Other tests may have stores of similar names.
        let found = match line.ends_with(&format!("--use {}", &name[..name.len() - 1])) {
            true => found.into_iter().filter(|word| word == name).collect(),
            false => found,
        };
        assert_eq!(found, wanted, "{line}");
    }
    let Some(found) = completed(&sandbox, "splinterctl ") else { return };
    assert_eq!(found, commands(&sandbox));
}

/// Returns lines, each with the one word that completes it.
fn single(store: &str) -> Vec<(String, &'static str)> {
    let line = |line: &str, word| (line.replace("STORE", store), word);
    vec![
        line("splinterctl expo", "export"),
        line("splinterctl --pref", "--prefix"),
        line("splinterctl --json expo", "export"),
        line("splinterctl -p x expo", "export"),
        line("splinterctl export --format n", "ndjson"),
        line("splinterctl send k v -e --type qu", "query"),
        line("splinterctl help fsc", "fsck"),
        line("splinterctl init s --evict l", "lru"),
        line("splinterctl unp", "unpin"),
        line("splinterctl orders un", "unset"),
        line("splinterctl -u STORE get o", "other"),
        line("splinterctl --use=STORE get o", "other"),
        line("splinterctl import wanted-f", "wanted-file"),
        line("splinterpctl fsck wanted-f", "wanted-file"),
        // A key with the name of a command is not a command.
        line("splinterctl watch set --one", "--oneshot"),
    ]
}

#[test]
fn fish_completes_what_bash_completes() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("other", b"").unwrap();
    std::fs::write(sandbox.path("wanted-file"), "").unwrap();
    let script = good(sandbox.program("splinter_cli").args(["--completions", "fish"]).ended());
    std::fs::write(sandbox.path("script"), script).unwrap();
    if !is_there("fish") {
        return;
    }
    for (line, wanted) in single(&sandbox.name) {
        let mut fish = Command::new("fish");
        let words = format!("source script; complete -C {line:?}");
        sandbox.prepare(fish.args(["-c", &words]).env_remove("XDG_CONFIG_HOME"));
        let answer = good(fish.ended());
        let found: Vec<_> = answer.lines().map(|line| line.split('\t').next().unwrap_or_default()).collect();
        assert_eq!(found, [wanted], "{line}");
    }
}

#[test]
fn zsh_completes_what_bash_completes() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("other", b"").unwrap();
    std::fs::write(sandbox.path("wanted-file"), "").unwrap();
    let script = good(sandbox.program("splinter_cli").args(["--completions", "zsh"]).ended());
    std::fs::write(sandbox.path("_splinter_cli"), script).unwrap();
    if !is_there("zsh") {
        return;
    }
    let mut zsh = Command::new("zsh");
    sandbox.prepare(zsh.args(["-f", "-i"]));
    let mut terminal = Terminal::start(&mut zsh, "xterm");
    // Ctrl-G shows the current line.
    terminal.type_in(
        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D\n\
         show() { zle -I; print -r -- \"<$BUFFER>\"; BUFFER= }; zle -N show; bindkey '^G' show\n\
         print rea''dy\n",
    );
    terminal.find("ready\n");
    for (line, wanted) in single(&sandbox.name) {
        terminal.type_in(format!("{line}\t\x07"));
        let begun = line.rfind([' ', '=']).map_or("", |at| &line[..=at]);
        // After the word comes a blank, or `=` before a value.
        terminal.find(&format!("<{begun}{wanted}"));
    }
    terminal.type_in("exit\n");
    terminal.end();
}

#[test]
fn the_shells_can_read_their_scripts() {
    let sandbox = StoreSandbox::new();
    for (shell, words) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let script = good(sandbox.program("splinterctl").args(["--completions", shell]).ended());
        if let Some(output) = try_program(shell, words, &script) {
            assert_eq!(good(output), "", "{shell}");
        }
    }
    let error = bad(2, sandbox.program("splinterctl").args(["--completions", "tcsh"]).ended());
    assert_eq!(error, "splinterctl: --completions: \"tcsh\" is not one of bash, zsh, fish");
}

#[test]
fn pages_are_written_for_all_names_and_commands() {
    let sandbox = StoreSandbox::new();
    let folder = sandbox.path("man/man1");
    let words = ["--manual", folder.to_str().unwrap()];
    assert_eq!(good(sandbox.program("splinterpctl").args(words).ended()), "");
    let count = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(count, 4 + commands(&sandbox).len());
    for page in ["splinter_cli", "splinterctl-save", "splinterctl-export"] {
        let text = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        // groff reports every problem of a page as a warning.
        if let Some(output) = try_program("groff", &["-man", "-Tascii", "-ww"], &text) {
            // Bold is a letter, a backspace, and the letter again.
            let printed: Vec<char> = good(output).chars().collect();
            let is_over = |at: &usize| printed.get(at + 1) == Some(&'\u{8}') || printed[*at] == '\u{8}';
            let printed: String =
                (0..printed.len()).filter(|at| !is_over(at)).map(|at| printed[at]).collect();
            assert!(printed.contains("SYNOPSIS") && printed.contains("--"), "{printed}");
        }
    }
    std::fs::write(sandbox.path("file"), "").unwrap();
    let words = ["--manual", "file/man"];
    let error = bad(1, sandbox.program("splinterctl").args(words).ended());
    assert!(error.starts_with("splinterctl: cannot write \"file/man\": "), "{error}");
}
