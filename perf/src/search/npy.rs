//! Matrices of 32-bit floats, and the files of NumPy (`.npy`) that hold them. It knows nothing of what they are.

use splinter_harness::files;
use splinter_harness::input;
use splinter_harness::text::refusal;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;

/// How such a file begins.
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Bytes of the longest header that is read.
const MOST_HEADER: usize = 1 << 16;

/// Values that are read or written at once.
const PIECE: usize = 1 << 14;

/// Rows of as many components each, one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// Components of a row.
    pub dim: usize,
    /// The components of all rows.
    pub values: Vec<f32>,
}

impl Matrix {
    /// Returns how many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Returns a row.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// Takes the last rows away, as a matrix of their own.
    ///
    /// # Errors
    /// One line if no row would be left.
    pub fn split_last(&mut self, rows: usize) -> Result<Self, String> {
        let left = self.rows().checked_sub(rows).filter(|&left| left > 0);
        let left = left.ok_or_else(|| {
            let all = self.rows();
            format!("it has {all} rows, too few to hold {rows} out as queries: give fewer by --queries")
        })?;
        Ok(Self { dim: self.dim, values: self.values.split_off(left * self.dim) })
    }

    /// Reads a file of NumPy: 32-bit floats, two dimensions, in C order.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let read =
            input::open(path).map_err(|error| unread(&error)).and_then(|file| parse(BufReader::new(file)));
        read.map_err(|why| format!("cannot use {}: {why}", path.display()))
    }

    /// Writes a file that [`Self::read`] and NumPy read.
    ///
    /// # Errors
    /// One line that says why it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let written = files::replace(path, |file| {
            let shape = format!("({}, {})", self.rows(), self.dim);
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            // Magic, version and length take ten bytes; the values begin at a multiple of 64.
            let padded = (header.len() + 11).next_multiple_of(64) - 11;
            file.write_all(MAGIC)?;
            file.write_all(&[1, 0])?;
            file.write_all(&(padded as u16 + 1).to_le_bytes())?;
            writeln!(file, "{header:padded$}")?;
            for values in self.values.chunks(PIECE) {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                file.write_all(&bytes)?;
            }
            Ok(())
        });
        written.map_err(|error| files::cannot_write(path, error))
    }
}

/// Says why a file could not be read.
fn unread(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it ends too early: it was not copied whole".to_owned(),
        _ => refusal(io::Error::new(error.kind(), error.to_string())),
    }
}

/// Reads a file, in words that go behind its name.
fn parse(mut file: impl Read) -> Result<Matrix, String> {
    let mut begin = [0; 8];
    let begun = file.read_exact(&mut begin);
    if begun.is_err() || begin[..6] != *MAGIC {
        return Err("it is no .npy file: write one with numpy.save".to_owned());
    }
    let mut len = [0; 4];
    let len_bytes = if begin[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut len[..len_bytes]).map_err(|error| unread(&error))?;
    let len = u32::from_le_bytes(len) as usize;
    if !(1..=3).contains(&begin[6]) || len > MOST_HEADER {
        return Err("it is of an unknown version of .npy: write one with numpy.save".to_owned());
    }
    let mut header = vec![0; len];
    file.read_exact(&mut header).map_err(|error| unread(&error))?;
    let [rows, dim] = shape(&String::from_utf8_lossy(&header))?;
    let count = rows.checked_mul(dim).filter(|&count| count > 0 && count < usize::MAX / 8);
    let count = count.ok_or_else(|| format!("its shape is ({rows}, {dim}): give rows of vectors"))?;
    let mut values: Vec<f32> = Vec::new();
    let mut bytes = vec![0; PIECE * 4];
    while values.len() < count {
        let piece = &mut bytes[..(count - values.len()).min(PIECE) * 4];
        file.read_exact(piece).map_err(|error| unread(&error))?;
        values.extend(piece.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)));
    }
    if !matches!(file.read(&mut begin[..1]), Ok(0)) {
        return Err("it has more bytes than its shape takes".to_owned());
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("component {} of row {} is not finite", at % dim, at / dim)),
        None => Ok(Matrix { dim, values }),
    }
}

