//! What templates may know about the machine.

use host::Host;
use schnauzer::Facts;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How long the resolver may take to say whether it knows the host's own name. Boot waits for it.
const RESOLVE_LIMIT: Duration = Duration::from_secs(2);
/// PCI vendor of Elastic Fabric Adapters, as sysfs prints it.
const AMAZON: &str = "0x1d0f";

/// Looks at the machine.
pub(crate) fn facts(host: &Host) -> Facts {
    let fips = host.read("/proc/sys/crypto/fips_enabled").ok().flatten();
    Facts {
        cpu_count: cpu_count(),
        efa_present: efa_present(host),
        fips: fips.is_some_and(|text| text.starts_with(b"1")),
        resolvable: Arc::new(resolvable),
    }
}

/// How many processors this program may run on.
pub(crate) fn cpu_count() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// Whether a PCI device is an Elastic Fabric Adapter: efa0, efa1, ... of Amazon.
pub(crate) fn efa_present(host: &Host) -> bool {
    let id =
        |folder: &std::path::Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    std::fs::read_dir(host.path("/sys/bus/pci/devices")).into_iter().flatten().flatten().any(|device| {
        let folder = device.path();
        id(&folder, "vendor").trim() == AMAZON && id(&folder, "device").contains("efa")
    })
}

/// Whether the resolver knows a name by an address that is not of the loopback.
fn resolvable(name: &str) -> bool {
    let (tell, told) = mpsc::channel();
    let question = (name.to_owned(), 0);
    // A resolver that hangs keeps its thread; the program does not wait for it.
    std::thread::spawn(move || {
        let found: Vec<IpAddr> =
            question.to_socket_addrs().into_iter().flatten().map(|address| address.ip()).collect();
        tell.send(found).ok();
    });
    let found = told.recv_timeout(RESOLVE_LIMIT).unwrap_or_default();
    !found.is_empty() && !found.iter().any(IpAddr::is_loopback)
}
