//! The helpers: one table of rows, and the adapter that lets Handlebars call them.

mod containers;
mod kubernetes;
mod network;
mod regional;
mod standard;

use crate::place::Place;
use crate::{Facts, Format};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, PathAndJson, RenderContext, RenderError,
    RenderErrorReason, Renderable, ScopedJson,
};
use serde_json::Value;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub(crate) const WRITE: &str = "write";
pub(crate) const LITERAL: &str = "literal";
pub(crate) const JOIN_ARRAY: &str = "join_array";
pub(crate) const IF_NOT_NULL: &str = "if_not_null";

/// The blocks templates may use.
pub(crate) const BLOCKS: [&str; 5] = ["if", "unless", "each", "with", IF_NOT_NULL];

/// Helpers of Handlebars itself that templates may use, with how many arguments each takes.
const BUILT_IN: [(&str, RangeInclusive<usize>); 11] = [
    ("and", 2..=2),
    ("eq", 2..=2),
    ("gt", 2..=2),
    ("gte", 2..=2),
    ("len", 1..=1),
    ("lookup", 2..=2),
    ("lt", 2..=2),
    ("lte", 2..=2),
    ("ne", 2..=2),
    ("not", 1..=1),
    ("or", 2..=2),
];

/// What becomes of a helper's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value; where it is written it is escaped like any other.
    Value,
    /// A value that is written as a literal of the file's format.
    Literal,
    /// Text already in the file's format.
    Written,
}

/// What the check of a body needs to know about a helper.
pub(crate) struct Spec {
    /// The extension that has to be required for it; none for what is always there.
    pub(crate) extension: Option<&'static str>,
    pub(crate) args: RangeInclusive<usize>,
    pub(crate) kind: Kind,
}

/// A helper of an extension.
struct Row {
    extension: &'static str,
    name: &'static str,
    args: usize,
    kind: Kind,
    run: fn(&Call) -> Result<Value, String>,
}

/// The arguments of one call.
struct Call<'a> {
    args: Vec<&'a Value>,
    /// How the template names each argument.
    paths: Vec<Option<&'a str>>,
    format: Format,
    facts: &'a Facts,
}

const TABLES: [&[Row]; 5] =
    [standard::ROWS, network::ROWS, kubernetes::ROWS, containers::ROWS, regional::ROWS];

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The helper of that name.
pub(crate) fn find(name: &str) -> Option<Spec> {
    if name == LITERAL {
        return Some(Spec { extension: None, args: 1..=1, kind: Kind::Literal });
    }
    if name == IF_NOT_NULL {
        return Some(Spec { extension: Some("std"), args: 1..=1, kind: Kind::Value });
    }
    if let Some((_, args)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Some(Spec { extension: None, args: args.clone(), kind: Kind::Value });
    }
    rows().find(|row| row.name == name).map(|row| Spec {
        extension: Some(row.extension),
        args: row.args..=row.args,
        kind: row.kind,
    })
}

/// The extensions that have helpers.
pub(crate) fn extensions() -> Vec<&'static str> {
    let mut names: Vec<&str> = rows().map(|row| row.extension).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The helpers of an extension.
pub(crate) fn of_extension(extension: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = rows().filter(|row| row.extension == extension).map(|row| row.name).collect();
    if extension == "std" {
        names.push(IF_NOT_NULL);
    }
    names
}

/// Makes all helpers known. Which of them a template may use was decided when it was parsed.
pub(crate) fn register(registry: &mut Handlebars<'static>, facts: &Arc<Facts>) {
    for row in rows() {
        registry.register_helper(row.name, Box::new(Adapter { row, facts: Arc::clone(facts) }));
    }
    registry.register_helper("lookup", Box::new(Lookup));
    registry.register_helper(IF_NOT_NULL, Box::new(IfNotNull));
    registry.register_helper(WRITE, Box::new(Writer::Scalar));
    registry.register_helper(LITERAL, Box::new(Writer::Literal));
}

