//! The data for the header and the man pages: functions, structures and constants. The macros of `export` and `shapes`
//! fill it in for tests.

/// A section of the header: functions that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// The macro that a program must define to see the functions; empty: none.
    pub(crate) guard: &'static str,
    pub(crate) functions: &'static [Function],
}

/// An exported function, with its Rust types.
pub(crate) struct Function {
    pub(crate) notes: &'static [&'static str],
    pub(crate) name: &'static str,
    /// The name of the function that does the same on the store of a handle; empty: there is none.
    pub(crate) twin: &'static str,
    pub(crate) parameters: &'static [(&'static str, &'static str)],
    pub(crate) returns: &'static str,
}

/// A structure, with its Rust types.
pub(crate) struct Shape {
    pub(crate) notes: &'static [&'static str],
    pub(crate) name: &'static str,
    /// The alignment in bytes; 0: what the members need.
    pub(crate) align: usize,
    pub(crate) fields: &'static [Field],
}

/// A member of a structure: documentation, name, type.
type Field = (&'static [&'static str], &'static str, &'static str);

/// A constant.
pub(crate) struct Constant {
    pub(crate) notes: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) value: u64,
}
