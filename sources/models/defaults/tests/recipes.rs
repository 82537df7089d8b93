//! Which fragments and groups make up which variant, spelled out without inclusions.

use defaults::Catalog;

const AWS_HEAD: &str = "defaults aws-tuf aws-host-containers cf-signal";
const OFF_HEAD: &str = "defaults public-tuf";
const METRICS_AWS: &str = "metrics send-metrics-aws";
const METRICS_PUB: &str = "metrics send-metrics-global";
const OCI_DOCKER: &str = "oci-defaults-docker oci-defaults-capabilities oci-defaults-docker-resource-limits";
const OCI_CRI: &str =
    "oci-defaults-containerd-cri oci-defaults-capabilities oci-defaults-containerd-cri-resource-limits";
const SECCOMP: &str = "kubernetes-seccomp-default-false";
const EXTERNAL: &str = "kubernetes-aws-external-cloud-provider";
const CREDENTIALS: &str = "kubernetes-aws-credential-provider";

fn aws_ecs(nvidia: bool, boot: &str) -> String {
    let (daemon, lockdown, hooks) = if nvidia {
        ("docker-daemon-nvidia", "lockdown-none", "nvidia-oci-hooks-docker")
    } else {
        ("", "lockdown-integrity", "oci-hooks")
    };
    format!(
        "{AWS_HEAD} aws-autoscaling {METRICS_AWS} docker-services ecs {daemon} docker-pki {lockdown} {hooks} \
         {OCI_DOCKER} {boot}"
    )
}

fn aws_k8s(extra: &str) -> String {
    format!(
        "{AWS_HEAD} aws-autoscaling {METRICS_AWS} aws-creds kubernetes-aws kubernetes-containerd \
         kubernetes-services containerd-cri-pki {extra} lockdown-integrity oci-hooks {OCI_CRI} boot"
    )
}

fn aws_k8s_nvidia(extra: &str) -> String {
    format!(
        "{AWS_HEAD} aws-autoscaling {METRICS_AWS} aws-creds kubernetes-aws kubernetes-containerd-nvidia \
         kubernetes-services containerd-cri-pki {extra} lockdown-none nvidia-oci-hooks-containerd-cri {OCI_CRI} \
         nvidia-k8s-container-toolkit nvidia-k8s-device-plugin boot"
    )
}

fn metal_k8s(extra: &str) -> String {
    format!(
        "{OFF_HEAD} public-host-containers {METRICS_PUB} aws-creds kubernetes-metal kubernetes-containerd \
         kubernetes-services containerd-cri-pki {extra} lockdown-integrity public-ntp oci-hooks {OCI_CRI} boot"
    )
}

fn vmware_k8s(extra: &str) -> String {
    format!(
        "{OFF_HEAD} public-host-containers {METRICS_PUB} aws-creds kubernetes-vmware kubernetes-containerd \
         kubernetes-services containerd-cri-pki {extra} lockdown-integrity public-ntp {OCI_CRI} oci-hooks boot"
    )
}

