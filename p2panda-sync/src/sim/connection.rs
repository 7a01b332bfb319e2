//! Connections: two sessions, or what hostile peers have in their place, and frames in between.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Carriage, Link, PeerId,
    hostile::Adversary,
    link::Lane,
    world::{Broken, Task, World},
};
use crate::{Input, MAX_FRAME, Output, Role, Session, SyncEvent};

/// The most outputs of a session in a row; no queue of an honest one comes near it.
const MAX_OUTPUTS: usize = 100_000;

/// A link, and the connection over it.
pub(super) struct Wire {
    pub(super) from: PeerId,
    pub(super) to: PeerId,
    pub(super) link: Link,
    pub(super) connection: Option<u64>,
}

pub(super) struct Connection {
    pub(super) wire: usize,
    pub(super) link: Link,
    pub(super) live: bool,
    pub(super) opened: Duration,
    /// First the one that connected.
    pub(super) ends: [End; 2],
    /// A frame did not arrive as it was sent, but something did after it.
    pub(super) is_damaged: bool,
    /// One end was set back since to what it held before: what it acknowledges still, it may have lost.
    pub(super) is_set_back: bool,
}

pub(super) struct End {
    pub(super) peer: PeerId,
    /// `None` before it begins and after it has ended.
    pub(super) driver: Option<Driver>,
    /// What it sends.
    pub(super) lane: Lane,
    /// A pump or an alarm is queued for then.
    pump: Option<Duration>,
    alarm: Option<Duration>,
}

/// What speaks at an end.
pub(super) enum Driver {
    Honest(Session),
    Hostile(Adversary),
}

impl End {
    fn new(peer: PeerId) -> Self {
        Self { peer, driver: None, lane: Lane::default(), pump: None, alarm: None }
    }
}

impl Connection {
    pub(super) fn is_between(&self, honest: impl Fn(PeerId) -> bool) -> bool {
        self.ends.iter().all(|end| honest(end.peer))
    }
}

