//! Tests of wrong calls: one line that says what was wrong and what to do, and exit code 2.

mod common;

use common::{Bench, run};

#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let bench = Bench::new();
    let store = bench.init("s");
    let cases: &[(&[&str], &str)] = &[
        (&["frobnicate"], "there is no command \"frobnicate\"; help lists them"),
        (&["gte", "k"], "there is no command \"gte\"; did you mean get?"),
        (&["li"], "there is no command \"li\"; did you mean list?"),
        (&["get"], "get: KEY is missing; use: get KEY"),
        (&["get", "a", "b"], "get: \"b\" is one word too many; use: get KEY"),
        (
            &["get", "--oneshot", "a"],
            "get: there is no option \"--oneshot\"; put -- before an argument that begins with -",
        ),
        (&["watch", "k", "--one"], "watch: there is no option \"--one\"; did you mean --oneshot?"),
        (&["set", "", "v"], "set: \"\": the key is empty; a key has 1 to 63 bytes"),
        (&["set", "k", "v", "--file", "x"], "set: give a VALUE or --file, not both"),
        (&["math", "k", "add"], "math: \"add\" is not one of inc, dec, and, or, xor, not"),
        (&["math", "k", "and"], "math: and needs a NUMBER after it"),
        (&["bind", "k", "256"], "bind: GROUP: \"256\" is not a signal group; they are 0 to 63"),
        (&["bind", "k", "64"], "bind: GROUP: \"64\" is not a signal group; they are 0 to 63"),
        (&["watch", "--group", "x"], "watch: --group: \"x\" is not a signal group; they are 0 to 63"),
        (&["bids", "claim", "7", "--priority", "256"], "bids: --priority: 256 is too large; 255 is the most"),
        (&["bids", "claim", "x"], "bids: ID: \"x\" is not a number from 0 to 4294967295"),
        (&["config", "flags", "x"], "config: MASK: \"x\" is not a number from 0 to 65535"),
        (&["list", "--label", "x"], "list: --label: \"x\" is not a number from 0 to 2^64 - 1"),
        (&["init", "x", "--slots"], "init: --slots needs an N after it"),
        (&["bids", "claim", "7", "--intent"], "bids: --intent needs an INTENT after it"),
        (
            &["bids"],
            "bids: say what to do: table, who, claim, rebid, release, advise; help bids explains them",
        ),
        (&["bids", "bad"], "bids: \"bad\" is not one of table, who, claim, rebid, release, advise"),
        (
            &["bids", "claim"],
            "bids: ID is missing; use: bids claim ID [OPTION]... [--hold SPAN | -- COMMAND...]",
        ),
        (&["bids", "advise", "7"], "bids: ADVICE is missing; use: bids advise ID ADVICE [OPTION]..."),
        (
            &["bids", "advise", "7", "bad"],
            "bids: ADVICE: \"bad\" is not one of normal, random, sequential, willneed, dontneed",
        ),
        (&["bids", "table", "--hold", "1s"], "bids: --hold goes with claim"),
        (&["bids", "claim", "7", "--from", "5"], "bids: --from goes with advise"),
        (&["bids", "release", "7", "--duration", "1s"], "bids: --duration goes with claim, rebid, advise"),
        (&["orders"], "orders: say what to do: set, get, unset; help orders explains them"),
        (&["orders", "bad"], "orders: \"bad\" is not one of set, get, unset"),
        (&["orders", "get"], "orders: BASE is missing; use: orders get BASE [COUNT]"),
        (&["orders", "set", "b"], "orders: VALUE is missing; use: orders set BASE VALUE..."),
        (&["orders", "get", "b", "0"], "orders: COUNT: 0 is not a number of orders from 1 to 255"),
        (&["list", "a["], "list: \"a[\" is not a regular expression: unclosed character class"),
        (&["config", "av", "3"], "config: LEVEL: \"3\" is not one of 0, 1, 2, none, hybrid, full, on, off"),
        (
            &["type", "k", "text"],
            "type: \"text\" is not one of VOID, BIGINT, BIGUINT, JSON, BINARY, IMGDATA, AUDIO, VARTEXT or VIDEO",
        ),
        (
            &["watch"],
            "watch: give one of KEY, --group and --all; use: watch KEY [--after EPOCH] [OPTION]..., or: watch --group GROUP... [OPTION]..., or: watch --all [OPTION]...",
        ),
    ];
    for (words, line) in cases {
        bench.ctl(&store, words).failed(2, &format!("splinterctl: {line}"));
    }
    // Without a store the mistake is still reported, so that one look at the line is enough.
    for words in
        [&["watch"][..], &["watch", "--all", "--after", "1"], &["config", "bad"], &["bids", "table", "x"]]
    {
        assert_eq!(run(bench.command("splinterctl").args(words), b"").code, Some(2), "{words:?}");
    }
    run(&mut bench.command("splinterctl"), b"")
        .failed(2, "splinterctl: no command is given; --help lists them");
    run(bench.command("splinterctl").args(["--prefx", "a", "list"]), b"")
        .failed(2, "splinterctl: there is no option \"--prefx\"; did you mean --prefix?");
    run(bench.command("splinterctl").arg("--use"), b"")
        .failed(2, "splinterctl: --use needs a STORE after it");
}

