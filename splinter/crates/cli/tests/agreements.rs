//! Tests of `orders`, `bids` and `numa`, with several processes.

mod common;
mod rig;

use rig::{Bounded, Rig, bad, fed, good, small};
use splinter::{BidTerms, Intent};
use splinter_testkit::{Running, wait_until};

#[test]
fn orders_are_set_read_and_removed_as_one() {
    let rig = Rig::new();
    let store = rig.store(small());
    assert_eq!(rig.good(&["orders", "set", "sensor", "position", "velocity", ""]), "");
    assert_eq!(store.get_vec("sensor.1").unwrap(), b"velocity");
    assert_eq!(rig.good(&["orders", "get", "sensor"]), "8:position\n8:velocity\n0:\n");
    assert_eq!(rig.good(&["orders", "get", "sensor", "2", "--raw"]), "position\nvelocity\n");
    let told: serde_json::Value =
        serde_json::from_str(&rig.good(&["--json", "orders", "get", "sensor", "2"])).unwrap();
    let order = |key: &str, value| serde_json::json!({ "key": key, "epoch": 2, "value": value });
    assert_eq!(told, serde_json::json!([order("sensor", "position"), order("sensor.1", "velocity")]));
    let error = rig.bad(1, &["orders", "get", "sensor", "4"]);
    assert_eq!(error, "splinterctl: orders: \"sensor\" has fewer than 4 orders");
    assert_eq!(rig.good(&["orders", "unset", "sensor"]), "3\n");
    assert!(store.is_empty());
    for action in ["get", "unset"] {
        let error = rig.bad(1, &["orders", action, "sensor"]);
        assert_eq!(error, "splinterctl: orders: there is no key \"sensor\"");
    }
    rig.good(&["--prefix", "a::", "orders", "set", "b", "1"]);
    assert_eq!(store.get_vec("a::b").unwrap(), b"1");
}

#[test]
fn numbers_among_orders_are_digits_as_get_and_set_have_them() {
    let rig = Rig::new();
    let store = rig.store(small());
    rig.good(&["orders", "set", "a", "12", "eight by"]);
    rig.good(&["type", "a", "BIGUINT"]);
    assert_eq!(rig.good(&["get", "a"]), "2:12\n");
    assert_eq!(rig.good(&["orders", "get", "a"]), "2:12\n8:eight by\n");
    assert_eq!(rig.good(&["orders", "get", "a", "--raw"]), "12\neight by\n");
    let told: serde_json::Value = serde_json::from_str(&rig.good(&["orders", "get", "a", "--json"])).unwrap();
    assert_eq!((&told[0]["value"], &told[1]["value"]), (&12.into(), &"eight by".into()));
    // Eight digits are a number in a BIGUINT, and bytes in any other key.
    rig.good(&["orders", "set", "a", "12345678", "12345678"]);
    assert_eq!(store.get_u64("a"), Ok(12_345_678));
    assert_eq!(store.get_vec("a.1").unwrap(), b"12345678");
    assert_eq!(rig.good(&["orders", "get", "a"]), "8:12345678\n8:12345678\n");
}

#[test]
fn what_orders_cannot_do_is_said_in_a_line() {
    let rig = Rig::new();
    rig.store(small());
    for (words, exit, why) in [
        (&["orders"][..], 2, "say what to do: set, get, unset; help orders explains them"),
        (&["orders", "sett", "b", "v"], 2, "\"sett\" is not one of set, get, unset"),
        (&["orders", "get"], 2, "BASE is missing; use: orders get BASE [COUNT]"),
        (&["orders", "set", "b"], 2, "VALUE is missing; use: orders set BASE VALUE..."),
        (&["orders", "get", "b", "0"], 2, "COUNT: 0 is not a number of orders from 1 to 255"),
        (&["orders", "get", "b", "1", "x"], 2, "\"x\" is one word too many"),
        (&["orders", "set", &"b".repeat(63), "1", "2"], 2, "the key is too long"),
        (&["orders", "get", &"b".repeat(63), "2"], 2, "the key is too long"),
        (&["orders", "set", "b", &"v".repeat(257)], 1, "the value is longer than the store's maximum"),
    ] {
        let error = rig.bad(exit, words);
        assert!(error.starts_with("splinterctl: orders: ") && error.contains(why), "{error}");
    }
}

