//! A template file: front matter, separator, body.

use crate::error::{
    BodySnafu, Error, FrontMatterSnafu, NoFormatSnafu, NoSeparatorSnafu, RequiresSnafu, SyntaxSnafu,
};
use crate::requirement::{self, Declared};
use crate::{Format, Requirement, body};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt};
use std::collections::BTreeMap;

/// A checked template, ready to render.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    format: Format,
    requires: Vec<Requirement>,
    pub(crate) body: handlebars::Template,
    /// How many lines of the file stand before the body.
    pub(crate) lines_before: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FrontMatter {
    format: Option<Format>,
    #[serde(default)]
    required_extensions: BTreeMap<String, Declared>,
}

impl Template {
    /// Parses the text of a template file; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let (front, body, lines_before) = split(text).context(NoSeparatorSnafu { template: name })?;
        let front: FrontMatter = toml::from_str(front).context(FrontMatterSnafu { template: name })?;
        let format = front.format.context(NoFormatSnafu { template: name })?;
        let requires = Requirement::from_declared(front.required_extensions);
        Self::build(name, format, requires, body, lines_before)
    }

    /// A template given in place rather than as a file: no front matter, plain text.
    pub fn inline(requires: &[Requirement], body: &str) -> Result<Self, Error> {
        Self::build("inline", Format::Text, requires.to_vec(), body, 0)
    }

    fn build(
        name: &str,
        format: Format,
        requires: Vec<Requirement>,
        body: &str,
        lines_before: usize,
    ) -> Result<Self, Error> {
        requirement::check(&requires).context(RequiresSnafu { template: name })?;
        let mut body = handlebars::Template::compile(body).map_err(|error| {
            let line =
                error.pos().map_or(String::new(), |(line, _)| format!("line {}: ", line + lines_before));
            SyntaxSnafu { template: name, message: format!("{line}{}", error.reason()) }.build()
        })?;
        body::prepare(&mut body, format, &requires).map_err(|fault| {
            BodySnafu { template: name, line: fault.line + lines_before, message: fault.message }.build()
        })?;
        Ok(Self { name: name.into(), format, requires, body, lines_before })
    }

    /// What errors call the template.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format of the rendered file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The extensions it asks for.
    pub fn requires(&self) -> &[Requirement] {
        &self.requires
    }
}

/// Splits at the first line that is three or more `+`; gives front matter, body, and the lines before the body.
fn split(text: &str) -> Option<(&str, &str, usize)> {
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if bare.len() >= 3 && bare.bytes().all(|byte| byte == b'+') {
            return Some((&text[..start], &text[start + line.len()..], index + 1));
        }
        start += line.len();
    }
    None
}
