//! What the composed variants say, for every variant.

use defaults::{Catalog, Strength, Variant};
use serde_json::{Value, json};

/// Composes every variant and compares what `actual` finds in it with what `expected` asks for.
fn check<T: PartialEq + std::fmt::Debug>(actual: impl Fn(&Variant) -> T, expected: impl Fn(&Variant) -> T) {
    let catalog = Catalog::embedded();
    let names: Vec<&str> = catalog.variants().collect();
    assert_eq!(names.len(), 29);
    for name in names {
        let variant = catalog.variant(name).expect("every variant composes");
        assert_eq!(actual(&variant), expected(&variant), "{name}");
    }
}

/// The default at a slash-separated path.
fn default(path: &'static str) -> impl Fn(&Variant) -> Option<Value> {
    move |variant| variant.settings.pointer(path).cloned()
}

fn is_aws(variant: &Variant) -> bool {
    variant.platform == "aws"
}

fn is_k8s(variant: &Variant) -> bool {
    variant.runtime == "k8s"
}

fn is_nvidia(variant: &Variant) -> bool {
    variant.flavor == "nvidia"
}

/// Minor version of Kubernetes; 0 where there is none.
fn minor(variant: &Variant) -> u32 {
    variant.version.strip_prefix("1.").map_or(0, |minor| minor.parse().expect("versions are numbers"))
}

#[test]
fn lockdown_is_off_where_unsigned_code_must_load() {
    check(default("/kernel/lockdown"), |v| {
        Some(json!(if v.runtime == "dev" || is_nvidia(v) { "none" } else { "integrity" }))
    });
}

#[test]
fn time_comes_from_the_instance_on_aws_and_from_the_pool_elsewhere() {
    check(default("/ntp"), |v| {
        let servers: &[&str] = if is_aws(v) {
            &["169.254.169.123", "2.amazon.pool.ntp.org"]
        } else {
            &["2.amazon.pool.ntp.org"]
        };
        Some(json!({"time-servers": servers, "options": ["iburst"]}))
    });
}

#[test]
fn service_checks_follow_what_runs() {
    check(default("/metrics/service-checks"), |v| {
        let mut checks = vec!["apiserver", "chronyd", "containerd", "host-containerd"];
        checks.push(if is_k8s(v) { "kubelet" } else { "docker" });
        if v.runtime == "ecs" {
            checks.push("ecs");
        }
        if v.platform == "vmware" {
            checks.push("vmtoolsd");
        }
        Some(json!(checks))
    });
}

#[test]
fn reports_are_sent_except_from_development_hosts_and_by_partition_on_aws() {
    check(default("/metrics/send-metrics"), |v| match (v.runtime.as_str(), is_aws(v)) {
        ("dev", _) => Some(json!(false)),
        (_, true) => None,
        (_, false) => Some(json!(true)),
    });
}

#[test]
fn kubernetes_defaults_follow_platform_and_version() {
    check(
        |v| {
            let defaults = default("/kubernetes")(v)?;
            let mut defaults = defaults.as_object().unwrap().clone();
            defaults.remove("credential-providers");
            Some(Value::from(defaults))
        },
        |v| {
            if !is_k8s(v) {
                return None;
            }
            let mut expected = json!({
                "cluster-domain": "cluster.local",
                "standalone-mode": false,
                "authentication-mode": if is_aws(v) { "aws" } else { "tls" },
                "server-tls-bootstrap": is_aws(v),
                "cloud-provider": match v.platform.as_str() {
                    "aws" if minor(v) <= 25 => "aws",
                    "metal" => "",
                    _ => "external",
                },
            });
            if minor(v) >= 25 {
                expected["seccomp-default"] = json!(false);
            }
            if is_aws(v) && minor(v) >= 26 {
                expected["hostname-override-source"] = json!("private-dns-name");
            }
            match v.platform.as_str() {
                "metal" => {
                    let image = "public.ecr.aws/eks-distro/kubernetes/pause:3.5";
                    expected["pod-infra-container-image"] = json!(image);
                }
                "vmware" => {
                    let image = "public.ecr.aws/eks-distro/kubernetes/pause:3.3";
                    expected["pod-infra-container-image"] = json!(image);
                }
                _ => {}
            }
            Some(expected)
        },
    );
}

#[test]
fn kubelet_gets_registry_credentials_from_a_program_since_1_27() {
    check(default("/kubernetes/credential-providers"), |v| {
        let provider = json!({"ecr-credential-provider": {
            "enabled": true,
            "cache-duration": "12h",
            "image-patterns": [
                "*.dkr.ecr.*.amazonaws.com",
                "*.dkr.ecr.*.amazonaws.com.cn",
                "*.dkr.ecr-fips.*.amazonaws.com",
                "*.dkr.ecr.us-iso-east-1.c2s.ic.gov",
                "*.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
            ],
        }});
        (is_aws(v) && minor(v) >= 27).then_some(provider)
    });
}

