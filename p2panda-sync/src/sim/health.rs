//! What a peer is said to hold, it holds.

use p2panda_core::{FestivalId, Replica, Tip};

use super::{
    PeerId,
    check::store,
    connection::Driver,
    world::{Broken, World},
};
use crate::{Health, peers};

/// How a simulated peer is told from others.
fn name(peer: PeerId) -> peers::PeerId {
    let mut name = [0; 32];
    name[24..].copy_from_slice(&(peer.0 as u64).to_be_bytes());
    peers::PeerId::from_bytes(name)
}

impl World<'_> {
    /// Notes what the other end of a connection is known to hold, and checks that it does.
    pub(super) fn note_health(&mut self, id: u64, side: usize) -> Result<(), Broken> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        // Where frames are lost and others come twice, nobody can count them.
        let tells = !connection.is_damaged && !connection.is_set_back;
        let (peer, other) = (connection.ends[side].peer, connection.ends[1 - side].peer);
        let Some(Driver::Honest(session)) = &mut connection.ends[side].driver else {
            return Ok(());
        };
        let device = &mut self.devices[peer.0];
        let wall = device.wall(self.now);
        let Some((replica, _)) = device.shown_to(other) else { return Ok(()) };
        let noted = session.note_health(Some(name(other)), Some(wall), replica);
        if device.disk.is_off() {
            return Ok(()); // the power failed, which is found out soon
        }
        // All of it on links that meet once, and now and then on those that stay.
        let is_due = !connection.live || self.traffic.frames.is_multiple_of(16);
        if !noted.map_err(store)? || !tells || !is_due {
            return Ok(());
        }
        let [here, there] = [peer, other].map(|peer| &self.devices[peer.0]);
        if let (true, Some(here), Some(there)) = (there.is_honest(), &here.replica, &there.replica)
        {
            for festival in &self.festival_ids {
                check(here, there, *festival, other)
                    .map_err(|what| format!("peer {} believes of {}: {what}", peer.0, other.0))?;
            }
        }
        Ok(())
    }
}

/// Whether a peer holds, durably, what it is said to hold.
fn check(
    here: &Replica,
    there: &Replica,
    festival: FestivalId,
    other: PeerId,
) -> Result<(), Broken> {
    let health = Health::of(here, festival).map_err(store)?;
    for document in &health.documents {
        if !document.holders.iter().any(|holder| holder.peer == name(other)) {
            continue;
        }
        for (log, Tip { length, chain }) in
            here.tips_of(festival, &document.document).map_err(store)?
        {
            let durable = there.tip(&log).map_err(store)?.map_or(0, |tip| tip.length);
            let held = there.chain_at(&log, length).map_err(store)?;
            if durable < length || held != Some(chain) {
                return Err(format!("it holds {log:?} up to {length}; it holds {durable}"));
            }
        }
    }
    Ok(())
}
