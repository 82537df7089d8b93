//! Private keys in files.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use host::{FileError, Host};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::error::Error;
use std::path::{Path, PathBuf};
use tough::async_trait;
use tough::key_source::KeySource;
use tough::schema::key::Key;
use tough::sign::{Sign, parse_keypair};

/// What was not done with a key.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum KeyError {
    #[snafu(display("generate an RSA key"))]
    Generate { source: aws_lc_rs::error::Unspecified },
    #[snafu(display("{} exists; a key is never overwritten", path.display()))]
    Exists { path: PathBuf },
    #[snafu(display("store a key"))]
    Store { source: FileError },
    #[snafu(display("read the key {}", path.display()))]
    Read { path: PathBuf, source: std::io::Error },
    #[snafu(display(
        "{} holds no key that can sign: it should be a private key in PEM (PKCS 8), RSA of at least 2048 bits, \
         Ed25519 or ECDSA over P-256", path.display()
    ))]
    Unrecognized { path: PathBuf },
    #[snafu(display("read the key again through the library that signs"))]
    Public { source: Box<dyn Error + Send + Sync> },
}

/// A key file that signs metadata. Understands PEM for every kind of key, where `tough` itself wants some kinds bare.
#[derive(Clone, Debug)]
pub struct LocalKey {
    /// Where it is.
    pub path: PathBuf,
}

impl LocalKey {
    /// Makes an RSA key of 3072 bits in a new file that only its owner can read. RSA is the kind that every client
    /// and every tool around this format reads from a PEM file.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        ensure!(!path.exists(), ExistsSnafu { path });
        let pair = KeyPair::generate(KeySize::Rsa3072).context(GenerateSnafu)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).context(GenerateSnafu)?;
        let text = pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", der.as_ref()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        );
        Host::new("/").replace(path, text.as_bytes(), 0o600).context(StoreSnafu)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Reads the key and tells its public half.
    pub async fn public(&self) -> Result<Key, KeyError> {
        self.load()?;
        Ok(self.as_sign().await.context(PublicSnafu)?.tuf_key())
    }

    fn load(&self) -> Result<Box<dyn Sign>, KeyError> {
        let path = &self.path;
        let content = std::fs::read(path).context(ReadSnafu { path })?;
        let bare = pem::parse(&content).ok();
        let bare = bare.as_ref().map(pem::Pem::contents).and_then(sign_with);
        bare.or_else(|| sign_with(&content)).context(UnrecognizedSnafu { path })
    }
}

fn sign_with(key: &[u8]) -> Option<Box<dyn Sign>> {
    parse_keypair(key).ok().map(|pair| Box::new(pair) as Box<dyn Sign>)
}

#[async_trait]
impl KeySource for LocalKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.load()?)
    }

    async fn write(&self, _: &str, _: &str) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Err("a key file is only written when it is created".into())
    }
}

/// The keys as the editor of the metadata wants them.
pub(crate) fn sources(keys: &[LocalKey]) -> Vec<Box<dyn KeySource>> {
    keys.iter().map(|key| Box::new(key.clone()) as Box<dyn KeySource>).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Made with `openssl genpkey -algorithm ed25519`; of no use anywhere.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[tokio::test]
    async fn a_key_is_created_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/one.pem");
        let key = LocalKey::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(key.public().await.unwrap(), Key::Rsa { .. }));
        let error = LocalKey::create(&path).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
    }

    #[tokio::test]
    async fn kinds_of_keys_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let key = LocalKey { path: path.clone() };
        assert!(key.public().await.unwrap_err().to_string().starts_with("read the key"));
        std::fs::write(&path, ED25519).unwrap();
        assert!(matches!(key.public().await.unwrap(), Key::Ed25519 { .. }));
        std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
        assert!(key.public().await.unwrap_err().to_string().contains("holds no key that can sign"));
    }
}
