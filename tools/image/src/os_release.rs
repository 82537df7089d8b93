//! `os-release`: what system this is, of which variant, version and build.

use crate::Request;
use std::fmt::Write;

/// Where the system says what it is.
pub(crate) const PATH: &str = "usr/lib/os-release";

/// The file of the release package with what only the image knows. The image's own keys replace the package's.
pub(crate) fn complete(base: &str, request: &Request) -> String {
    let Request { pretty_name, variant, version, build_id, .. } = request;
    let own = [
        ("VERSION", format!("{version} ({variant})")),
        ("PRETTY_NAME", format!("{pretty_name} {version} ({variant})")),
        ("VARIANT_ID", variant.clone()),
        ("VERSION_ID", version.clone()),
        ("BUILD_ID", build_id.clone()),
    ];
    let repository = env!("CARGO_PKG_REPOSITORY");
    let links = [
        ("HOME_URL", repository.to_owned()),
        ("SUPPORT_URL", format!("{repository}/discussions")),
        ("BUG_REPORT_URL", format!("{repository}/issues")),
    ];
    let key_of = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    let is_own = |line: &str| key_of(line).is_some_and(|key| own.iter().any(|(name, _)| *name == key));
    let has = |name: &str| base.lines().any(|line| key_of(line).as_deref() == Some(name));

    let mut text: String = base.lines().filter(|line| !is_own(line)).flat_map(|line| [line, "\n"]).collect();
    let missing = links.into_iter().filter(|(name, _)| !has(name));
    for (name, value) in own.iter().cloned().chain(missing) {
        let _ = writeln!(text, "{name}={}", quoted(&value));
    }
    text
}

/// A value in the syntax of os-release(5).
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.into();
    }
    let escaped = value.chars().flat_map(|c| {
        let escape = "\"$\\`".contains(c).then_some('\\');
        escape.into_iter().chain([c])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::{least, with};
    use serde_json::json;

    #[test]
    fn the_image_adds_what_it_knows() {
        let request = Request::parse(&least().to_string()).unwrap();
        let base = "NAME=Visco\nID=visco\n# A comment.\nVERSION_ID=0\nHOME_URL=\"https://example.com\"";
        assert_eq!(
            complete(base, &request),
            "NAME=Visco\nID=visco\n# A comment.\nHOME_URL=\"https://example.com\"\n\
             VERSION=\"1.2.3 (metal-dev)\"\nPRETTY_NAME=\"Visco OS 1.2.3 (metal-dev)\"\nVARIANT_ID=metal-dev\n\
             VERSION_ID=1.2.3\nBUILD_ID=0123abcd\n\
             SUPPORT_URL=\"https://github.com/visco-os/visco/discussions\"\n\
             BUG_REPORT_URL=\"https://github.com/visco-os/visco/issues\"\n"
        );
    }

    #[test]
    fn a_value_cannot_leave_its_line() {
        let request = Request::parse(&with("pretty_name", json!("a \"b\" $c `d` \\")).to_string()).unwrap();
        let text = complete("", &request);
        assert!(text.contains(r#"PRETTY_NAME="a \"b\" \$c \`d\` \\ 1.2.3 (metal-dev)""#), "{text}");
    }
}
