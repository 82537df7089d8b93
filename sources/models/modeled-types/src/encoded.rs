//! Data carried as base64.

use crate::text::{require, text_type};
use crate::{Kind, Refusal, Scalar};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use x509_parser::pem::Pem;

text_type! {
    /// Base64 in the standard alphabet with padding (RFC 4648, section 4). The text stays encoded.
    ValidBase64,
    rule: "must be base64 text in the standard alphabet, with '=' padding and without line breaks",
    secret: true,
    schema: json!({
        "type": "string",
        "contentEncoding": "base64",
        "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    }),
    check: |text| require(BASE64_STANDARD.decode(text).is_ok(), ValidBase64::RULE)
}

impl ValidBase64 {
    /// The decoded bytes.
    pub fn decode(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(self.as_str()).expect("checked when it was made")
    }
}

text_type! {
    /// Base64 of one or more X.509 certificates as PEM blocks (RFC 7468, section 5); other text around the blocks
    /// is passed over. Blank text stands for "no certificates".
    PemCertificateString,
    rule: "must be blank, or base64 of one or more PEM certificates",
    secret: true,
    schema: json!({"type": "string", "contentEncoding": "base64"}),
    check: |text| if text.trim().is_empty() { Ok(()) } else { certificates(text) }
}

fn certificates(text: &str) -> Result<(), Refusal> {
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|_| Refusal::new("must be base64 of PEM certificates, but is not base64"))?;
    let mut count = 0;
    for block in Pem::iter_from_buffer(&bytes) {
        let number = count + 1;
        let broken = |why| Refusal::new(format!("must hold PEM certificates, but block {number} {why}"));
        let block = block.map_err(|_| broken("is not well-formed PEM"))?;
        block.parse_x509().map_err(|_| broken("is not an X.509 certificate"))?;
        count = number;
    }
    require(count > 0, "must hold at least one PEM certificate")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    const CERTIFICATE: &str = include_str!("testdata/certificate.pem");

    #[test]
    fn base64() {
        rows::<ValidBase64>(
            &["", "aGk=", "aGkh", "+/+/"],
            &["aGk", "aGk=\n", " aGk=", "-_-_", "aGl=", "é", "=", "a"],
        );
        assert_eq!("aGk=".parse::<ValidBase64>().unwrap().decode(), b"hi");
    }

    #[test]
    fn certificate_bundles() {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let broken = CERTIFICATE.replacen("MII", "MIJ", 1);
        let cut = &CERTIFICATE[..CERTIFICATE.len() / 2];
        let good = [
            encode(CERTIFICATE),
            encode(&format!("subject: us\n{CERTIFICATE}text between\n{CERTIFICATE}text after\n")),
        ];
        let bad = [
            encode("no certificate"),
            encode(&broken),
            encode(&format!("{CERTIFICATE}{broken}")),
            encode(&format!("{CERTIFICATE}{cut}")),
            CERTIFICATE.to_owned(),
        ];
        rows::<PemCertificateString>(&["", "  \n", &good[0], &good[1]], &bad.each_ref().map(String::as_str));
    }
}
