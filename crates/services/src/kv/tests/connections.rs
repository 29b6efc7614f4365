use super::*;

#[test]
fn connections_answer_about_themselves() {
    script(&[
        ("PING", "+PONG|"),
        ("PING hi", "$2|hi|"),
        ("ECHO hi", "$2|hi|"),
        ("foo bar baz", "-ERR unknown command 'foo', with args beginning with: 'bar' 'baz' |"),
        ("CLIENT GETNAME", "$-1|"),
        ("CLIENT SETNAME me", "+OK|"),
        ("CLIENT GETNAME", "$2|me|"),
        ("CLIENT ID", ":1|"),
        ("CLIENT NONE", "-ERR unknown subcommand 'NONE'. Try CLIENT HELP.|"),
        ("CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command|"),
        ("HELLO 4", "-NOPROTO unsupported protocol version|"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range|"),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. Are you \
             sure your configuration is correct?|",
        ),
        ("CLIENT REPLY OFF", ""),
        ("PING", ""),
        ("CLIENT REPLY ON", "+OK|"),
        ("CLIENT REPLY SKIP", ""),
        ("PING", ""),
        ("PING", "+PONG|"),
        ("RESET", "+RESET|"),
        ("CLIENT GETNAME", "$-1|"),
        (
            "COMMAND INFO get none",
            "*2|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*1|+@string|*0|*0|*0|*-1|",
        ),
        ("COMMAND GETKEYS mset a 1 b 2", "*2|$1|a|$1|b|"),
        ("COMMAND GETKEYS echo hi", "-ERR The command has no key arguments|"),
        ("COMMAND GETKEYS ping", "-ERR wrong number of arguments for 'command|getkeys' command|"),
        (
            "CONFIG SET none 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'none'|",
        ),
        ("INFO Replication", "$48|# Replication|role:master|connected_slaves:0||"),
    ]);
}

