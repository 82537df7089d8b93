//! The tables of services and configuration files of every variant.

use defaults::{Catalog, Variant};
use std::collections::BTreeMap;

/// Where a row belongs.
#[derive(Clone, Copy)]
enum On {
    All,
    Aws,
    AwsK8s,
    K8s,
    Docker,
    Ecs,
    Boot,
    NonNvidia,
    K8sNvidia,
}

impl On {
    fn includes(self, variant: &Variant) -> bool {
        let (aws, k8s) = (variant.platform == "aws", variant.runtime == "k8s");
        let nvidia = variant.flavor == "nvidia";
        match self {
            Self::All => true,
            Self::Aws => aws,
            Self::AwsK8s => aws && k8s,
            Self::K8s => k8s,
            Self::Docker => !k8s,
            Self::Ecs => variant.runtime == "ecs",
            Self::Boot => !variant.name.starts_with("aws-ecs-1"),
            Self::NonNvidia => !nvidia,
            Self::K8sNvidia => k8s && nvidia,
        }
    }
}

fn for_each_variant(check: impl Fn(&Variant)) {
    let catalog = Catalog::embedded();
    for name in catalog.variants() {
        check(&catalog.variant(name).expect("every variant composes"));
    }
}

#[test]
fn services_bind_files_to_commands() {
    // Name, files, restart command.
    let rows = [
        (On::AwsK8s, "autoscaling-warm-pool", "warm-pool-wait-toml", ""),
        (On::K8s, "aws", "aws-config aws-credentials", ""),
        (On::Boot, "bootconfig", "prairiedog-toml", "/usr/bin/prairiedog generate-boot-config"),
        (On::All, "bootstrap-commands", "bootstrap-commands-toml", ""),
        (
            On::All,
            "bootstrap-containers",
            "host-ctr-toml bootstrap-containers-toml",
            "/usr/bin/bootstrap-containers create-containers",
        ),
        (On::Aws, "cfsignal", "cfsignal-toml", "/bin/systemctl try-restart cfsignal.service"),
        (
            On::All,
            "containerd",
            "containerd-config-toml proxy-env",
            "/bin/systemctl try-restart containerd.service",
        ),
        (On::All, "dns", "netdog-toml", "netdog write-resolv-conf"),
        (On::Docker, "docker", "docker-daemon-config proxy-env", "/bin/systemctl try-restart docker.service"),
        (On::Ecs, "ecs", "", "/bin/systemctl try-reload-or-restart ecs.service"),
        (On::All, "health", "health-toml", ""),
        (On::All, "host-containerd", "proxy-env", "/bin/systemctl try-restart host-containerd.service"),
        (On::All, "host-containers", "host-ctr-toml host-containers-toml", "/usr/bin/host-containers"),
        (On::All, "hostname", "hostname", "/bin/systemctl try-restart set-hostname.service"),
        (On::All, "hosts", "hosts", ""),
        (
            On::All,
            "kernel-modules",
            "modprobe-conf modules-load",
            "/usr/bin/systemctl try-restart systemd-modules-load",
        ),
        (On::K8s, "kubernetes", "proxy-env", "/usr/bin/systemctl try-restart kubelet.service"),
        (On::All, "lockdown", "corndog-toml", "/usr/bin/corndog lockdown"),
        (
            On::NonNvidia,
            "log4j-hotpatch-enabled",
            "log4j-hotpatch-enabled-log-message",
            "systemctl restart deprecation-warning@log4j-hotpatch-enabled.timer",
        ),
        (On::All, "metricdog", "metricdog-toml proxy-env", "/bin/systemctl try-restart metricdog.service"),
        (On::All, "motd", "motd", ""),
        (On::All, "ntp", "chrony-conf", "/bin/systemctl try-reload-or-restart chronyd.service"),
        (On::K8sNvidia, "nvidia-container-toolkit", "", ""),
        (
            On::K8sNvidia,
            "nvidia-k8s-device-plugin",
            "",
            "/bin/systemctl try-reload-or-restart nvidia-k8s-device-plugin.service",
        ),
        (On::K8s, "oci-defaults", "", ""),
        (On::All, "oci-hooks", "oci-hooks", ""),
        (On::All, "pki", "certdog-toml", "/usr/bin/certdog"),
        (
            On::AwsK8s,
            "pod-infra-container-image",
            "pod-infra-container-image-log-message",
            "systemctl restart deprecation-warning@pod-infra-container-image.timer",
        ),
        (On::K8s, "static-pods", "static-pods-toml", "/usr/bin/static-pods"),
        (On::All, "sysctl", "corndog-toml", "/usr/bin/corndog sysctl"),
        (On::All, "thar-be-updates", "thar-be-updates-toml", ""),
        (On::All, "updog", "updog-toml", ""),
    ];
    for_each_variant(|variant| {
        let expected: BTreeMap<&str, (String, String)> = rows
            .iter()
            .filter(|(on, ..)| on.includes(variant))
            .map(|(_, name, files, command)| (*name, ((*files).to_owned(), (*command).to_owned())))
            .collect();
        let services = variant.services.iter();
        let actual: BTreeMap<&str, (String, String)> = services
            .map(|(name, s)| {
                (name.as_str(), (s.configuration_files.join(" "), s.restart_commands.join("; ")))
            })
            .collect();
        assert_eq!(actual, expected, "{}", variant.name);
    });
}

