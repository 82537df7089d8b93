//! Checks the body of a template and prepares it for rendering.
//!
//! Handlebars writes values through one escape function that knows neither their type nor their place. So every
//! expression is rewritten when the template is parsed: `{{x}}` becomes `{{write x}}` with the format and the place
//! noted on the call, and the helpers `write` and `literal` do what escaping does elsewhere.

use crate::place::{Scanner, State};
use crate::vocabulary::{self, Kind, LITERAL, WRITE};
use crate::{Format, Requirement};
use handlebars::Path;
use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};
use serde_json::json;

/// What is wrong with a body, and on which of its lines.
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Checks and rewrites a parsed body.
pub(crate) fn prepare(body: &mut Template, format: Format, requires: &[Requirement]) -> Result<(), Fault> {
    let mut walk = Walk { format, requires, scanner: Scanner::new(format), depth: 0 };
    walk.template(body)?;
    match walk.scanner.state {
        State::Outside | State::Comment => Ok(()),
        _ => Err(Fault {
            line: body.mapping.last().map_or(1, |m| m.0),
            message: "a quote is never closed".into(),
        }),
    }
}

struct Walk<'a> {
    format: Format,
    requires: &'a [Requirement],
    scanner: Scanner,
    /// How many blocks that change what names refer to are open.
    depth: usize,
}