#[test]
fn transactions() {
    script(&[
        ("EXEC", "-ERR EXEC without MULTI|"),
        ("DISCARD", "-ERR DISCARD without MULTI|"),
        ("MULTI", "+OK|"),
        ("MULTI", "-ERR MULTI calls can not be nested|"),
        ("SET k v", "+QUEUED|"),
        ("INCR k", "+QUEUED|"),
        ("BLPOP l 0", "+QUEUED|"),
        ("WATCH k", "-ERR WATCH inside MULTI is not allowed|"),
        ("EXEC", "*3|+OK|-ERR value is not an integer or out of range|*-1|"),
        ("MULTI", "+OK|"),
        ("NONE", "-ERR unknown command 'NONE', with args beginning with: |"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors.|"),
        ("WATCH k x", "+OK|"),
        ("SET k w", "+OK|"),
        ("MULTI", "+OK|"),
        ("GET k", "+QUEUED|"),
        ("EXEC", "*-1|"),
        ("WATCH k", "+OK|"),
        ("SET k u", "+OK|"),
        ("UNWATCH", "+OK|"),
        ("MULTI", "+OK|"),
        ("GET k", "+QUEUED|"),
        ("EXEC", "*1|$1|u|"),
        ("MULTI", "+OK|"),
        ("DISCARD", "+OK|"),
    ]);
}

#[test]
fn messages_reach_all_who_listen() {
    let mut bench = bench();
    let (one, other, speaker) = (bench.open(), bench.open(), bench.open());
    assert_eq!(
        ask(&mut bench, one, "SUBSCRIBE a b"),
        "*3|$9|subscribe|$1|a|:1|*3|$9|subscribe|$1|b|:2|"
    );
    assert_eq!(ask(&mut bench, other, "PSUBSCRIBE a*"), "*3|$10|psubscribe|$2|a*|:1|");
    bench.replace(kv()).unwrap();
    assert_eq!(ask(&mut bench, speaker, "PUBLISH a hi"), ":2|");
    assert!(shown(&bench.record(one).sent).ends_with("*3|$7|message|$1|a|$2|hi|"));
    assert!(shown(&bench.record(other).sent).ends_with("*4|$8|pmessage|$2|a*|$1|a|$2|hi|"));
    assert_eq!(ask(&mut bench, speaker, "PUBSUB CHANNELS"), "*2|$1|a|$1|b|");
    assert_eq!(ask(&mut bench, speaker, "PUBSUB NUMSUB a c"), "*4|$1|a|:1|$1|c|:0|");
    assert_eq!(ask(&mut bench, speaker, "PUBSUB NUMPAT"), ":1|");
    let refused = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context|";
    assert_eq!(ask(&mut bench, one, "GET k"), refused);
    assert_eq!(ask(&mut bench, one, "PING"), "*2|$4|pong|$0||");
    assert_eq!(
        ask(&mut bench, one, "UNSUBSCRIBE"),
        "*3|$11|unsubscribe|$1|a|:1|*3|$11|unsubscribe|$1|b|:0|"
    );
    assert_eq!(ask(&mut bench, one, "UNSUBSCRIBE"), "*3|$11|unsubscribe|$-1|:0|");
    bench.end(other, CloseReason::Reset);
    assert_eq!(ask(&mut bench, speaker, "PUBLISH a hi"), ":0|");
}

#[test]
fn a_subscriber_who_does_not_read_is_reset_in_the_end() {
    let mut bench = bench();
    let (deaf, speaker) = (bench.open_with_window(100), bench.open());
    bench.data(deaf, &request("SUBSCRIBE c"));
    let message = format!("PUBLISH c {}", "x".repeat(1 << 20));
    for _ in 0..31 {
        assert_eq!(ask(&mut bench, speaker, &message), ":1|");
    }
    assert!(!bench.record(deaf).aborted);
    ask(&mut bench, speaker, &message);
    assert!(bench.record(deaf).aborted);
    assert_eq!(ask(&mut bench, speaker, &message), ":0|");
}

#[test]
fn a_connection_ends_after_quit_an_error_of_protocol_and_a_fin() {
    let mut bench = bench();
    let (quits, errs, ends) = (bench.open(), bench.open(), bench.open());
    bench.data(quits, b"PING\r\nQUIT\r\nPING\r\n");
    assert_eq!(shown(&bench.record(quits).sent), "+PONG|+OK|");
    assert!(bench.record(quits).closed);
    bench.data(errs, b"*1\r\n:1\r\n");
    assert_eq!(shown(&bench.record(errs).sent), "-ERR Protocol error: expected '$', got ':'|");
    assert!(bench.record(errs).closed);
    bench.data(ends, b"PING\r\nPI");
    bench.finish(ends);
    assert!(bench.record(ends).closed);
    assert!(bench.service().sessions.is_empty());
}

#[test]
fn a_client_who_does_not_read_is_paused_and_gets_everything_in_the_end() {
    let mut bench = bench();
    let flow = bench.open_with_window(1000);
    bench.data(flow, &request(&format!("SET k {}", "x".repeat(100_000))));
    let reads = request("GET k").repeat(100);
    for half in reads.chunks(777) {
        bench.data(flow, half);
    }
    bench.finish(flow);
    assert!(bench.record(flow).paused && !bench.record(flow).closed);
    assert!(bench.service().sessions[&flow].pending() < session::OUTPUT_MAX + 200_000);
    bench.replace(kv()).unwrap();
    bench.drain(flow);
    assert_eq!(bench.record(flow).sent.len(), 5 + 100 * (9 + 100_000 + 2));
    assert!(bench.record(flow).closed);
}

#[test]
fn clients_are_listed_and_killed() {
    let mut bench = bench();
    let (one, other) = (bench.open(), bench.open());
    let list = ask(&mut bench, one, "CLIENT LIST");
    assert!(list.contains("id=1 addr=10.0.0.2:49152 laddr=10.0.0.1:80 ") && list.contains("id=2 "));
    assert_eq!(ask(&mut bench, one, "CLIENT KILL ID 2"), ":1|");
    assert!(bench.record(other).aborted);
    assert_eq!(ask(&mut bench, one, "CLIENT KILL 1.2.3.4:5"), "-ERR No such client|");
}

#[test]
fn snapshots_that_are_cut_or_altered_never_panic_and_change_nothing() {
    let mut bench = bench();
    let (flow, waits) = (bench.open(), bench.open_with_window(2));
    for line in [
        "SET k v EX 9",
        "RPUSH l a b",
        "HSET h a 1",
        "SADD s a b",
        "ZADD z 1 m",
        "WATCH k",
        "SUBSCRIBE c",
    ] {
        ask(&mut bench, flow, line);
    }
    bench.data(waits, &request("MULTI"));
    bench.data(waits, &request("SET a b"));
    let third = bench.open();
    bench.data(third, &request("BLPOP none 7"));
    bench.data(third, b"*2\r\n$3\r\nGE");
    let mut snapshot = Vec::new();
    bench.service().snapshot(&mut snapshot);
    let mut restored = kv();
    restored.restore(&snapshot).unwrap();
    let again = |kv: &Kv| {
        let mut bytes = Vec::new();
        kv.snapshot(&mut bytes);
        bytes
    };
    assert_eq!(again(&restored), snapshot);
    for end in 0..snapshot.len() {
        assert!(restored.restore(&snapshot[..end]).is_err());
    }
    assert_eq!(again(&restored), snapshot);
    for place in 0..snapshot.len() {
        for flip in [1, 0x80, 0xff] {
            let mut hostile = snapshot.clone();
            hostile[place] ^= flip;
            if restored.restore(&hostile).is_ok() {
                let mut bench = Bench::new(std::mem::replace(&mut restored, kv()));
                let flow = bench.open();
                ask(&mut bench, flow, "RPUSH none x");
                bench.advance(Duration::from_secs(20));
                bench.end(third, CloseReason::Reset);
            }
        }
    }
}
