//! What templates may say, what they may see, and how errors read.

#![allow(clippy::unwrap_used)]

use schnauzer::{Context, Facts, Requirement, Template, render, render_inline};
use serde_json::json;
use std::sync::Arc;

fn context() -> Context {
    let settings = json!({
        "motd": "hi",
        "network": { "hostname": "n1", "flag": false, "zero": 0, "list": ["a"], "map": { "k": "v" }, "empty": "" },
        "secret": { "key": "s3cret" },
    });
    let os = json!({ "arch": "x86_64" });
    let facts = Facts {
        cpu_count: 8,
        efa_present: true,
        fips: true,
        resolvable: Arc::new(|name| name == "known.example.com"),
    };
    Context { settings, os, facts }
}

#[test]
fn templates_that_make_no_sense_are_refused_when_parsed() {
    for (text, expected) in [
        ("format = \"toml\"\n", "no line of '+++'"),
        ("+++\nx", "names no format"),
        ("format = \"xml\"\n+++\n", "front matter"),
        ("format = \"toml\"\nextra = 1\n+++\n", "front matter"),
        ("format = \"toml\"\nrequired-extensions.a = { version = \"v1\", extra = 1 }\n+++\n", "front matter"),
        (
            "format = \"toml\"\nrequired-extensions.nope = { version = \"v1\", helpers = [\"x\"] }\n+++\n",
            "'nope'",
        ),
        (
            "format = \"toml\"\nrequired-extensions.std = { version = \"v1\", helpers = [\"x\"] }\n+++\n",
            "'x'",
        ),
        ("format = \"text\"\n+++\n\n{{#if os.arch}}", "not Handlebars"),
        ("format = \"text\"\n+++\na\n{{{os.arch}}}", "line 4"),
        ("format = \"text\"\n+++\n{{&os.arch}}", "without escaping"),
        ("format = \"text\"\n+++\n{{> part}}", "not supported"),
        ("format = \"text\"\n+++\n{{settings.motd}}", "'motd' is not in required-extensions"),
        ("format = \"text\"\n+++\n{{@root.settings.motd}}", "'motd' is not in required-extensions"),
        ("format = \"text\"\n+++\n{{motd}}", "names start with"),
        ("format = \"text\"\n+++\n{{default 1 os.arch}}", "add it to the helpers of 'std'"),
        ("format = \"text\"\n+++\n{{nope os.arch}}", "no helper 'nope'"),
        ("format = \"text\"\n+++\n{{log os.arch}}", "no helper 'log'"),
        ("format = \"text\"\n+++\n{{write os.arch}}", "no helper 'write'"),
        ("format = \"text\"\n+++\n{{#eq os.arch 1}}{{/eq}}", "not a block"),
        ("format = \"text\"\n+++\n{{eq os.arch}}", "takes 2 arguments, not 1"),
        ("format = \"text\"\n+++\n{{literal os.arch x=1}}", "no option 'x'"),
        ("format = \"toml\"\n+++\na = '{{os.arch}}'", "single quotes"),
        ("format = \"toml\"\n+++\n# {{os.arch}}\n", "comments"),
        ("format = \"env\"\n+++\n# {{os.arch}}\n", "comments"),
        ("format = \"toml\"\n+++\na = \"{{literal os.arch}}\"", "cannot stand inside quotes"),
        ("format = \"toml\"\n+++\na = {{#if os.arch}}\"{{/if}}x\"", "without its pair"),
        ("format = \"json\"\n+++\n\"{{os.arch}}", "never closed"),
    ] {
        let error = Template::parse("the-name", text).map(drop).expect_err(text);
        let text = chain(&error);
        assert!(text.contains(expected) && text.contains("the-name"), "{expected}: {text}");
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or(error.to_string(), |source| format!("{error}: {}", chain(source)))
}

#[test]
fn renderings_that_fail_name_template_line_and_key() {
    for (format, body, expected) in [
        ("text", "\n{{settings.network.nope}}", "line 5: 'settings.network.nope' has no value"),
        ("text", "{{#if os.arch}}\n{{settings.network.nope}}{{/if}}", "'settings.network.nope' has no value"),
        ("text", "{{settings.network.list}}", "'settings.network.list' is a list or map"),
        ("text", "{{settings.network.map}}", "'settings.network.map' is a list or map"),
        ("text", "{{#each settings.network.nope}}{{/each}}", "settings.network.nope"),
        (
            "toml",
            "a = {{settings.network.hostname}}",
            "'settings.network.hostname' is text and stands outside quotes",
        ),
        ("lines", "pool {{settings.network.empty}}", "'settings.network.empty' is empty"),
        (
            "text",
            "{{host settings.network.list}}",
            "helper 'host' of 'settings.network.list': argument 1 must be text",
        ),
        ("text", "{{base64_decode settings.network.hostname}}", "is not base64"),
        ("text", "{{default 1 settings.network.list}}", "argument 2 must be"),
        ("text", "{{goarch settings.network.hostname}}", "'n1' is not a known architecture"),
        ("env", "A=\"{{etc_hosts_entries settings.network.nope}}\"", "cannot stand inside quotes"),
    ] {
        let error = attempt(format, body).expect_err(body);
        assert!(error.contains(expected) && error.contains("'t'"), "{expected}: {error}");
    }
}

fn attempt(format: &str, body: &str) -> Result<String, String> {
    let front = "[required-extensions]\n\
        aws = { version = \"v1\", helpers = [\"ecr-prefix\"] }\n\
        ecs = { version = \"v1\", helpers = [\"ecs_metadata_service_limits\"] }\n\
        kubernetes = { version = \"v1\", helpers = [\"join_node_taints\", \"kube_reserve_cpu\", \"kube_reserve_memory\"] }\n\
        network = { version = \"v1\", helpers = [\"host\", \"localhost_aliases\", \"etc_hosts_entries\"] }\n\
        oci-defaults = { version = \"v1\", helpers = [\"oci_defaults\"] }\n\
        updates = { version = \"v1\", helpers = [\"tuf-prefix\", \"metadata-prefix\"] }\n\
        std = { version = \"v1\", helpers = [\"any_enabled\", \"base64_decode\", \"default\", \"join_array\", \"join_map\", \
        \"if_not_null\", \"negate_or_else\", \"toml_encode\", \"goarch\", \"is_null\", \"is_bool\", \"is_number\", \
        \"is_string\", \"is_array\", \"is_object\", \"is_ipv4\", \"is_ipv6\", \"cidr_to_ipaddr\", \"replace_ipv4_octet\"] }\n";
    let front = front.replace("        ", "");
    let before = front.lines().count() + 2;
    let body_line = format!("format = \"{format}\"\n{front}+++\n{body}");
    let template = Template::parse("t", &body_line).map_err(|e| chain(&e))?;
    // Tests speak of lines as if the front matter were three lines long.
    render(&template, &context()).map_err(|e| chain(&e).replace(&format!("line {}", before + 2), "line 5"))
}

#[test]
fn helpers_give_the_documented_results() {
    for (body, expected) in [
        ("{{any_enabled '[]'}}", "false"),
        ("{{any_enabled {\"a\": {\"enabled\": true}}}}", "true"),
        ("{{any_enabled [{\"enabled\": false}, {\"enabled\": \"true\"}]}}", "false"),
        ("{{base64_decode \"aGkgPCY+\"}}", "hi <&>"),
        ("{{default \"x\" settings.network.nope}}", "x"),
        ("{{default true settings.network.flag}}", "false"),
        ("{{default 5 settings.network.zero}}", "0"),
        ("{{default \"x\" settings.network.empty}}", ""),
        ("{{join_array \", \" settings.network.list}}", "\"a\""),
        ("{{join_map \"=\" \",\" \"fail-if-missing\" settings.network.map}}", "k=v"),
        ("{{join_map \"=\" \",\" \"no-fail-if-missing\" settings.network.nope}}", ""),
        ("{{#if_not_null settings.network.flag}}yes{{else}}no{{/if_not_null}}", "yes"),
        ("{{#if_not_null settings.network.nope}}yes{{else}}no{{/if_not_null}}", "no"),
        ("{{#if settings.network.zero}}yes{{else if settings.network.flag}}flag{{else}}no{{/if}}", "no"),
        ("{{#if settings.network.zero includeZero=true}}yes{{/if}}", "yes"),
        ("{{negate_or_else true settings.network.flag}}", "true"),
        ("{{negate_or_else false settings.network.nope}}", "false"),
        ("{{toml_encode [[\"a\", \"b\\\"c\"], []]}}", "[[\"a\", \"b\\\"c\"], []]"),
        ("{{goarch os.arch}}", "amd64"),
        ("{{goarch \"aarch64\"}}", "arm64"),
        (
            "{{is_null settings.network.nope}} {{is_bool settings.network.flag}} {{is_number 1}}",
            "true true true",
        ),
        (
            "{{is_string 1}} {{is_array settings.network.list}} {{is_object settings.network.map}}",
            "false true true",
        ),
        (
            "{{is_ipv4 \"10.0.0.0/16\"}} {{is_ipv6 \"10.0.0.0/16\"}} {{is_ipv6 \"fd00::/8\"}}",
            "true false true",
        ),
        ("{{cidr_to_ipaddr \"10.1.0.0/16\"}}", "10.1.0.0"),
        ("{{replace_ipv4_octet \"10.1.2.3\" 3 \"10\"}}", "10.1.2.10"),
        ("{{ecr-prefix \"us-east-2\"}}", "328549459982.dkr.ecr-fips.us-east-2.amazonaws.com"),
        ("{{ecr-prefix \"eu-west-1\"}}", "328549459982.dkr.ecr.eu-west-1.amazonaws.com"),
        ("{{ecr-prefix \"cn-north-1\"}}", "183470599484.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("{{ecr-prefix \"eu-isoe-west-1\"}}", "589460436674.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ("{{ecr-prefix \"mars-1\"}}", "328549459982.dkr.ecr-fips.us-east-1.amazonaws.com"),
        ("{{tuf-prefix \"us-east-1\"}}{{metadata-prefix \"us-east-1\"}}", "https://updates.bottlerocket.aws"),
        (
            "{{tuf-prefix \"cn-north-1\"}}{{metadata-prefix \"cn-north-1\"}}",
            "https://bottlerocket-updates-cn-north-1.s3.dualstack.cn-north-1.amazonaws.com.cn/latest/metadata",
        ),
        (
            "{{join_node_taints {\"b\": [\"v:NoSchedule\", \":NoExecute\"], \"a\": [\"x:E\"]}}}",
            "a=x:E,b=v:NoSchedule,b=:NoExecute",
        ),
        ("{{join_node_taints settings.kubernetes.node-taints}}", ""),
        ("{{kube_reserve_cpu settings.kubernetes.nope}} {{kube_reserve_cpu \"5m\"}}", "90m 5m"),
        (
            "{{kube_reserve_memory 110 settings.kubernetes.nope}} {{kube_reserve_memory 110 \"1Gi\"}}",
            "1465Mi 1Gi",
        ),
        (
            "{{host \"https://a.example.com:443/x\"}} {{host \"b.example.com:6443\"}} {{host \"c\"}}",
            "a.example.com b.example.com c",
        ),
        ("{{localhost_aliases \"ipv4\" \"n1\" [[\"127.0.0.1\", [\"x\", \"x\"]]]}}", "n1 x"),
        ("{{localhost_aliases \"ipv4\" \"known.example.com\" settings.network.hosts}}", ""),
        ("{{localhost_aliases \"ipv6\" \"n1\" [[\"192.0.2.1\", [\"n1\"]], [\"::1\", [\"y\"]]]}}", "y"),
        (
            "{{etc_hosts_entries [[\"192.0.2.1\", [\"a\"]], [\"::1\", [\"b\"]], [\"192.0.2.1\", [\"c\", \"a\"]]]}}",
            "192.0.2.1 a c",
        ),
        ("{{ecs_metadata_service_limits settings.ecs.rps 7}}", "40,7"),
        ("{{lookup settings.network.map \"k\"}}{{#if (lookup settings.network.map \"z\")}}z{{/if}}", "v"),
        ("{{#each settings.network.map}}{{@key}}={{this}}{{/each}}", "k=v"),
        ("{{settings.network.hostname}} {{settings.network.flag}} {{settings.network.zero}}", "n1 false 0"),
    ] {
        assert_eq!(attempt("text", body).as_deref(), Ok(expected), "{body}");
    }
}

#[test]
fn oci_defaults_are_sorted_and_known_to_each_runtime() {
    let caps = "settings.oci-defaults.capabilities";
    let mut context = context();
    context.settings["oci-defaults"] = json!({
        "capabilities": { "sys-chroot": true, "chown": true, "bpf": false },
        "resource-limits": { "max-open-files": { "hard-limit": -1, "soft-limit": 5 } },
    });
    let limits = "settings.oci-defaults.resource-limits";
    let no_file = json!({ "Name": "nofile", "Hard": -1, "Soft": 5 });
    let memory = json!({ "Name": "memlock", "Hard": -1, "Soft": -1 });
    for (runtime, path, expected) in [
        ("docker", caps, json!(["CAP_CHOWN", "CAP_SYS_CHROOT"])),
        ("containerd", caps, {
            let granted = json!(["CAP_CHOWN", "CAP_SYS_CHROOT"]);
            json!({ "bounding": granted, "effective": granted, "permitted": granted })
        }),
        ("docker", limits, json!({ "memlock": memory, "nofile": no_file })),
        (
            "containerd",
            limits,
            json!([
                { "type": "RLIMIT_MEMLOCK", "hard": u64::MAX, "soft": u64::MAX },
                { "type": "RLIMIT_NOFILE", "hard": u64::MAX, "soft": 5 },
            ]),
        ),
    ] {
        let text = format!(
            "format = \"json\"\nrequired-extensions.oci-defaults = {{ version = \"v1\", helpers = [\"oci_defaults\"] }}\n\
             +++\n{{{{oci_defaults \"{runtime}\" {path}}}}}"
        );
        let file = render(&Template::parse("t", &text).unwrap(), &context).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&file).unwrap(), expected, "{runtime} {path}");
    }
}

/// What a template did not ask for is not in its data, by whatever way it tries to get there.
#[test]
fn other_groups_are_out_of_sight() {
    for body in [
        "{{literal settings}}",
        "{{#each settings}}{{literal @key}}{{literal this}}{{/each}}",
        "{{#with settings}}{{#if this.secret}}s3cret{{/if}}{{/with}}",
        "{{#if (lookup settings \"secret\")}}s3cret{{/if}}",
        "{{#each os}}{{#if ../settings.secret.key}}{{../settings.secret.key}}{{/if}}{{/each}}",
    ] {
        let text = format!("format = \"json\"\nrequired-extensions.motd = \"v1\"\n+++\n{body}");
        let file = render(&Template::parse("t", &text).unwrap(), &context()).unwrap();
        assert!(!file.contains("secret") && !file.contains("s3cret"), "{body}: {file}");
    }
}

#[test]
fn inline_templates_serve_generators() {
    let requires: Vec<Requirement> =
        ["aws@v1(helpers=[ecr-prefix])", "network@v1"].iter().map(|text| text.parse().unwrap()).collect();
    let text = render_inline(
        &requires,
        "{{ecr-prefix \"eu-west-1\"}}/admin:{{settings.network.hostname}}",
        &context(),
    );
    assert_eq!(text.unwrap(), "328549459982.dkr.ecr.eu-west-1.amazonaws.com/admin:n1");
    let requires =
        ["aws@v1", "updates@v1(helpers=[metadata-prefix, tuf-prefix])"].map(|text| text.parse().unwrap());
    let mut context = context();
    context.settings["aws"] = json!({ "region": "us-west-2" });
    let body = "{{ tuf-prefix settings.aws.region }}{{ metadata-prefix settings.aws.region }}/{{ os.arch }}/";
    assert_eq!(render_inline(&requires, body, &context).unwrap(), "https://updates.bottlerocket.aws/x86_64/");
    let error = render_inline(&requires, "{{settings.motd}}", &context).unwrap_err().to_string();
    assert!(error.contains("'motd' is not in required-extensions"), "{error}");
}
