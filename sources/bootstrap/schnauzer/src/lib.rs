//! Template engine for configuration files.
//!
//! A template is a TOML front matter, a line of `+++`, and a Handlebars body. The front matter names the
//! *format* of the file (`toml`, `json`, `env`, ...) and the *extensions*, that is groups of settings and
//! helpers, which the body uses. `Template::parse` finds out for every `{{expression}}` in what kind of place it
//! stands (inside quotes, bare, a word of a line), and rendering writes each value so that it cannot leave that
//! place, or fails with an error that names the template, the line and the setting.
//!
//! The crate is pure: no files, no sockets, no look at the machine. What helpers need to know about the machine
//! comes in as [`Facts`]. It does not read templates, fetch settings, or write results.
//!
//! Run its tests with `cargo test -p schnauzer`; `VISCO_BLESS=1` rewrites the golden files of the templates in
//! `sources/templates`. `docs/templates.md` is the guide for authors.

mod body;
mod engine;
mod error;
mod format;
mod place;
mod regions;
mod requirement;
mod shape;
mod template;
mod vocabulary;

pub use engine::{Context, Facts, Renderer, render, render_inline};
pub use error::Error;
pub use format::Format;
pub use requirement::{Requirement, RequirementError};
pub use shape::{ShapeError, parse_check};
pub use template::Template;
