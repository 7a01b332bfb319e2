//! What is played: who takes part, who meets whom, and what happens when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{App, Failure, FestivalNo, Link, Peer, PeerId, Summary, world::World};

/// Something that happens at a fixed time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that the first sends reaches the second any more.
    Cut(PeerId, PeerId),
    /// It does again.
    Mend(PeerId, PeerId),
    /// Nothing passes between these peers and all others, either way.
    Split(Vec<PeerId>),
    /// Everything passes everywhere again.
    MendAll,
    /// The two meet now: the first connects to the second over the link between them.
    Meet(PeerId, PeerId),
    /// The peer is switched off in order.
    Leave(PeerId),
    /// The peer is switched on.
    Come(PeerId),
    /// The peer loses power, and what it had not flushed.
    Crash(PeerId),
    /// The peer loses power instead of the so-manyth write or flush from now on; it is switched on
    /// again ten seconds later.
    CrashAtStep(PeerId, u64),
    /// A backup of what the peer has stored is made.
    Backup(PeerId),
    /// The peer's last backup takes the place of what it has stored.
    Restore(PeerId),
}

/// Changes at random times, each undone after a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chaos {
    /// About how often something happens.
    pub every: Duration,
    /// About how long it lasts.
    pub lasts: Duration,
    /// The share that loses a device its power at once.
    pub crash: f64,
    /// The share that loses a device its power at one of its next writes.
    pub crash_at_step: f64,
    /// The share that switches a device off.
    pub leave: f64,
    /// The share that cuts one direction between two peers.
    pub cut: f64,
    /// The share that splits the network in two.
    pub split: f64,
    /// The share that puts a backup in the place of what a device has stored.
    pub restore: f64,
}

impl Default for Chaos {
    /// Every twenty seconds one of them, for about as long; backups are restored more rarely.
    fn default() -> Self {
        let often = Duration::from_secs(20);
        Self {
            every: often,
            lasts: often,
            crash: 0.15,
            crash_at_step: 0.2,
            leave: 0.2,
            cut: 0.2,
            split: 0.2,
            restore: 0.05,
        }
    }
}

/// A scenario: peers, links between them and a schedule, to be played with any seed.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) festivals: usize,
    pub(crate) peers: Vec<Peer>,
    pub(crate) links: Vec<(PeerId, PeerId, Link)>,
    pub(crate) schedule: Vec<(Duration, Change)>,
    pub(crate) chaos: Option<Chaos>,
    pub(crate) lasts: Duration,
    pub(crate) writes_until: Duration,
    pub(crate) floods: bool,
    pub(crate) sample_every: Duration,
    pub(crate) check_every: u32,
    pub(crate) proves_forks: bool,
    pub(crate) told: bool,
    command: String,
}

impl Scenario {
    /// An empty scenario of five minutes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            festivals: 0,
            peers: Vec::new(),
            links: Vec::new(),
            schedule: Vec::new(),
            chaos: None,
            lasts: Duration::from_secs(300),
            writes_until: Duration::MAX,
            floods: false,
            sample_every: Duration::from_secs(10),
            check_every: 1,
            proves_forks: false,
            told: false,
            command: "run the scenario with seed {seed}".to_owned(),
        }
    }

    /// Adds a festival. The first honest peer that follows it founds it; the others have its ticket.
    pub const fn festival(&mut self) -> FestivalNo {
        self.festivals += 1;
        FestivalNo(self.festivals - 1)
    }

    /// Adds a peer.
    pub fn peer(&mut self, peer: Peer) -> PeerId {
        self.peers.push(peer);
        PeerId(self.peers.len() - 1)
    }

    /// Links two peers; the first is the one that connects.
    pub fn link(&mut self, from: PeerId, to: PeerId, link: Link) {
        self.links.push((from, to, link));
    }

    /// Links all these peers with each other.
    pub fn link_all(&mut self, peers: &[PeerId], link: &Link) {
        for (n, from) in peers.iter().enumerate() {
            for to in &peers[n + 1..] {
                self.link(*from, *to, link.clone());
            }
        }
    }

    /// Lets something happen at a time since the start.
    pub fn at(&mut self, time: Duration, change: Change) {
        self.schedule.push((time, change));
    }

    /// Lets things happen at random times.
    pub fn chaos(&mut self, chaos: Chaos) {
        self.chaos = Some(chaos);
    }

    /// How long peers write and things happen, before the network is healed.
    pub const fn lasting(&mut self, time: Duration) {
        self.lasts = time;
    }

    /// Until when peers write, if it is not as long as the scenario lasts.
    pub const fn writing_until(&mut self, time: Duration) {
        self.writes_until = time;
    }

    /// Whether everything is pushed over every live link, to compare trees with.
    pub const fn flooding(&mut self, floods: bool) {
        self.floods = floods;
    }

    /// How often the network is measured.
    pub const fn sampled_every(&mut self, time: Duration) {
        self.sample_every = time;
    }

    /// Checks that read a whole view are made at every so-manyth change of a peer only.
    pub const fn checked_every(&mut self, changes: u32) {
        self.check_every = if changes == 0 { 1 } else { changes };
    }

    /// Whether sessions carry fork proofs, so that all honest peers have to come to the same about
    /// logs whose author signed two chains, too. Otherwise such logs are left out of what has to be
    /// equal; that they harm nobody else's is checked in any case.
    pub const fn proving_forks(&mut self, proves: bool) {
        self.proves_forks = proves;
    }

    /// Tells every event on standard error while it is played: when; `o`pened, `f`rame arrived,
    /// `e`vent of a session, `x` ended, `a` turn, `c`hange, `p`ower lost, `h`ealed; whose, and with
    /// whom; and what.
    pub const fn told(&mut self, told: bool) {
        self.told = told;
    }

    /// The command that plays it again, with `{seed}` for the seed.
    pub fn repeated_with(&mut self, command: impl Into<String>) {
        self.command = command.into();
    }

    /// Plays it: first all that is scheduled, with every check after every step; then, healed, until
    /// all honest peers hold the same; and last a comparison with a naive exchange of everything.
    ///
    /// # Errors
    /// [`Failure`], if anything did not hold.
    pub fn run(&self, seed: u64, app: &mut dyn App) -> Result<Summary, Failure> {
        let mut world = World::new(self, seed, app);
        world.play().map_err(|what| Failure {
            scenario: self.name.clone(),
            seed,
            at: world.now,
            what,
            command: self.command.replace("{seed}", &seed.to_string()),
        })
    }
}