#[test]
fn every_variant_has_its_fragments_in_order() {
    let rows = [
        (
            "aws-dev",
            format!(
                "{AWS_HEAD} {METRICS_AWS} aws-dev docker-services docker-pki lockdown-none oci-hooks boot"
            ),
        ),
        (
            "metal-dev",
            format!(
                "{OFF_HEAD} {METRICS_PUB} metal-dev docker-services docker-pki lockdown-none public-ntp oci-hooks \
                 boot"
            ),
        ),
        (
            "vmware-dev",
            format!(
                "{OFF_HEAD} {METRICS_PUB} vmware-dev docker-services docker-pki lockdown-none oci-hooks public-ntp \
                 boot"
            ),
        ),
        ("aws-ecs-1", aws_ecs(false, "")),
        ("aws-ecs-1-nvidia", aws_ecs(true, "")),
        ("aws-ecs-2", aws_ecs(false, "boot")),
        ("aws-ecs-2-nvidia", aws_ecs(true, "boot")),
        ("aws-k8s-1.23", aws_k8s("")),
        ("aws-k8s-1.24", aws_k8s("")),
        ("aws-k8s-1.25", aws_k8s(SECCOMP)),
        ("aws-k8s-1.26", aws_k8s(&format!("{EXTERNAL} {SECCOMP}"))),
        ("aws-k8s-1.27", aws_k8s(&format!("{EXTERNAL} {CREDENTIALS} {SECCOMP}"))),
        ("aws-k8s-1.28", aws_k8s(&format!("{EXTERNAL} {CREDENTIALS} {SECCOMP}"))),
        ("aws-k8s-1.23-nvidia", aws_k8s_nvidia("")),
        ("aws-k8s-1.24-nvidia", aws_k8s_nvidia("")),
        ("aws-k8s-1.25-nvidia", aws_k8s_nvidia(SECCOMP)),
        ("aws-k8s-1.26-nvidia", aws_k8s_nvidia(&format!("{EXTERNAL} {SECCOMP}"))),
        ("aws-k8s-1.27-nvidia", aws_k8s_nvidia(&format!("{EXTERNAL} {CREDENTIALS} {SECCOMP}"))),
        ("aws-k8s-1.28-nvidia", aws_k8s_nvidia(&format!("{EXTERNAL} {CREDENTIALS} {SECCOMP}"))),
        ("metal-k8s-1.24", metal_k8s("")),
        ("metal-k8s-1.25", metal_k8s(SECCOMP)),
        ("metal-k8s-1.26", metal_k8s(SECCOMP)),
        ("metal-k8s-1.27", metal_k8s(SECCOMP)),
        ("metal-k8s-1.28", metal_k8s(SECCOMP)),
        ("vmware-k8s-1.24", vmware_k8s("")),
        ("vmware-k8s-1.25", vmware_k8s(SECCOMP)),
        ("vmware-k8s-1.26", vmware_k8s(SECCOMP)),
        ("vmware-k8s-1.27", vmware_k8s(SECCOMP)),
        ("vmware-k8s-1.28", vmware_k8s(SECCOMP)),
    ];
    let catalog = Catalog::embedded();
    assert_eq!(catalog.variants().collect::<Vec<_>>(), rows.each_ref().map(|(variant, _)| *variant));
    for (variant, fragments) in rows {
        let expected: Vec<&str> = fragments.split_whitespace().collect();
        assert_eq!(catalog.fragments(variant).unwrap(), expected, "{variant}");
    }
}

#[test]
fn every_variant_has_its_groups() {
    let common = "motd updates health host-containers bootstrap-containers bootstrap-commands ntp network kernel metrics pki \
                  container-registry oci-hooks dns";
    let aws_k8s = "boot aws cloudformation autoscaling kubernetes container-runtime oci-defaults";
    let aws_k8s_nvidia = format!("{aws_k8s} nvidia-container-runtime kubelet-device-plugins");
    let rows = [
        ("aws-dev", "boot aws cloudformation"),
        ("aws-ecs-1", "aws cloudformation autoscaling oci-defaults ecs"),
        ("aws-ecs-2", "boot aws cloudformation autoscaling oci-defaults ecs"),
        ("aws-k8s", aws_k8s),
        ("metal-dev", "boot"),
        ("vmware-dev", "boot"),
        ("metal-k8s", "boot aws kubernetes container-runtime oci-defaults"),
        ("vmware-k8s", "boot aws kubernetes container-runtime oci-defaults"),
    ];
    let catalog = Catalog::embedded();
    for name in catalog.variants() {
        let variant = catalog.variant(name).unwrap();
        let (_, own) = rows.iter().find(|(beginning, _)| name.starts_with(beginning)).unwrap();
        let own = match (variant.runtime.as_str(), variant.flavor.as_str()) {
            ("k8s", "nvidia") => &aws_k8s_nvidia,
            _ => *own,
        };
        let mut expected: Vec<&str> = common.split_whitespace().chain(own.split_whitespace()).collect();
        let mut groups: Vec<&str> = variant.groups.iter().map(String::as_str).collect();
        expected.sort_unstable();
        groups.sort_unstable();
        assert_eq!(groups, expected, "{name}");
    }
}
