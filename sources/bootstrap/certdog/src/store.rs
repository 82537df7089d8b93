//! Putting the trust store together.

use crate::certificate::{Certificate, Note, read};
use crate::config::{Bundle, Config};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use snafu::{ResultExt, Snafu, ensure};
use std::collections::BTreeSet;

/// What programs are to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustStore {
    /// The file.
    pub content: Vec<u8>,
    /// The blocks of the image's bundle that are no certificates; the store is without them.
    pub notes: Vec<Note>,
}

/// A bundle of the settings that cannot be used.
#[derive(Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("decode settings.pki.{name}.data"))]
    Decode { name: String, source: base64::DecodeError },
    #[snafu(display("use settings.pki.{name}.data: {note}"))]
    Damaged { name: String, note: Note },
    #[snafu(display("use settings.pki.{name}.data: it holds no certificate"))]
    Empty { name: String },
}

/// Adds the trusted bundles to that of the image and takes the distrusted away. Where the settings say nothing, the
/// image's bundle is the store, as it is.
pub fn trust_store(image: &[u8], config: &Config) -> Result<TrustStore, Error> {
    if config.is_empty() {
        return Ok(TrustStore { content: image.to_vec(), notes: Vec::new() });
    }
    let (certificates, notes) = read(image);
    let mut distrusted = BTreeSet::new();
    let mut wanted = certificates;
    for (name, bundle) in &config.bundles {
        let certificates = of_settings(name, bundle)?;
        if bundle.trusted { wanted.extend(certificates) } else { distrusted.extend(certificates) }
    }
    let mut content = String::new();
    let mut written = distrusted;
    for certificate in wanted {
        if !written.contains(&certificate) {
            certificate.write(&mut content);
            written.insert(certificate);
        }
    }
    Ok(TrustStore { content: content.into_bytes(), notes })
}

