//! Selects which of the two libraries is built, by the package's name, and sets its soname.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(splinter_persistent)");
    let variable = |name: &str| std::env::var(name).expect("cargo sets this variable");
    let (library, script) = if variable("CARGO_PKG_NAME").ends_with("-persistent") {
        println!("cargo::rustc-cfg=splinter_persistent");
        ("libsplinter_p", "../build.rs")
    } else {
        ("libsplinter", "build.rs")
    };
    // Rerun only if this file changes, not for the environment: it differs when a test calls cargo.
    println!("cargo::rerun-if-changed={script}");
    let major = variable("CARGO_PKG_VERSION_MAJOR");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{library}.so.{major}");
    // The library cannot be unloaded: a thread that used it calls a function of it when the thread ends.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
