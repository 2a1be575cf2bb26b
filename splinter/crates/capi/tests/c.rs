//! Tests of the C library by C programs: those in `c/`, the examples, and those in the README and in `docs/queue.md`. The tests compile them as C11 and as C++17,
//! link them with either library, shared or static, and run them. This file handles compilers and processes, and knows
//! nothing of stores.
//!
//! `SPLINTER_C_FLAGS` adds flags for the compiler. `SPLINTER_C_RUNNER` is a command that runs the programs. With these,
//! `ci/capi` runs the same tests under Valgrind and with sanitizers.

use splinter_testkit::confined::with_tmpfs;
use splinter_testkit::{Running, skipped};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// The time limit of a program, even under Valgrind.
const LIMIT: Duration = Duration::from_secs(300);

/// Returns whether a command such as Valgrind runs the programs. It is slow, so every program then runs as C only.
fn has_runner() -> bool {
    std::env::var_os("SPLINTER_C_RUNNER").is_some()
}

/// The language that a program is compiled as.
#[derive(Clone, Copy, PartialEq)]
enum Language {
    C,
    Cpp,
}

/// One of the two libraries, by its name, and how it is linked.
#[derive(Clone, Copy)]
enum Library {
    Shared(&'static str),
    Static(&'static str),
}

const MEMORY: Library = Library::Shared("splinter");
const PERSISTENT: Library = Library::Shared("splinter_p");

/// Returns the folder with both libraries, under the names that they are installed with. Builds them at the first call.
fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo does not build a cdylib for tests. The profile is that of this test.
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--message-format", "json", "--target-dir"]);
        build.arg(scratch.parent().unwrap());
        build.args(["-p", "splinter-capi", "-p", "splinter-capi-persistent"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let output = build.current_dir(CRATE).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "cargo cannot build the libraries");
        let messages = String::from_utf8(output.stdout).unwrap();
        let find = |name: &str| {
            let file = messages.split('"').find(|part| part.ends_with(&format!("/lib{name}")));
            PathBuf::from(file.unwrap_or_else(|| panic!("cargo built no lib{name}")))
        };
        // Remove the folders of earlier runs that were killed.
        for entry in fs::read_dir(scratch).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let pid = name.strip_prefix("c-").and_then(|rest| rest.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = scratch.join(format!("c-{}-{}", std::process::id(), splinter_testkit::unique()));
        fs::create_dir_all(&folder).unwrap();
        for (built, name) in [("splinter_c", "splinter"), ("splinter_c_p", "splinter_p")] {
            let shared = find(&format!("{built}.so"));
            symlink(&shared, folder.join(format!("lib{name}.so"))).unwrap();
            symlink(&shared, folder.join(format!("lib{name}.so.1"))).unwrap();
            symlink(find(&format!("{built}.a")), folder.join(format!("lib{name}.a"))).unwrap();
        }
        folder
    })
}

/// A compiled program. Dropping it removes the file.
struct Program(PathBuf);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Program {
    /// Compiles a program; a warning is an error. Returns nothing if the language is C++ and [`has_runner`] is true, or
    /// there is no compiler for it.
    fn compile(source: &str, language: Language, defines: &[&str], library: Library) -> Option<Self> {
        if language == Language::Cpp && has_runner() {
            return None;
        }
        let (compiler, standard) = match language {
            Language::C => ("cc", ["-x", "c", "-std=c11"]),
            Language::Cpp => ("c++", ["-x", "c++", "-std=c++17"]),
        };
        let folder = libraries();
        let program = Self(folder.join(format!("program-{}", unique())));
        let mut compile = Command::new(compiler);
        compile.args(standard).args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1"]);
        compile.args(defines.iter().map(|define| format!("-D{define}")));
        compile.arg("-D_DEFAULT_SOURCE");
        compile.args(std::env::var("SPLINTER_C_FLAGS").unwrap_or_default().split_whitespace());
        compile.arg("-I").arg(Path::new(CRATE).join("include"));
        compile.arg(Path::new(CRATE).join(source)).args(["-x", "none"]);
        match library {
            Library::Shared(name) => {
                compile.arg("-L").arg(folder).arg(format!("-l{name}"));
                compile.arg(format!("-Wl,-rpath,{}", folder.display()));
            }
            Library::Static(name) => {
                compile.arg(folder.join(format!("lib{name}.a"))).args(["-ldl", "-lm"]);
            }
        }
        compile.args(["-lpthread", "-o"]).arg(&program.0);
        match compile.output() {
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{compiler} refuses {source}: {errors}");
                Some(program)
            }
            Err(error) if language == Language::Cpp => {
                skipped(&format!("C++ programs: c++ cannot be run: {error}"));
                None
            }
            Err(error) => panic!("cc cannot be run: {error}"),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let runner = std::env::var("SPLINTER_C_RUNNER").unwrap_or_default();
        let mut words = runner.split_whitespace().map(Path::new).chain([self.0.as_path()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args).stdin(Stdio::null());
        command
    }

    fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.command(args))
    }

