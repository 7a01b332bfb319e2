//! A scenario while it is played: virtual time, what is to come, and everything that exists.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use blake3::Hasher;
use bytes::Bytes;
use p2panda_core::{EditError, Festival, FestivalId, Identity, Replica, schema::FestivalInfo};

use super::{
    App, Cost, PeerId, Random, Sample, Scenario, Summary, Traffic,
    check::Checked,
    connection::{Connection, Wire},
    device::Device,
    heal::Healed,
    oracle,
    scenario::Change,
    spread::Spreading,
    summary::millis,
};

/// What ends a run, in words.
pub(super) type Broken = String;

/// Something that is to come.
#[derive(Debug)]
pub(super) enum Task {
    /// The link's first peer connects, and does so again after a while.
    Dial(usize),
    /// A connection is made.
    Open(u64),
    Arrive(u64, usize, Bytes),
    /// One end notices that the connection is over.
    Closed(u64, usize),
    /// One end may have something to say.
    Pump(u64, usize),
    Alarm(u64, usize),
    Act(PeerId),
    Change(Change),
    Chaos,
    Sample,
}

pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
    pub(super) app: &'a mut dyn App,
    pub(super) now: Duration,
    pub(super) random: Random,
    queue: BTreeMap<(Duration, u64), Task>,
    sequence: u64,
    pub(super) transcript: Hasher,

    pub(super) devices: Vec<Device>,
    pub(super) festivals: Vec<Festival>,
    pub(super) festival_ids: Vec<FestivalId>,
    pub(super) wires: Vec<Wire>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) next_connection: u64,
    /// Frames of earlier sessions, by hostile peer.
    pub(super) tapes: Vec<VecDeque<Bytes>>,
    /// From whom to whom nothing passes.
    pub(super) cuts: BTreeSet<(PeerId, PeerId)>,
    pub(super) is_healed: bool,

    pub(super) touched: BTreeSet<PeerId>,
    pub(super) checked: Vec<Checked>,
    /// The view that each set of logs gave.
    pub(super) views: BTreeMap<[u8; 32], [u8; 32]>,
    pub(super) traffic: Traffic,
    pub(super) costs: BTreeMap<PeerId, Cost>,
    pub(super) samples: Vec<Sample>,
    pub(super) spread: Spreading,
    /// When a frame last arrived that brought something.
    pub(super) last_content: Duration,
    pub(super) wake_ups: u64,
    pub(super) restarts: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64, app: &'a mut dyn App) -> Self {
        let wires = scenario.links.iter().map(|(from, to, link)| Wire {
            from: *from,
            to: *to,
            link: link.clone(),
            connection: None,
        });
        Self {
            scenario,
            seed,
            app,
            now: Duration::ZERO,
            random: Random::new(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            transcript: Hasher::new(),
            devices: Vec::new(),
            festivals: Vec::new(),
            festival_ids: Vec::new(),
            wires: wires.collect(),
            connections: BTreeMap::new(),
            next_connection: 0,
            tapes: vec![VecDeque::new(); scenario.peers.len()],
            cuts: BTreeSet::new(),
            is_healed: false,
            touched: BTreeSet::new(),
            checked: vec![Checked::default(); scenario.peers.len()],
            views: BTreeMap::new(),
            traffic: Traffic::default(),
            costs: BTreeMap::new(),
            samples: Vec::new(),
            spread: Spreading::new(scenario.peers.len()),
            last_content: Duration::ZERO,
            wake_ups: 0,
            restarts: 0,
        }
    }

    pub(super) fn play(&mut self) -> Result<Summary, Broken> {
        self.set_up()?;
        let lasts = self.scenario.lasts;
        while self.next_before(lasts)? {}
        self.now = lasts;
        let healed = self.heal()?;
        let naive = self.compare_with_naive_exchange()?;
        self.check_costs()?;
        let mut summary = self.summary(&healed, &naive)?;
        summary.live_ms = millis(self.push_live()?);
        summary.transcript = self.transcript.finalize().to_hex().to_string();
        Ok(summary)
    }

    /// Switches everything on, founds the festivals and lets everybody join.
    pub(super) fn set_up(&mut self) -> Result<(), Broken> {
        for (n, config) in self.scenario.peers.iter().enumerate() {
            let identity = match config.device_of.and_then(|first| self.devices.get(first.0)) {
                Some(first) => first.identity.clone(),
                None => Identity::generate(&mut self.random),
            };
            if let Some(hostile) = config.hostile {
                let cost = Cost {
                    peer: PeerId(n),
                    how: hostile.name().to_owned(),
                    connections: 0,
                    blamed: 0,
                    frames_received: 0,
                    bytes_received: 0,
                    bytes_sent: 0,
                    longest_ms: 0,
                };
                self.costs.insert(PeerId(n), cost);
            }
            let mut device = Device::new(config.clone(), identity, &mut self.random);
            device.switch_on(&mut self.random).map_err(|error| error.to_string())?;
            device.flood(self.scenario.floods);
            self.devices.push(device);
        }
        for number in 0..self.scenario.festivals {
            let mut followers = self.devices.iter().filter(|device| {
                device.is_honest() && device.config.follows.iter().any(|no| no.0 == number)
            });
            let founder = followers.next().ok_or("nobody honest follows a festival")?;
            let festival = Festival::found(&founder.identity, &mut self.random);
            self.festival_ids.push(festival.id());
            self.festivals.push(festival);
        }
        for n in 0..self.devices.len() {
            self.join_all(n)?;
        }
        for number in 0..self.festivals.len() {
            self.say_what_it_is(number, "A festival")?;
        }
        self.schedule_all();
        self.check_touched()
    }

    fn join_all(&mut self, n: usize) -> Result<(), Broken> {
        let device = &mut self.devices[n];
        let Some(replica) = &mut device.replica else { return Ok(()) };
        for number in &device.config.follows {
            let festival = self.festivals.get(number.0).ok_or("a peer follows no festival")?;
            replica.join(festival).map_err(|error| error.to_string())?;
        }
        // The key was made here just now; another device of it knows that there is a first.
        if device.config.device_of.is_none() {
            replica.allow_decisions().map_err(|error| error.to_string())?;
        }
        self.touched.insert(PeerId(n));
        Ok(())
    }

    /// The device that founded a festival.
    pub(super) fn founder(&self, number: usize) -> Option<PeerId> {
        let founder = self.festivals[number].founder();
        self.devices.iter().position(|one| one.identity.user() == founder).map(PeerId)
    }

    /// Lets a festival's founder say what it is.
    pub(super) fn say_what_it_is(&mut self, number: usize, title: &str) -> Result<(), Broken> {
        let Some(founder) = self.founder(number) else { return Ok(()) };
        let device = &mut self.devices[founder.0];
        let now = device.wall(self.now);
        let Some(replica) = &mut device.replica else { return Ok(()) };
        let info = FestivalInfo { title: title.to_owned(), ..FestivalInfo::default() };
        let local = "festival".parse().map_err(|_| "a valid name")?;
        replica
            .edit(self.festival_ids[number], now, &mut self.random, |edit| edit.put(&local, &info))
            .map(|_| ())
            .map_err(|error: EditError| error.to_string())
    }

    fn schedule_all(&mut self) {
        for wire in 0..self.wires.len() {
            if let Some(every) = self.wires[wire].link.every {
                let first = self.random.between(Duration::ZERO, every);
                self.later(first, Task::Dial(wire));
            }
        }
        for n in 0..self.devices.len() {
            let hostile = self.devices[n].config.hostile.map(|_| Duration::from_secs(20));
            if let Some(every) = self.devices[n].config.acts.or(hostile) {
                let first = self.random.between(Duration::ZERO, every);
                self.later(first, Task::Act(PeerId(n)));
            }
        }
        for (time, change) in &self.scenario.schedule {
            self.later(*time, Task::Change(change.clone()));
        }
        if let Some(chaos) = &self.scenario.chaos {
            let first = self.random.about(chaos.every);
            self.later(first, Task::Chaos);
        }
        self.later(Duration::ZERO, Task::Sample);
    }

    /// Lets something happen at a time; what is queued first for one time happens first.
    pub(super) fn later(&mut self, at: Duration, task: Task) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), task);
    }

    /// Forgets everything that was to come.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
    }

    /// Lets the next thing happen that comes before a time; whether there was one.
    pub(super) fn next_before(&mut self, end: Duration) -> Result<bool, Broken> {
        let Some(((at, _), _)) = self.queue.first_key_value() else { return Ok(false) };
        if *at >= end {
            return Ok(false);
        }
        let Some(((at, _), task)) = self.queue.pop_first() else { return Ok(false) };
        self.now = at;
        self.happen(task)?;
        self.check_touched()?;
        Ok(true)
    }

    /// Puts something into the transcript.
    pub(super) fn note(&mut self, what: u8, who: (usize, usize), data: &[u8]) {
        let at = self.now.as_micros().to_be_bytes();
        let [a, b, length] = [who.0, who.1, data.len()].map(|n| (n as u64).to_be_bytes());
        for part in [&at[..], &[what], &a, &b, &length, data] {
            self.transcript.update(part);
        }
        if self.scenario.told {
            let (at, what) = (self.now.as_secs_f64(), char::from(what));
            let said = match (what, data) {
                ('f', [kind, ..]) => format!("type {kind}, {} bytes", data.len()),
                _ => String::from_utf8_lossy(data).into_owned(),
            };
            eprintln!("{at:>12.6} {what} {:>2} {:>2} {said}", who.0, who.1);
        }
    }

    /// A peer has something to do.
    pub(super) fn touch(&mut self, peer: PeerId) {
        const REST: Duration = Duration::from_millis(100);
        let device = &mut self.devices[peer.0];
        let rested = device.last_activity.is_none_or(|last| self.now.saturating_sub(last) >= REST);
        if rested && device.is_honest() {
            self.wake_ups += 1;
        }
        device.last_activity = Some(self.now);
        self.touched.insert(peer);
    }

    /// The honest peers that are switched on.
    pub(super) fn online(&self) -> impl Iterator<Item = (PeerId, &Replica)> {
        let devices = self.devices.iter().enumerate().filter(|(_, device)| device.is_honest());
        devices.filter_map(|(n, device)| Some((PeerId(n), device.replica.as_ref()?)))
    }

    pub(super) fn sample(&mut self) -> Result<(), Broken> {
        let online = online_of(&self.devices);
        let (mut distinct, mut agreeing) = (0, 0);
        for (number, festival) in self.festival_ids.iter().enumerate() {
            let mut sets: BTreeMap<[u8; 32], usize> = BTreeMap::new();
            for (peer, replica) in &online {
                if self.follows(*peer, number) {
                    let hash = oracle::logs_hash(replica, *festival, &BTreeSet::new())?;
                    *sets.entry(hash).or_default() += 1;
                }
            }
            if sets.len() > distinct {
                distinct = sets.len();
                agreeing = sets.into_values().max().unwrap_or_default();
            }
        }
        let figures = self.app.measure(&online)?;
        let (ms, bytes) = (millis(self.now), self.traffic.bytes);
        let online = online.len();
        self.samples.push(Sample { ms, online, distinct, agreeing, bytes, figures });
        Ok(())
    }

    pub(super) fn follows(&self, peer: PeerId, festival: usize) -> bool {
        self.devices[peer.0].config.follows.iter().any(|no| no.0 == festival)
    }

    fn summary(&mut self, healed: &Healed, naive: &oracle::Totals) -> Result<Summary, Broken> {
        let hostile = self.devices.iter().filter(|device| !device.is_honest()).count();
        let figures = self.app.measure(&online_of(&self.devices))?;
        Ok(Summary {
            scenario: self.scenario.name.clone(),
            seed: self.seed,
            transcript: String::new(),
            peers: (self.devices.len(), hostile),
            healed_ms: millis(self.scenario.lasts),
            converged_ms: millis(healed.at),
            rounds: healed.rounds,
            allowed_rounds: healed.allowed,
            live_ms: 0,
            logs: naive.logs,
            entries: naive.entries,
            payload_bytes: naive.bytes,
            traffic: self.traffic,
            healing: self.traffic.since(&healed.before),
            spread: self.spread.sum_up(),
            wake_ups: self.wake_ups,
            restarts: self.restarts,
            hostile: self.costs.values().cloned().collect(),
            samples: std::mem::take(&mut self.samples),
            figures,
        })
    }
}

fn online_of(devices: &[Device]) -> Vec<(PeerId, &Replica)> {
    let honest = devices.iter().enumerate().filter(|(_, device)| device.is_honest());
    honest.filter_map(|(n, device)| Some((PeerId(n), device.replica.as_ref()?))).collect()
}
