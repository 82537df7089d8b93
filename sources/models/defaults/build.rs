//! Rebuilds when a fragment comes or goes; the compiler only sees those it already knows.

fn main() {
    println!("cargo:rerun-if-changed=fragments");
}
