//! Both halves as one sans-IO node: what the simulator, the demo and in-process tests run.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

use locum_gate::{Identity, Steer, steer};
use locum_monitor::Input;
use locum_stack::{AddServiceError, FlowImage};
use locum_types::{Health, Instant, Mode, ModeCell};

use crate::{
    Announcement, HeartbeatHalf, HeartbeatStatus, LogCopy, NodeConfig, Notice, Port, Seeds,
    ServiceHalf, ServicePort, ServiceStatus,
};

/// Frames for the node address that may wait for one turn.
const INBOX_MAX: usize = 256;

/// Which half received frames went to; each frame is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SteeringCounters {
    /// Frames for the service stack alone.
    pub service: u64,
    /// Frames for the heartbeat half alone.
    pub heartbeat: u64,
    /// Frames for both.
    pub both: u64,
    /// Frames of the replication channels.
    pub replication: u64,
    /// Frames for the service that its former active node got.
    pub relayed: u64,
    /// Frames for other stations, flooded by a switch.
    pub neither: u64,
    /// Of those for the heartbeat half: lost for want of room.
    pub inbox_full: u64,
}

impl SteeringCounters {
    /// Frames received.
    pub fn frames(&self) -> u64 {
        let to_service = self.service + self.relayed;
        to_service + self.heartbeat + self.both + self.replication + self.neither
    }
}

/// Both halves at one moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NodeStatus {
    /// Where received frames went.
    pub steering: SteeringCounters,
    /// The heartbeat half.
    pub heartbeat: HeartbeatStatus,
    /// The service half.
    pub service: ServiceStatus,
}

/// One whole node. Frames go in with [`Node::receive`], come out of [`Node::poll_transmit`]; nothing
/// happens but in [`Node::turn`].
pub struct Node {
    identity: Identity,
    beat_port: Port,
    cell: Arc<ModeCell>,
    heartbeat: HeartbeatHalf,
    service: ServiceHalf,
    inbox: VecDeque<(Port, Vec<u8>)>,
    steering: SteeringCounters,
    health: Health,
    service_has_more: bool,
    /// The first announcement is to leave, before the beats.
    announcing: bool,
}

impl Node {
    /// A node that starts at `now`; its beats use `beat_port`.
    pub fn new(
        config: &NodeConfig,
        seeds: Seeds,
        beat_port: Port,
        services: Vec<ServicePort>,
        now: Instant,
    ) -> Result<Self, AddServiceError> {
        let cell = Arc::new(ModeCell::new());
        let service = ServiceHalf::new(config, seeds, services, Arc::clone(&cell), now)?;
        let heartbeat = HeartbeatHalf::new(config, seeds, beat_port, Arc::clone(&cell), now);
        Ok(Node {
            identity: config.identity.clone(),
            beat_port,
            cell,
            heartbeat,
            service,
            inbox: VecDeque::new(),
            steering: SteeringCounters::default(),
            health: Health::Ok,
            service_has_more: false,
            announcing: false,
        })
    }

    /// Queues a frame received on `port` for the next turn.
    pub fn receive(&mut self, port: Port, frame: &[u8]) {
        let destination = match port {
            Port::Service => {
                self.service.note_frame();
                steer(&self.identity, frame)
            }
            Port::Heartbeat => Steer::Heartbeat,
        };
        match destination {
            Steer::Service => {
                self.steering.service += 1;
                self.service.push(frame);
            }
            Steer::Heartbeat => {
                self.steering.heartbeat += 1;
                self.post(port, frame);
            }
            Steer::Both => {
                self.steering.both += 1;
                self.service.push(frame);
                self.post(port, frame);
            }
            Steer::Replication => {
                self.steering.replication += 1;
                self.service.push_replication(frame);
            }
            Steer::Relayed => {
                self.steering.relayed += 1;
                self.service.push_relayed(frame);
            }
            Steer::Neither => self.steering.neither += 1,
        }
    }