#[test]
fn what_a_number_is_set_to_must_be_one() {
    let bench = Bench::new();
    let store = bench.init("s");
    let number = || {
        bench.good(&store, &["set", "n", "41"]);
        bench.good(&store, &["type", "n", "BIGUINT"]);
    };
    number();
    let refused = |value: &str| {
        format!(
            "\"n\" is a BIGUINT, and {value:?} is not a number from 0 to 2^64 - 1; type gives it \
             another type"
        )
    };
    for value in ["abc", "", "-1", "+1", "1.5", "0x10", "4 2", "abcdefgh", "18446744073709551616"] {
        for words in [&["set", "n", "--", value][..], &["send", "n", "--", value]] {
            let line = format!("splinterctl: {}: {}", words[0], refused(value));
            bench.ctl(&store, words).failed(1, &line);
        }
        assert_eq!(bench.good(&store, &["math", "n", "or", "0"]), "41\n", "{value:?}");
    }
    let why = "an order that is a BIGUINT is set to a value that is not a number; type gives an order \
               another type";
    bench
        .ctl(&store, &["orders", "set", "n", "abc"])
        .failed(1, &format!("splinterctl: orders: \"n\": {why}"));
    assert_eq!(bench.ctl(&store, &["uuid", "n"]).code, Some(1));
    assert_eq!(bench.good(&store, &["get", "n"]), "2:41\n");
    // Numbers are accepted, as programs print them or as they lie in memory.
    for (value, now) in [
        (&b"42"[..], "42"),
        (b"42\n", "42"),
        (b"007", "7"),
        (b"12345678", "12345678"),
        (b"18446744073709551615", "18446744073709551615"),
        (b"\x05\0\0\0\0\0\0\0", "5"),
    ] {
        let mut command = bench.command("splinterctl");
        run(command.args(["-u", &store, "set", "n", "-"]), value).good();
        assert_eq!(bench.good(&store, &["math", "n", "or", "0"]), format!("{now}\n"));
    }
    bench.good(&store, &["orders", "set", "n", "12", "abc"]);
    assert_eq!(bench.good(&store, &["math", "n", "inc"]), "13\n");
    // A key that is no longer a number takes anything, and so does one that never was.
    bench.good(&store, &["type", "n", "VARTEXT"]);
    bench.good(&store, &["set", "n", "abc"]);
    assert_eq!(bench.good(&store, &["get", "n"]), "3:abc\n");
}

#[test]
fn what_is_wrong_with_a_new_stores_mode_is_a_mistake() {
    let bench = Bench::new();
    let store = bench.store("s");
    let init = |umask: &str, words: &[&str]| {
        let mut command = bench.command("splinterctl");
        command.args(["init", &store]).args(words).env("SPLINTER_DEFAULT_UMASK", umask);
        run(&mut command, b"")
    };
    for umask in ["8", "", "u=rw", "1000"] {
        let why = "it is no octal mask from 000 to 777, as 022 is";
        let line = format!("init: cannot use SPLINTER_DEFAULT_UMASK={umask}: {why}");
        init(umask, &[]).failed(2, &format!("splinterctl: {line}"));
    }
    for umask in ["777", "0600", "400", "277"] {
        let why = "it takes reading or writing from the store's owner, as 022 does not";
        let line = format!("init: cannot use SPLINTER_DEFAULT_UMASK={umask}: {why}");
        init(umask, &[]).failed(2, &format!("splinterctl: {line}"));
        assert!(!std::path::Path::new("/dev/shm").join(&store).exists());
    }
    for mode in ["9", "", "+6", "rw"] {
        let why = "is not octal; give reading and writing bits (0666), as 640 does";
        init("022", &["--mode", mode]).failed(2, &format!("splinterctl: init: --mode: {mode:?} {why}"));
    }
    let why = "a store's mode is made of reading and writing bits (0666) only";
    for mode in ["700", "777", "1777"] {
        init("022", &["--mode", mode])
            .failed(2, &format!("splinterctl: init: cannot use the mode 0o{mode}: {why}"));
    }
    // An error of the system is not a wrong call.
    let nowhere = run(bench.command("splinterpctl").args(["init", "no/such/folder"]), b"");
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
}

#[test]
fn a_file_that_is_not_there_is_no_store_to_be_made() {
    let bench = Bench::new();
    run(bench.command("splinterctl").args(["restore", "nothing", "s"]), b"")
        .failed(1, "splinterctl: restore: there is no file \"nothing\"; save makes one");
}
