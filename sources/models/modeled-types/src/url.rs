//! Addresses of services.

use crate::text::{is_break_or_control, require, text_type};
use crate::{Kind, Refusal, Scalar};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

text_type! {
    /// An absolute URL (WHATWG URL standard), or what becomes one with `http://` before it: a host, a host with a
    /// port, an image reference.
    Url,
    rule: "must be a URL, or a host name or image reference without 'http://'; blanks are not allowed",
    schema: json!({"type": "string", "minLength": 1, "pattern": "^[^\\s]+$"}),
    check: |text| {
        // The standard's parser would silently drop or encode these.
        let blank = text.contains(|c: char| c.is_whitespace() || is_break_or_control(c));
        require(!blank && parse(text).is_some(), Url::RULE)
    }
}

/// Parses a URL. Without `//` a text is a host before it is a scheme: `proxy:3128` has a port.
fn parse(text: &str) -> Option<::url::Url> {
    let whole = || ::url::Url::parse(text).ok();
    if text.contains("://") {
        whole()
    } else {
        ::url::Url::parse(&format!("http://{text}")).ok().or_else(whole)
    }
}

impl Url {
    /// The URL, with `http://` before the text where it needs that.
    pub fn absolute(&self) -> ::url::Url {
        parse(self.as_str()).expect("checked when it was made")
    }
}

text_type! {
    /// An `http` URL (WHATWG URL standard) without user name and password.
    HttpUrl,
    rule: "must be a URL such as 'http://127.0.0.1:10248/healthz', without user name and password",
    schema: json!({"type": "string", "minLength": 1, "pattern": "^http://[^\\s@]+$"}),
    check: |text| {
        let blank = text.contains(|c: char| c.is_whitespace() || is_break_or_control(c));
        let parsed = ::url::Url::parse(text).ok().filter(|_| text.starts_with("http://") && !text.contains('@'));
        require(!blank && parsed.is_some(), HttpUrl::RULE)
    }
}

impl HttpUrl {
    /// The URL.
    pub fn parsed(&self) -> ::url::Url {
        ::url::Url::parse(self.as_str()).expect("checked when it was made")
    }
}

text_type! {
    /// A host and a port of TCP.
    TcpEndpoint,
    rule: "must be a host and a port such as '127.0.0.1:6443' or '[::1]:53'",
    schema: json!({"type": "string", "pattern": "^[^\\s/@]+:[0-9]{1,5}$"}),
    check: |text| {
        let split = text.rsplit_once(':').filter(|(host, port)| {
            let number = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
            number && ::url::Host::parse(host).is_ok()
        });
        require(split.is_some() && !text.contains(is_break_or_control), TcpEndpoint::RULE)
    }
}

text_type! {
    /// A domain name as the host parser of the WHATWG URL standard sees it.
    DnsDomain,
    rule: "must be a domain name such as 'cluster.local', not an address, and not begin with a dot",
    schema: json!({"type": "string", "minLength": 1, "pattern": "^[^.\\s/:\\[\\]][^\\s/:\\[\\]]*$"}),
    check: |text| {
        let domain = matches!(::url::Host::parse(text), Ok(::url::Host::Domain(_)));
        let clean = !text.starts_with('.') && !text.contains(is_break_or_control);
        require(domain && clean, DnsDomain::RULE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rows;

    #[test]
    fn urls() {
        rows::<Url>(
            &[
                "https://example.com/a?b=c&d",
                "example.com",
                "localhost:8080",
                "127.0.0.1",
                "[::1]:80",
                ".cluster.local",
                "public.ecr.aws/bottlerocket/bottlerocket-admin:v0.11.2",
                "http://user:secret@proxy:3128",
                "aws:///us-west-2a/i-0123",
            ],
            &["", "a b", "http://a b", "http://x/a b", "foo@", "http://", "a\nb", " a", "http://[::1"],
        );
        let absolute = |text: &str| text.parse::<Url>().unwrap().absolute().to_string();
        assert_eq!(absolute("example.com"), "http://example.com/");
        assert_eq!(absolute("proxy:3128"), "http://proxy:3128/");
        assert_eq!(absolute("https://example.com"), "https://example.com/");
    }

    #[test]
    fn endpoints() {
        rows::<HttpUrl>(
            &["http://localhost", "http://127.0.0.1:10248/healthz", "http://[::1]:80/a?b=c"],
            &["", "localhost", "https://localhost", "http://", "http://u:p@h/", "http://a b", "http://a\n"],
        );
        rows::<TcpEndpoint>(
            &["localhost:80", "127.0.0.1:65535", "[::1]:53", "a.b:1"],
            &["", "localhost", ":80", "a:", "a:0", "a:65536", "a:+1", "::1:53", "a b:1", "a/b:1", "a:1\n"],
        );
        assert_eq!("http://h/x".parse::<HttpUrl>().unwrap().parsed().path(), "/x");
    }

    #[test]
    fn domains() {
        rows::<DnsDomain>(
            &["cluster.local", "a", "bücher.example", "a.b."],
            &["", ".a", "10.0.0.1", "[::1]", "a/b", "a b", "a:80"],
        );
    }
}
