//! The second phase: the network is healed, nobody writes, and everybody has to come to the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use p2panda_core::LogId;

use super::{
    PeerId, Traffic,
    oracle::{logs, logs_hash, view_hash},
    world::{Broken, World},
};

/// How long one round may take.
const MAX_ROUND: Duration = Duration::from_secs(1200);

/// How many rounds there are at most, whatever hostile peers still give away.
const MAX_ROUNDS: u32 = 50;

/// How the healing went.
pub(super) struct Healed {
    pub(super) at: Duration,
    pub(super) rounds: u32,
    pub(super) allowed: u32,
    pub(super) before: Traffic,
}

impl Traffic {
    /// What was added since.
    pub(super) const fn since(&self, before: &Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            content: self.content - before.content,
            frames: self.frames - before.frames,
            connections: self.connections - before.connections,
            completed: self.completed - before.completed,
            interrupted: self.interrupted - before.interrupted,
            blamed: self.blamed - before.blamed,
        }
    }
}

impl World<'_> {
    /// Everything is mended and everybody there; round by round, all links are used once.
    pub(super) fn heal(&mut self) -> Result<Healed, Broken> {
        self.note(b'h', (0, 0), &[]);
        self.forget_all();
        self.drop_all_connections();
        self.cuts.clear();
        self.is_healed = true;
        for n in 0..self.devices.len() {
            self.devices[n].disarm();
            self.switch_on(PeerId(n))?;
            self.devices[n].blamed.clear();
        }
        self.check_touched()?;
        self.sample()?;
        self.spread.stop();
        let before = self.traffic;
        let groups = self.groups();
        let widest = groups.iter().map(|(number, group)| self.diameter(*number, group)).max();
        let allowed = widest.unwrap_or_default() + 1;
        let (mut rounds, mut before_news) = (0, 0);
        let mut at = self.now;
        let mut known = self.known_to_any()?;
        while let Some(apart) = self.still_apart(&groups)? {
            if rounds - before_news == allowed || rounds == MAX_ROUNDS {
                return Err(format!("after {rounds} rounds without any loss, {apart}"));
            }
            rounds += 1;
            self.round()?;
            at = self.now;
            // What a hostile peer gave away only now, nobody could pass on before.
            let now_known = self.known_to_any()?;
            if now_known != known {
                (known, before_news) = (now_known, rounds);
            }
        }
        Ok(Healed { at, rounds, allowed, before })
    }

    /// The longest that any honest peer holds of each log, and the shortest at which it is cut.
    fn known_to_any(&self) -> Result<BTreeMap<LogId, (u64, u64)>, Broken> {
        let mut known = BTreeMap::new();
        for (_, replica) in self.online() {
            for festival in &self.festival_ids {
                for (log, (tip, cut)) in logs(replica, *festival, &BTreeSet::new())? {
                    let all: &mut (u64, u64) = known.entry(log).or_insert((0, u64::MAX));
                    all.0 = all.0.max(tip.length);
                    all.1 = if cut { all.1.min(tip.length) } else { all.1 };
                }
            }
        }
        Ok(known)
    }

    /// Uses every link once, and waits for the honest peers to be done.
    fn round(&mut self) -> Result<(), Broken> {
        let end = self.now + MAX_ROUND;
        for wire in 0..self.wires.len() {
            let (from, to) = (self.wires[wire].from, self.wires[wire].to);
            self.dial(wire, from, to, false);
        }
        let honest: Vec<bool> = self.devices.iter().map(|device| device.is_honest()).collect();
        let busy = |world: &Self| {
            world.connections.values().any(|one| one.is_between(|peer| honest[peer.0]))
        };
        while busy(self) {
            if !self.next_before(end)? {
                return Err("a session between honest peers does not end".to_owned());
            }
        }
        self.sample()
    }

    /// Links everybody for good, lets every founder write once more, and waits until it is
    /// everywhere: pushed from link to link, without anybody connecting again. How long that took.
    pub(super) fn push_live(&mut self) -> Result<Duration, Broken> {
        self.forget_all();
        self.drop_all_connections();
        for wire in 0..self.wires.len() {
            let (from, to) = (self.wires[wire].from, self.wires[wire].to);
            if self.devices[from.0].is_honest() && self.devices[to.0].is_honest() {
                self.dial(wire, from, to, true);
            }
        }
        let linked = self.now + MAX_ROUND;
        while self.next_before(linked)? {}
        for number in 0..self.festivals.len() {
            let peer = self.founder(number).ok_or("a festival without a founder")?;
            self.say_what_it_is(number, "the last word")?;
            self.touch(peer);
            self.replica_changed(peer, None);
        }
        let (written, end) = (self.now, self.now + MAX_ROUND);
        while self.next_before(end)? {}
        let groups = self.groups();
        match self.still_apart(&groups)? {
            Some(apart) => Err(format!("over live links, {apart}")),
            None => Ok(self.last_content.saturating_sub(written)),
        }
    }

    /// What is not the same yet among peers that should hold the same.
    fn still_apart(&self, groups: &[(usize, Vec<PeerId>)]) -> Result<Option<String>, Broken> {
        let but = self.left_out();
        for (number, group) in groups {
            let festival = self.festival_ids[*number];
            let hashes = |peer: PeerId| {
                let replica = self.devices[peer.0].replica.as_ref().ok_or("a peer is off")?;
                let logs = logs_hash(replica, festival, &but)?;
                Ok::<_, Broken>((logs, view_hash(replica, festival, &but)?))
            };
            let Some((first, others)) = group.split_first() else { continue };
            let expected = hashes(*first)?;
            for peer in others {
                let found = hashes(*peer)?;
                if found != expected {
                    let what = if found.0 == expected.0 { "views" } else { "logs" };
                    return Ok(Some(format!(
                        "peers {} and {} hold other {what} of festival {number}",
                        first.0, peer.0
                    )));
                }
            }
        }
        Ok(None)
    }

    fn drop_all_connections(&mut self) {
        self.connections.clear();
        for wire in &mut self.wires {
            wire.connection = None;
        }
    }

    /// Every festival's number with each group of its honest followers that are linked.
    fn groups(&self) -> Vec<(usize, Vec<PeerId>)> {
        let groups = |number| self.components(number).into_iter().map(move |c| (number, c));
        (0..self.festivals.len()).flat_map(groups).collect()
    }

    /// The honest peers that follow a festival, in groups that are linked through each other.
    pub(super) fn components(&self, number: usize) -> Vec<Vec<PeerId>> {
        let mut left: BTreeSet<PeerId> = (0..self.devices.len())
            .map(PeerId)
            .filter(|peer| self.devices[peer.0].is_honest() && self.follows(*peer, number))
            .collect();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let group: Vec<_> = self.distances(number, first).into_keys().collect();
            left.retain(|peer| !group.contains(peer));
            groups.push(group);
        }
        groups
    }

    /// How many links lie between the two peers of a group that are farthest apart.
    fn diameter(&self, number: usize, group: &[PeerId]) -> u32 {
        let farthest = |peer: &PeerId| self.distances(number, *peer).into_values().max();
        group.iter().filter_map(farthest).max().unwrap_or_default()
    }

    /// How many links away the honest followers of a festival are that can be reached.
    fn distances(&self, number: usize, from: PeerId) -> BTreeMap<PeerId, u32> {
        let mut distances = BTreeMap::from([(from, 0)]);
        let mut next = vec![from];
        while !next.is_empty() {
            let mut found = Vec::new();
            for peer in next {
                let distance = distances.get(&peer).map_or(0, |distance| distance + 1);
                for wire in &self.wires {
                    let other = match peer {
                        _ if wire.from == peer => wire.to,
                        _ if wire.to == peer => wire.from,
                        _ => continue,
                    };
                    let counts = self.devices[other.0].is_honest() && self.follows(other, number);
                    if counts && !distances.contains_key(&other) {
                        distances.insert(other, distance);
                        found.push(other);
                    }
                }
            }
            next = found;
        }
        distances
    }
}