/// Reads the header, which is a dictionary in Python's words.
fn shape(header: &str) -> Result<[usize; 2], String> {
    let after = |name: &str| {
        let rest = header.split_once(&format!("'{name}':")).map(|(_, rest)| rest.trim_start());
        rest.ok_or_else(|| format!("its header has no {name}"))
    };
    let kind = after("descr")?;
    if !kind.starts_with("'<f4'") {
        let kind = kind.split([',', '}']).next().unwrap_or_default();
        return Err(format!("its values are {kind}: convert them with .astype('<f4')"));
    }
    if !after("fortran_order")?.starts_with("False") {
        return Err("it is in Fortran order: convert it with numpy.ascontiguousarray".to_owned());
    }
    let shape = after("shape")?;
    let inner = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    let inner = inner.ok_or("its header has no shape")?;
    let numbers: Result<Vec<usize>, _> =
        inner.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[rows, dim]) => Ok([rows, dim]),
        _ => Err(format!("its shape is ({inner}): give two dimensions, a vector in each row")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, parse, shape};
    use splinter_testkit::Folder;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = Folder::new();
        let path = folder.join("a.npy");
        for rows in [1, 3, 10_000] {
            let matrix = Matrix { dim: 5, values: (0..rows * 5).map(|at| at as f32 / 7.0).collect() };
            matrix.write(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!((bytes.len() - rows * 20) % 64, 0, "values are aligned");
            assert_eq!(Matrix::read(&path), Ok(matrix));
        }
    }

    #[test]
    fn the_last_rows_are_held_out() {
        let mut all = Matrix { dim: 2, values: (0..8).map(|at| at as f32).collect() };
        let last = all.split_last(1).unwrap();
        assert_eq!((all.rows(), last.values.as_slice()), (3, &[6.0, 7.0][..]));
        assert!(all.split_last(3).unwrap_err().contains("3 rows, too few"));
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        let header = |kind: &str, order: &str, shape: &str| {
            super::shape(&format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"))
        };
        assert_eq!(header("'<f4'", "False", "(3, 2)"), Ok([3, 2]));
        for (kind, order, shape, why) in [
            ("'<f8'", "False", "(3, 2)", "'<f8'"),
            ("'>f4'", "False", "(3, 2)", "'>f4'"),
            ("[('a', '<f4')]", "False", "(3, 2)", "values are"),
            ("'<f4'", "True", "(3, 2)", "Fortran"),
            ("'<f4'", "False", "(3,)", "(3,)"),
            ("'<f4'", "False", "(3, 2, 1)", "two dimensions"),
            ("'<f4'", "False", "(-3, 2)", "two dimensions"),
        ] {
            let error = header(kind, order, shape).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(shape("{}").unwrap_err().contains("descr"));
        for bytes in [&b""[..], b"PK\x03\x04", b"\x93NUMPY\x09\x00\xff\xff\xff\xff"] {
            assert!(parse(bytes).unwrap_err().contains("numpy.save"));
        }
    }

    #[test]
    fn a_file_that_is_cut_off_or_too_long_or_not_finite_is_refused() {
        let folder = Folder::new();
        let path = folder.join("a.npy");
        Matrix { dim: 2, values: vec![1.0, 2.0, f32::NAN, 4.0] }.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert!(refused(&bytes).contains("component 0 of row 1 is not finite"));
        assert!(refused(&bytes[..bytes.len() - 1]).contains("ends too early"));
        assert!(refused(&[&bytes[..], &[0]].concat()).contains("more bytes"));
        let missing = Matrix::read(&folder.join("missing.npy")).unwrap_err();
        assert!(missing.contains("missing.npy") && missing.lines().count() == 1, "{missing}");
    }
}
