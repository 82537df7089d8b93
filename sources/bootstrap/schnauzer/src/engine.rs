//! Renders templates.

use crate::error::{Error, MissingValueSnafu, RenderSnafu};
use crate::vocabulary::{self, Fail};
use crate::{Requirement, Template};
use handlebars::{Handlebars, RenderContext, RenderError, RenderErrorReason, Renderable};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What helpers need to know about the machine.
#[derive(Clone)]
pub struct Facts {
    /// Number of CPUs.
    pub cpu_count: u32,
    /// Whether an Elastic Fabric Adapter is present.
    pub efa_present: bool,
    /// Whether the kernel is in FIPS mode.
    pub fips: bool,
    /// Whether the resolver knows a host name by an answer other than a loopback address. Called only when a
    /// template asks, and once for a name by each [`Renderer`].
    pub resolvable: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("cpu_count", &self.cpu_count)
            .field("efa_present", &self.efa_present)
            .field("fips", &self.fips)
            .finish_non_exhaustive()
    }
}

/// The data of a rendering.
#[derive(Debug, Clone)]
pub struct Context {
    /// The settings tree: an object of groups (`{"motd": ..., "network": {...}}`).
    pub settings: Value,
    /// What templates see as `os`.
    pub os: Value,
    /// What helpers know about the machine.
    pub facts: Facts,
}

/// Renders many templates over the same data.
pub struct Renderer<'a> {
    context: &'a Context,
    registry: Handlebars<'static>,
}

impl<'a> Renderer<'a> {
    /// Prepares to render over `context`.
    pub fn new(context: &'a Context) -> Self {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        vocabulary::register(&mut registry, &remembering(&context.facts));
        Self { context, registry }
    }

    /// The text of the file.
    pub fn render(&self, template: &Template) -> Result<String, Error> {
        let data = handlebars::Context::from(self.visible(template.requires()));
        let mut out = handlebars::StringOutput::new();
        template
            .body
            .render(&self.registry, &data, &mut RenderContext::new(None), &mut out)
            .map_err(|error| explain(template, &error))?;
        Ok(out.into_string().expect("handlebars writes whole strings"))
    }

    /// The groups that a template requires, and `os`. A group this host does not have is absent.
    fn visible(&self, requires: &[Requirement]) -> Value {
        let group = |requirement: &Requirement| {
            let value = self.context.settings.get(&requirement.name)?;
            Some((requirement.name.clone(), value.clone()))
        };
        let settings: Map<String, Value> = requires.iter().filter_map(group).collect();
        Value::Object(Map::from_iter([
            ("settings".to_owned(), Value::Object(settings)),
            ("os".to_owned(), self.context.os.clone()),
        ]))
    }
}

/// Renders one template; build a [`Renderer`] to render several.
pub fn render(template: &Template, context: &Context) -> Result<String, Error> {
    Renderer::new(context).render(template)
}

/// Renders a template given in place, as setting generators do.
pub fn render_inline(requires: &[Requirement], template: &str, context: &Context) -> Result<String, Error> {
    render(&Template::inline(requires, template)?, context)
}

/// The same facts, with answers about names kept: one file asks about the same name for IPv4 and IPv6.
fn remembering(facts: &Facts) -> Arc<Facts> {
    let answers: Mutex<BTreeMap<String, bool>> = Mutex::default();
    let ask = Arc::clone(&facts.resolvable);
    let resolvable = move |name: &str| {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(name) {
            return *answer;
        }
        let answer = ask(name);
        answers.insert(name.to_owned(), answer);
        answer
    };
    Arc::new(Facts { resolvable: Arc::new(resolvable), ..facts.clone() })
}

fn explain(template: &Template, error: &RenderError) -> Error {
    let line = error.line_no.unwrap_or(1) + template.lines_before;
    let template = template.name();
    let unset = |key: &str| MissingValueSnafu { template, line, key }.build();
    match error.reason() {
        RenderErrorReason::MissingVariable(key) => unset(key.as_deref().unwrap_or("a variable")),
        RenderErrorReason::NestedError(nested) => match nested.downcast_ref() {
            Some(Fail::Missing(key)) => unset(key),
            Some(Fail::Wrong(message)) => RenderSnafu { template, line, message }.build(),
            None => RenderSnafu { template, line, message: nested.to_string() }.build(),
        },
        other => RenderSnafu { template, line, message: other.to_string() }.build(),
    }
}
