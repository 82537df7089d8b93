//! Certificates as PEM text (RFC 7468).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt::{self, Write};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The label of a certificate (RFC 7468, section 5.1), and two that old programs write for the same
/// (appendix A).
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"];
/// Longest line of base64 (RFC 7468, section 2).
const LINE_BYTES: usize = 64;

/// A certificate, as its DER bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Certificate(pub(crate) Vec<u8>);

/// A block of a bundle that is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The number of the block in its bundle, from 1.
    pub block: usize,
    /// What it is instead of a certificate.
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} {}", self.block, self.what)
    }
}

/// The certificates of a bundle, and notes on the blocks that are none. A block that only looks like a certificate is
/// none: programs that stumble over it would trust nothing at all.
pub(crate) fn read(bundle: &[u8]) -> (Vec<Certificate>, Vec<Note>) {
    let (mut certificates, mut notes) = (Vec::new(), Vec::new());
    for (index, block) in Pem::iter_from_buffer(bundle).enumerate() {
        match block.map_err(|e| format!("is not well-formed PEM: {e}")).and_then(certificate) {
            Ok(certificate) => certificates.push(certificate),
            Err(what) => notes.push(Note { block: index + 1, what }),
        }
    }
    (certificates, notes)
}

fn certificate(block: Pem) -> Result<Certificate, String> {
    if !LABELS.contains(&block.label.as_str()) {
        return Err(format!("is a '{}', not a certificate", block.label));
    }
    match X509Certificate::from_der(&block.contents) {
        Ok((&[], _)) => Ok(Certificate(block.contents)),
        Ok(_) => Err("has bytes after its X.509 certificate".to_owned()),
        Err(_) => Err("is not an X.509 certificate".to_owned()),
    }
}

impl Certificate {
    /// A name of the subject; none for a certificate that names nobody.
    pub(crate) fn subject(&self) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(&self.0).ok()?;
        name(certificate.subject()).map(|name| name.replace(|c: char| c.is_control(), " "))
    }

    /// The certificate as PEM, below a comment with its subject.
    pub(crate) fn write(&self, text: &mut String) {
        let subject = self.subject().unwrap_or_else(|| "a certificate without a name".to_owned());
        let base64 = BASE64_STANDARD.encode(&self.0);
        let _ = write!(text, "# {subject}\n-----BEGIN {}-----\n", LABELS[0]);
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE_BYTES));
            let _ = writeln!(text, "{line}");
            rest = after;
        }
        let _ = writeln!(text, "-----END {}-----", LABELS[0]);
    }
}

/// The common name, else the organisational unit, else the organisation.
fn name(subject: &X509Name<'_>) -> Option<String> {
    let mut names = subject
        .iter_common_name()
        .chain(subject.iter_organizational_unit())
        .chain(subject.iter_organization())
        .filter_map(|attribute| attribute.as_str().ok());
    names.find(|name| !name.trim().is_empty()).map(ToOwned::to_owned)
}