/// Why a value cannot be written.
#[derive(Debug)]
pub(crate) enum Fail {
    Missing(String),
    Wrong(String),
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "'{key}' has no value"),
            Self::Wrong(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fail {}

impl From<Fail> for RenderError {
    fn from(fail: Fail) -> Self {
        RenderErrorReason::NestedError(Box::new(fail)).into()
    }
}

/// The notes left by the check of the body.
fn note<'a>(call: &'a Helper<'_>, key: &str) -> &'a str {
    call.hash_get(key).and_then(|value| value.value().as_str()).unwrap_or_default()
}

fn format_of(call: &Helper<'_>) -> Format {
    call.hash_get("format")
        .and_then(|value| value.value().as_u64())
        .and_then(|index| Format::ALL.get(usize::try_from(index).ok()?).copied())
        .expect("the check of the body notes the format on every call")
}

struct Adapter {
    row: &'static Row,
    facts: Arc<Facts>,
}

impl HelperDef for Adapter {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let call = Call {
            args: helper.params().iter().map(PathAndJson::value).collect(),
            paths: helper.params().iter().map(|p| p.relative_path().map(String::as_str)).collect(),
            format: format_of(helper),
            facts: &self.facts,
        };
        let result = (self.row.run)(&call).map_err(|message| {
            let subject = match note(helper, "subject") {
                "" => String::new(),
                subject => format!(" of '{subject}'"),
            };
            Fail::Wrong(format!("helper '{}'{subject}: {message}", self.row.name))
        })?;
        Ok(ScopedJson::Derived(result))
    }
}

/// Writes values; what `{{x}}` becomes.
enum Writer {
    Scalar,
    Literal,
}

impl HelperDef for Writer {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let param = helper.param(0).expect("the check of the body counts arguments");
        let key = || match param.context_path() {
            Some(path) if !path.is_empty() => path.join("."),
            _ => note(helper, "subject").to_owned(),
        };
        if param.value().is_null() {
            return Err(Fail::Missing(key()).into());
        }
        let format = format_of(helper);
        let text = match self {
            Self::Literal => format.literal(param.value()),
            Self::Scalar => {
                let place =
                    Place::from_code(note(helper, "place")).expect("the check of the body notes the place");
                format.scalar(place, param.value())
            }
        };
        match text {
            Ok(text) => Ok(ScopedJson::Derived(Value::String(text))),
            Err(why) => Err(Fail::Wrong(format!("'{}' {why}", key())).into()),
        }
    }
}

/// A member by a computed name. Unlike the one of Handlebars, an absent member is null, as it is to `if`.
struct Lookup;

impl HelperDef for Lookup {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = |index: usize| helper.param(index).map_or(&Value::Null, PathAndJson::value);
        let found = match value(1) {
            Value::String(name) => value(0).get(name),
            index => index.as_u64().and_then(|index| value(0).get(usize::try_from(index).ok()?)),
        };
        Ok(ScopedJson::Derived(found.cloned().unwrap_or_default()))
    }
}

/// Renders its inside unless the value is absent; false, 0 and empty values are present.
struct IfNotNull;

impl HelperDef for IfNotNull {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let present = helper.param(0).is_some_and(|param| !param.value().is_null());
        let branch = if present { helper.template() } else { helper.inverse() };
        match branch {
            Some(branch) => branch.render(registry, context, render, out),
            None => Ok(()),
        }
    }
}

impl Call<'_> {
    fn text(&self, index: usize) -> Result<&str, String> {
        self.args[index].as_str().ok_or_else(|| self.mismatch(index, "text"))
    }

    /// Says that an argument has the wrong type.
    fn mismatch(&self, index: usize, wanted: &str) -> String {
        format!("argument {} must be {wanted}, not {}", index + 1, kind_of(self.args[index]))
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "absent",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
