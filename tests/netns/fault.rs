//! The ways in which the active node of a pair is lost, and comes back.

use anyhow::Result;
use locum_lab::Lab;
use locum_lab::locum::Group;

/// What happens to an active node. A pair that is cut in two is a divided network: see [`crate::trial::Case::divided`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of its worker; then it is started again.
    Sigkill,
    /// A planned change; there is nothing to mend.
    HandOver,
    /// Its cable is cut, and plugged in again.
    Cut,
    /// SIGSTOP and SIGCONT.
    Zombie,
}

impl Fault {
    /// Every one.
    pub(crate) const ALL: [Fault; 4] = [Fault::Sigkill, Fault::HandOver, Fault::Cut, Fault::Zombie];

    /// Strikes the active node of a pair as soon as it is protected; returns that node once the other one is active.
    pub(crate) fn strike(self, lab: &Lab, group: &mut Group<'_>) -> Result<u8> {
        group.wait_protected()?;
        let active = group.wait_steady()?;
        match self {
            Fault::Sigkill => {
                group.process(active)?.kill_worker()?;
                group.wait_for_end(active)?;
            }
            Fault::HandOver => group.handover(active)?,
            Fault::Cut => lab.cut(active)?,
            Fault::Zombie => group.freeze(active)?,
        }
        group.wait_for(&[(3 - active, "active")])?;
        Ok(active)
    }

    /// Brings the node back that it struck: it waits, and the pair is protected again.
    pub(crate) fn mend(self, lab: &Lab, group: &mut Group<'_>, node: u8) -> Result<()> {
        match self {
            Fault::Sigkill => group.start_node(node)?,
            Fault::HandOver => {}
            Fault::Cut => lab.heal(node)?,
            Fault::Zombie => group.thaw(node)?,
        }
        group.wait_for(&[(node, "waiting"), (3 - node, "active")])?;
        group.wait_protected()
    }
}
