//! Finding peers in the local network, by multicast DNS (RFC 6762, RFC 6763).
//!
//! What is announced says that somebody here speaks p2panda, and where: a name that is drawn anew at
//! each start, addresses and a port. Which festivals, which user and which device is shown to
//! nobody; only a link, and a festival in common, tells more.

use std::{
    collections::{BTreeSet, HashSet},
    fmt, io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use if_addrs::{IfAddr, Interface, get_if_addrs};
use mdns_sd::{IfKind, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use rand_core::CryptoRng;

const SERVICE: &str = "_p2panda._tcp.local.";
/// The most peers that one search finds, however many are announced.
pub const MAX_LAN_PEERS: usize = 32;
/// The most addresses of one peer that are tried.
const MAX_ADDRESSES: usize = 8;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(300);

/// Tells the local network where this device accepts links, until it is dropped.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

impl Announcement {
    /// Announces the address of a listener: of all interfaces where it listens on all, else of the
    /// one. An address of this machine alone is told to this machine alone.
    ///
    /// A thread of its own answers from now on.
    ///
    /// # Errors
    /// [`io::Error`] where the system allows no multicast.
    pub fn new(listener: SocketAddr, rng: &mut impl CryptoRng) -> io::Result<Self> {
        let name = format!("{:016x}", rng.next_u64());
        let host = format!("{name}.local.");
        let (ip, port) = (listener.ip(), listener.port());
        let addresses: &[IpAddr] = if ip.is_unspecified() { &[] } else { &[ip] };
        let mut service = ServiceInfo::new(SERVICE, &name, &host, addresses, port, None)
            .map_err(io::Error::other)?;
        if ip.is_unspecified() {
            service = service.enable_addr_auto();
            service.set_interfaces(vec![if ip.is_ipv4() { IfKind::IPv4 } else { IfKind::All }]);
        }
        // The name is random: asking whether another has it would only delay.
        service.set_requires_probe(false);
        let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
        let this = Self { daemon, name };
        this.daemon.register(service).map_err(io::Error::other)?;
        Ok(this)
    }

    /// The name under which it is announced.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Announcement {
    /// Says goodbye to the network, which takes a moment.
    fn drop(&mut self) {
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = ended.recv_timeout(GOODBYE);
        }
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A peer that was found. Anybody can announce anything: who it is turns out over a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanPeer {
    /// The name of its announcement, which means nothing.
    pub name: String,
    /// Where it says to be, at least one and at most eight; all in networks of this machine.
    pub addresses: Vec<SocketAddr>,
}

/// A search for peers in the local network: a stream of those found, each once.
///
/// It goes on until it is dropped or has found [`MAX_LAN_PEERS`]; how long to wait is the caller's
/// to say. Most answer within a second.
pub struct LanSearch {
    daemon: ServiceDaemon,
    events: BoxStream<'static, ServiceEvent>,
    found: BTreeSet<String>,
}

impl LanSearch {
    /// Begins to search.
    ///
    /// # Errors
    /// [`io::Error`] where the system allows no multicast.
    pub fn new() -> io::Result<Self> {
        let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
        let events = daemon.browse(SERVICE).map_err(io::Error::other)?.into_stream().boxed();
        Ok(Self { daemon, events, found: BTreeSet::new() })
    }
}

impl Stream for LanSearch {
    type Item = LanPeer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LanPeer>> {
        while self.found.len() < MAX_LAN_PEERS {
            let Some(event) = ready!(self.events.poll_next_unpin(cx)) else { break };
            let ServiceEvent::ServiceResolved(service) = event else { continue };
            if self.found.contains(&service.fullname) {
                continue;
            }
            let interfaces = get_if_addrs().unwrap_or_default();
            let addresses = reachable(&service.addresses, service.port, &interfaces);
            if !addresses.is_empty() {
                let name = service.fullname.trim_end_matches(SERVICE).trim_end_matches('.');
                let name = name.to_owned();
                self.found.insert(service.fullname);
                return Poll::Ready(Some(LanPeer { name, addresses }));
            }
        }
        Poll::Ready(None)
    }
}

impl Drop for LanSearch {
    fn drop(&mut self) {
        // Nobody waits for it to have ended.
        let _ = self.daemon.shutdown();
    }
}

impl fmt::Debug for LanSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanSearch").field("found", &self.found).finish_non_exhaustive()
    }
}

/// The addresses that belong to a network of the interface from which they were told. So nobody in
/// the network makes others connect to somewhere else, nor to their own machine.
fn reachable(told: &HashSet<ScopedIp>, port: u16, interfaces: &[Interface]) -> Vec<SocketAddr> {
    let on = |index: u32, ip: IpAddr| {
        let mut here = interfaces.iter().filter(|interface| interface.index == Some(index));
        here.any(|interface| same_network(&interface.addr, ip))
    };
    let mut addresses: Vec<SocketAddr> = told
        .iter()
        .filter(|_| port != 0)
        .filter_map(|ip| match ip {
            ScopedIp::V4(v4) => {
                let ip = IpAddr::V4(*v4.addr());
                let near = v4.interface_ids().iter().any(|id| on(id.index, ip));
                near.then(|| SocketAddr::new(ip, port))
            }
            ScopedIp::V6(v6) => {
                let (ip, index) = (*v6.addr(), v6.scope_id().index);
                let scope = if ip.is_unicast_link_local() { index } else { 0 };
                let near = on(index, ip.into());
                near.then(|| SocketAddrV6::new(ip, port, 0, scope).into())
            }
            _ => None,
        })
        .collect();
    // Those of IPv4 first.
    addresses.sort_unstable();
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

fn same_network(interface: &IfAddr, ip: IpAddr) -> bool {
    match (interface, ip) {
        (IfAddr::V4(own), IpAddr::V4(ip)) => {
            let mask = own.netmask.to_bits();
            own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        (IfAddr::V6(own), IpAddr::V6(ip)) => {
            let mask = own.netmask.to_bits();
            own.ip.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};
    use mdns_sd::InterfaceId;

    use super::*;

    fn interfaces() -> Vec<Interface> {
        let interface = |name: &str, index, addr| Interface {
            name: name.to_owned(),
            addr,
            index: Some(index),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
            #[cfg(windows)]
            adapter_name: String::new(),
        };
        let v4 = |ip: [u8; 4], mask: [u8; 4], prefixlen| {
            let (ip, netmask) = (Ipv4Addr::from(ip), Ipv4Addr::from(mask));
            IfAddr::V4(Ifv4Addr { ip, netmask, prefixlen, broadcast: None })
        };
        let v6 = IfAddr::V6(Ifv6Addr {
            ip: "fe80::1".parse().expect("an address"),
            netmask: Ipv6Addr::from_bits(u128::MAX << 64),
            prefixlen: 64,
            broadcast: None,
        });
        vec![
            interface("lo", 1, v4([127, 0, 0, 1], [255, 0, 0, 0], 8)),
            interface("wlan0", 2, v4([151, 217, 3, 4], [255, 255, 240, 0], 20)),
            interface("wlan0", 2, v6),
        ]
    }

    fn told(ip: [u8; 4], index: u32) -> ScopedIp {
        let id = InterfaceId { name: String::new(), index };
        ScopedIp::V4(mdns_sd::ScopedIpV4::new(ip.into(), id))
    }

    #[test]
    fn only_addresses_of_the_network_that_told_them_are_tried() {
        let answer = |told: &[ScopedIp], port| {
            reachable(&told.iter().cloned().collect(), port, &interfaces())
        };
        let near = told([151, 217, 15, 9], 2);
        assert_eq!(
            answer(std::slice::from_ref(&near), 7420),
            ["151.217.15.9:7420".parse().expect("one")]
        );
        assert!(answer(std::slice::from_ref(&near), 0).is_empty());
        for (ip, index, what) in [
            ([8, 8, 8, 8], 2, "elsewhere"),
            ([151, 217, 16, 9], 2, "the network next door"),
            ([127, 0, 0, 1], 2, "our own machine, as told from outside"),
            ([151, 217, 15, 9], 1, "by an interface that is not of that network"),
            ([151, 217, 15, 9], 7, "by none that is there"),
        ] {
            assert!(answer(&[told(ip, index)], 7420).is_empty(), "{what}");
        }
        assert_eq!(answer(&[told([127, 0, 0, 1], 1)], 1).len(), 1);
        let many: Vec<_> = (0..100).map(|last| told([151, 217, 0, last], 2)).collect();
        assert_eq!(answer(&many, 7420).len(), MAX_ADDRESSES);
    }
}
