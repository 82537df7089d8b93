//! The invariants of the tree, as a check.
//!
//! What `ARCHITECTURE.md` promises about arrows between crates, pure crates and short programs is only true while
//! something fails when it stops being so. Every rule is a function from text or a manifest to findings, with a
//! test on a small literal; [`tree::check`] reads the files and hands them to the rules. `./make check` runs the
//! program, and `cargo test -p tidy` runs the rules' tests and the rules on this tree.
//!
//! It does not format or lint: `rustfmt` and clippy do.

// The tree spells its extensions in lower case; a file that does not is another kind of file.
#![allow(clippy::case_sensitive_file_extension_comparisons)]

mod crates;
mod docs;
mod documentation;
mod finding;
mod outside;
mod source;
mod templates;
pub mod tree;

pub use finding::Finding;
