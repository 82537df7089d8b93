//! Packages as the RPM database tells of them.

use snafu::{OptionExt, Snafu, ensure};

/// What to ask with: `rpm -qa --queryformat`. A line a package, its fields parted by tabs.
pub const QUERY_FORMAT: &str = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{LICENSE}\t%{URL}\t%{VENDOR}\t%{GROUP}\t%{SOURCERPM}\t%{SHA256HEADER}\t%{SUMMARY}\n";

/// What RPM prints for what a package does not say.
const NONE: &str = "(none)";

/// An installed package. What it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Rpm {
    pub name: String,
    pub epoch: u32,
    pub version: String,
    pub release: String,
    pub arch: String,
    pub licence: String,
    pub url: String,
    pub vendor: String,
    pub group: String,
    /// File name of its source package.
    pub source: String,
    /// SHA-256 of its header, which has the digest of each of its files.
    pub header_sha256: String,
    pub summary: String,
}

/// An answer of RPM that is not one to [`QUERY_FORMAT`].
#[derive(Debug, Clone, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum QueryError {
    #[snafu(display("line {line} of the package query has {found} fields, not 12: {text}"))]
    Fields { line: usize, found: usize, text: String },
    #[snafu(display("line {line} of the package query has no {field}: {text}"))]
    Missing { line: usize, field: &'static str, text: String },
    #[snafu(display("line {line} of the package query has the epoch '{epoch}', which is no number"))]
    Epoch { line: usize, epoch: String },
    #[snafu(display("the package query names {name} twice; an image has one version of a package"))]
    Twice { name: String },
}

impl Rpm {
    /// Name and version with release of the source package, from `NAME-VERSION-RELEASE.src.rpm`.
    pub fn source_package(&self) -> Option<(&str, &str)> {
        let stem = self.source.strip_suffix(".src.rpm").or_else(|| self.source.strip_suffix(".nosrc.rpm"))?;
        let (rest, _) = stem.rsplit_once('-')?;
        let (name, _) = rest.rsplit_once('-')?;
        Some((name, &stem[name.len() + 1..]))
    }
}

/// Reads the answer to [`QUERY_FORMAT`]; the packages come sorted by name.
pub fn parse_query(text: &str) -> Result<Vec<Rpm>, QueryError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rpms: Result<Vec<Rpm>, QueryError> = lines.map(|(at, line)| parse_line(at + 1, line)).collect();
    let mut rpms = rpms?;
    rpms.sort_by(|a, b| a.name.cmp(&b.name));
    match rpms.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => TwiceSnafu { name: &pair[0].name }.fail(),
        None => Ok(rpms),
    }
}

fn parse_line(line: usize, text: &str) -> Result<Rpm, QueryError> {
    let fields: Vec<&str> =
        text.split('\t').map(|field| if field == NONE { "" } else { field.trim() }).collect();
    let found = fields.len();
    let [name, epoch, version, release, arch, licence, url, vendor, group, source, header, summary] =
        fields[..]
    else {
        return FieldsSnafu { line, found, text }.fail();
    };
    for (field, value) in [("name", name), ("version", version), ("release", release), ("architecture", arch)]
    {
        ensure!(!value.is_empty(), MissingSnafu { line, field, text });
    }
    let epoch = epoch.parse().ok().context(EpochSnafu { line, epoch })?;
    Ok(Rpm {
        name: name.to_owned(),
        epoch,
        version: version.to_owned(),
        release: release.to_owned(),
        arch: arch.to_owned(),
        licence: licence.to_owned(),
        url: url.to_owned(),
        vendor: vendor.to_owned(),
        group: group.to_owned(),
        source: source.to_owned(),
        header_sha256: header.to_owned(),
        summary: summary.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "visco-kmod\t0\t30\t1\tx86_64\tLGPL-2.1-or-later\t(none)\t(none)\tUnspecified\t\
                        visco-kmod-30-1.src.rpm\tabcd\tLoads modules\n";

    #[test]
    fn a_line_is_a_package() {
        let rpms = parse_query(&format!("{}\n{LINE}", LINE.replace("kmod", "zlib"))).unwrap();
        let [kmod, zlib] = &rpms[..] else { panic!("{rpms:?}") };
        assert_eq!((kmod.name.as_str(), zlib.name.as_str()), ("visco-kmod", "visco-zlib"));
        assert_eq!((kmod.url.as_str(), kmod.epoch), ("", 0));
        assert_eq!(kmod.source_package(), Some(("visco-kmod", "30-1")));
    }

    #[test]
    fn malformed_answers_are_refused() {
        for (text, why) in [
            ("visco-kmod".to_owned(), "1 fields"),
            (LINE.replacen("\t0\t", "\tx\t", 1), "epoch 'x'"),
            (LINE.replacen("\t30\t", "\t(none)\t", 1), "no version"),
            (LINE.repeat(2), "visco-kmod twice"),
        ] {
            let error = parse_query(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([a-z(]{0,6}\t){8,13}.{0,9}|.{0,40}", source in ".{0,10}(-.{0,3}){0,3}\\.src\\.rpm") {
            let _ = parse_query(&text);
            let _ = Rpm { source, ..Rpm::default() }.source_package();
        }
    }
}
