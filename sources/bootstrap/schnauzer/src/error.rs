//! Why a template cannot be used.

use crate::requirement::RequirementError;
use snafu::Snafu;

/// Why a template does not parse or render. Every text names the template.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("template '{template}' has no line of '+++' between front matter and body"))]
    NoSeparator { template: String },

    #[snafu(display("read the front matter of template '{template}'"))]
    FrontMatter { template: String, source: toml::de::Error },

    #[snafu(display(
        "template '{template}' names no format; start it with one of: format = {}",
        crate::Format::NAMES.map(|name| format!("\"{name}\"")).join(", ")
    ))]
    NoFormat { template: String },

    #[snafu(display("check the extensions that template '{template}' requires"))]
    Requires { template: String, source: RequirementError },

    #[snafu(display("template '{template}' is not Handlebars: {message}"))]
    Syntax { template: String, message: String },

    #[snafu(display("template '{template}', line {line}: {message}"))]
    Body { template: String, line: usize, message: String },

    #[snafu(display("template '{template}', line {line}: '{key}' has no value"))]
    MissingValue { template: String, line: usize, key: String },

    #[snafu(display("template '{template}', line {line}: {message}"))]
    Render { template: String, line: usize, message: String },
}
