//! Every variant boots to "configured".
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use tests::TestHost;

#[test]
fn every_variant_boots_from_its_defaults() {
    let catalog = defaults::Catalog::embedded();
    let variants: Vec<&str> = catalog.variants().collect();
    assert_eq!(variants.len(), 29);
    for variant in variants {
        let host = TestHost::boot(variant, None);
        assert_eq!(host.failed_steps(), Vec::<&str>::new(), "{variant}");
        let (status, os) = host.request("GET", "/os", "");
        assert_eq!((status, os["variant_id"].as_str()), (200, Some(variant)));
        let (_, jobs) = host.request("GET", "/status", "");
        assert_eq!(jobs["variant"], variant);
    }
}

#[test]
fn weak_values_are_generated_again_at_every_boot_until_somebody_sets_them() {
    let mut host = TestHost::boot("aws-k8s-1.28", Some(b"[settings.aws]\nregion = \"us-west-2\"\n"));
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    let source = |host: &TestHost| {
        let (_, admin) = host.request("GET", "/settings?keys=settings.host-containers.admin.source", "");
        admin["host-containers"]["admin"]["source"].as_str().unwrap_or_default().to_owned()
    };
    let generated = source(&host);
    assert!(generated.starts_with("328549459982.dkr.ecr.us-west-2.amazonaws.com/"), "{generated}");
    // The generator of the next image would make another value; here the region does.
    assert!(host.client(&["set", "aws.region=eu-west-1"]).status.success());
    host.reboot();
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    assert!(source(&host).starts_with("328549459982.dkr.ecr.eu-west-1.amazonaws.com/"), "{}", source(&host));
    assert!(host.client(&["set", "host-containers.admin.source=mine.example/admin:v9"]).status.success());
    host.reboot();
    assert_eq!(host.failed_steps(), Vec::<&str>::new());
    assert_eq!(source(&host), "mine.example/admin:v9");
}