#[test]
fn containers_have_fourteen_capabilities_and_a_limit_of_open_files() {
    check(default("/oci-defaults"), |v| {
        let (soft, hard) = match v.runtime.as_str() {
            "k8s" => (65_536, 1_048_576),
            "ecs" => (1_024, 4_096),
            _ => return None,
        };
        let granted = "audit-write chown dac-override fowner fsetid kill mknod net-bind-service net-raw setgid setfcap \
                       setpcap setuid sys-chroot";
        let granted: serde_json::Map<_, _> =
            granted.split_whitespace().map(|name| (name.to_owned(), json!(true))).collect();
        assert_eq!(granted.len(), 14);
        let limits = json!({"max-open-files": {"soft-limit": soft, "hard-limit": hard}});
        Some(json!({"capabilities": granted, "resource-limits": limits}))
    });
}

#[test]
fn host_containers_come_from_the_region_on_aws_and_from_the_public_registry_elsewhere() {
    check(default("/host-containers"), |v| match (is_aws(v), is_k8s(v)) {
        (true, _) => Some(json!({
            "admin": {"enabled": false, "superpowered": true},
            "control": {"enabled": true, "superpowered": false},
        })),
        (false, true) => Some(json!({
            "admin": {
                "source": "public.ecr.aws/bottlerocket/bottlerocket-admin:v0.11.13",
                "enabled": false,
                "superpowered": true,
            },
            "control": {
                "source": "public.ecr.aws/bottlerocket/bottlerocket-control:v0.7.17",
                "enabled": false,
                "superpowered": false,
            },
        })),
        (false, false) => None,
    });
}

#[test]
fn the_other_defaults_are_as_documented() {
    check(default("/motd"), |_| Some(json!("Welcome to Visco!")));
    check(default("/updates"), |v| {
        let mut expected = json!({
            "version-lock": "latest", "ignore-waves": false, "automatic": "off", "check-interval": "6h",
        });
        if !is_aws(v) {
            expected["targets-base-url"] = json!("https://updates.bottlerocket.aws/targets/");
        }
        Some(expected)
    });
    check(default("/metrics/metrics-url"), |_| Some(json!("https://metrics.bottlerocket.aws/v1/metrics")));
    check(default("/aws"), |v| is_k8s(v).then(|| json!({"profile": "default"})));
    check(default("/cloudformation"), |v| {
        is_aws(v).then(|| json!({"should-signal": false, "stack-name": "", "logical-resource-id": ""}))
    });
    check(default("/autoscaling"), |v| {
        (is_aws(v) && v.runtime != "dev").then(|| json!({"should-wait": false}))
    });
    check(default("/oci-hooks"), |_| Some(json!({"log4j-hotpatch-enabled": false})));
    check(default("/ecs"), |v| {
        (v.runtime == "ecs").then(|| {
            json!({
                "allow-privileged-containers": false,
                "logging-drivers": ["json-file", "awslogs", "none"],
                "loglevel": "info",
                "image-pull-behavior": "default",
            })
        })
    });
    check(default("/nvidia-container-runtime"), |v| {
        (is_k8s(v) && is_nvidia(v)).then(|| {
            json!({
                "visible-devices-as-volume-mounts": true,
                "visible-devices-envvar-when-unprivileged": false,
            })
        })
    });
    check(default("/kubelet-device-plugins/nvidia"), |v| {
        (is_k8s(v) && is_nvidia(v)).then(|| {
            json!({
                "pass-device-specs": true,
                "device-id-strategy": "index",
                "device-list-strategy": "volume-mounts",
                "device-sharing-strategy": "none",
            })
        })
    });
}

/// The services that a change of `key` concerns, in one line; none without metadata.
fn affected(key: &str) -> impl Fn(&Variant) -> String {
    let key: settings::Key = key.parse().expect("a key");
    move |variant| variant.metadata.affected_services(&key).unwrap_or_default().join(" ")
}

