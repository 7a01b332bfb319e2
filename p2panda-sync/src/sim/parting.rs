//! How connections end: in order, for a reason, or without a word.

use std::time::Duration;

use super::{
    PeerId,
    summary::millis,
    world::{Broken, Task, World},
};
use crate::{Fault, SyncError};

/// When an end at the latest notices that the other is gone, although nothing told it.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long a peer that was blamed is shunned the first time; each time twice as long.
const SHUNNED: Duration = Duration::from_secs(30);

impl World<'_> {
    /// Nothing passes any more; the ends notice soon, or only when they miss something.
    pub(super) fn break_connection(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let latency = connection.link.latency;
        let mut notices = Vec::new();
        for side in [0, 1] {
            connection.ends[side].lane.is_broken = true;
            let after = if self.random.chance(0.25) {
                KEEP_ALIVE
            } else {
                self.random.between(latency, latency * 4)
            };
            let drained = connection.ends[1 - side].lane.drained_at();
            notices.push(((self.now + after).max(drained), side));
        }
        for (at, side) in notices {
            self.later(at, Task::Closed(id, side));
        }
    }

    /// One end has come to its end; the other learns of it when all that was sent has arrived.
    pub(super) fn end(
        &mut self,
        id: u64,
        side: usize,
        result: Result<(), SyncError>,
    ) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        connection.ends[side].driver = None;
        let (peer, other) = (connection.ends[side].peer, connection.ends[1 - side].peer);
        let notice =
            connection.ends[side].lane.drained_at().max(self.now + connection.link.latency);
        let live = connection.live;
        let (damaged, open_ms) =
            (connection.is_damaged, millis(self.now.saturating_sub(connection.opened)));
        if connection.ends[1 - side].driver.is_some() {
            self.later(notice, Task::Closed(id, 1 - side));
        } else {
            self.forget(id);
        }
        let said = result.as_ref().map_or_else(ToString::to_string, |()| "finished".to_owned());
        self.note(b'x', (peer.0, other.0), said.as_bytes());
        if self.devices[peer.0].disk.is_off() {
            return self.lose_power(peer, Duration::from_secs(10));
        }
        if !self.devices[peer.0].is_honest() {
            return Ok(());
        }
        if !live && let Some(cost) = self.costs.get_mut(&other) {
            cost.longest_ms = cost.longest_ms.max(open_ms);
        }
        let Err(error) = result else {
            self.traffic.completed += 1;
            return Ok(());
        };
        match error.fault() {
            Fault::Link | Fault::Neither => {
                self.traffic.interrupted += 1;
                Ok(())
            }
            Fault::Own => Err(format!("peer {} failed by itself: {error}", peer.0)),
            Fault::Peer => {
                self.traffic.blamed += 1;
                if let Some(cost) = self.costs.get_mut(&other) {
                    cost.blamed += 1;
                } else if !damaged {
                    return Err(format!("peer {} blamed honest peer {}: {error}", peer.0, other.0));
                }
                let blamed = self.devices[peer.0].blamed.entry(other).or_default();
                blamed.1 = (blamed.1 + 1).min(6);
                blamed.0 = self.now + SHUNNED * (1 << blamed.1);
                Ok(())
            }
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            self.wires[connection.wire].connection = None;
        }
    }

    /// The peer is switched off in order: the others learn of it.
    pub(super) fn close_connections_of(&mut self, peer: PeerId) {
        self.drop_connections_of(peer, |world, id, other| {
            let Some(connection) = world.connections.get(&id) else { return };
            let drained = connection.ends[1 - other].lane.drained_at();
            let notice = drained.max(world.now + connection.link.latency);
            world.later(notice, Task::Closed(id, other));
        });
    }

    /// The peer is gone without a word.
    pub(super) fn break_connections_of(&mut self, peer: PeerId) {
        self.drop_connections_of(peer, |world, id, _| world.break_connection(id));
    }

    fn drop_connections_of(&mut self, peer: PeerId, part: impl Fn(&mut Self, u64, usize)) {
        let theirs: Vec<(u64, usize)> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| {
                let side = connection.ends.iter().position(|end| end.peer == peer)?;
                Some((*id, side))
            })
            .collect();
        for (id, side) in theirs {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.ends[side].driver = None;
            if connection.ends[1 - side].driver.is_some() {
                part(self, id, 1 - side);
            } else {
                self.forget(id);
            }
        }
    }
}
