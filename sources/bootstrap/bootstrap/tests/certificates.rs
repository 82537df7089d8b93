//! The trust store.

#![allow(clippy::unwrap_used, reason = "what surrounds a test fails it by panicking")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod host;

use host::TestHost;

const BUNDLE: &str = "/usr/share/factory/etc/pki/tls/certs/ca-bundle.crt";
const STORE: &str = "/etc/pki/tls/certs/ca-bundle.crt";
const COMMON: &str = include_str!("../../certdog/src/testdata/common.pem");
const UNIT: &str = include_str!("../../certdog/src/testdata/unit.pem");

/// Base64 of the test certificates, whose alphabet needs no escape in TOML.
fn config(trusted: bool, base64: &str) -> String {
    format!("[mine]\ntrusted = {trusted}\ndata = \"{base64}\"\n")
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[test]
fn the_store_follows_the_image_and_the_settings() {
    let host = TestHost::empty();
    assert!(host.expect(1, &["certdog"]).contains(&format!("read the bundle of the image, {BUNDLE}")));
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let image = format!("{key}{COMMON}");
    host.write(BUNDLE, &image, 0o644);
    host.expect(0, &["certdog"]);
    assert_eq!(host.text(STORE), image);
    host.write("/etc/certdog.toml", config(true, &base64(UNIT)), 0o644);
    let said = host.expect(0, &["certdog"]);
    assert!(said.contains("block 1 is a 'PRIVATE KEY', not a certificate; it is left out"), "{said}");
    let both = format!("# Root One\n{COMMON}# Unit Two\n{UNIT}");
    assert_eq!(host.text(STORE), both);
    // What cannot be used changes nothing.
    host.write("/etc/certdog.toml", config(true, "AAAA"), 0o644);
    assert!(host.expect(1, &["certdog"]).contains("use settings.pki.mine.data: it holds no certificate"));
    host.write("/etc/certdog.toml", "mine = 1", 0o644);
    assert!(host.expect(1, &["certdog"]).contains("use the configuration /etc/certdog.toml"));
    assert_eq!(host.text(STORE), both);
    // The documented options.
    host.write("/c.toml", config(false, &base64(COMMON)), 0o644);
    host.write("/b.crt", format!("{COMMON}{UNIT}"), 0o644);
    host.expect(0, &["certdog", "-c", "/c.toml", "-t", "/t.crt", "-b", "/b.crt"]);
    assert_eq!(host.text("/t.crt"), format!("# Unit Two\n{UNIT}"));
}