    /// Runs the program, which must succeed. Returns what it printed.
    fn run(&self, args: &[&str]) -> String {
        printed(self.start(args))
    }
}

/// Waits until a program ends, which must succeed within [`LIMIT`]. Returns what it printed.
fn printed(running: Running) -> String {
    let output = running.end_within(LIMIT);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A unique name for a store. Dropping it removes the store.
struct Name {
    name: String,
    path: PathBuf,
}

impl Name {
    fn shared() -> Self {
        let name = splinter_testkit::unique();
        Self { path: Path::new("/dev/shm").join(&name), name }
    }

    fn file() -> Self {
        let path = libraries().join(format!("store-{}", unique()));
        Self { name: path.to_str().unwrap().to_owned(), path }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Runs a program of `c/`, compiled with the macros `defines`, on a store of its own. The program must print "held", and
/// the store must be where its name says: it is a path in the persistent library, or if the program says so.
fn run_test(source: &str, language: Language, defines: &str, library: Library, args: &[&str]) {
    let source = format!("tests/c/{source}.c");
    let defines: Vec<_> = defines.split_whitespace().collect();
    let is_path = matches!(library, Library::Shared("splinter_p") | Library::Static("splinter_p"));
    let is_path = is_path || defines.contains(&"SPLINTER_PERSISTENT");
    let name = if is_path { Name::file() } else { Name::shared() };
    let Some(program) = Program::compile(&source, language, &defines, library) else { return };
    assert_eq!(
        program.run(&[&[name.name.as_str()], args].concat()),
        "held
"
    );
    assert!(name.path.exists(), "the program left no {}", name.path.display());
}

#[test]
fn every_function_does_what_it_says_and_refuses_what_it_must() {
    run_test("behaviour", Language::C, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test("behaviour", Language::Cpp, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test("behaviour", Language::C, "", MEMORY, &[]);
}

#[test]
fn every_function_does_so_on_the_store_of_a_handle() {
    run_test("behaviour", Language::C, "HANDLE SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test("behaviour", Language::Cpp, "HANDLE", MEMORY, &[]);
}

#[test]
fn names_are_paths_in_the_persistent_library_and_where_a_program_says_so() {
    run_test("behaviour", Language::C, "SPLINTER_EMBEDDINGS", PERSISTENT, &[]);
    run_test("behaviour", Language::C, "SPLINTER_PERSISTENT", MEMORY, &[]);
    run_test("behaviour", Language::Cpp, "SPLINTER_PERSISTENT HANDLE", MEMORY, &[]);
}

#[test]
fn what_programs_for_the_original_count_on_holds() {
    let source = "original";
    run_test(source, Language::C, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test(source, Language::Cpp, "", MEMORY, &[]);
    run_test(source, Language::C, "HANDLE", MEMORY, &[]);
    run_test(source, Language::C, "HANDLE", PERSISTENT, &[]);
}

#[test]
fn a_store_that_was_closed_leaves_no_memory() {
    run_test("leaks", Language::C, "", MEMORY, &[]);
    let flags = std::env::var("SPLINTER_C_FLAGS").unwrap_or_default();
    if has_runner() || flags.contains("sanitize") {
        return;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|output| output.status.success()) {
        return skipped("memory leaks: valgrind is not installed");
    }
    let name = Name::shared();
    let program = Program::compile("tests/c/leaks.c", Language::C, &[], MEMORY).unwrap();
    let mut memcheck = Command::new("valgrind");
    let kinds = "definite,indirect,possible";
    memcheck.args(["-q", "--fair-sched=yes", "--error-exitcode=99", "--leak-check=full"]);
    memcheck.arg(format!("--show-leak-kinds={kinds}"));
    memcheck.arg(format!("--errors-for-leak-kinds={kinds}"));
    memcheck.arg(&program.0).arg(&name.name).stdin(Stdio::null());
    assert_eq!(printed(Running::start(&mut memcheck)), "held\n");
}

#[test]
fn the_static_libraries_are_whole() {
    run_test("old", Language::C, "", Library::Static("splinter"), &[]);
    run_test("old", Language::C, "", Library::Static("splinter_p"), &[]);
}

#[test]
fn a_program_for_the_original_compiles_as_it_is() {
    for language in [Language::C, Language::Cpp] {
        for defines in ["", "SPLINTER_EMBEDDINGS", "SPLINTER_EMBEDDINGS SPLINTER_PERSISTENT"] {
            run_test("old", language, defines, MEMORY, &[]);
        }
    }
}

#[test]
fn thirty_two_threads_use_one_store_while_it_is_opened_and_closed() {
    let rounds = if has_runner() { "20" } else { "1000" };
    run_test("threads", Language::C, "", MEMORY, &[rounds]);
}

#[test]
fn closing_a_store_ends_all_waits_and_leaves_nothing_open() {
    run_test("closing", Language::C, "", MEMORY, &[]);
}

#[test]
fn a_daemon_processes_each_key_once_and_conditions_hold() {
    run_test("daemon", Language::C, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
}

#[test]
fn a_transaction_happens_as_a_whole_or_not_at_all() {
    run_test("transactions", Language::C, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test("transactions", Language::Cpp, "SPLINTER_EMBEDDINGS HANDLE", MEMORY, &[]);
    run_test("transactions", Language::C, "HANDLE", PERSISTENT, &[]);
}

#[test]
fn a_search_finds_what_a_plain_loop_finds_by_every_option() {
    run_test("search", Language::C, "SPLINTER_EMBEDDINGS", MEMORY, &[]);
    run_test("search", Language::Cpp, "SPLINTER_EMBEDDINGS HANDLE", MEMORY, &[]);
    run_test("search", Language::C, "SPLINTER_EMBEDDINGS HANDLE", PERSISTENT, &[]);
}

#[test]
fn the_search_in_the_readme_prints_the_nearest_keys() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("\n```c\n").unwrap();
    let (search, _) = rest.split_once("\n```").unwrap();
    assert!(search.lines().count() <= 8);
    let name = Name::shared();
    let file = libraries().join(format!("search-{}.c", unique()));
    let program = format!(
        "#include <stdio.h>\n#include <splinter.h>\nint main(void) {{
            static float query[SPLINTER_EMBED_DIM] = {{3, 4}}, far[SPLINTER_EMBED_DIM] = {{4, -3}};
            if (splinter_create(\"{}\", 8, 8) != 0 || splinter_set(\"doc:far\", \"x\", 1) != 0 ||
                splinter_set(\"doc:near\", \"x\", 1) != 0 || splinter_set(\"other\", \"x\", 1) != 0 ||
                splinter_set_embedding(\"doc:far\", far) != 0 || splinter_set_embedding(\"doc:near\", query) != 0 ||
                splinter_set_embedding(\"other\", query) != 0)
                return 1;
            {search}
        }}\n",
        name.name
    );
    fs::write(&file, program).unwrap();
    let compiled = Program::compile(file.to_str().unwrap(), Language::C, &["SPLINTER_EMBEDDINGS"], MEMORY);
    fs::remove_file(&file).unwrap();
    assert_eq!(compiled.unwrap().run(&[]), "doc:near 1.000\ndoc:far 0.000\n");
}

#[test]
fn a_queue_hands_each_message_to_one_consumer_of_a_group() {
    run_test("queues", Language::C, "", MEMORY, &["alone"]);
    run_test("queues", Language::Cpp, "HANDLE", MEMORY, &["alone"]);
    run_test("queues", Language::C, "HANDLE", PERSISTENT, &["alone"]);
}

#[test]
fn a_queue_passes_on_what_dead_processes_had_and_serves_forked_children() {
    run_test("queues", Language::C, "", MEMORY, &["processes"]);
    run_test("queues", Language::C, "HANDLE", MEMORY, &["processes"]);
}

#[test]
fn the_program_in_the_document_on_queues_prints_its_message() {
    let document = include_str!("../../../docs/queue.md");
    let (_, rest) = document.split_once("\n```c\n").unwrap();
    let (program, _) = rest.split_once("\n```").unwrap();
    for language in [Language::C, Language::Cpp] {
        let name = Name::shared();
        let file = libraries().join(format!("queue-{}.c", unique()));
        let named = program.replace("\"demo\"", &format!("\"{}\"", name.name));
        assert_ne!(named, program);
        fs::write(&file, format!("{named}\n")).unwrap();
        let compiled = Program::compile(file.to_str().unwrap(), language, &[], MEMORY);
        fs::remove_file(&file).unwrap();
        let Some(compiled) = compiled else { return };
        for _ in 0..2 {
            assert_eq!(compiled.run(&[]), "resize 17\n", "each message once");
        }
    }
}

#[test]
fn a_cache_evicts_keys_and_keeps_those_that_are_pinned() {
    run_test("cache", Language::C, "", MEMORY, &[]);
    run_test("cache", Language::Cpp, "HANDLE", MEMORY, &[]);
    run_test("cache", Language::C, "SPLINTER_PERSISTENT", MEMORY, &[]);
    run_test("cache", Language::C, "HANDLE SPLINTER_PERSISTENT", MEMORY, &[]);
    run_test("cache", Language::C, "HANDLE", PERSISTENT, &[]);
}

#[test]
fn threads_that_are_cancelled_or_use_a_store_in_their_destructors_end_well() {
    run_test("ends", Language::C, "", MEMORY, &[]);
}

#[test]
fn a_store_for_which_there_is_no_memory_is_refused_when_it_is_created() {
    let program = Program::compile("tests/c/limits.c", Language::C, &[], MEMORY).unwrap();
    // Run it in a mount namespace with a small /dev/shm, as a container has.
    let mounted = with_tmpfs("a full /dev/shm", "/dev/shm", "size=700k", r#"exec "$0" "$@""#);
    let Some(mut command) = mounted else { return };
    let program = program.command(&["full", "full"]);
    command.arg(program.get_program()).args(program.get_args());
    assert_eq!(printed(Running::start(&mut command)), "held\n");
}

#[test]
fn a_store_that_the_caller_may_only_read_is_opened_for_reading() {
    run_test("limits", Language::C, "", MEMORY, &["readable"]);
}

#[test]
fn threads_that_wrote_and_sleep_keep_no_other_process_from_writing() {
    run_test("limits", Language::C, "", MEMORY, &["asleep"]);
}

#[test]
fn threads_of_a_process_without_a_descriptor_left_write_if_it_writes_already() {
    run_test("limits", Language::C, "", MEMORY, &["descriptors"]);
}

#[test]
fn two_processes_and_forked_children_share_a_store() {
    run_test("processes", Language::C, "", MEMORY, &["first"]);
}

#[test]
fn the_examples_say_what_they_are_told() {
    for language in [Language::C, Language::Cpp] {
        let compile = |name: &str| Program::compile(&format!("examples/{name}.c"), language, &[], MEMORY);
        let all = ["writer", "reader", "subscriber", "publisher"].map(compile);
        let [Some(writer), Some(reader), Some(subscriber), Some(publisher)] = all else { return };
        let (store, bus) = (Name::shared(), Name::shared());
        assert_eq!(writer.run(&[&store.name]), "set user:prompt\n");
        let read = reader.run(&[&store.name]);
        assert_eq!(read, "user:prompt is: Tell me a joke about computers.\n");

        let mut waiting = subscriber.start(&[&bus.name]);
        // The subscriber may not wait yet, so publish until it has seen the value.
        let limit = Instant::now() + LIMIT;
        while waiting.child().try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "the subscriber did not see the value");
            assert_eq!(publisher.run(&[&bus.name]), "published llm:response\n");
        }
        let expected = "waiting for llm:response\nllm:response is: Why was the computer cold? It left its Windows open.\n";
        assert_eq!(printed(waiting), expected);
    }
}
