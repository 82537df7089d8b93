//! Region tables: accounts of the container registry, and update repositories. Data; another publisher's tables
//! go here.

const DEFAULT_ACCOUNT: &str = "328549459982";
const DEFAULT_REGION: &str = "us-east-1";

/// Regions whose registry is in the default account.
const DEFAULT_ACCOUNT_REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Regions whose registry is in an account of its own.
const OTHER_ACCOUNTS: [(&str, &str); 18] = [
    ("af-south-1", "917644944286"),
    ("ap-east-1", "375569722642"),
    ("ap-south-2", "764716012617"),
    ("ap-southeast-3", "386774335080"),
    ("ap-southeast-4", "731751899352"),
    ("ap-southeast-5", "851725293737"),
    ("ca-west-1", "253897149516"),
    ("cn-north-1", "183470599484"),
    ("cn-northwest-1", "183901325759"),
    ("eu-central-2", "861738308508"),
    ("eu-isoe-west-1", "589460436674"),
    ("eu-south-1", "586180183710"),
    ("eu-south-2", "620625777247"),
    ("il-central-1", "288123944683"),
    ("me-central-1", "553577323255"),
    ("me-south-1", "509306038620"),
    ("us-gov-east-1", "388230364387"),
    ("us-gov-west-1", "347163068887"),
];

const FIPS_REGIONS: [&str; 6] =
    ["us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2"];

const UPDATE_REPOSITORY: &str = "https://updates.bottlerocket.aws";

/// Regions with an update repository of their own.
const OWN_REPOSITORY_REGIONS: [&str; 3] = ["cn-north-1", "cn-northwest-1", "eu-isoe-west-1"];

/// The domain below which a region's services are.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else if region.starts_with("eu-isoe-") {
        "cloud.adc-e.uk"
    } else {
        "amazonaws.com"
    }
}

/// The host of the container registry for a region; an unknown region uses the registry of the default one.
pub(crate) fn ecr_host(region: &str, fips: bool) -> String {
    let other = OTHER_ACCOUNTS.iter().find(|(name, _)| *name == region);
    let (region, account) = match other {
        Some((region, account)) => (*region, *account),
        None if DEFAULT_ACCOUNT_REGIONS.contains(&region) => (region, DEFAULT_ACCOUNT),
        None => (DEFAULT_REGION, DEFAULT_ACCOUNT),
    };
    let service = if fips && FIPS_REGIONS.contains(&region) { "ecr-fips" } else { "ecr" };
    format!("{account}.dkr.{service}.{region}.{}", domain(region))
}

/// Whether a region has an update repository of its own.
pub(crate) fn has_own_repository(region: &str) -> bool {
    OWN_REPOSITORY_REGIONS.contains(&region)
}

/// The address of the update repository for a region.
pub(crate) fn update_repository(region: &str) -> String {
    if has_own_repository(region) {
        format!("https://bottlerocket-updates-{region}.s3.dualstack.{region}.{}/latest", domain(region))
    } else {
        UPDATE_REPOSITORY.to_owned()
    }
}
