//! Says which of the two libraries is built, and gives it its soname.

fn main() {
    // Nothing else is looked at.
    println!("cargo::rerun-if-env-changed=CARGO_PKG_VERSION_MAJOR");
    println!("cargo::rustc-check-cfg=cfg(splinter_persistent)");
    let of = |name: &str| std::env::var(name).expect("cargo sets it");
    let library = if of("CARGO_PKG_NAME").ends_with("-persistent") {
        println!("cargo::rustc-cfg=splinter_persistent");
        "libsplinter_p"
    } else {
        "libsplinter"
    };
    let major = of("CARGO_PKG_VERSION_MAJOR");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{library}.so.{major}");
}
