//! What is drawn about connections and their replication.
//!
//! They have a generator of their own: what else a seed draws is the same with and without them.

use std::time::Duration;

use fastrand::Rng;
use locum_appliance::{Prefer, Replication};

use super::super::draw::{chance, duration, pick};
use super::{Fault, FaultKind, Plan, ProgramPlan};
use crate::{Dialect, ECHO_PORT, KV_PORT, TcpHabits, WindowScale};

/// Tells this generator from the one of all else.
const SALT: u64 = 0x57ae_a45a_10c0_0001;
/// And the one of what was added later from both.
const VARIANTS_SALT: u64 = 0x57ae_a45a_10c0_0002;
/// And the one of what was added after that.
const LEFT_BEHIND_SALT: u64 = 0x57ae_a45a_10c0_0003;
/// The TCP port of the nodes' channels.
const PORT: u16 = 3781;
/// Of the group that is replicated.
const SHARE: f64 = 0.6;
/// Of these, the share whose clients all talk to `kv` too.
const KV_SHARE: f64 = 0.3;
/// The share of replicated groups that rather wait than serve from less than everything.
const CONSISTENCY_SHARE: f64 = 0.25;
/// The share that leaves a service out.
const LEFT_OUT_SHARE: f64 = 0.06;
/// The share in which a follower is left behind, and the place changes hands before it knows.
const LEFT_BEHIND_SHARE: f64 = 0.1;
/// The longest scale that RFC 7323 §2.3 allows, in bits.
const SCALE_MAX: u8 = 14;
/// Who waits for so long hangs.
const PATIENCE: Duration = Duration::from_secs(40);
/// A client that waits for an answer, and has nothing to say, would never hear that nobody knows of it.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

impl Plan {
    pub(super) fn draw_replication(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ SALT);
        if !chance(&mut rng, SHARE) {
            return;
        }
        self.replication = Some(Replication {
            port: PORT,
            buffer: 1 << rng.u32(16..=20),
            prefer: Prefer::Availability,
            compare_every: 1 << rng.u32(2..=10),
            segmentation: true,
        });
        self.mtu = *pick(&mut rng, &[1500, 1500, 1500, 9000]);
        for client in 0..self.clients.len() {
            let mtus = [576, 1280, 1500, 1500, self.mtu];
            let client = &mut self.clients[client];
            client.mtu = *pick(&mut rng, &mtus);
            client.isn = chance(&mut rng, 0.3).then(|| u32::MAX - rng.u32(..20_000));
            let is_tcp = |program: &ProgramPlan| matches!(program, ProgramPlan::Tcp(_));
            client.programs.retain(|program| !is_tcp(program));
            for _ in 0..*pick(&mut rng, &[0, 1, 1, 1, 2]) {
                let habits = draw_habits(&mut rng);
                // IPv6 needs links that take 1280 bytes (RFC 8200 §5).
                let v6 = client.mtu >= 1280 && chance(&mut rng, 0.3);
                let program = if v6 { ProgramPlan::Tcp6 } else { ProgramPlan::Tcp };
                client.programs.push(program(habits));
            }
        }
        self.service_isn = chance(&mut rng, 0.3).then(|| u32::MAX - rng.u32(..100_000));
        if chance(&mut rng, KV_SHARE) {
            for client in &mut self.clients {
                let habits = TcpHabits { buffer: 1 << 13, ..draw_habits(&mut rng) };
                client.programs.push(ProgramPlan::Kv(habits));
            }
        }
    }

    /// What a replicated group and its clients are like besides.
    pub(super) fn draw_variants(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ VARIANTS_SALT);
        let Some(replication) = &mut self.replication else { return };
        if chance(&mut rng, CONSISTENCY_SHARE) {
            replication.prefer = Prefer::Consistency;
        }
        self.left_out =
            chance(&mut rng, LEFT_OUT_SHARE).then(|| *pick(&mut rng, &[ECHO_PORT, KV_PORT]));
        for program in self.clients.iter_mut().flat_map(|client| &mut client.programs) {
            match program {
                ProgramPlan::Tcp(habits) | ProgramPlan::Tcp6(habits) | ProgramPlan::Kv(habits) => {
                    draw_dialect(&mut rng, habits);
                }
                ProgramPlan::Udp | ProgramPlan::Udp6 | ProgramPlan::Ping | ProgramPlan::Ping6 => {}
            }
        }
    }

    /// A follower is waited for no longer, cannot be told so, and takes itself for a member for a while yet.
    pub(super) fn draw_left_behind(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ LEFT_BEHIND_SALT);
        if self.replication.is_none() || !chance(&mut rng, LEFT_BEHIND_SHARE) {
            return;
        }
        let node = rng.usize(..self.nodes.len());
        let other = (node + rng.usize(1..self.nodes.len())) % self.nodes.len();
        let change = match rng.u8(..3) {
            0 => FaultKind::HandOver,
            _ => FaultKind::Kill { node: other, warden: rng.bool() },
        };
        let at = duration(&mut rng, self.settling().min(self.safety / 2), self.safety);
        let lasts = duration(&mut rng, self.dead_after, self.dead_after * 10);
        let then = at + duration(&mut rng, self.dead_after, self.dead_after * 5);
        let faults = [
            Fault { at, lasts, kind: FaultKind::Adrift { node } },
            Fault { at: then.min(self.safety), lasts: self.dead_after * 25, kind: change },
        ];
        self.faults.extend(faults);
        self.faults.sort_by_key(|fault| fault.at);
    }
}

fn draw_dialect(rng: &mut Rng, habits: &mut TcpHabits) {
    let scale = match rng.u8(..10) {
        0..5 => WindowScale::OfBuffer,
        5 | 6 => WindowScale::Absent,
        _ => WindowScale::Bits(rng.u8(..=SCALE_MAX)),
    };
    if let WindowScale::Bits(bits) = scale {
        // A window of less than a step would be none.
        habits.buffer = habits.buffer.max(4 << bits);
    }
    habits.dialect = Dialect { sack: !chance(rng, 0.3), scale };
}

fn draw_habits(rng: &mut Rng) -> TcpHabits {
    let buffer = 1 << *pick(rng, &[10, 11, 12, 12, 13, 16, 17, 20]);
    let largest = (buffer / 2).min(4_000);
    let request = match rng.u8(..4) {
        0 => 1,
        1 | 2 => rng.usize(1..=largest.min(200)),
        _ => rng.usize(1..=largest),
    };
    TcpHabits {
        request,
        pipeline: *pick(rng, &[1, 1, 2, 4, 16]),
        buffer,
        patience: PATIENCE,
        keep_alive: Some(KEEP_ALIVE),
        requests_max: chance(rng, 0.3).then(|| rng.u32(1..=60)),
        dialect: Dialect::default(),
    }
}
