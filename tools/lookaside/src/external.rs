//! Files from elsewhere, by address and digest.

use crate::Tree;
use crate::digest::{self, DigestError};
use crate::fetch::say;
use manifests::ExternalFile;
use snafu::{ResultExt, Snafu, ensure};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How long one file may take; a source archive has some hundred megabytes at most.
const LIMIT: Duration = Duration::from_mins(30);

/// A file that could not be had.
#[derive(Debug, Snafu)]
#[allow(missing_docs)]
pub enum ExternalError {
    #[snafu(display("get {url}"))]
    Get { url: String, source: Box<ureq::Error> },
    #[snafu(display("write {}", path.display()))]
    Store { path: PathBuf, source: std::io::Error },
    #[snafu(transparent)]
    Digest { source: DigestError },
    #[snafu(display("{file} is not the file that is wanted: its SHA-512 should be {wanted} and is {found}"))]
    Mismatch { file: String, wanted: String, found: String },
}

/// Brings a file into the lookaside, unless it is there.
pub(crate) fn fetch(tree: &Tree, file: &ExternalFile, progress: &mut dyn Write) -> Result<(), ExternalError> {
    let name = &file.name;
    let path = tree.external(&file.sha512, name);
    if path.is_file() && digest::sha512_of_file(&path)? == file.sha512 {
        return Ok(());
    }
    say(progress, &format!("fetching {name}"));
    let folder = path.parent().expect("the file is below the lookaside");
    std::fs::create_dir_all(folder).context(StoreSnafu { path: folder })?;
    let arriving = folder.join(format!(".{name}"));
    let mut target = std::fs::File::create(&arriving).context(StoreSnafu { path: &arriving })?;
    let agent = ureq::Agent::config_builder().timeout_global(Some(LIMIT)).build().new_agent();
    let response =
        agent.get(file.url.as_str()).call().map_err(Box::new).context(GetSnafu { url: file.url.as_str() })?;
    std::io::copy(&mut response.into_body().into_reader(), &mut target)
        .context(StoreSnafu { path: &arriving })?;
    let found = digest::sha512_of_file(&arriving)?;
    ensure!(found == file.sha512, MismatchSnafu { file: name, wanted: &file.sha512, found });
    std::fs::rename(&arriving, &path).context(StoreSnafu { path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::path::Path;

    const ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    /// A server of one answer, and its address.
    fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        format!("http://{address}/abc.txt")
    }

    fn fetched(answer: &'static str, sha512: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path(), None);
        let manifest = format!(
            "package.name = 'p'\n[package.metadata.build-package]\n\
             external-files = [{{ url = '{}', sha512 = '{sha512}' }}]",
            serve(answer)
        );
        let package = manifests::Package::parse(Path::new("packages/p/Cargo.toml"), &manifest).unwrap();
        let file = &package.external_files[0];
        fetch(&tree, file, &mut std::io::sink()).map_err(|e| e.to_string())?;
        Ok(std::fs::read_to_string(tree.external(sha512, "abc.txt")).unwrap())
    }

    #[test]
    fn a_file_is_fetched_and_checked() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(fetched(good, ABC).unwrap(), "abc");
        let error = fetched(good, &"0".repeat(128)).unwrap_err();
        assert!(error.contains(ABC) && error.contains(&"0".repeat(128)), "{error}");
        let error = fetched("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", ABC).unwrap_err();
        assert!(error.starts_with("get http://127.0.0.1:"), "{error}");
    }
}