impl Walk<'_> {
    fn template(&mut self, template: &mut Template) -> Result<(), Fault> {
        for (element, at) in template.elements.iter_mut().zip(&template.mapping) {
            self.element(element).map_err(|fault| match fault {
                Stop::Here(message) => Fault { line: at.0, message },
                Stop::Inside(fault) => fault,
            })?;
        }
        Ok(())
    }

    fn element(&mut self, element: &mut TemplateElement) -> Result<(), Stop> {
        match element {
            TemplateElement::RawString(text) => self.scanner.text(text),
            TemplateElement::Comment(_) => {}
            TemplateElement::Expression(call) => self.expression(call)?,
            TemplateElement::HelperBlock(call) => self.block(call)?,
            TemplateElement::HtmlExpression(_) => {
                return Err(
                    "'{{{x}}}' and '{{&x}}' would write a value without escaping; write '{{x}}'".into()
                );
            }
            _ => return Err("partials and decorators are not supported".into()),
        }
        Ok(())
    }

    /// Turns `{{x}}` and `{{helper x}}` into a call that writes the value for its place.
    fn expression(&mut self, call: &mut HelperTemplate) -> Result<(), Stop> {
        let place = self.scanner.place()?;
        let name = name_of(&call.name)?;
        let is_value = call.params.is_empty() && call.hash.is_empty() && vocabulary::find(&name).is_none();
        let (writer, subject) = if is_value {
            self.path(&call.name)?;
            (WRITE, call.name.clone())
        } else {
            let kind = self.call(call)?;
            if kind != Kind::Value && matches!(place, crate::place::Place::Quoted { .. }) {
                return Err(format!("'{name}' writes its own quotes and cannot stand inside quotes").into());
            }
            match kind {
                Kind::Written => {
                    self.scanner.value();
                    return Ok(());
                }
                Kind::Literal if name == LITERAL => {
                    self.scanner.value();
                    return Ok(());
                }
                Kind::Literal => (LITERAL, subexpression(call)),
                Kind::Value => (WRITE, subexpression(call)),
            }
        };
        call.name = Parameter::Name(writer.into());
        call.params = vec![subject];
        call.hash.clear();
        note(call, "place", place.code());
        note(call, "subject", &name);
        self.note_format(call);
        self.scanner.value();
        Ok(())
    }

    /// Checks a helper call and its arguments.
    fn call(&mut self, call: &mut HelperTemplate) -> Result<Kind, Stop> {
        let name = name_of(&call.name)?;
        let spec = vocabulary::find(&name).ok_or_else(|| format!("there is no helper '{name}'"))?;
        if let Some(extension) = spec.extension {
            let declared = self.requires.iter().any(|r| r.name == extension && r.helpers.contains(&name));
            if !declared {
                return Err(format!(
                    "helper '{name}' is not in required-extensions; add it to the helpers of '{extension}'"
                )
                .into());
            }
        }
        if !spec.args.contains(&call.params.len()) {
            let (least, most) = (spec.args.start(), spec.args.end());
            let wanted = if least == most { least.to_string() } else { format!("{least} or more") };
            return Err(format!("helper '{name}' takes {wanted} arguments, not {}", call.params.len()).into());
        }
        self.arguments(call)?;
        if name == vocabulary::JOIN_ARRAY && !matches!(call.params[0], Parameter::Literal(_)) {
            return Err(format!("the separator of '{name}' must be a text in quotes").into());
        }
        note(call, "subject", &subject_of(call.params.last()));
        self.note_format(call);
        Ok(spec.kind)
    }

    fn arguments(&mut self, call: &mut HelperTemplate) -> Result<(), Stop> {
        if let Some(option) = call.hash.keys().next() {
            let name = name_of(&call.name)?;
            if !(matches!(name.as_str(), "if" | "unless") && option == "includeZero") {
                return Err(format!("helper '{name}' has no option '{option}'").into());
            }
        }
        for param in call.params.iter_mut().chain(call.hash.values_mut()) {
            match param {
                Parameter::Path(_) | Parameter::Name(_) => self.path(param)?,
                Parameter::Subexpression(inner) => {
                    if let TemplateElement::Expression(inner) = inner.element.as_mut() {
                        self.call(inner)?;
                    }
                }
                Parameter::Literal(_) => {}
                _ => return Err("an argument must be a name, a literal or a helper in parentheses".into()),
            }
        }
        Ok(())
    }

    fn block(&mut self, call: &mut HelperTemplate) -> Result<(), Stop> {
        let name = name_of(&call.name)?;
        if !vocabulary::BLOCKS.contains(&name.as_str()) {
            return Err(
                format!("'{name}' is not a block; blocks are: {}", vocabulary::BLOCKS.join(", ")).into()
            );
        }
        if name == vocabulary::IF_NOT_NULL {
            self.call(call)?;
            call.hash.clear();
        } else {
            if call.params.len() != 1 {
                return Err(format!("block '{name}' takes 1 argument, not {}", call.params.len()).into());
            }
            self.arguments(call)?;
        }
        let before = self.scanner.clone();
        self.depth += usize::from(matches!(name.as_str(), "each" | "with"));
        for branch in [&mut call.template, &mut call.inverse].into_iter().flatten() {
            let line = branch.mapping.first().map_or(1, |m| m.0);
            self.scanner = before.clone();
            self.template(branch).map_err(Stop::Inside)?;
            let closed = |state| matches!(state, State::Outside | State::Comment);
            if self.scanner.state != before.state && !(closed(self.scanner.state) && closed(before.state)) {
                let message =
                    format!("the inside of block '{name}' opens or closes a quote without its pair");
                return Err(Stop::Inside(Fault { line, message }));
            }
            if self.scanner.state == State::Comment || before.state == State::Comment {
                return Err("a block cannot begin or end within a comment of the file".into());
            }
        }
        self.depth -= usize::from(matches!(name.as_str(), "each" | "with"));
        Ok(())
    }

    /// Refuses settings of groups that the template does not require. What this cannot see (a name reached
    /// from inside another block) is not in the data either.
    fn path(&self, param: &Parameter) -> Result<(), Stop> {
        let name = name_of(param)?;
        let at_root = self.depth == 0;
        let tail = match name.strip_prefix("@root.") {
            Some(tail) => tail,
            None if at_root => &name,
            None => return Ok(()),
        };
        let mut segments = tail.split(['.', '/']);
        match (segments.next(), segments.next()) {
            (Some("os"), _) | (Some("settings"), None) => Ok(()),
            (Some("settings"), Some(group)) => {
                let group = group.trim_matches(['[', ']']);
                if self.requires.iter().any(|r| r.name == group) {
                    Ok(())
                } else {
                    Err(format!("'{name}' is used, but '{group}' is not in required-extensions").into())
                }
            }
            _ => Err(format!("there is no '{name}'; names start with 'settings.' or 'os.'").into()),
        }
    }

    fn note_format(&self, call: &mut HelperTemplate) {
        let index = Format::ALL.iter().position(|format| *format == self.format);
        call.hash.insert("format".into(), Parameter::Literal(json!(index)));
    }
}

/// Leaves a note for the helper on its call.
fn note(call: &mut HelperTemplate, key: &str, value: &str) {
    call.hash.insert(key.into(), Parameter::Literal(json!(value)));
}

/// A fault found at this element, or deeper with its line known.
enum Stop {
    Here(String),
    Inside(Fault),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Here(message)
    }
}

impl From<&str> for Stop {
    fn from(message: &str) -> Self {
        Self::Here(message.into())
    }
}

fn subexpression(call: &mut HelperTemplate) -> Parameter {
    Parameter::Subexpression(Subexpression::new(
        call.name.clone(),
        std::mem::take(&mut call.params),
        std::mem::take(&mut call.hash),
    ))
}

fn subject_of(param: Option<&Parameter>) -> String {
    match param {
        Some(param) => name_of(param).unwrap_or_else(|_| "the value".into()),
        None => String::new(),
    }
}

fn name_of(param: &Parameter) -> Result<String, Stop> {
    match param {
        Parameter::Name(name) | Parameter::Path(Path::Relative((_, name)) | Path::Local((_, _, name))) => {
            Ok(name.clone())
        }
        Parameter::Literal(value) => Err(format!("{value} is neither a name nor a helper").into()),
        _ => Err("a helper's name cannot be computed".into()),
    }
}
