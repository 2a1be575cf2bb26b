//! Reports as a browser draws them: a headless Chromium loads them at several widths, in light, in dark and as printed,
//! and tells what is on the page. `ci/report` runs this where there is a Chromium, and sets `SPLINTER_CHROMIUM` to it.

#[path = "../common/mod.rs"]
mod common;
mod made_up;

use base64::Engine as _;
use common::{Folder, PROGRAM, committed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Widths at which a report is looked at: a telephone, a tablet, a desk; and the inside of a sheet of A4.
const WIDTHS: [u32; 3] = [360, 800, 1280];
const SHEET: u32 = 718;

/// The longest that Chromium may take; it is ended then.
const PATIENCE: &str = "150s";

fn report(records: &[&Path], out: &Path) {
    let made = Command::new(PROGRAM)
        .arg("report")
        .args(records)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the command starts");
    let errors = String::from_utf8_lossy(&made.stderr);
    assert_eq!(made.status.code(), Some(0), "{errors}");
}

const FLAGS: &str =
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --allow-file-access-from-files
    --enable-logging=stderr --virtual-time-budget=20000 --dump-dom";

/// Has Chromium load a page; returns what it wrote. It is ended if it takes too long.
fn chromium(folder: &Path, page: &Path, dark: bool) -> Output {
    let program = std::env::var("SPLINTER_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    Command::new("timeout")
        .args([PATIENCE, &program])
        .args(FLAGS.split_whitespace())
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", i32::from(!dark)))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("Chromium starts: ci/report installs it")
}

/// Looks at pages at every width, and as printed; returns what was found in each frame.
fn look(folder: &Path, pages: &[&Path], dark: bool) -> Vec<Value> {
    let mut frames = Vec::new();
    for page in pages {
        let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let url = format!("file://{}", page.display());
        for width in WIDTHS {
            frames.push(
                json!({"name": format!("{name} at {width}"), "page": url, "width": width, "print": false}),
            );
        }
        frames.push(json!({"name": format!("{name} printed"), "page": url, "width": SHEET, "print": true}));
    }
    let harness = include_str!("look.html").replace("/*FRAMES*/[]", &json!(frames).to_string());
    let page = folder.join("look.html");
    fs::write(&page, harness).expect("a file can be written");
    let output = chromium(folder, &page, dark);
    let log = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "the console is not empty: {said:#?}");
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom
        .split_once("<pre id=\"found\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .map(|(found, _)| found.trim())
        .filter(|found| !found.is_empty())
        .unwrap_or_else(|| panic!("nothing was told ({}): {log}", output.status));
    let bytes = base64::engine::general_purpose::STANDARD.decode(found).expect("it is base64");
    let told: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    assert_eq!(told["error"], Value::Null);
    let found = told["found"].as_array().expect("it is a list").clone();
    assert_eq!(found.len(), frames.len());
    found
}

/// Checks what must hold of every page at every width, on screen and on paper.
fn check(found: &Value) {
    let name = found["name"].as_str().expect("a frame has a name");
    let empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
    assert!(empty(&found["beyond"]), "{name}: texts beyond the page: {}", found["beyond"]);
    assert_eq!(found["page_width"], found["width"], "{name}: the page is wider than it is shown");
    assert_eq!(found["scrolls"], 0, "{name}: something scrolls");
    assert_eq!(found["texts_for_the_blind"], true, "{name}: a chart has no title or no description");
    assert_eq!((&found["scripts"], &found["fetched"]), (&json!(0), &json!(0)), "{name}");
    assert!(found["tables"].as_u64().is_some_and(|count| count > 4), "{name}");
    let charts = found["charts"].as_array().expect("it is a list");
    assert!(!charts.is_empty(), "{name}: no chart is seen");
    for chart in charts {
        let which = format!("{name}, {} ({})", chart["label"], chart["kind"]);
        assert!(chart["marks"].as_u64().is_some_and(|count| count > 0), "{which}: nothing is drawn");
        assert_eq!(chart["outside"], 0, "{which}: marks beside the plot");
        assert_eq!(chart["unseen"], 0, "{which}: marks without a colour");
        assert!(empty(&chart["cut"]), "{which}: texts cut off: {}", chart["cut"]);
        assert!(empty(&chart["overlapping"]), "{which}: texts on each other: {}", chart["overlapping"]);
        let smallest = chart["smallest_text"].as_f64().expect("it is a number");
        assert!(smallest > 9.0, "{which}: a text is {smallest} pixels high");
    }
}

fn kinds(found: &Value) -> Vec<String> {
    let charts = found["charts"].as_array().expect("it is a list");
    let kind = |chart: &Value| chart["kind"].as_str().unwrap_or_default().to_owned();
    charts.iter().map(kind).collect()
}

#[test]
#[ignore = "needs Chromium: ci/report runs it"]
fn a_report_is_drawn_whole_at_every_width_in_light_in_dark_and_on_paper() {
    let folder = Folder::new("drawn");
    let records = folder.0.join("records");
    fs::create_dir(&records).expect("a folder can be made");
    for (name, record) in made_up::records() {
        fs::write(records.join(name), record.to_string()).expect("a file can be written");
    }
    let (real, full) = (folder.0.join("committed.html"), folder.0.join("made-up.html"));
    report(&[&committed()], &real);
    report(&[&records], &full);
    // The table of environments has a column for each machine.
    let page = fs::read_to_string(&full).expect("a report");
    for text in ["There are 2 machines or builds", made_up::MACHINE, made_up::ANOTHER_MACHINE] {
        assert!(page.contains(text), "{text} is not in the report");
    }
    let light = look(&folder.0, &[&real, &full], false);
    let dark = look(&folder.0, &[&real, &full], true);
    for found in light.iter().chain(&dark) {
        check(found);
    }
    let per_page = WIDTHS.len() + 1;
    for (light, dark) in light.iter().zip(&dark) {
        let is_print = light["name"].as_str().is_some_and(|name| name.ends_with("printed"));
        for part in ["background", "ink"] {
            assert_eq!(light[part] == dark[part], is_print, "{}: {part}", light["name"]);
        }
    }
    // Narrow pages have charts of their own, and everything that wide ones have.
    for page in light.chunks(per_page) {
        assert!(kinds(&page[0]).iter().all(|kind| kind.ends_with(" narrow")), "{:?}", kinds(&page[0]));
        assert!(kinds(&page[1]).iter().all(|kind| kind.ends_with(" wide")), "{:?}", kinds(&page[1]));
        let plain = |found| -> Vec<String> {
            let all: Vec<String> = kinds(found);
            all.iter().map(|kind| kind.replace(" narrow", "").replace(" wide", "")).collect()
        };
        assert_eq!(plain(&page[0]), plain(&page[2]));
        assert_eq!(kinds(&page[3]), kinds(&page[1]), "printed as on a wide page");
    }
    the_committed_records(&light[0]);
    the_made_up_records(&light[per_page]);
}

/// A telephone's screen, and how many of them the committed report may take.
const SCREEN: u64 = 844;
const MOST_SCREENS: u64 = 12;

fn the_committed_records(found: &Value) {
    let height = found["folded_height"].as_u64().expect("it is a number");
    assert!(
        height <= MOST_SCREENS * SCREEN,
        "on a telephone it takes {} screens",
        height as f64 / SCREEN as f64
    );
    let tiles = found["tiles"].as_str().expect("it is a text");
    for text in ["Peak goodput", "p50 / p99", "Wake", "Redis", "disturbed", "undisturbed"] {
        assert!(tiles.contains(text), "{text}: {tiles}");
    }
    assert!(found["hatched"].as_u64().is_some_and(|count| count > 0), "disturbed runs are hatched");
    let sections = found["sections"].to_string();
    for id in ["verdicts", "rivals", "throughput", "latency", "costs", "placement", "environment", "records"]
    {
        assert!(sections.contains(&format!("\"{id}\"")), "{id}: {sections}");
    }
}

fn the_made_up_records(found: &Value) {
    let sections = found["sections"].as_array().expect("it is a list");
    assert_eq!(sections.len(), 13, "every section has something: {sections:?}");
    for kind in ["lines", "bars", "heat", "places"] {
        assert!(kinds(found).iter().any(|it| it.contains(kind)), "{kind}");
    }
    // What is broken stands on top, in words, as what it is.
    let verdicts = found["verdicts"].as_str().expect("it is a text");
    let tallies = found["tallies"].as_str().expect("it is a text");
    for text in ["7 torn reads", made_up::REASON] {
        assert!(verdicts.contains(text), "{text}: {verdicts}");
    }
    for text in ["1 failed", "1 inconclusive", "1 with broken invariants"] {
        assert!(tallies.contains(text), "{text}: {tallies}");
    }
    let matrix = found["charts"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|chart| chart["label"].as_str().is_some_and(|label| label.starts_with("Core to core")));
    assert_eq!(matrix.expect("there is a matrix")["marks"], 32 * 32);
}
