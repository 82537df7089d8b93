//! The mounted CD-ROM.

use crate::{Provider, ovf};
use host::Host;
use host::program::chain;
use std::path::Path;
use user_data::{Document, Fault, Syntax};

/// Where it is mounted.
const FOLDER: &str = "/media/cdrom";

/// A CD-ROM with a file `user-data`, or with an OVF environment that holds user data. File systems of CD-ROMs
/// may know only capitals and underscores, so names are compared without regard to these.
#[derive(Clone, Copy, Debug)]
pub struct CdRom;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Plain,
    Ovf,
}

impl Provider for CdRom {
    fn name(&self) -> &str {
        FOLDER
    }

    fn provide(&self, host: &Host) -> Result<Option<Document>, Fault> {
        let mut found =
            candidates(&host.path(FOLDER)).map_err(|e| Fault::of(FOLDER, format!("list its files: {e}")))?;
        found.sort();
        let (name, form) = match &found[..] {
            [] => return Ok(None),
            [(name, form)] => (name, *form),
            many => {
                let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
                let what = format!("has more than one file of user data, {}; leave one", names.join(" and "));
                return Err(Fault::of(FOLDER, what));
            }
        };
        let path = format!("{FOLDER}/{name}");
        let content = host.read(&path).map_err(|e| Fault::of(&path, chain(&e)))?.unwrap_or_default();
        let mut text = user_data::text(&path, &content)?;
        if form == Form::Ovf && !text.trim().is_empty() {
            match ovf::user_data(&path, &text)? {
                Some(inner) => text = user_data::text(&path, &inner)?,
                None => return Ok(None),
            }
        }
        // As documented, an empty file on a drive says nothing: a template of a machine leaves such files.
        if text.trim().is_empty() { Ok(None) } else { Document::parse(&path, &text, Syntax::Toml).map(Some) }
    }
}

fn candidates(folder: &Path) -> std::io::Result<Vec<(String, Form)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some((name, form)) = name.to_str().and_then(|name| Some((name.to_owned(), form(name)?))) {
            found.push((name, form));
        }
    }
    Ok(found)
}

fn form(name: &str) -> Option<Form> {
    match name.to_ascii_lowercase().replace('_', "-").as_str() {
        "user-data" => Some(Form::Plain),
        "ovf-env.xml" => Some(Form::Ovf),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    const TEXT: &str = "[settings]\nmotd = 'drive'\n";

    fn provide(files: &[(&str, &[u8])]) -> Result<Option<Document>, String> {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new(dir.path());
        for (name, content) in files {
            host.replace(format!("{FOLDER}/{name}"), content, 0o644).unwrap();
        }
        CdRom.provide(&host).map_err(|fault| fault.to_string())
    }

    fn ovf(value: &str) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\"?>\n<Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" \
             xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\"><PropertySection>\
             <Property oe:key=\"other\" oe:value=\"1\"/><Property oe:key=\"user-data\" oe:value=\"{value}\"/>\
             </PropertySection></Environment>"
        )
        .into_bytes()
    }

    #[test]
    fn every_documented_form_is_read() {
        let packed = zstd::encode_all(TEXT.as_bytes(), 3).unwrap();
        let (plain, compressed) = (ovf(&STANDARD.encode(TEXT)), ovf(&STANDARD.encode(&packed)));
        let whole = zstd::encode_all(&plain[..], 3).unwrap();
        for (name, content) in [
            ("user-data", TEXT.as_bytes()),
            ("USER-DATA", TEXT.as_bytes()),
            ("User_Data", &packed),
            ("ovf-env.xml", &plain),
            ("OVF-ENV.XML", &compressed),
            ("ovf_env.xml", &whole),
        ] {
            let document = provide(&[("other.txt", b"x"), (name, content)]).unwrap().expect(name);
            assert_eq!(document.settings, json!({"motd": "drive"}), "{name}");
            assert_eq!(document.name, format!("/media/cdrom/{name}"));
        }
    }

    #[test]
    fn nothing_on_the_drive_is_no_user_data() {
        let none = String::from_utf8(ovf("")).unwrap().replace("user-data", "something");
        assert_eq!(provide(&[]), Ok(None));
        for (name, content) in [
            ("user-data", &b" \n"[..]),
            ("ovf-env.xml", b""),
            ("ovf-env.xml", &ovf("")),
            ("ovf-env.xml", none.as_bytes()),
        ] {
            assert_eq!(provide(&[(name, content)]), Ok(None), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let two = ovf("\"/><Property oe:key=\"user-data\" oe:value=\"");
        let entities = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x>&a;</x>";
        for (files, expected) in [
            (
                &[("user-data", TEXT.as_bytes()), ("USER-DATA", b"x")][..],
                "more than one file of user data, USER-DATA and",
            ),
            (
                &[("user-data", TEXT.as_bytes()), ("ovf-env.xml", b"x")],
                "/media/cdrom: has more than one file",
            ),
            (&[("ovf-env.xml", b"<a>")], "/media/cdrom/ovf-env.xml:1:1: is not XML"),
            (&[("ovf-env.xml", &ovf("***"))], "is not base64"),
            (&[("ovf-env.xml", &two)], "two properties"),
            (&[("ovf-env.xml", entities)], "is not XML"),
            (&[("user-data", b"motd = 1")], "/media/cdrom/user-data: has no [settings] table"),
        ] {
            let fault = provide(files).unwrap_err();
            assert!(fault.contains(expected), "{fault} / {expected}");
        }
    }
}
