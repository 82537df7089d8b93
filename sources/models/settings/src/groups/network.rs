//! Network, names and time.

use crate::model::group;
use modeled_types::{EtcHostsEntries, IpAddress, SingleLineString, Url, ValidLinuxHostname};

group! {
    /// The network.
    pub struct Network {
        /// Host name. Found from the network at the first boot when unset.
        hostname: ValidLinuxHostname,
        /// More lines of `/etc/hosts`: a list of pairs of an address and its names, such as
        /// `[["10.0.0.1", ["db", "db.local"]]]`. Names of an address given twice are joined.
        hosts: EtcHostsEntries,
        /// Proxy for HTTP and HTTPS of the host's services.
        https_proxy: Url,
        /// Hosts, domains and address ranges reached without the proxy. The addresses of the host itself and of its
        /// cluster are always among them.
        no_proxy: Vec<SingleLineString>,
    }
}

group! {
    /// Name resolution.
    pub struct Dns {
        /// Addresses of name servers. Unset means those of DHCP.
        name_servers: Vec<IpAddress>,
        /// Domains tried for short names, in order. Unset means those of DHCP.
        search_list: Vec<ValidLinuxHostname>,
    }
}

group! {
    /// Time servers.
    pub struct Ntp {
        /// Host names or addresses of time servers.
        time_servers: Vec<Url>,
        /// Options of every time server, as chrony writes them, such as `iburst`.
        options: Vec<SingleLineString>,
    }
}
