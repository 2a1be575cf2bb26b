//! Says which of the two libraries is built, and gives it its soname.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(splinter_persistent)");
    let of = |name: &str| std::env::var(name).expect("cargo sets it");
    let (library, script) = if of("CARGO_PKG_NAME").ends_with("-persistent") {
        println!("cargo::rustc-cfg=splinter_persistent");
        ("libsplinter_p", "../build.rs")
    } else {
        ("libsplinter", "build.rs")
    };
    // Nothing else is looked at, the environment least of all: it is another when a test calls cargo.
    println!("cargo::rerun-if-changed={script}");
    let major = of("CARGO_PKG_VERSION_MAJOR");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{library}.so.{major}");
    // Threads that used it call it when they end.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
