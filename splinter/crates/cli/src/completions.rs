//! Generates completion scripts for bash, zsh and fish from the table of commands. They complete commands, options,
//! choices, files and stores; for keys, a script calls the program. Only generates text.

use crate::COMMANDS;
use crate::command::{self, Arg, COMMON, Count, Kind, Opt};
use crate::commands::ALIASES;
use crate::invocation::OPTIONS;
use crate::manual::NAMES;
use std::fmt::Write;

/// The shells that have a script.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// Returns the script for a shell, or none if the shell is not one of [`SHELLS`].
pub fn script(shell: &[u8]) -> Option<String> {
    match shell {
        b"bash" => Some(bash()),
        b"zsh" => Some(zsh()),
        b"fish" => Some(fish()),
        _ => None,
    }
}

fn command_names() -> String {
    command::names().collect::<Vec<_>>().join(" ")
}

/// Returns the spellings of an option, as in "--file" and "-f".
fn spellings(opt: &Opt) -> Vec<String> {
    let short = opt.short.map(|letter| format!("-{letter}"));
    std::iter::once(opt.long.to_owned()).chain(short).collect()
}

fn is_open(arg: &Arg) -> bool {
    matches!(arg.count, Count::Some | Count::Any)
}

// Bash: a table, and one function that parses the line with it.

const BASH: &str = r#"
_splinter() {
    local line=${COMP_LINE:0:COMP_POINT} program=$1 store=${SPLINTER_DEFAULT_STORE-}
    local word=${line##*[[:space:]]} command= place=0 at=1 kind= words= key found
    local -a typed
    # Words as the shell sees them but for quotes; its own list is cut at colons, which keys are full of.
    read -ra typed <<<"${line%"$word"}"
    COMPREPLY=()
    while ((at < ${#typed[@]})); do
        kind=
        case ${typed[at]} in
            --*=*)
                [ "$command:${typed[at]%%=*}" != :--use ] || store=${typed[at]#*=}
                ;;
            -*)
                _splinter_table "$command" "${typed[at]}"
                if [ -n "$kind" ] && ((++at < ${#typed[@]})); then
                    case $command:${typed[at - 1]} in :--use | :-u) store=${typed[at]} ;; esac
                    kind=
                fi
                ;;
            *) if [ -z "$command" ]; then command=${typed[at]}; else ((++place)); fi ;;
        esac
        ((++at))
    done
    if [ -z "$kind" ]; then
        case $command:$word in
            *:-*) _splinter_table "$command" options ;;
            :*) kind=command ;;
            *) _splinter_table "$command" "$place" ;;
        esac
    fi
    case $kind in
        key)
            [ -z "$store" ] || while IFS= read -r key; do
                [[ $key != "$word"* ]] || COMPREPLY+=("$(printf %q "$key")")
            done < <("$program" --use "$store" --raw list 2>/dev/null)
            ;;
        store)
            case ${program##*/} in
                splinterp*) kind=file ;;
                *) words=$(cd /dev/shm 2>/dev/null && printf '%s ' *) ;;
            esac
            ;;
        group) words=$(printf '%s ' {0..63}) ;;
        command) _splinter_table "" commands ;;
        choice:*) words=${kind#choice:} ;;
    esac
    if [ "$kind" = file ]; then
        # The shell knows best how names of files are quoted.
        compopt -o default 2>/dev/null
    elif [ -n "$words" ]; then
        while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -W "$words" -- "$word")
    fi
    # The shell puts what is left behind the last colon.
    case $word:$COMP_WORDBREAKS in
        *:*:*) COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}") ;;
    esac
}
"#;

fn bash() -> String {
    let mut text = String::from(
        "# Completion for bash, made by splinter_cli --completions bash: load it by source, or put it\n\
         # into ~/.local/share/bash-completion/completions/ under each of the program's names.\n\n\
         # Tells what a word of a command is, by its place or its option, in kind; or lists words.\n\
         _splinter_table() {\n    case $1:$2 in\n",
    );
    let _ = writeln!(text, "        :commands) words='{}' ;;", command_names());
    bash_options(&mut text, "", OPTIONS.iter().chain(COMMON));
    for command in COMMANDS {
        bash_options(&mut text, command.name, command.options.iter().chain(COMMON));
        for (place, arg) in command.args.iter().enumerate() {
            let places = if is_open(arg) { "[0-9]*".to_owned() } else { place.to_string() };
            let kind = bash_kind(arg.kind);
            let _ = writeln!(text, "        {}:{places}) kind='{kind}' ;;", command.name);
        }
    }
    text.push_str("    esac\n}\n");
    text.push_str(BASH);
    let _ = writeln!(text, "\ncomplete -F _splinter {}", NAMES.join(" "));
    text
}

