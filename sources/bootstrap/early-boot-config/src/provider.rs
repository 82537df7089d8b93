//! Sources of user data.

use crate::CdRom;
use host::Host;
use host::program::chain;
use user_data::{Document, Fault, Syntax};

/// A source of user data.
pub trait Provider {
    /// What the source is called.
    fn name(&self) -> &str;

    /// The user data it has, if it has any.
    fn provide(&self, host: &Host) -> Result<Option<Document>, Fault>;
}

/// A file on the host; a missing one is no user data.
#[derive(Clone, Copy, Debug)]
pub struct LocalFile(pub &'static str);

impl Provider for LocalFile {
    fn name(&self) -> &str {
        self.0
    }

    fn provide(&self, host: &Host) -> Result<Option<Document>, Fault> {
        let Some(content) = host.read(self.0).map_err(|e| Fault::of(self.0, chain(&e)))? else {
            return Ok(None);
        };
        Document::read(self.0, &content, Syntax::Toml).map(Some)
    }
}

/// The sources of a platform, in their order: later ones win.
pub fn providers(platform: &str) -> Vec<Box<dyn Provider>> {
    let mut providers: Vec<Box<dyn Provider>> = vec![
        Box::new(LocalFile("/local/user-data-defaults.toml")),
        Box::new(LocalFile("/var/lib/bottlerocket/user-data.toml")),
    ];
    // A drive with user data is how a machine without a cloud is told what to be, real or virtual.
    if matches!(platform, "vmware" | "metal") {
        providers.push(Box::new(CdRom));
    }
    providers.push(Box::new(LocalFile("/local/user-data-overrides.toml")));
    providers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_in_the_documented_order() {
        let names = |platform| providers(platform).iter().map(|p| p.name().to_owned()).collect::<Vec<_>>();
        let local = "/var/lib/bottlerocket/user-data.toml";
        let (first, last) = ("/local/user-data-defaults.toml", "/local/user-data-overrides.toml");
        assert_eq!(names("aws"), [first, local, last]);
        assert_eq!(names("vmware"), [first, local, "/media/cdrom", last]);
        assert_eq!(names("metal"), [first, local, "/media/cdrom", last]);
    }
}
