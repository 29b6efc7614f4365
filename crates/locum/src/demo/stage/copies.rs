//! What the stage sees of replication: who is protected, what goes on at a takeover, and how far followers are behind.

use std::io;

use locum_appliance::{ReplicationStatus, Stage as Following};
use locum_stack::FlowsLost;
use locum_types::NodeId;

use super::Stage;
use crate::demo::timeline::{Condition, What};

impl Stage<'_> {
    /// Looks at the active nodes: nobody else has anything to lose.
    pub(super) fn look_at_copies(&mut self) -> io::Result<()> {
        let mut reached = None;
        let mut news = Vec::new();
        for (member, lane) in self.members.iter_mut().zip(&self.timeline.nodes) {
            if lane.view().condition == Condition::Dead {
                // Whoever is started again counts from the beginning.
                (member.carried, member.lost) = (0, FlowsLost::default());
            }
            let status = self.world.status(member.index).filter(|_| lane.view().is_active());
            let Some(service) = status.map(|status| status.service) else { continue };
            let Some(replication) = service.replication else { continue };
            let (node, carried) = (member.id, replication.counters.flows_carried);
            let flows = carried - std::mem::replace(&mut member.carried, carried);
            if flows > 0 {
                self.copies.carried += flows;
                news.push(What::Carried { node, flows });
            }
            let lost = service.stack.counters.flows_lost;
            let lost = lost.since(std::mem::replace(&mut member.lost, lost));
            if lost.total() > 0 {
                self.copies.lost += lost;
                news.push(What::FlowsLost { node, lost });
            }
            // Of two that are active, for the moment until one yields, the one that has followers goes on.
            let is_known = |(_, known): &(NodeId, ReplicationStatus)| known.protection.is_good();
            if !member.cut && !reached.as_ref().is_some_and(is_known) {
                reached = Some((node, replication));
            }
        }
        news.into_iter().try_for_each(|what| self.tell(what))?;
        self.look_at_protection(reached)
    }

    /// Tells when the node that clients reach is protected, and when it is not any more.
    fn look_at_protection(
        &mut self,
        reached: Option<(NodeId, ReplicationStatus)>,
    ) -> io::Result<()> {
        let protection = reached.as_ref().map(|(_, replication)| replication.protection);
        let is_news = self.timeline.protection.note(self.world.now(), protection);
        let Some((node, replication)) = reached else { return Ok(()) };
        let in_sync = || replication.followers.iter().filter(|it| it.stage == Following::InSync);
        for follower in in_sync() {
            let copies = &mut self.copies;
            copies.lag_entries = copies.lag_entries.max(follower.lag_entries);
            copies.lag_bytes = copies.lag_bytes.max(follower.lag_bytes);
        }
        if !is_news {
            return Ok(());
        }
        let followers = in_sync().map(|it| it.follower).collect();
        self.tell(What::Protection { node, protection: replication.protection, followers })
    }
}