impl World<'_> {
    /// Tries to connect.
    pub(super) fn dial(&mut self, wire: usize, from: PeerId, to: PeerId, live: bool) {
        let link = &self.wires[wire].link;
        let link = if self.is_healed { link.healed() } else { link.clone() };
        let [one, other] = [(from, to), (to, from)].map(|(here, there)| {
            self.devices[here.0].replica.is_some()
                && !self.devices[here.0].shuns(there, self.now)
                && !self.cuts.contains(&(here, there))
        });
        if self.wires[wire].connection.is_some() || !one || !other {
            return;
        }
        let Some(late) = link.asks_and_answers(&mut self.random) else { return };
        let id = self.next_connection;
        self.next_connection += 1;
        self.wires[wire].connection = Some(id);
        let at = self.now + link.latency * 2 + late;
        let (opened, ends) = (at, [End::new(from), End::new(to)]);
        let (is_damaged, is_set_back) = (false, false);
        let connection = Connection { wire, link, live, opened, ends, is_damaged, is_set_back };
        self.connections.insert(id, connection);
        self.later(at, Task::Open(id));
    }

    pub(super) fn open(&mut self, id: u64) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let opener = if connection.live { Role::Link } else { Role::Sync };
        let peers = [0, 1].map(|side| connection.ends[side].peer);
        self.note(b'o', (peers[0].0, peers[1].0), &[]);
        self.traffic.connections += 1;
        for (side, role) in [(0, opener), (1, Role::Accept)] {
            let device = &self.devices[peers[side].0];
            let now = device.clock(self.now);
            let driver = match device.config.hostile {
                None => Driver::Honest(Session::new(role, now, &mut self.random)),
                Some(how) => Driver::Hostile(Adversary::new(how, role, now, &mut self.random)),
            };
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.ends[side].driver = Some(driver);
            }
            if self.devices[peers[1 - side].0].is_honest()
                && let Some(cost) = self.costs.get_mut(&peers[side])
            {
                cost.connections += 1;
            }
        }
        for (side, peer) in peers.into_iter().enumerate() {
            self.touch(peer);
            self.queue_pump(id, side, self.now);
        }
        Ok(())
    }

    fn queue_pump(&mut self, id: u64, side: usize, at: Duration) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let end = &mut connection.ends[side];
        if end.driver.is_some() && end.pump.is_none_or(|queued| queued > at) {
            end.pump = Some(at);
            self.later(at, Task::Pump(id, side));
        }
    }

    pub(super) fn arrive(&mut self, id: u64, side: usize, frame: Bytes) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let reads = match &connection.ends[side].driver {
            Some(Driver::Hostile(adversary)) => adversary.reads(),
            Some(Driver::Honest(_)) => true,
            None => false,
        };
        if !reads {
            return Ok(());
        }
        connection.ends[1 - side].lane.read();
        if frame.first().is_some_and(|kind| crate::wire::is_content(*kind)) {
            self.last_content = self.now;
        }
        let (peer, other) = (connection.ends[side].peer, connection.ends[1 - side].peer);
        self.note(b'f', (peer.0, other.0), &frame);
        if self.devices[peer.0].is_honest()
            && let Some(cost) = self.costs.get_mut(&other)
        {
            cost.frames_received += 1;
            cost.bytes_received += frame.len() as u64;
        }
        self.queue_pump(id, 1 - side, self.now);
        self.input(id, side, Input::Frame(frame))
    }

    pub(super) fn closed(&mut self, id: u64, side: usize) -> Result<(), Broken> {
        self.input(id, side, Input::Closed)
    }

    pub(super) fn alarm(&mut self, id: u64, side: usize) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let due = connection.ends[side].alarm.is_some_and(|alarm| alarm <= self.now);
        if !due {
            return Ok(());
        }
        connection.ends[side].alarm = None;
        self.input(id, side, Input::Deadline)
    }

    /// Hands something to a session; it is polled when all that comes at this time has come.
    fn input(&mut self, id: u64, side: usize, input: Input) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let (peer, other) = (connection.ends[side].peer, connection.ends[1 - side].peer);
        let Some(driver) = &mut connection.ends[side].driver else { return Ok(()) };
        let device = &mut self.devices[peer.0];
        let clock = device.clock(self.now);
        let Some((replica, sketches)) = device.shown_to(other) else { return Ok(()) };
        let before = replica.log_cursor();
        let result = match driver {
            Driver::Honest(session) => session.handle(clock, input, replica, sketches),
            Driver::Hostile(adversary) => {
                adversary.handle(clock, input, replica, sketches, &mut self.tapes[peer.0])
            }
        };
        let changed = replica.log_cursor() != before;
        self.touch(peer);
        if changed {
            self.replica_changed(peer, Some(id));
        }
        match result {
            Ok(()) => {
                self.queue_pump(id, side, self.now);
                Ok(())
            }
            Err(error) => self.end(id, side, Err(error)),
        }
    }

    /// Takes from a session what it has to send, as far as the link takes it.
    pub(super) fn pump(&mut self, id: u64, side: usize) -> Result<(), Broken> {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.ends[side].pump.is_some_and(|queued| queued <= self.now)
        {
            connection.ends[side].pump = None;
        }
        for _ in 0..MAX_OUTPUTS {
            let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
            let (peer, other) = (connection.ends[side].peer, connection.ends[1 - side].peer);
            let ready = connection.ends[side].lane.ready_at(&connection.link);
            let Some(driver) = &mut connection.ends[side].driver else { return Ok(()) };
            let device = &mut self.devices[peer.0];
            let clock = device.clock(self.now);
            let Some((replica, sketches)) = device.shown_to(other) else { return Ok(()) };
            let before = replica.log_cursor();
            self.touched.insert(peer);
            if ready.is_none_or(|at| at > self.now) {
                // The session cannot be polled now, but others wait for what it received.
                let flushed = replica.flush();
                let changed = replica.log_cursor() != before;
                if changed {
                    self.replica_changed(peer, Some(id));
                }
                if let Some(at) = ready {
                    self.queue_pump(id, side, at);
                }
                if let Err(error) = flushed {
                    return self.end(id, side, Err(error.into()));
                }
                break;
            }
            let result = match driver {
                Driver::Honest(session) => session.poll(clock, replica, sketches),
                Driver::Hostile(adversary) => {
                    let disk = adversary.forges().then(|| device.disk.clone());
                    let Some((replica, sketches)) = device.shown_to(other) else { return Ok(()) };
                    disk.iter().for_each(|disk| disk.lie(true));
                    let tape = &self.tapes[peer.0];
                    let output = adversary.poll(clock, replica, sketches, tape, &mut self.random);
                    disk.iter().for_each(|disk| disk.lie(false));
                    output
                }
            };
            let Some((replica, _)) = device.shown_to(other) else { return Ok(()) };
            let changed = replica.log_cursor() != before;
            if changed {
                self.replica_changed(peer, Some(id));
            }
            match result {
                Ok(Some(Output::Send(frame))) => self.send(id, side, frame)?,
                Ok(Some(Output::Event(event))) => {
                    if self.devices[peer.0].is_honest() {
                        if matches!(event, SyncEvent::CaughtUp { .. }) {
                            self.note_health(id, side)?;
                        }
                        self.tell(peer, &event)?;
                    }
                }
                Ok(Some(Output::Finished)) => return self.end(id, side, Ok(())),
                Err(error) => return self.end(id, side, Err(error)),
                Ok(None) => {
                    if self.devices[peer.0].is_honest() {
                        self.note_health(id, side)?;
                    }
                    self.arm(id, side);
                    return Ok(());
                }
            }
        }
        self.arm(id, side);
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        if connection.ends[side].lane.ready_at(&connection.link).is_some_and(|at| at <= self.now) {
            return Err(format!(
                "a session of peer {:?} sends without end",
                connection.ends[side].peer
            ));
        }
        Ok(())
    }

    /// Sets the timer to the session's deadline.
    fn arm(&mut self, id: u64, side: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let end = &mut connection.ends[side];
        let deadline = match &end.driver {
            Some(Driver::Honest(session)) => session.deadline(),
            Some(Driver::Hostile(adversary)) => adversary.deadline(),
            None => None,
        };
        let Some(deadline) = deadline else { return };
        let at = self.devices[end.peer.0].when(deadline).max(self.now + Duration::from_micros(1));
        if end.alarm.is_none_or(|alarm| alarm > at || alarm <= self.now) {
            end.alarm = Some(at);
            self.later(at, Task::Alarm(id, side));
        } else if end.alarm.is_some_and(|alarm| alarm < at) {
            // An alarm that comes early asks again.
        }
    }

    fn send(&mut self, id: u64, side: usize, frame: Bytes) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let [from, to] = [side, 1 - side].map(|side| connection.ends[side].peer);
        let honest = self.devices[from.0].is_honest();
        if honest && frame.len() > MAX_FRAME {
            return Err(format!("peer {} sent a frame of {} bytes", from.0, frame.len()));
        }
        self.traffic.frames += 1;
        self.traffic.bytes += frame.len() as u64 + 4;
        if honest && let Some(cost) = self.costs.get_mut(&to) {
            cost.bytes_sent += frame.len() as u64;
        }
        let (size, lost) = (frame.len(), self.cuts.contains(&(from, to)));
        let link = &connection.link;
        let is_content = frame.first().is_some_and(|kind| crate::wire::is_content(*kind));
        let fate = connection.ends[side].lane.send(self.now, frame, link, lost, &mut self.random);
        self.traffic.bytes += fate.resent;
        if is_content {
            self.traffic.content += size as u64 + 4 + fate.resent;
        }
        let datagram = link.carriage == Carriage::Datagram;
        let whole = fate.arrivals.len() == 1 && fate.arrivals[0].1.len() == size;
        connection.is_damaged |= !whole && (datagram || !fate.arrivals.is_empty());
        connection.is_damaged |= datagram && link.reordering > 0.0;
        for (at, frame) in fate.arrivals {
            self.later(at, Task::Arrive(id, 1 - side, frame));
        }
        if fate.breaks {
            self.break_connection(id);
        }
        Ok(())
    }

    /// Other sessions of a peer have something to push, perhaps.
    pub(super) fn replica_changed(&mut self, peer: PeerId, but: Option<u64>) {
        let others: Vec<(u64, usize)> = self
            .connections
            .iter()
            .filter(|(id, _)| Some(**id) != but)
            .filter_map(|(id, connection)| {
                Some((*id, connection.ends.iter().position(|end| end.peer == peer)?))
            })
            .collect();
        for (id, side) in others {
            self.queue_pump(id, side, self.now);
        }
    }
}
