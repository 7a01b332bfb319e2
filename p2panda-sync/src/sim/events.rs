//! What happens, apart from sessions: turns, the schedule, chance.

use std::time::Duration;

use p2panda_core::{EditError, LocalId, schema::Event};

use super::{
    Change, Hostile, PeerId, Turn,
    hostile::flood,
    world::{Broken, Task, World},
};
use crate::SyncEvent;

/// How long a device stays off that lost its power at a write.
const REBOOT: Duration = Duration::from_secs(10);

/// After so many turns a flood has reached its height.
const MAX_FLOOD_TURNS: u32 = 12;

impl World<'_> {
    pub(super) fn happen(&mut self, task: Task) -> Result<(), Broken> {
        match task {
            Task::Dial(wire) => {
                if let Some(every) = self.wires[wire].link.every {
                    let next = self.now + self.random.about(every);
                    self.later(next, Task::Dial(wire));
                }
                let (from, to) = (self.wires[wire].from, self.wires[wire].to);
                self.dial(wire, from, to, self.wires[wire].link.live);
                Ok(())
            }
            Task::Open(id) => self.open(id),
            Task::Arrive(id, side, frame) => self.arrive(id, side, frame),
            Task::Closed(id, side) => self.closed(id, side),
            Task::Pump(id, side) => self.pump(id, side),
            Task::Alarm(id, side) => self.alarm(id, side),
            Task::Act(peer) => self.act(peer),
            Task::Change(change) => self.change(change),
            Task::Chaos => self.chaos(),
            Task::Sample => {
                self.later(self.now + self.scenario.sample_every, Task::Sample);
                self.sample()
            }
        }
    }

    fn act(&mut self, peer: PeerId) -> Result<(), Broken> {
        let device = &self.devices[peer.0];
        let every = device.config.acts.unwrap_or(Duration::from_secs(20));
        let next = self.now + self.random.about(every);
        if next < self.scenario.writes_until {
            self.later(next, Task::Act(peer));
        }
        self.note(b'a', (peer.0, 0), &[]);
        match self.devices[peer.0].config.hostile {
            Some(how) => {
                let done = self.do_harm(peer, how);
                if self.devices[peer.0].disk.is_off() {
                    self.lose_power(peer, REBOOT)?;
                } else {
                    done?;
                }
            }
            None => {
                self.with_turn(peer, |app, turn| app.act(turn))?;
            }
        }
        self.replica_changed(peer, None);
        Ok(())
    }

    /// Lets the application use a peer's replica; a power failure meanwhile is no failure.
    fn with_turn(
        &mut self,
        peer: PeerId,
        act: impl FnOnce(&mut dyn super::App, Turn<'_>) -> Result<(), EditError>,
    ) -> Result<(), Broken> {
        self.touch(peer);
        let device = &mut self.devices[peer.0];
        let now = device.wall(self.now);
        let Some(replica) = &mut device.replica else { return Ok(()) };
        let (festivals, random) = (&self.festival_ids[..], &mut self.random);
        let result = act(&mut *self.app, Turn { peer, replica, now, festivals, random });
        if self.devices[peer.0].disk.is_off() {
            return self.lose_power(peer, REBOOT);
        }
        result.map_err(|error| format!("peer {} could not write: {error}", peer.0))
    }

    pub(super) fn tell(&mut self, peer: PeerId, event: &SyncEvent) -> Result<(), Broken> {
        self.note(b'e', (peer.0, 0), format!("{event:?}").as_bytes());
        self.with_turn(peer, |app, turn| app.heard(turn, event))
    }

    fn do_harm(&mut self, peer: PeerId, how: Hostile) -> Result<(), Broken> {
        let wall = self.devices[peer.0].wall(self.now);
        let device = &mut self.devices[peer.0];
        device.turns += 1;
        let turns = device.turns;
        let Some(festival) = device.config.follows.first().map(|no| self.festival_ids[no.0]) else {
            return Ok(());
        };
        let write = |replica: &mut p2panda_core::Replica, name: String, random: &mut _| {
            let event = Event { title: name.clone(), ..Event::default() };
            let local: LocalId = name.parse().map_err(|_| "a valid name".to_owned())?;
            let written = replica.edit(festival, wall, random, |edit| edit.put(&local, &event));
            written.map(|_| ()).map_err(|error: EditError| error.to_string())
        };
        match how {
            Hostile::Equivocate => {
                let split = turns == 3 && device.replica.is_some();
                if let Some(replica) = &mut device.replica {
                    write(replica, format!("left.{turns}"), &mut self.random)?;
                }
                if let Some(twin) = &mut device.twin {
                    write(twin, format!("right.{turns}"), &mut self.random)?;
                }
                if split {
                    self.close_connections_of(peer);
                    let split = self.devices[peer.0].split(&mut self.random);
                    split.map_err(|error| error.to_string())?;
                }
            }
            Hostile::Flood { users, documents } if turns <= MAX_FLOOD_TURNS => {
                if let Some(replica) = &mut device.replica {
                    let all = (users, documents);
                    flood(replica, festival, all, &mut self.random).map_err(|e| e.to_string())?;
                }
            }
            // What it wrote itself is what the others lack for certain.
            Hostile::Forge => {
                if let Some(replica) = &mut device.replica {
                    write(replica, format!("forged.{turns}"), &mut self.random)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<(), Broken> {
        self.note(b'c', (0, 0), format!("{change:?}").as_bytes());
        match change {
            Change::Cut(from, to) => self.cut(from, to),
            Change::Mend(from, to) => drop(self.cuts.remove(&(from, to))),
            Change::MendAll => {
                self.cuts.clear();
                self.spread.mend(self.now);
            }
            Change::Split(some) => {
                for from in some.iter().copied() {
                    for to in (0..self.devices.len()).map(PeerId).filter(|to| !some.contains(to)) {
                        self.cut(from, to);
                        self.cut(to, from);
                    }
                }
            }
            Change::Meet(from, to) => {
                let between = |wire: &super::connection::Wire| {
                    (wire.from, wire.to) == (from, to) || (wire.from, wire.to) == (to, from)
                };
                let wire = self.wires.iter().position(between).ok_or("no link to meet over")?;
                self.dial(wire, from, to, self.wires[wire].link.live);
            }
            Change::Leave(peer) => {
                self.close_connections_of(peer);
                self.restarts += u64::from(self.devices[peer.0].replica.is_some());
                let closed = self.devices[peer.0].close(&mut self.random);
                if self.devices[peer.0].disk.is_off() {
                    self.devices[peer.0].crash(&mut self.random);
                } else {
                    closed.map_err(|error| format!("peer {} could not close: {error}", peer.0))?;
                }
            }
            Change::Come(peer) => self.switch_on(peer)?,
            Change::Crash(peer) => {
                if self.devices[peer.0].replica.is_some() {
                    self.lose_power(peer, Duration::MAX)?;
                }
            }
            Change::CrashAtStep(peer, steps) => self.devices[peer.0].disk.blow_after(steps),
            Change::Backup(peer) => {
                self.devices[peer.0].backup = Some(self.devices[peer.0].disk.copy());
            }
            Change::Restore(peer) => {
                for connection in self.connections.values_mut() {
                    connection.is_set_back |= connection.ends.iter().any(|end| end.peer == peer);
                }
                self.break_connections_of(peer);
                if self.devices[peer.0].restore() {
                    self.restarts += 1;
                    // What was written since and never left the device is gone, as it has to be.
                    self.checked[peer.0].forget_written();
                }
                self.switch_on(peer)?;
            }
        }
        Ok(())
    }

    fn cut(&mut self, from: PeerId, to: PeerId) {
        self.cuts.insert((from, to));
    }

    pub(super) fn switch_on(&mut self, peer: PeerId) -> Result<(), Broken> {
        let device = &mut self.devices[peer.0];
        if device.replica.is_some() {
            return Ok(());
        }
        let mut opened = device.switch_on(&mut self.random);
        if device.disk.is_off() {
            // The power failed while it started, and it starts again.
            device.crash(&mut self.random);
            opened = device.switch_on(&mut self.random);
        }
        opened.map_err(|error| format!("peer {} cannot open: {error}", peer.0))?;
        self.devices[peer.0].flood(self.scenario.floods);
        self.checked[peer.0].start_over();
        self.spread.start_over(peer);
        self.touch(peer);
        Ok(())
    }

    /// The device is off at once, and on again after a while.
    pub(super) fn lose_power(&mut self, peer: PeerId, comes_after: Duration) -> Result<(), Broken> {
        self.note(b'p', (peer.0, 0), &self.devices[peer.0].disk.steps().to_be_bytes());
        self.restarts += 1;
        self.break_connections_of(peer);
        self.devices[peer.0].crash(&mut self.random);
        if comes_after < Duration::MAX {
            self.later(self.now + comes_after, Task::Change(Change::Come(peer)));
        }
        Ok(())
    }

    fn chaos(&mut self) -> Result<(), Broken> {
        let Some(chaos) = &self.scenario.chaos else { return Ok(()) };
        let next = self.now + self.random.about(chaos.every);
        let undo_at = self.now + self.random.about(chaos.lasts);
        self.later(next, Task::Chaos);
        let count = self.devices.len();
        let peer = PeerId(self.random.index(count));
        let other = PeerId(self.random.index(count));
        let mut changes: [(f64, Change, Option<Change>); 6] = [
            (chaos.crash, Change::Crash(peer), Some(Change::Come(peer))),
            (chaos.crash_at_step, Change::CrashAtStep(peer, self.random.below(60)), None),
            (chaos.leave, Change::Leave(peer), Some(Change::Come(peer))),
            (chaos.cut, Change::Cut(peer, other), Some(Change::Mend(peer, other))),
            (chaos.split, Change::Split(Vec::new()), Some(Change::MendAll)),
            (chaos.restore, Change::Backup(peer), Some(Change::Restore(peer))),
        ];
        let some = (0..count).map(PeerId).filter(|_| self.random.chance(0.5)).collect();
        changes[4].1 = Change::Split(some);
        let total: f64 = changes.iter().map(|(weight, ..)| weight).sum();
        let mut at = f64::from(u32::try_from(self.random.below(1 << 20)).unwrap_or_default())
            / f64::from(1 << 20)
            * total;
        for (weight, change, undo) in changes {
            if at < weight {
                if let Some(undo) = undo {
                    self.later(undo_at, Task::Change(undo));
                }
                return self.change(change);
            }
            at -= weight;
        }
        Ok(())
    }
}
