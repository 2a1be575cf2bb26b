//! Where one file lies as seen from the folder of another, as a link needs it. Asks the file system for nothing but
//! the working folder and what links stand for.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Returns the way from a folder to a file, for a link in a file of that folder.
#[must_use]
pub fn link(folder: &Path, file: &Path) -> String {
    let (folder, file) = (whole(folder), whole(file));
    let mut from = folder.components().peekable();
    let mut to = file.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| "..".to_owned());
    let down = to.map(|part| encode(&part.as_os_str().to_string_lossy()));
    up.chain(down).collect::<Vec<_>>().join("/")
}

fn whole(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    // What is not there yet, in a folder that may be.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => whole(parent).join(name),
        _ => absolute,
    }
}

/// Writes what stands for itself in no link as its bytes.
fn encode(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~+,@=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_folder_to_file() {
        for (folder, file, expected) in [
            ("/a/b", "/a/b/c.json", "c.json"),
            ("/a/b", "/a/d/c d.json", "../d/c%20d.json"),
            ("/a/b/c", "/x.json", "../../../x.json"),
            ("/", "/x#1.json", "x%231.json"),
        ] {
            assert_eq!(link(Path::new(folder), Path::new(file)), expected);
        }
        assert_eq!(link(Path::new("one"), Path::new("two/x.json")), "../two/x.json");
    }
}
