//! The heartbeat half's own gate: it speaks for the node, never for the group.

use crate::Identity;
use crate::frame::View;
use crate::policy::{NodeEgress, node_egress};

/// Default deny for the frames of the heartbeat half, in every mode.
#[derive(Clone, Debug)]
pub struct NodeGuard {
    identity: Identity,
}

impl NodeGuard {
    /// The guard of the node that `identity` names.
    pub fn new(identity: Identity) -> Self {
        NodeGuard { identity }
    }

    /// What becomes of `frame`, and why.
    pub fn judge(&self, frame: &[u8]) -> NodeEgress {
        node_egress(&self.identity, &View::parse(frame))
    }

    /// Whether `frame` may leave.
    pub fn permits(&self, frame: &[u8]) -> bool {
        self.judge(frame) == NodeEgress::Pass
    }
}
