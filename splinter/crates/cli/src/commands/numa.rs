//! The command `numa`: shows which NUMA nodes hold a store's memory.

use super::prelude::*;
use crate::output::write_json;

pub(super) static COMMAND: Command = Command {
    name: "numa",
    usage: &[""],
    summary: "Tells on which memory nodes the store is",
    details: "\
It counts the store's pages that hold data, by NUMA node, and the untouched
pages, which take no memory. A page is unknown if the kernel cannot say where it
is, because it is swapped out or only on disk. The last line has the bytes that
this process reaches through huge pages. init --node places a store.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    let store = session.store()?;
    let (found, huge_bytes) = (store.residency()?, store.huge_page_bytes());
    let machine = splinter::numa_nodes();
    let out = &mut session.out;
    if session.format == Format::Json {
        let nodes = found.nodes.iter().map(|(node, pages)| json!({ "node": node, "pages": pages }));
        let answer = json!({
            "nodes": nodes.collect::<Vec<_>>(), "unknown": found.unknown, "untouched": found.untouched,
            "page_bytes": found.page_bytes, "huge_page_bytes": huge_bytes, "machine": machine,
        });
        return Ok(write_json(out, &answer)?);
    }
    writeln!(out, "Node | Pages | Share")?;
    writeln!(out, "{}", "-".repeat(66))?;
    for (node, pages) in &found.nodes {
        writeln!(out, "{node} | {pages} | {:.1} %", found.share(*node) * 100.0)?;
    }
    for (what, pages) in [("unknown", found.unknown), ("untouched", found.untouched)] {
        if pages > 0 {
            writeln!(out, "{what} | {pages} |")?;
        }
    }
    let nodes: Vec<_> = machine.iter().map(u32::to_string).collect();
    let (bytes, nodes) = (found.page_bytes, nodes.join(", "));
    writeln!(out, "pages of {bytes} bytes; {huge_bytes} bytes by huge pages; this machine has node {nodes}")?;
    Ok(())
}
