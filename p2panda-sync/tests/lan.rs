//! Peers find each other by multicast DNS, on this machine's own interfaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use futures::StreamExt as _;
use p2panda_sync::{Announcement, LanPeer, LanSearch};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// Randomness that no other run of the tests has: they all share one network.
fn rng() -> ChaCha20Rng {
    let bytes = std::process::id().to_be_bytes();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = blake3::hash(&[&bytes[..], &now.as_nanos().to_be_bytes()].concat());
    ChaCha20Rng::from_seed(*seed.as_bytes())
}

/// Whether a packet to a group reaches this machine itself from this interface, or `false`, which
/// it says.
fn has_multicast(interface: Ipv4Addr) -> bool {
    let heard = || {
        let group = Ipv4Addr::new(224, 0, 0, 250);
        let listener = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        listener.join_multicast_v4(&group, &interface)?;
        listener.set_read_timeout(Some(Duration::from_secs(1)))?;
        let sender = UdpSocket::bind((interface, 0))?;
        sender.send_to(b"here", (group, listener.local_addr()?.port()))?;
        listener.recv(&mut [0; 4])
    };
    let heard: std::io::Result<usize> = heard();
    if let Err(error) = &heard {
        eprintln!("SKIPPED: no multicast on {interface}: {error}");
    }
    heard.is_ok()
}

/// The peers of these names that a search finds, within five seconds.
async fn find(names: &[&str]) -> Vec<LanPeer> {
    let mut found = Vec::new();
    let search = async {
        let mut search = LanSearch::new().unwrap();
        while found.len() < names.len() {
            let peer = search.next().await.unwrap();
            if names.contains(&peer.name.as_str()) {
                found.push(peer);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), search).await.ok();
    found
}

#[tokio::test]
async fn an_address_of_this_machine_is_found_on_this_machine() {
    if !has_multicast(Ipv4Addr::LOCALHOST) {
        return;
    }
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, 47_420));
    let mut rng = rng();
    let announced = [(); 3].map(|()| Announcement::new(listener, &mut rng).unwrap());
    let names = announced.each_ref().map(Announcement::name);
    let found = find(&names).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|peer| peer.addresses == [listener]), "{found:?}");
    let name = announced[0].name().to_owned();
    drop(announced);
    // It has said goodbye, so a new search finds nothing of it.
    let mut search = LanSearch::new().unwrap();
    let gone = async {
        while let Some(peer) = search.next().await {
            assert_ne!(peer.name, name);
        }
    };
    tokio::time::timeout(Duration::from_secs(1), gone).await.ok();
}

#[tokio::test]
async fn an_address_of_the_network_is_found_in_the_network() {
    let own = |interface: &if_addrs::Interface| match interface.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() && has_multicast(ip) => Some(ip),
        _ => None,
    };
    let Some(ip) = if_addrs::get_if_addrs().unwrap().iter().find_map(own) else {
        eprintln!("SKIPPED: no interface but the loopback has multicast");
        return;
    };
    let listener = SocketAddr::from((ip, 47_421));
    let announced = Announcement::new(listener, &mut rng()).unwrap();
    let found = find(&[announced.name()]).await;
    assert_eq!(found.first().expect("it is found").addresses, [listener]);
    // Who listens on all addresses is found at one that the search shares, and at no IPv6 one
    // where it listens on IPv4 alone.
    let listener = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 47_423));
    let announced = Announcement::new(listener, &mut rng()).unwrap();
    let found = find(&[announced.name()]).await;
    let addresses = &found.first().expect("it is found").addresses;
    assert!(addresses.iter().all(|it| it.is_ipv4() && it.port() == 47_423), "{addresses:?}");
}

#[tokio::test]
async fn what_is_announced_is_a_random_name_and_an_address() {
    if !has_multicast(Ipv4Addr::LOCALHOST) {
        return;
    }
    let listener = SocketAddr::from((Ipv4Addr::LOCALHOST, 47_422));
    let announced = Announcement::new(listener, &mut rng()).unwrap();
    let daemon = mdns_sd::ServiceDaemon::new().unwrap();
    let events = daemon.browse("_p2panda._tcp.local.").unwrap();
    let resolved = async {
        while let Ok(event) = events.recv_async().await {
            if let mdns_sd::ServiceEvent::ServiceResolved(service) = event
                && service.fullname.starts_with(announced.name())
            {
                return service;
            }
        }
        panic!("the search ended")
    };
    let service = tokio::time::timeout(Duration::from_secs(5), resolved).await.unwrap();
    assert_eq!(service.fullname, format!("{}._p2panda._tcp.local.", announced.name()));
    assert_eq!(service.host, format!("{}.local.", announced.name()));
    assert!(service.txt_properties.is_empty(), "{:?}", service.txt_properties);
    assert_eq!(announced.name().len(), 16);
    assert_ne!(Announcement::new(listener, &mut rng()).unwrap().name(), announced.name());
}