fn bash_options<'a>(text: &mut String, command: &str, options: impl Iterator<Item = &'a Opt>) {
    let mut all = Vec::new();
    for opt in options {
        all.push(opt.long);
        if let Some((_, kind)) = opt.value {
            let patterns = spellings(opt).into_iter().map(|word| format!("{command}:{word}"));
            let patterns = patterns.collect::<Vec<_>>().join(" | ");
            let _ = writeln!(text, "        {patterns}) kind='{}' ;;", bash_kind(kind));
        }
    }
    let _ = writeln!(text, "        {command}:options) words='{}' ;;", all.join(" "));
}

fn bash_kind(kind: Kind) -> String {
    match kind {
        Kind::Key => "key".to_owned(),
        Kind::Store => "store".to_owned(),
        Kind::File => "file".to_owned(),
        Kind::Group => "group".to_owned(),
        Kind::Command => "command".to_owned(),
        Kind::Choice(words) => format!("choice:{}", words.join(" ")),
        Kind::Number | Kind::Text => "text".to_owned(),
    }
}

// Zsh: its own _arguments, once for the program and once for each command.

const ZSH: &str = r#"
_splinter_keys() {
    local -a keys
    [[ -n $store ]] || return 1
    keys=(${(f)"$($service --use $store --raw list 2>/dev/null)"})
    compadd -a keys
}