#[test]
fn a_change_concerns_the_services_that_read_it() {
    let everywhere = [
        ("settings.motd", "motd"),
        ("settings.updates.seed", "updog thar-be-updates metricdog"),
        ("settings.updates.version-lock", "updog thar-be-updates metricdog"),
        ("settings.updates.metadata-base-url", "updog thar-be-updates"),
        ("settings.updates.bandwidth-limit", "updog"),
        ("settings.updates.automatic", "thar-be-updates"),
        ("settings.updates.check-interval", "thar-be-updates"),
        ("settings.updates.apply-window", "thar-be-updates"),
        ("settings.health.deadline", "health"),
        ("settings.health.checks.x.unit", "health"),
        ("settings.host-containers.admin.enabled", "host-containers"),
        ("settings.bootstrap-containers.x.mode", "bootstrap-containers"),
        ("settings.bootstrap-commands.x.mode", "bootstrap-commands"),
        ("settings.network.hostname", "hostname hosts"),
        ("settings.network.hosts", "hosts"),
        ("settings.dns.search-list", "dns"),
        ("settings.ntp.time-servers", "ntp"),
        ("settings.kernel.lockdown", "lockdown"),
        ("settings.kernel.modules.x.allowed", "kernel-modules"),
        ("settings.kernel.sysctl.\"a.b\"", "sysctl"),
        ("settings.kernel", ""),
        ("settings.metrics.send-metrics", "metricdog"),
        ("settings.metrics.metrics-url", "metricdog"),
    ];
    for (key, services) in everywhere {
        check(affected(key), |_| services.to_owned());
    }
}

#[test]
fn a_change_concerns_the_services_of_its_variant() {
    // Key, then the services on development, ECS and Kubernetes variants.
    let by_runtime = [
        (
            "settings.network.https-proxy",
            "containerd docker host-containerd host-containers updog",
            "containerd docker ecs host-containerd host-containers updog",
            "containerd kubernetes host-containerd host-containers updog",
        ),
        ("settings.pki.x.data", "pki docker", "pki docker", "pki containerd"),
        (
            "settings.container-registry.mirrors",
            "docker host-containers bootstrap-containers",
            "docker host-containers bootstrap-containers",
            "containerd host-containers bootstrap-containers",
        ),
        (
            "settings.container-registry.credentials",
            "host-containers bootstrap-containers",
            "ecs host-containers bootstrap-containers",
            "containerd host-containers bootstrap-containers",
        ),
        ("settings.ecs.cluster", "", "ecs", ""),
        ("settings.kubernetes.max-pods", "", "", "kubernetes"),
        ("settings.kubernetes.static-pods.x.enabled", "", "", "static-pods"),
        ("settings.aws.profile", "", "", "kubernetes"),
        ("settings.aws.config", "", "", "aws"),
        ("settings.container-runtime.max-concurrent-downloads", "", "", "containerd"),
        ("settings.oci-defaults.capabilities.kill", "", "docker", "oci-defaults containerd"),
    ];
    for (key, dev, ecs, k8s) in by_runtime {
        check(affected(key), |v| {
            match v.runtime.as_str() {
                "dev" => dev,
                "ecs" => ecs,
                _ => k8s,
            }
            .to_owned()
        });
    }
    check(affected("settings.aws.region"), |v| match (is_k8s(v), is_aws(v)) {
        (true, _) => "aws metricdog".to_owned(),
        (false, true) => "metricdog".to_owned(),
        (false, false) => String::new(),
    });
    check(affected("settings.autoscaling.should-wait"), |v| match (v.runtime.as_str(), is_aws(v)) {
        ("ecs", _) => "ecs".to_owned(),
        ("k8s", true) => "autoscaling-warm-pool".to_owned(),
        _ => String::new(),
    });
    check(affected("settings.boot.kernel"), |v| {
        if v.name.starts_with("aws-ecs-1") { "" } else { "bootconfig" }.to_owned()
    });
    check(affected("settings.cloudformation.stack-name"), |v| {
        if is_aws(v) { "cfsignal" } else { "" }.to_owned()
    });
    check(affected("settings.oci-hooks.log4j-hotpatch-enabled"), |v| {
        if is_nvidia(v) { "oci-hooks" } else { "log4j-hotpatch-enabled" }.to_owned()
    });
    check(affected("settings.kubernetes.pod-infra-container-image"), |v| match (is_k8s(v), is_aws(v)) {
        (true, true) => "pod-infra-container-image".to_owned(),
        (true, false) => "kubernetes".to_owned(),
        (false, _) => String::new(),
    });
    check(affected("settings.kubelet-device-plugins.nvidia.time-slicing.replicas"), |v| {
        if is_k8s(v) && is_nvidia(v) { "nvidia-k8s-device-plugin" } else { "" }.to_owned()
    });
    check(affected("settings.nvidia-container-runtime.visible-devices-as-volume-mounts"), |v| {
        if is_k8s(v) && is_nvidia(v) { "nvidia-container-toolkit" } else { "" }.to_owned()
    });
}