    /// One turn of the node's loop: beats that are due are made first, then everything queued is heard,
    /// then the peers are judged, then the service works. True if there is more to do at once. Frames
    /// are to be transmitted after each turn.
    pub fn turn(&mut self, now: Instant) -> bool {
        self.heartbeat.begin_turn(now);
        if self.heartbeat.is_handing_over()
            && self.service.is_ready()
            && !self.service.is_relaying()
        {
            // What came before the successor's first beat is still ours to answer: the answers leave
            // first, the next turn hears the beat.
            self.service.set_leaving(now, true);
            self.service.poll(now);
            return true;
        }
        while let Some((port, frame)) = self.inbox.pop_front() {
            self.heartbeat.receive(now, port, &frame);
        }
        self.report_health(now);
        self.heartbeat.end_turn(now);
        self.service.set_leaving(now, self.heartbeat.is_handing_over());
        self.carry_announcement(now);
        self.service.set_active(now, self.heartbeat.active_peer());
        self.service.set_succeeded(now, self.heartbeat.succeeded());
        while let Some(news) = self.heartbeat.poll_peer_news() {
            self.service.hear_of_peer(now, news);
        }
        self.service_has_more = self.service.poll(now);
        self.report_position(now);
        self.heartbeat.set_isolated(now, self.service.is_isolated(now));
        let sighted = self.report_sightings(now);
        self.service_has_more || sighted
    }

    /// Takes one input of the node itself: operator, link.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.heartbeat.handle(now, input);
        self.service.set_leaving(now, self.heartbeat.is_handing_over());
        self.carry_announcement(now);
    }

    /// Hands the oldest frame to transmit to `send`, if `now` still allows it to leave, and into what segments
    /// the link is to cut it: see [`ServiceHalf::poll_replication`].
    pub fn poll_transmit<R>(
        &mut self,
        now: Instant,
        mut send: impl FnMut(Port, &[u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        if self.announcing {
            let announced =
                self.service.poll_transmit(now, |frame| send(Port::Service, frame, None));
            if announced.is_some() {
                return announced;
            }
            self.announcing = false;
        }
        // An offer leaves when everything else has: what the successor takes over must be all there is.
        if !self.service.is_draining(now)
            && let Some(result) =
                self.heartbeat.poll_transmit(|port, frame| send(port, frame, None))
        {
            return Some(result);
        }
        let replication =
            self.service.poll_replication(|frame, size| send(Port::Service, frame, size));
        if replication.is_some() {
            return replication;
        }
        self.service.poll_transmit(now, |frame| send(Port::Service, frame, None))
    }

    /// The oldest notice for the embedding.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.heartbeat.poll_notice()
    }

    /// When the next turn is due at the latest, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        if self.service_has_more || !self.inbox.is_empty() {
            return Some((Instant::ZERO, "work left over"));
        }
        let heartbeat = self.heartbeat.poll_deadline().map(|(at, why)| (at, why.name()));
        [heartbeat, self.service.poll_deadline()].into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// The mode that holds at `now`.
    pub fn mode_at(&self, now: Instant) -> Mode {
        self.cell.mode_at(now)
    }

    /// The link the beats use.
    pub fn beat_port(&self) -> Port {
        self.beat_port
    }

    /// Who the node is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The state at `now`, for status and checkers.
    pub fn status(&self, now: Instant) -> NodeStatus {
        let (heartbeat, service) = (self.heartbeat.status(now), self.service.status());
        NodeStatus { steering: self.steering, heartbeat, service }
    }

    /// The copy of the log that this node has, if it replicates.
    pub fn copy(&self) -> Option<LogCopy> {
        self.service.copy()
    }

    /// Its connections, and what its services would write into a snapshot, for checkers.
    pub fn state(&mut self) -> (Vec<FlowImage>, Vec<u8>) {
        let stack = self.service.stack_mut();
        (stack.images(), stack.service_states())
    }

    fn post(&mut self, port: Port, frame: &[u8]) {
        if self.inbox.len() == INBOX_MAX {
            self.steering.inbox_full += 1;
        } else {
            self.inbox.push_back((port, frame.to_vec()));
        }
    }

    /// What this node's copy is worth goes into its beats.
    fn report_position(&mut self, now: Instant) {
        let (position, until) = (self.service.position(), self.service.position_until());
        self.heartbeat.handle(now, Input::Position { position, until });
    }

    fn report_health(&mut self, now: Instant) {
        let health = self.service.health();
        if health != self.health {
            self.health = health;
            self.heartbeat.handle(now, Input::Health(health));
        }
    }

    fn report_sightings(&mut self, now: Instant) -> bool {
        let mut sighted = false;
        while self.service.poll_sighting().is_some() {
            self.heartbeat.handle(now, Input::Rival);
            sighted = true;
        }
        self.carry_announcement(now);
        sighted
    }

    fn carry_announcement(&mut self, now: Instant) {
        if let Some(announcement) = self.heartbeat.take_announcement() {
            self.service.announce(now, announcement);
            self.announcing |= announcement == Announcement::First;
        }
    }
}