#[test]
fn a_bid_lasts_as_long_as_it_is_held_and_is_seen_by_others() {
    let rig = Rig::new();
    let store = rig.store(small());
    assert_eq!(rig.bad(1, &["bids", "who"]), "splinterctl: bids: there is no bid");
    assert_eq!(rig.good(&["--json", "bids", "who"]), "null\n");
    let mut words = vec!["bids", "claim", "7", "--hold", "60s", "--priority", "9"];
    words.extend(["--intent", "willneed", "--duration", "1h"]);
    let mut holder = Running::start(&mut rig.ctl(&words));
    wait_until("the bid is made", || !store.bids().list().unwrap().is_empty());
    let pid = holder.child().id();
    let bid = store.bids().list().unwrap()[0];
    assert_eq!((bid.id, bid.pid, bid.intent, bid.priority), (7, pid, Intent::WillNeed, 9));
    assert_eq!(rig.good(&["bids", "who"]), format!("7 of process {pid}\n"));
    assert_eq!(rig.good(&["--raw", "bids", "table"]), "7\n");
    let table = rig.good(&["bids", "table"]);
    assert!(table.contains(&format!("\n7 | {pid} | willneed | 9 | ")), "{table}");
    assert!(table.ends_with(" s | sovereign\n"), "{table}");
    let told: serde_json::Value = serde_json::from_str(&rig.good(&["bids", "table", "--json"])).unwrap();
    let left = told[0]["seconds_left"].as_f64().unwrap();
    assert!(told[0]["state"] == "sovereign" && left > 0.0 && left < 3700.0, "{told}");
    for (words, why) in [
        (&["bids", "claim", "7", "--hold", "1s"][..], "holds the bid for 7; wait until it releases it"),
        (&["bids", "release", "7"], "have that release it, or a supervisor"),
        (&["bids", "rebid", "7"], "have that release it, or a supervisor"),
        (&["bids", "advise", "8", "random"], "the bid for 8 defers to that for 7"),
        (&["bids", "advise", "8", "random", "--wait", "5ms"], "the bid for 8 was not elected in time"),
        (&["bids", "release", "9"], "there is no bid for 9"),
    ] {
        let error = rig.bad(1, words);
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(rig.good(&["bids", "release", "7", "--force"]), "released 7\n");
    assert!(store.bids().list().unwrap().is_empty());
    assert_eq!(rig.good(&["bids", "advise", "8", "willneed", "--length", "4096"]), "");
    drop(holder);
    assert!(store.bids().list().unwrap().is_empty());
}

#[test]
fn a_bid_held_for_a_command_ends_with_it_and_exits_as_it_does() {
    let rig = Rig::new();
    let store = rig.store(small());
    let claim = ["bids", "claim", "5", "--", "sh", "-c"];
    let output = rig.ctl(&[&claim[..], &["splinter=1; exit 7"]].concat()).ended();
    assert_eq!((output.status.code(), output.stderr), (Some(7), vec![]));
    let output = rig.ctl(&[&claim[..], &["kill -9 $$"]].concat()).ended();
    assert_eq!(output.status.code(), Some(128 + 9));
    // The four names are on the path.
    let show = format!("splinterctl -u {} --raw bids table", rig.name);
    assert_eq!(rig.good(&[&claim[..], &[&*show]].concat()), "5\n");
    assert!(store.bids().list().unwrap().is_empty());
    let error = rig.bad(1, &["bids", "claim", "5", "--", "/no/such/program"]);
    assert!(error.contains("cannot run \"/no/such/program\""), "{error}");
}

#[test]
fn in_a_script_a_bid_lasts_until_the_end() {
    let rig = Rig::new();
    let store = rig.store(small());
    let script = "bids claim 3\nbids rebid 3 --priority 200\n--raw\n";
    let script = script.replace("--raw\n", "bids who\nbids advise 3 normal\nbids release 3\nbids table\n");
    let output = fed(rig.program("splinter_cli").args(["-u", &rig.name]), script.as_bytes());
    let told = good(output);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..2], ["claimed 3", "renewed 3"]);
    assert!(lines[2].starts_with("3 of process ") && lines[3] == "released 3", "{told}");
    assert_eq!(lines.len(), 6, "the table is empty: {told}");
    assert!(store.bids().list().unwrap().is_empty());
}

#[test]
fn what_bids_cannot_do_is_said_in_a_line() {
    let rig = Rig::new();
    let store = rig.store(small());
    for (words, why) in [
        (&["bids", "claim", "5"][..], "the bid would end with this command; give --hold SPAN, or -- COMMAND"),
        (&["bids"], "say what to do: table, who, claim, "),
        (&["bids", "rebid"], "ID is missing; use: bids rebid ID [OPTION]..."),
        (&["bids", "claim", "0", "--hold", "1s"], "0 is no id"),
        (&["bids", "claim", "5", "--hold", "5"], "--hold: \"5\" is not a span of time, as in 500ms"),
        (&["bids", "claim", "5", "--hold", "1s", "ls"], "give --hold or a COMMAND, not both"),
        (
            &["bids", "claim", "5", "--hold", "1s", "--intent", "sell"],
            "--intent: \"sell\" is not one of none, ",
        ),
        (&["bids", "claim", "5", "--hold", "1s", "--priority", "256"], "--priority: 256 is too large"),
        (&["bids", "advise", "5"], "ADVICE is missing"),
        (&["bids", "advise", "5", "sell"], "\"sell\" is not one of normal, "),
        (&["bids", "advise", "5", "normal", "--length", "0xffffffffffffffff"], "leaves the arena"),
        (&["bids", "table", "5"], "\"5\" is one word too many"),
        (&["bids", "tabel"], "\"tabel\" is not one of table, "),
    ] {
        let error = rig.bad(2, words);
        assert!(error.starts_with("splinterctl: bids: ") && error.contains(why), "{error}");
    }
    assert!(store.bids().list().unwrap().is_empty());
    store.bids().claim(1, BidTerms { duration: 0, ..BidTerms::default() }).unwrap();
    assert!(rig.good(&["bids", "table"]).ends_with("| 0.0 s | expired\n"));
}

#[test]
fn the_pages_of_a_store_are_counted_by_node() {
    let rig = Rig::new();
    let store = rig.store(small());
    store.writer().unwrap().set("k", b"v").unwrap();
    let told: serde_json::Value = serde_json::from_str(&rig.good(&["--json", "numa"])).unwrap();
    let pages = |value: &serde_json::Value| value.as_u64().unwrap();
    let on_nodes: u64 = told["nodes"].as_array().unwrap().iter().map(|node| pages(&node["pages"])).sum();
    let all = on_nodes + pages(&told["unknown"]) + pages(&told["untouched"]);
    assert_eq!(all * pages(&told["page_bytes"]), store.arena_len());
    assert!(on_nodes > 0 && pages(&told["untouched"]) > 0, "{told}");
    let text = rig.good(&["numa"]);
    assert!(text.starts_with("Node | Pages | Share\n") && text.contains("untouched | "), "{text}");
    let error = bad(1, rig.program("splinterctl").arg("numa").ended());
    assert!(error.contains("no store is in use"), "{error}");
}
