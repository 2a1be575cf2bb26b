//! Reads a vector from a file: numbers as text, as a JSON array, or raw 32-bit floats. Knows no command and no store.

use crate::byte_order_mark;
use crate::failure::Failure;
use crate::output::{counted, shown};
use std::io::Read;

/// The most bytes of text for each component, and for what is around them.
const TEXT_PER_COMPONENT: u64 = 64;
const TEXT_AROUND: u64 = 4096;

/// Reads a vector of `dim` components, all of them finite. Messages call the file `name`.
pub(crate) fn read(from: &mut dyn Read, name: &str, dim: u32) -> Result<Vec<f32>, Failure> {
    let most = u64::from(dim) * TEXT_PER_COMPONENT + TEXT_AROUND;
    let mut bytes = Vec::new();
    let read = from.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::io(&format!("read {name}"), &error))?;
    if bytes.len() as u64 > most {
        let components = counted(dim.into(), "component");
        let why = format!("has more than {most} bytes; a vector of {components} needs less");
        return Err(Failure::new(format!("{name} {why}")));
    }
    parse(&bytes, dim).map_err(|why| Failure::new(format!("{name} {why}")))
}

/// Parses a vector of `dim` components. The error is what comes after the name of the file in a message.
fn parse(bytes: &[u8], dim: u32) -> Result<Vec<f32>, String> {
    let (text, raw_len) = (byte_order_mark::without(bytes), dim as usize * size_of::<f32>());
    let is_text = text.is_ok_and(is_text);
    let vector = match text {
        _ if !is_text && bytes.len() == raw_len => {
            bytes.as_chunks().0.iter().map(|float| f32::from_le_bytes(*float)).collect()
        }
        Ok(text) if is_text => numbers(text)?,
        Ok(_) => {
            let (found, raw) = (counted(bytes.len() as u64, "byte"), counted(raw_len as u64, "byte"));
            return Err(format!("has {found} that are not text; raw floats for this store are {raw}"));
        }
        Err(why) => return Err(format!("is not a vector: {why}")),
    };
    if vector.len() != dim as usize {
        let (found, dim) = (counted(vector.len() as u64, "number"), counted(dim.into(), "component"));
        return Err(format!("has {found}; this store's vectors have {dim}"));
    }
    match vector.iter().position(|component| !component.is_finite()) {
        Some(at) => Err(format!("has no vector: its number {} is not a finite 32-bit float", at + 1)),
        None => Ok(vector),
    }
}

/// Tells whether bytes are such as text of numbers has.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// Parses numbers: a JSON array, or with blanks, commas or newlines between them.
fn numbers(text: &[u8]) -> Result<Vec<f32>, String> {
    if text.trim_ascii_start().starts_with(b"[") {
        let numbers: Vec<f64> = serde_json::from_slice(text)
            .map_err(|error| format!("is not a JSON array of numbers: {error}"))?;
        return Ok(numbers.into_iter().map(|number| number as f32).collect());
    }
    let words =
        text.split(|byte| *byte == b',' || byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let number = |(at, word): (usize, &[u8])| {
        let number = str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
        // As `import` rounds them.
        number.map(|number| number as f32).ok_or_else(|| {
            format!("has no vector: its number {} is {}, which is not a number", at + 1, shown(word))
        })
    };
    words.enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_vector_are_read() {
        let vector = [1.0, -0.5, 2e-3, 40.0];
        for text in [
            "[1, -0.5, 2e-3, 40]",
            " [1.0,-0.5,\n0.002,4e1] \n",
            "1 -0.5 2e-3 40",
            "1,-.5,0.002,+40\n",
            "1\r\n-0.5\r\n2E-3\r\n40\r\n",
            "\u{feff}1, -0.5,\t2e-3, 40",
            "1 -.5 2e-3 40 \n\n",
        ] {
            assert_eq!(parse(text.as_bytes(), 4), Ok(vector.to_vec()), "{text:?}");
        }
        let raw: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
        assert_eq!(parse(&raw, 4), Ok(vector.to_vec()));
    }

    #[test]
    fn bytes_of_the_raw_length_are_text_if_they_look_like_it() {
        assert_eq!(parse(b"1 23", 1), Err("has 2 numbers; this store's vectors have 1 component".to_owned()));
        assert_eq!(parse(b"0.25", 1), Ok(vec![0.25]));
        assert_eq!(
            parse("\u{feff}1 2 3 4 5 ".as_bytes(), 3).unwrap_err().split(';').next(),
            Some("has 5 numbers")
        );
        // Raw floats may begin as the marks of UTF-8 and UTF-16 do.
        for raw in [[0xff, 0xfe, 0, 0x3f], [0xef, 0xbb, 0xbf, 0]] {
            assert_eq!(parse(&raw, 1), Ok(vec![f32::from_le_bytes(raw)]));
        }
    }

    #[test]
    fn what_is_no_vector_is_refused_with_what_was_found() {
        let nan = [1.0, f32::NAN].map(f32::to_le_bytes).concat();
        for (bytes, why) in [
            (&b""[..], "has 0 numbers; this store's vectors have 2 components"),
            (b"1 2 3", "has 3 numbers; this store's vectors have 2 components"),
            (b"[1]", "has 1 number; this store's vectors have 2 components"),
            (b"1 x", "has no vector: its number 2 is \"x\", which is not a number"),
            (b"1 nan", "has no vector: its number 2 is not a finite 32-bit float"),
            (b"-inf 1", "has no vector: its number 1 is not a finite 32-bit float"),
            (b"[1, 1e39]", "has no vector: its number 2 is not a finite 32-bit float"),
            (&nan, "has no vector: its number 2 is not a finite 32-bit float"),
            (b"\0\0\0", "has 3 bytes that are not text; raw floats for this store are 8 bytes"),
            (b"\xff\xfe1\0", "is not a vector: it is UTF-16; save it as UTF-8"),
        ] {
            assert_eq!(parse(bytes, 2), Err(why.to_owned()), "{bytes:?}");
        }
        for json in ["[1, \"2\"]", "[1, null]", "[1 2]", "[1, 2", "[1, 2] 3", "[[1, 2]]", "[1e999, 0]"] {
            let why = parse(json.as_bytes(), 2).unwrap_err();
            assert!(
                why.starts_with("is not a JSON array of numbers: ") && !why.contains('\n'),
                "{json} {why}"
            );
        }
    }

    #[test]
    fn no_more_is_read_than_a_vector_needs() {
        let refusal = read(&mut std::io::repeat(b'1'), "x", 2).unwrap_err();
        let why = "x has more than 4224 bytes; a vector of 2 components needs less";
        assert_eq!((refusal.exit, &*refusal.message), (1, why));
    }
}
