//! Reads commands from a prompt or a script, passes their words on, and prints failures. Knows no command.

use crate::commands::TABLE;
use crate::complete::{self, StoreSource};
use crate::execute::execute;
use crate::failure::Failure;
use crate::input;
use crate::invocation::{BUILD, Invocation};
use crate::lines::{self, Lines};
use crate::output::{is_obeyed, shown_path};
use crate::session::Session;
use crate::stdio::{self, print_stderr};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;

/// The prompt without a store.
const NO_STORE: &str = "no-conn";

/// Reads commands to the end of the input: from a prompt at a terminal, else as a script. A script ends with its first
/// command that fails; a prompt fails only if it cannot read the terminal.
pub(crate) fn run(session: &mut Session, invocation: &Invocation) -> Result<(), Failure> {
    session.reads_commands = true;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return prompt(session, invocation);
    }
    startup(session, invocation)?;
    script(session, stdio::input())
}

/// Runs the commands in the start-up file, if there is one.
pub(crate) fn startup(session: &mut Session, invocation: &Invocation) -> Result<(), Failure> {
    let Some(path) = &invocation.rcfile else {
        return Ok(());
    };
    let name = shown_path(path);
    let file = input::open(path, &session.interrupt);
    let file = file.map_err(|error| Failure::io(&format!("read {name}"), &error))?;
    let done = script(session, BufReader::new(file)).map_err(|failure| failure.with_context(&name));
    // `exit` ended the file only.
    session.is_over = false;
    done.map_err(|failure| failure.in_format(session.format))
}

/// Runs the lines of a script, up to the first that fails or that ends it. The failure begins with the number of its
/// line.
pub(crate) fn script(session: &mut Session, lines: BufReader<impl Read>) -> Result<(), Failure> {
    session.keeps_writer = true;
    let done = run_lines(session, lines);
    session.keeps_writer = false;
    session.release_writer();
    done
}

fn run_lines(session: &mut Session, lines: BufReader<impl Read>) -> Result<(), Failure> {
    let mut lines = Lines::new(lines);
    loop {
        if !lines.has_next() {
            session.release_writer();
        }
        let Some(line) = lines.next() else { return Ok(()) };
        let (number, words) = line?;
        execute(&TABLE, session, &words).map_err(|failure| failure.at_line(number))?;
        if session.is_over {
            return Ok(());
        }
    }
}

fn run_line(session: &mut Session, line: &[u8]) -> Result<(), Failure> {
    let words = lines::split(line).map_err(|failure| failure.in_format(session.format))?;
    execute(&TABLE, session, &words)
}

/// Reads commands from a terminal, and prints failures.
fn prompt(session: &mut Session, invocation: &Invocation) -> Result<(), Failure> {
    let terminal = |error: ReadlineError| Failure::new(format!("cannot use the terminal: {error}"));
    session.is_interactive = true;
    let config = Config::builder().completion_type(CompletionType::List);
    let config = config.history_ignore_space(true);
    let config = match session.history_len {
        Some(len) => config.max_history_size(len).map_err(terminal)?,
        None => config,
    };
    let config = config.build();
    let mut editor = Editor::<LineHelper, FileHistory>::with_config(config).map_err(terminal)?;
    // After the editor, which installs its own handler for the signal.
    session.interrupt.catch().map_err(|error| Failure::io("prepare for Ctrl-C", &error))?;
    let mut history_file = HistoryFile::new(session, invocation, &mut editor);
    editor.set_helper(Some(LineHelper::default()));
    writeln!(session.out, "{} version {BUILD}", invocation.name)?;
    writeln!(session.out, "To quit, press ctrl-c or ctrl-d.")?;
    session.out.flush()?;
    print_failure(session.connect().map_err(|failure| failure.in_format(session.format)))?;
    print_failure(startup(session, invocation))?;
    loop {
        if let Some(helper) = editor.helper_mut() {
            helper.refresh(session);
        }
        let name = session.store_name().map_or(NO_STORE.into(), String::from_utf8_lossy);
        stdio::set_blocking(io::stdin());
        stdio::set_blocking(io::stdout());
        session.interrupt.leave();
        let line = editor.readline(&format!("{} # ", printable(&name)));
        session.interrupt.listen();
        match line {
            // Pasted text may be several lines.
            Ok(lines) => {
                for line in lines.split('\n') {
                    history_file.keep(line, session, &mut editor);
                    print_failure(run_line(session, line.as_bytes()))?;
                    session.end_line()?;
                    if session.is_over {
                        return Ok(());
                    }
                    if session.is_interrupted() {
                        break;
                    }
                }
            }
            // As in a shell, Ctrl-C clears a half-typed line, and the prompt continues.
            Err(ReadlineError::Interrupted)
                if editor.helper().is_some_and(|helper| helper.is_typed.get()) => {}
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                print_stderr("the line is not UTF-8; write \\xHH for a byte that is not text");
            }
            Err(error) => return Err(terminal(error)),
        }
    }
}

