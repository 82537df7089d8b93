//! What foreign generators are told of the network.

use serde_json::Value;

/// Hosts that no proxy is asked for, whatever the settings say.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// The variables that tell a program of the proxy in the settings, in both spellings; none where no proxy is set.
pub fn proxy_variables(settings: &Value) -> Vec<(String, String)> {
    let text = |pointer: &str| settings.pointer(pointer).and_then(Value::as_str);
    let Some(proxy) = text("/network/https-proxy").filter(|proxy| !proxy.is_empty()) else {
        return Vec::new();
    };
    let mut direct: Vec<String> = LOCAL.map(str::to_owned).to_vec();
    let own = settings.pointer("/network/no-proxy").and_then(Value::as_array);
    direct.extend(own.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    direct.extend(text("/kubernetes/api-server").and_then(host_of).map(str::to_owned));
    direct.extend(text("/kubernetes/cluster-domain").map(|domain| format!(".{domain}")));
    let direct = direct.join(",");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        pair("HTTPS_PROXY", proxy),
        pair("https_proxy", proxy),
        pair("NO_PROXY", &direct),
        pair("no_proxy", &direct),
    ]
}

/// The host of a URL, without user and port.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_proxy_comes_with_the_hosts_it_is_not_for() {
        assert!(proxy_variables(&json!({"network": {"no-proxy": ["a"]}})).is_empty());
        let network = json!({"https-proxy": "http://p:8", "no-proxy": ["a", "b"]});
        let variables = proxy_variables(&json!({ "network": network }));
        let expected = [("HTTPS_PROXY", "http://p:8"), ("https_proxy", "http://p:8")];
        assert_eq!(variables[..2], expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(variables[2].1, "localhost,127.0.0.1,a,b");
        let kubernetes =
            json!({"api-server": "https://u@k.example:6443/x", "cluster-domain": "cluster.local"});
        let variables = proxy_variables(&json!({ "network": network, "kubernetes": kubernetes }));
        assert_eq!(variables[3].1, "localhost,127.0.0.1,a,b,k.example,.cluster.local");
    }

    #[test]
    fn the_host_of_a_url_stands_alone() {
        for (url, host) in [
            ("https://a.b", Some("a.b")),
            ("a.b:1", Some("a.b")),
            ("https://u:p@[::1]:2/x", Some("::1")),
            ("https:///x", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