_splinter_stores() {
    if [[ $service == splinterp* ]]; then
        _files
    else
        compadd -- /dev/shm/*(N:t)
    fi
}
"#;

fn zsh() -> String {
    let names = NAMES.join(" ");
    let mut text = format!(
        "#compdef {names}\n# Completion for zsh, made by splinter_cli --completions zsh: save it as _splinter_cli in a folder of $fpath.\n{ZSH}"
    );
    text.push_str("\n_splinter_commands() {\n    local -a commands=(\n");
    for command in COMMANDS {
        let (name, summary) = (command.name, zsh_text(command.summary));
        let _ = writeln!(text, "        '{name}:{summary}'");
    }
    for (alias, name) in ALIASES {
        let _ = writeln!(text, "        '{alias}:Another name for {name}'");
    }
    text.push_str("    )\n    _describe command commands\n}\n");
    text.push_str("\n_splinter() {\n    local curcontext=$curcontext state store\n    typeset -A opt_args\n    _arguments -C");
    OPTIONS.iter().chain(COMMON).for_each(|opt| zsh_option(&mut text, opt));
    text.push_str(
        " \\\n        '1:COMMAND:_splinter_commands' \\\n        '*::WORD:->words' && return\n",
    );
    text.push_str("    [[ $state == words ]] || return\n");
    text.push_str("    store=${opt_args[--use]:-${opt_args[-u]:-$SPLINTER_DEFAULT_STORE}}\n");
    text.push_str("    case $words[1] in\n");
    for command in COMMANDS {
        let _ = write!(text, "        {}) _arguments", command.name);
        command.options.iter().chain(COMMON).for_each(|opt| zsh_option(&mut text, opt));
        for (place, arg) in command.args.iter().enumerate() {
            let place = match arg.count {
                Count::One => format!("{}:", place + 1),
                Count::Maybe => format!("{}::", place + 1),
                Count::Some | Count::Any => "*:".to_owned(),
            };
            let (name, action) = (zsh_text(arg.name), zsh_action(arg.kind));
            let _ = write!(text, " \\\n            '{place}{name}:{action}'");
        }
        text.push_str(" ;;\n");
    }
    text.push_str("    esac\n}\n\n_splinter \"$@\"\n");
    text
}

fn zsh_option(text: &mut String, opt: &Opt) {
    let value = opt
        .value
        .map_or(String::new(), |(name, kind)| format!(":{}:{}", zsh_text(name), zsh_action(kind)));
    let help = zsh_text(opt.help);
    for word in spellings(opt) {
        // The value of a long option may be joined to it.
        let joint = if opt.value.is_some() && word.starts_with("--") { "=" } else { "" };
        let _ = write!(text, " \\\n            '{word}{joint}[{help}]{value}'");
    }
}

fn zsh_action(kind: Kind) -> String {
    match kind {
        Kind::Key => "_splinter_keys".to_owned(),
        Kind::Store => "_splinter_stores".to_owned(),
        Kind::File => "_files".to_owned(),
        Kind::Group => "({0..63})".to_owned(),
        Kind::Command => "_splinter_commands".to_owned(),
        Kind::Choice(words) => format!("({})", words.join(" ")),
        Kind::Number | Kind::Text => String::new(),
    }
}

/// Escapes text for a quoted place where brackets and colons have a meaning.
fn zsh_text(text: &str) -> String {
    let mut written = String::new();
    for char in text.chars() {
        match char {
            '\'' => written.push_str("'\\''"),
            ':' | '[' | ']' | '\\' => written.extend(['\\', char]),
            _ => written.push(char),
        }
    }
    written
}

// Fish: a line for every word.

const FISH: &str = r#"
# Prints the store and the command that the line has so far, a line each.
function __splinter_said
    set -l words (commandline -opc)
    set -l store $SPLINTER_DEFAULT_STORE
    set -l command
    while set -e words[1]; and set -q words[1]
        switch $words[1]
            case -u --use
                set store $words[2]
                set -e words[1]
            case '--use=*'
                set store (string replace -- --use= '' $words[1])
            case VALUED
                set -e words[1]
            case '-*'
            case '*'
                set command $words[1]
                break
        end
    end
    string join \n -- "$store" "$command"
end

function __splinter_in
    test "$argv[1]" = (__splinter_said)[2]
end

function __splinter_keys
    set -l program (commandline -opc)[1]
    set -l store (__splinter_said)[1]
    test -n "$store"; and $program --use $store --raw list 2>/dev/null
end

function __splinter_stores
    if string match -q '*splinterp*' -- (commandline -opc)[1]
        __fish_complete_path (commandline -ct)
    else
        for place in /dev/shm/*
            string replace /dev/shm/ '' -- $place
        end
    end
end

"#;

fn fish() -> String {
    let mut text = String::from(
        "# Completion for fish, made by splinter_cli --completions fish: save it into ~/.config/fish/completions/ as\n\
         # splinter_cli.fish, and as a file for each of the other names.\n",
    );
    let valued = OPTIONS.iter().filter(|opt| opt.value.is_some() && opt.long != "--use");
    let valued: Vec<_> = valued.flat_map(spellings).collect();
    text.push_str(&FISH.replace("VALUED", &valued.join(" ")));
    let _ = writeln!(text, "for program in {}", NAMES.join(" "));
    text.push_str("    complete -c $program -f\n");
    for opt in OPTIONS.iter().chain(COMMON) {
        fish_option(&mut text, "'__splinter_in \"\"'", opt);
    }
    for command in COMMANDS {
        let (name, summary) = (command.name, fish_text(command.summary));
        let _ = writeln!(
            text,
            "    complete -c $program -n '__splinter_in \"\"' -a {name} -d '{summary}'"
        );
        let seen = format!("'__splinter_in {name}'");
        for opt in command.options.iter().chain(COMMON) {
            fish_option(&mut text, &seen, opt);
        }
        for arg in command.args {
            let words = fish_words(arg.kind);
            if !words.is_empty() {
                let what = fish_text(arg.name);
                let _ = writeln!(text, "    complete -c $program -n {seen} {words} -d '{what}'");
            }
        }
    }
    for (alias, name) in ALIASES {
        let what = format!("Another name for {name}");
        let _ = writeln!(
            text,
            "    complete -c $program -n '__splinter_in \"\"' -a {alias} -d '{what}'"
        );
    }
    text.push_str("end\n");
    text
}

fn fish_option(text: &mut String, when: &str, opt: &Opt) {
    let short = opt.short.map_or(String::new(), |letter| format!(" -s {letter}"));
    let value = opt.value.map_or(String::new(), |(_, kind)| match kind {
        Kind::File => " -r -F".to_owned(),
        kind => format!(" -x {}", fish_words(kind)),
    });
    let (long, help) = (&opt.long[2..], fish_text(opt.help));
    let _ = writeln!(
        text,
        "    complete -c $program -n {when} -l {long}{short}{} -d '{help}'",
        value.trim_end()
    );
}

fn fish_words(kind: Kind) -> String {
    match kind {
        Kind::Key => "-a '(__splinter_keys)'".to_owned(),
        Kind::Store => "-a '(__splinter_stores)'".to_owned(),
        Kind::File => "-F".to_owned(),
        Kind::Group => "-a '(seq 0 63)'".to_owned(),
        Kind::Command => format!("-a '{}'", command_names()),
        Kind::Choice(words) => format!("-a '{}'", words.join(" ")),
        Kind::Number | Kind::Text => String::new(),
    }
}

/// Escapes text for a place between single quotes.
fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn every_script_has_all_words_of_all_commands() {
        for shell in SHELLS {
            let script = script(shell.as_bytes()).unwrap();
            let has = |word: &str| {
                let word = if *shell == "fish" { word.trim_start_matches('-') } else { word };
                assert!(script.contains(word), "{shell}: {word}");
            };
            NAMES.iter().for_each(|name| has(name));
            command::names().for_each(has);
            for opt in OPTIONS.iter().chain(COMMON) {
                has(opt.long);
            }
            for Command { name, options, args, .. } in COMMANDS {
                has(name);
                options.iter().for_each(|opt| has(opt.long));
                for arg in *args {
                    if let Kind::Choice(words) = arg.kind {
                        words.iter().for_each(|word| has(word));
                    }
                }
            }
        }
        assert_eq!(script(b"tcsh"), None);
    }

    #[test]
    fn text_cannot_leave_its_quotes() {
        assert_eq!(zsh_text("a: [b] 'c'"), "a\\: \\[b\\] '\\''c'\\''");
        assert_eq!(fish_text("'a\\'"), "\\'a\\\\\\'");
    }
}