/// Prints a failure, and continues; returns it if the reader closed the output pipe.
fn print_failure(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if failure.is_closed_pipe() => Err(failure),
        Err(failure) => {
            print_stderr(&failure.line(None));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Replaces characters that a terminal obeys by `?`: a store's name may contain anything.
fn printable(name: &str) -> String {
    name.chars().map(|char| if is_obeyed(char) { '?' } else { char }).collect()
}

/// The file of the prompt's history, if it can be written.
struct HistoryFile {
    file: Option<PathBuf>,
    /// Whether the user asked for that file. If so, the prompt warns once when the file cannot be written.
    is_asked_for: bool,
}

impl HistoryFile {
    /// Loads the history. Ignores a missing home folder, and a file that is missing or cannot be read.
    fn new(
        session: &mut Session,
        invocation: &Invocation,
        editor: &mut Editor<LineHelper, FileHistory>,
    ) -> Self {
        let (file, is_asked_for) = (session.history_file.clone(), invocation.history_file.is_some());
        if let Some(file) = &file {
            let _ = editor.load_history(file);
        }
        session.entered = Some(editor.history().iter().cloned().collect());
        Self { file, is_asked_for }
    }

    /// Appends the line just entered to the file, so that it survives however the program ends.
    fn keep(&mut self, line: &str, session: &mut Session, editor: &mut Editor<LineHelper, FileHistory>) {
        let _ = editor.add_history_entry(line.trim_end());
        session.entered = Some(editor.history().iter().cloned().collect());
        let Some(file) = &self.file else { return };
        if let Err(error) = editor.append_history(file) {
            if self.is_asked_for {
                print_stderr(&format!("the history is not kept: {}: {error}", shown_path(file)));
            }
            self.file = None;
        }
    }
}

/// Completes and hints for the line editor, from the table and the open store.
#[derive(Default)]
struct LineHelper {
    source: StoreSource,
    /// Whether the line has text.
    is_typed: Cell<bool>,
}

impl LineHelper {
    /// Copies what the session has changed since the last line.
    fn refresh(&mut self, session: &Session) {
        self.source.store = session.store().ok().cloned();
        self.source.prefix.clone_from(&session.prefix);
        self.source.persistent = session.persistent;
        self.is_typed.set(false);
    }
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = complete::complete(&TABLE, &line[..cursor], &self.source);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        let mut pairs: Vec<Pair> = words.into_iter().map(pair).collect();
        if let [only] = pairs.as_mut_slice()
            && !only.replacement.ends_with('/')
        {
            only.replacement.push(' ');
        }
        Ok((start, pairs))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    /// The editor calls this with every change of the line, so it also records whether the line has text.
    fn hint(&self, line: &str, cursor: usize, _: &Context<'_>) -> Option<String> {
        self.is_typed.set(!line.is_empty());
        (cursor == line.len()).then(|| complete::hint(&TABLE, line)).flatten()
    }
}

impl Highlighter for LineHelper {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[m"))
    }
}

impl Validator for LineHelper {}

impl Helper for LineHelper {}