/// The certificates of a bundle of the settings; a blank one has none.
fn of_settings(name: &str, bundle: &Bundle) -> Result<Vec<Certificate>, Error> {
    if bundle.data.trim().is_empty() {
        return Ok(Vec::new());
    }
    let text = BASE64_STANDARD.decode(&bundle.data).context(DecodeSnafu { name })?;
    let (certificates, notes) = read(&text);
    if let Some(note) = notes.into_iter().next() {
        return DamagedSnafu { name, note }.fail();
    }
    ensure!(!certificates.is_empty(), EmptySnafu { name });
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMON: &str = include_str!("testdata/common.pem");
    const UNIT: &str = include_str!("testdata/unit.pem");
    const ORGANIZATION: &str = include_str!("testdata/organization.pem");
    const NAMELESS: &str = include_str!("testdata/nameless.pem");
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const GARBAGE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";

    fn config(bundles: &[(&str, bool, &str)]) -> Config {
        let bundle = |trusted, text: &str| Bundle { trusted, data: BASE64_STANDARD.encode(text) };
        let bundles =
            bundles.iter().map(|(name, trusted, text)| ((*name).to_owned(), bundle(*trusted, text)));
        Config { bundles: bundles.collect() }
    }

    fn store(image: &str, bundles: &[(&str, bool, &str)]) -> (String, Vec<String>) {
        let store = trust_store(image.as_bytes(), &config(bundles)).unwrap();
        let notes = store.notes.iter().map(ToString::to_string).collect();
        (String::from_utf8(store.content).unwrap(), notes)
    }

    #[test]
    fn where_the_settings_say_nothing_the_image_is_believed_as_it_is() {
        let image = format!("# ours\n{KEY}{COMMON}{GARBAGE}");
        assert_eq!(store(&image, &[]), (image.clone(), Vec::new()));
        assert_eq!(store(&image, &[("blank", true, "")]), (image.clone(), Vec::new()));
    }

    #[test]
    fn trusted_certificates_are_added_and_distrusted_taken_away() {
        let image = format!("text\n{COMMON}{UNIT}# more\n{COMMON}");
        let (added, both) = (format!("{ORGANIZATION}{NAMELESS}"), format!("{UNIT}{NAMELESS}"));
        for (bundles, expected) in [
            (
                &[("a", true, added.as_str())][..],
                format!(
                    "# Root One\n{COMMON}# Unit Two\n{UNIT}# Nobody Three\n{ORGANIZATION}# a certificate without a \
                     name\n{NAMELESS}"
                ),
            ),
            (&[("a", false, UNIT)], format!("# Root One\n{COMMON}")),
            // Distrust wins, whatever comes first.
            (
                &[("a", false, &both), ("b", true, &added)],
                format!("# Root One\n{COMMON}# Nobody Three\n{ORGANIZATION}"),
            ),
            (&[("a", false, &image)], String::new()),
        ] {
            assert_eq!(store(&image, bundles), (expected, Vec::new()), "{bundles:?}");
        }
    }

    #[test]
    fn line_ends_and_old_labels_do_not_hide_a_certificate() {
        let old = COMMON.replace("CERTIFICATE", "X509 CERTIFICATE").replace('\n', "\r\n");
        assert_eq!(store(&format!("{COMMON}{UNIT}"), &[("a", false, &old)]).0, format!("# Unit Two\n{UNIT}"));
    }

    #[test]
    fn what_is_no_certificate_in_the_image_is_left_out_and_noted() {
        let image = format!("{KEY}{GARBAGE}{COMMON}{BROKEN}{UNIT}");
        let (text, notes) = store(&image, &[("a", true, UNIT)]);
        assert_eq!(text, format!("# Root One\n{COMMON}# Unit Two\n{UNIT}"));
        assert_eq!(notes.len(), 3);
        assert_eq!(notes[0], "block 1 is a 'PRIVATE KEY', not a certificate");
        assert_eq!(notes[1], "block 2 is not an X.509 certificate");
        assert!(notes[2].starts_with("block 4 is not well-formed PEM: "), "{}", notes[2]);
    }

    #[test]
    fn a_bundle_of_the_settings_that_cannot_be_used_is_named() {
        for (text, expected) in [
            ("nothing".to_owned(), "use settings.pki.mine.data: it holds no certificate"),
            (
                format!("{COMMON}{KEY}"),
                "use settings.pki.mine.data: block 2 is a 'PRIVATE KEY', not a certificate",
            ),
            (GARBAGE.to_owned(), "use settings.pki.mine.data: block 1 is not an X.509 certificate"),
            (
                COMMON[..COMMON.len() / 2].to_owned(),
                "use settings.pki.mine.data: block 1 is not well-formed PEM: ",
            ),
        ] {
            for trusted in [true, false] {
                let error = trust_store(UNIT.as_bytes(), &config(&[("mine", trusted, &text)])).unwrap_err();
                assert!(error.to_string().starts_with(expected), "{error} / {expected}");
            }
        }
        let mut config = config(&[("mine", true, COMMON)]);
        config.bundles.get_mut("mine").unwrap().data.insert(0, '*');
        let error = trust_store(UNIT.as_bytes(), &config).unwrap_err();
        assert_eq!(error.to_string(), "decode settings.pki.mine.data");
    }

    proptest! {
        /// Whatever the image's bundle is, the store holds all of its certificates, can be read, and does not grow
        /// when it is read again.
        #[test]
        fn any_bundle_gives_a_store_that_reads_back(blocks in prop::collection::vec(prop_oneof![
            Just(COMMON.to_owned()), Just(UNIT.to_owned()), Just(NAMELESS.to_owned()), Just(KEY.to_owned()),
            Just(GARBAGE.to_owned()), Just(BROKEN.to_owned()), "(-----(BEGIN|END) [A-Z]{0,9}-----)?[ -~]{0,9}\n",
        ], 0..8)) {
            let image = blocks.concat();
            let added = [("a", true, ORGANIZATION)];
            let (first, _) = store(&image, &added);
            prop_assert_eq!(store(&first, &added), (first.clone(), Vec::new()));
            prop_assert_eq!(first.lines().filter(|line| line.starts_with('#')).count(), first.matches("BEGIN").count());
        }

        #[test]
        fn no_bytes_are_too_odd(image in prop::collection::vec(any::<u8>(), 0..200)) {
            let added = format!("# Nobody Three\n{ORGANIZATION}");
            let store = trust_store(&image, &config(&[("a", true, ORGANIZATION)])).unwrap();
            prop_assert_eq!(String::from_utf8(store.content).unwrap(), added);
        }
    }
}
