//! The instructions, one byte each, with their operands behind them.

use std::time::Duration;

use locum_monitor::Input;
use locum_types::{Health, LogPosition, Priority, ResignReason};

use super::frames::{self, Maker};
use super::stage;
use super::tape::Tape;
use super::world::World;
use crate::Port;

/// Carries out the next instruction; false at the end of the input, or when the run was long enough.
///
/// Bits 0 to 3 say what, bit 4 to which node. Frames reach both nodes if bit 5 is set, and are heard
/// at the node's next turn; a node that dies has a warden if it is set.
pub(super) fn step(world: &mut World, tape: &mut Tape<'_>) -> bool {
    if world.is_over() {
        return false;
    }
    let Some(code) = tape.next() else { return false };
    let node = world.index(code >> 4 & 1);
    let stage = *world.stage();
    let mut make = Maker { stage: &stage, tape };
    let frame = match code & 15 {
        0 => {
            world.turn_only(node);
            None
        }
        1 => {
            world.run_for(duration(tape.byte()));
            None
        }
        2 => {
            world.freeze(node, duration(tape.byte()));
            None
        }
        3 => Some(make.raw()),
        4 => Some(make.arp()),
        5 => Some(make.ndp()),
        6 => Some(make.tcp(&mut world.talks)),
        7 => Some(make.udp()),
        8 => Some(make.icmp()),
        9 => {
            if let Some(frame) = make.beat(world.id(node), world.known(node)) {
                let harm = tape.byte();
                world.forge(node, harmed(frame, harm));
            }
            return true;
        }
        10 => {
            let (index, harm) = (tape.byte(), tape.byte());
            if let Some((port, frame)) = world.sent_before(index.into()) {
                world.inject(node, port, &harmed(frame, harm));
            }
            None
        }
        11 => {
            let cables = tape.byte();
            world.connect([cables & 1 == 0, cables >> 1 & 1 == 0]);
            None
        }
        12 => {
            command(world, node, tape);
            None
        }
        13 => {
            world.transmit(node, tape.byte().into());
            None
        }
        14 => {
            if code >> 5 & 1 == 1 {
                world.kill(node)
            } else {
                world.restart(node)
            }
            None
        }
        _ => {
            world.repeat(node, tape.byte());
            None
        }
    };
    if let Some(frame) = frame {
        let frame = harmed(frame, tape.byte());
        world.inject(node, Port::Service, &frame);
        if code >> 5 & 1 == 1 {
            world.inject(1 - node, Port::Service, &frame);
        }
    }
    true
}

fn harmed(mut frame: Vec<u8>, harm: u8) -> Vec<u8> {
    frames::mangle(harm, &mut frame);
    frame
}

/// Up to 127 ms in steps of 1 ms, then up to 2.68 s in steps of 20 ms.
fn duration(code: u8) -> Duration {
    match code {
        0..128 => Duration::from_millis(code.into()),
        128.. => Duration::from_millis(20) * u32::from(code - 121),
    }
}

/// What the operator, the service and the link say.
fn command(world: &mut World, node: usize, tape: &mut Tape<'_>) {
    let code = tape.byte();
    let operand = code >> 3;
    let input = match code & 7 {
        0 => Input::Handover { to: None },
        1 => Input::Handover {
            to: Some(stage::node([3 - world.id(node), 9][usize::from(operand & 1)])),
        },
        2 => {
            Input::Shutdown(ResignReason::from_code(operand & 7).unwrap_or(ResignReason::Shutdown))
        }
        3 => {
            Input::Health([Health::Ok, Health::Degraded, Health::Failed][usize::from(operand % 3)])
        }
        4 => Input::Link { up: operand & 1 == 1 },
        5 => Input::Rival,
        6 => Input::Position { position: LogPosition(operand.into()), until: None },
        _ => return reconfigure(world, node, tape),
    };
    world.handle(node, input);
}

/// A reload: other times, another priority, pre-emption on or off; now and then without any peer, or
/// for another group, which has to be refused.
fn reconfigure(world: &mut World, node: usize, tape: &mut Tape<'_>) {
    let (times, priority) = (tape.byte(), tape.byte());
    let mut config = world.stage().config(world.id(node)).monitor();
    config.interval = stage::INTERVAL / 4 * (1 + u32::from(times & 3));
    config.dead_after = config.interval * (2 + u32::from(times >> 2 & 3));
    config.preempt = (times & 0x20 != 0).then_some(config.dead_after * 2);
    config.priority = Priority::new(priority.clamp(1, 254)).expect("in range");
    match times >> 6 {
        2 => config.peers.clear(),
        3 => config.node = stage::node(9),
        _ => {}
    }
    world.reconfigure(node, config);
}
