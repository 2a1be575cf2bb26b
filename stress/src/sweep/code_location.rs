//! From an address to symbol, file and line, by the program's own line tables.

use addr2line::Loader;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where an instruction is in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct CodeLocation {
    /// The first's next instruction; functions it is inlined into.
    pub address: String,
    pub symbol: String,
    pub line: String,
    pub within: Vec<String>,
}

/// The mappings of the program, the same in all processes that were forked from one.
#[derive(Clone, Debug)]
pub(super) struct ProgramImage {
    /// Its instructions.
    pub(super) text: Range<u64>,
    maps: Vec<(Range<u64>, u64, String)>,
    path: String,
}

impl ProgramImage {
    /// Reads the mappings of this program.
    pub(super) fn of_this() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot find this program in memory: {error}");
        let path = std::env::current_exe().map_err(failed)?;
        let path = path.to_string_lossy().into_owned();
        let table = std::fs::read_to_string("/proc/self/maps").map_err(failed)?;
        let maps: Vec<_> = table.lines().filter_map(parse).collect();
        let text = table
            .lines()
            .filter(|line| line.contains(" r-xp "))
            .filter_map(parse)
            .find(|(_, _, name)| *name == path);
        let (text, _, _) = text.ok_or("cannot find this program's instructions in memory")?;
        Ok(Self { text, maps, path })
    }

    /// Finds the source of an instruction.
    pub(super) fn location(&self, loader: Option<&Loader>, rip: u64) -> CodeLocation {
        let at = |address: u64, symbol: &str| CodeLocation {
            address: format!("{address:#x}"),
            symbol: symbol.to_owned(),
            ..CodeLocation::default()
        };
        let Some((range, offset, name)) = self.maps.iter().find(|(range, ..)| range.contains(&rip)) else {
            return at(rip, "unknown");
        };
        if *name != self.path {
            let library = name.rsplit('/').next().unwrap_or(name);
            return at(rip - range.start + offset, library);
        }
        // Addresses in the file are counted from where its beginning is mapped.
        let base = self.maps.iter().find(|(_, offset, name)| *name == self.path && *offset == 0);
        let address = rip - base.map_or(0, |(range, ..)| range.start);
        let mut found = at(address, "unknown");
        let Some(loader) = loader else { return found };
        let mut names = Vec::new();
        if let Ok(mut frames) = loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let name = frame.function.as_ref().and_then(|name| name.demangle().ok());
                let location = frame.location.as_ref();
                if found.line.is_empty()
                    && let Some((file, line)) = location.and_then(|line| Some((line.file?, line.line?)))
                {
                    found.line = format!("{}:{line}", within_project(file));
                }
                let name = name.map_or_else(String::new, |name| short(&name));
                let line =
                    location.and_then(|it| Some(format!(" at {}:{}", within_project(it.file?), it.line?)));
                names.push((name, line.unwrap_or_default()));
            }
        }
        // Only line tables name inlined functions; the symbol names the function around them.
        if names.is_empty() {
            names.push(Default::default());
        }
        if let (Some((around, _)), Some(name)) = (names.last_mut(), loader.find_symbol(address))
            && around.is_empty()
        {
            *around = short(&addr2line::demangle_auto(name.into(), None));
        }
        let mut names = names.into_iter();
        if let Some((name, _)) = names.next().filter(|(name, _)| !name.is_empty()) {
            found.symbol = name;
        }
        found.within = names.map(|(name, line)| name + &line).collect();
        found
    }

    /// Opens the program's line tables.
    pub(super) fn loader(&self) -> Option<Loader> {
        Loader::new(&self.path).ok()
    }
}

/// Reads one line of the table of mappings: range, offset in the file, name.
fn parse(line: &str) -> Option<(Range<u64>, u64, String)> {
    let mut parts = line.split_ascii_whitespace();
    let (start, end) = parts.next()?.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let offset = parts.nth(1)?;
    let name = parts.nth(2).unwrap_or_default();
    Some((number(start)?..number(end)?, number(offset)?, name.to_owned()))
}

/// Cuts a path down to the part within the project or a crate.
fn within_project(file: &str) -> &str {
    let starts = ["splinter/src/", "stress/src/", "library/"];
    let found = starts.iter().filter_map(|start| file.rfind(start)).min();
    found.map_or(file, |at| &file[at..])
}

/// Drops the generic arguments of a name.
fn short(name: &str) -> String {
    let (mut text, mut depth, mut last) = (String::new(), 0_usize, ' ');
    for letter in name.chars() {
        match letter {
            // A name that begins with it names a type and its trait.
            '<' if !text.is_empty() || depth > 0 => depth += 1,
            '>' if depth > 0 => depth -= usize::from(last != '-'),
            _ if depth == 0 => text.push(letter),
            _ => {}
        }
        last = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_without_generic_arguments() {
        assert_eq!(short("publish_together<fn(u8) -> A<B>, C>"), "publish_together");
        assert_eq!(short("{closure#0}<A>"), "{closure#0}");
        assert_eq!(short("a::b::c"), "a::b::c");
    }

    #[test]
    fn a_function_of_this_program_is_found_with_its_line() {
        let image = ProgramImage::of_this().unwrap();
        let loader = image.loader().unwrap();
        let at = within_project as fn(&str) -> &str as usize as u64;
        let found = image.location(Some(&loader), at);
        assert!(found.symbol.contains("within_project"), "{found:?}");
        assert!(found.line.contains("sweep/code_location.rs:"), "{found:?}");
    }
}