#[test]
fn generators_make_what_has_no_default() {
    check(
        |v| v.metadata.generators().into_keys().map(String::from).collect::<Vec<_>>(),
        |v| {
            let mut keys = vec![
                "settings.network.hostname",
                "settings.updates.metadata-base-url",
                "settings.updates.seed",
            ];
            if is_aws(v) {
                keys.extend([
                    "settings.host-containers.admin.source",
                    "settings.host-containers.admin.user-data",
                    "settings.host-containers.control.source",
                    "settings.metrics.send-metrics",
                    "settings.updates.targets-base-url",
                ]);
            }
            if is_k8s(v) && !is_aws(v) {
                keys.push("settings.kubernetes.node-ip");
            }
            if v.groups.iter().any(|group| group == "boot") {
                keys.push("settings.boot");
            }
            keys.sort_unstable();
            keys.into_iter().map(str::to_owned).collect()
        },
    );
}

#[test]
fn generators_are_the_documented_commands() {
    let region_url = "schnauzer-v2 render --requires 'aws@v1' \
                      --requires 'updates@v1(helpers=[metadata-prefix, tuf-prefix])' \
                      --template '{{ tuf-prefix settings.aws.region }}{{ metadata-prefix settings.aws.region }}\
                      /2020-07-07/{{ os.variant_id }}/{{ os.arch }}/'";
    let public_url = "schnauzer-v2 render --template \
                      'https://updates.bottlerocket.aws/2020-07-07/{{ os.variant_id }}/{{ os.arch }}/'";
    let targets_url = "schnauzer-v2 render --requires 'aws@v1' --requires 'updates@v1(helpers=[tuf-prefix])' \
                       --template '{{ tuf-prefix settings.aws.region }}/targets/'";
    let admin = "schnauzer-v2 render --requires 'aws@v1(helpers=[ecr-prefix])' \
                 --template '{{ ecr-prefix settings.aws.region }}/bottlerocket-admin:v0.11.13'";
    let control = "schnauzer-v2 render --requires 'aws@v1(helpers=[ecr-prefix])' \
                   --template '{{ ecr-prefix settings.aws.region }}/bottlerocket-control:v0.7.17'";
    let send = "shibaken is-partition --partition aws --partition aws-us-gov";
    let rows = [
        ("metal-k8s-1.28", "settings.updates.seed", "bork seed", Strength::Strong),
        ("metal-k8s-1.28", "settings.network.hostname", "netdog generate-hostname", Strength::Strong),
        ("metal-k8s-1.28", "settings.kubernetes.node-ip", "netdog node-ip", Strength::Strong),
        ("metal-k8s-1.28", "settings.boot", "/usr/bin/prairiedog generate-boot-settings", Strength::Strong),
        ("metal-k8s-1.28", "settings.updates.metadata-base-url", public_url, Strength::Strong),
        ("aws-ecs-2", "settings.updates.metadata-base-url", region_url, Strength::Strong),
        ("aws-ecs-2", "settings.updates.targets-base-url", targets_url, Strength::Strong),
        ("aws-ecs-2", "settings.metrics.send-metrics", send, Strength::Strong),
        ("aws-ecs-2", "settings.host-containers.admin.source", admin, Strength::Weak),
        ("aws-ecs-2", "settings.host-containers.control.source", control, Strength::Weak),
        (
            "aws-ecs-2",
            "settings.host-containers.admin.user-data",
            "shibaken generate-admin-userdata",
            Strength::Strong,
        ),
    ];
    let catalog = Catalog::embedded();
    for (variant, key, command, strength) in rows {
        let generators = catalog.variant(variant).unwrap().metadata.generators();
        let generator = &generators[&key.parse().unwrap()];
        assert_eq!((generator.command.as_str(), generator.strength), (command, strength), "{variant} {key}");
    }
}

#[test]
fn files_that_can_hold_secrets_are_for_root_alone() {
    let secret = [
        "aws-config",
        "aws-credentials",
        "bootstrap-commands-toml",
        "bootstrap-containers-toml",
        "containerd-config-toml",
        "docker-daemon-config",
        "host-containers-toml",
        "host-ctr-toml",
        "proxy-env",
        "static-pods-toml",
        "updog-toml",
    ];
    check(
        |v| v.configuration_files.iter().map(|(n, f)| (n.clone(), f.mode.clone())).collect::<Vec<_>>(),
        |v| {
            let mode = |name: &str| secret.contains(&name).then(|| "0600".to_owned());
            v.configuration_files.keys().map(|name| (name.clone(), mode(name))).collect()
        },
    );
}