#[test]
fn files_come_from_their_templates() {
    let rows = [
        (On::K8s, "aws-config", "/root/.aws/config", "aws-config"),
        (On::K8s, "aws-credentials", "/root/.aws/credentials", "aws-credentials"),
        (
            On::All,
            "bootstrap-commands-toml",
            "/etc/bootstrap-commands/bootstrap-commands.toml",
            "bootstrap-commands-toml",
        ),
        (
            On::All,
            "bootstrap-containers-toml",
            "/etc/bootstrap-containers/bootstrap-containers.toml",
            "bootstrap-containers-toml",
        ),
        (On::All, "certdog-toml", "/etc/certdog.toml", "certdog-toml"),
        (On::Aws, "cfsignal-toml", "/etc/cfsignal.toml", "cfsignal-toml"),
        (On::All, "chrony-conf", "/etc/chrony.conf", "chrony-conf"),
        (On::Docker, "containerd-config-toml", "/etc/containerd/config.toml", "containerd-config-toml_basic"),
        (
            On::K8s,
            "containerd-config-toml",
            "/etc/containerd/config.toml",
            "containerd-config-toml_k8s_containerd_sock",
        ),
        (On::All, "corndog-toml", "/etc/corndog.toml", "corndog-toml"),
        (On::Docker, "docker-daemon-config", "/etc/docker/daemon.json", "docker-daemon-json"),
        (
            On::All,
            "host-containers-toml",
            "/etc/host-containers/host-containers.toml",
            "host-containers-toml",
        ),
        (On::All, "health-toml", "/etc/health.toml", "health-toml"),
        (On::All, "host-ctr-toml", "/etc/host-containers/host-ctr.toml", "host-ctr-toml"),
        (On::All, "hostname", "/etc/network/hostname.env", "hostname-env"),
        (On::All, "hosts", "/etc/hosts", "hosts"),
        (
            On::NonNvidia,
            "log4j-hotpatch-enabled-log-message",
            "/etc/deprecated-settings/log4j-hotpatch-enabled",
            "log4j-hotpatch-enabled",
        ),
        (On::All, "metricdog-toml", "/etc/metricdog.toml", "metricdog-toml"),
        (On::All, "modprobe-conf", "/etc/modprobe.d/modprobe.conf", "modprobe-conf"),
        (On::All, "modules-load", "/etc/modules-load.d/modules-load.conf", "modules-load"),
        (On::All, "motd", "/etc/motd", "motd"),
        (On::All, "netdog-toml", "/etc/netdog.toml", "netdog-toml"),
        (On::All, "oci-hooks", "/etc/shimpei/shimpei-hooks.json", "oci-default-hooks-json"),
        (
            On::AwsK8s,
            "pod-infra-container-image-log-message",
            "/etc/deprecated-settings/pod-infra-container-image",
            "pod-infra-container-image",
        ),
        (On::Boot, "prairiedog-toml", "/etc/prairiedog.toml", "prairiedog-toml"),
        (On::All, "proxy-env", "/etc/network/proxy.env", "proxy-env"),
        (On::K8s, "static-pods-toml", "/etc/kubernetes/static-pods-manifest.toml", "static-pods-toml"),
        (On::All, "thar-be-updates-toml", "/etc/thar-be-updates.toml", "thar-be-updates-toml"),
        (On::All, "updog-toml", "/etc/updog.toml", "updog-toml"),
        (On::AwsK8s, "warm-pool-wait-toml", "/etc/warm-pool-wait.toml", "warm-pool-wait-toml"),
    ];
    for_each_variant(|variant| {
        let expected: BTreeMap<&str, (&str, &str)> = rows
            .iter()
            .filter(|(on, ..)| on.includes(variant))
            .map(|(_, name, path, template)| (*name, (*path, *template)))
            .collect();
        let files = variant.configuration_files.iter();
        let actual: BTreeMap<&str, (&str, &str)> = files
            .map(|(name, file)| (name.as_str(), (file.path.as_str(), file.template_path.as_str())))
            .collect();
        assert_eq!(actual, expected, "{}", variant.name);
    });
}
