//! Clients of `kv` through takeovers: what they were told, all together, is linearizable.

mod common;

use common::{A, B, assert_only_active, ms};
use locum_sim::linearizability::{Answer, Command, Operation, StringKey, Verdict, check};
use locum_sim::{Host, HostId, KEYS, KV_PORT, Lan, Program, TcpHabits, World};
use smoltcp::wire::{IpAddress, IpEndpoint};

const STEPS: usize = 2_000_000;

fn add_client(world: &mut World, index: u8) -> HostId {
    let now = world.now();
    let (mac, addresses) = (Lan::client_mac(index), Lan::client_addresses(index));
    let seed = u64::from(index);
    let mut host = Host::new(&format!("client {index}"), mac, &addresses, seed, now);
    let to = IpEndpoint::new(IpAddress::Ipv4(Lan::SERVICE_V4), KV_PORT);
    let habits = TcpHabits { pipeline: 1 + usize::from(index), ..TcpHabits::default() };
    let every = ms(1 + u64::from(index));
    host.run(|sockets| Program::kv(sockets, to, 50_000, habits, (seed, seed), (every, now)));
    world.add_host(host)
}

fn history(world: &World, clients: &[HostId], key: u8) -> Vec<Operation<Command, Answer>> {
    let programs = clients.iter().flat_map(|&client| world.host(client).programs());
    let asked = programs.flat_map(Program::asked).filter(|asked| asked.key == key);
    asked.map(|asked| asked.operation.clone()).collect()
}

#[test]
fn a_history_through_kills_and_hand_overs_is_linearizable() {
    for seed in 0..20 {
        let lan = Lan { replication: Some(Lan::REPLICATION), ..Lan::default() };
        let mut world = World::with_nodes(seed, &lan);
        world.run_for(ms(1_000));
        let clients: Vec<HostId> = (0..4).map(|index| add_client(&mut world, index)).collect();
        world.run_for(ms(300 + seed));
        world.kill(A, seed % 2 == 0);
        world.run_for(ms(500));
        assert_only_active(&world, B);
        world.start(A);
        world.run_for(ms(500));
        world.hand_over(B, None);
        world.run_for(ms(500));
        assert_only_active(&world, A);
        for &client in &clients {
            let record = world.host(client).programs()[0].record();
            assert_eq!(record.connections_lost(), [], "seed {seed}");
        }
        for key in 0..KEYS {
            let mut history = history(&world, &clients, key);
            assert!(history.len() > 100, "{} operations", history.len());
            let verdict = check::<StringKey>(&history, STEPS);
            assert_eq!(verdict, Verdict::Linearizable, "seed {seed}, key {key}");
            // A write that nobody made would have been noticed, if anybody looked.
            let read = history.iter_mut().rev().find_map(|operation| match &mut operation.answer {
                Some((_, Answer::Value(value))) => Some(value),
                Some((
                    _,
                    Answer::Done
                    | Answer::Number(_)
                    | Answer::Queued
                    | Answer::All(_)
                    | Answer::Error(_),
                ))
                | None => None,
            });
            *read.expect("something was read") = Some(b"?".to_vec());
            let verdict = check::<StringKey>(&history, STEPS);
            assert!(matches!(verdict, Verdict::Violated(_)), "seed {seed}, key {key}");
        }
    }
}
