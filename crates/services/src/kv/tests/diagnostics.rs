use super::*;

#[test]
fn the_server_tells_how_it_is_doing() {
    script(&[
        ("ROLE", "*3|$6|master|:0|*0|"),
        ("LASTSAVE", ":1000000000|"),
        ("SLOWLOG GET", "*0|"),
        ("SLOWLOG GET -1", "*0|"),
        ("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1|"),
        (
            "SLOWLOG get 1 2",
            "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.|",
        ),
        ("SLOWLOG LEN", ":0|"),
        ("SLOWLOG RESET", "+OK|"),
        ("LATENCY LATEST", "*0|"),
        ("LATENCY HISTORY command", "*0|"),
        ("LATENCY RESET command fork", ":0|"),
        ("LATENCY GRAPH x", "-ERR unknown subcommand 'GRAPH'. Try LATENCY HELP.|"),
        ("MEMORY USAGE k", "$-1|"),
        ("SET k 12345", "+OK|"),
        ("MEMORY USAGE k", ":102|"),
        ("INFO memory", "$69|# Memory|used_memory:102|maxmemory:0|maxmemory_policy:noeviction||"),
        ("MEMORY USAGE k SAMPLES 0", ":102|"),
        ("MEMORY USAGE k SAMPLES -1", "-ERR syntax error|"),
        ("MEMORY USAGE k SAMPLES", "-ERR syntax error|"),
        (
            "LATENCY help",
            "*10|+LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:|+HISTORY <event>|\
             +    Return time-latency samples for the <event> class.|+LATEST|\
             +    Return the latest latency samples for all events.|+RESET [<event> ...]|\
             +    Reset latency data of one or more <event> classes.|\
             +    (default: reset all data for all event classes)|+HELP|+    Prints this help.|",
        ),
        ("OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command|"),
        ("COMMAND GETKEYS MEMORY USAGE k", "*1|$1|k|"),
        ("COMMAND GETKEYS OBJECT HELP", "-ERR The command has no key arguments|"),
        ("COMMAND GETKEYS OBJECT x k", "-ERR Invalid command specified|"),
        (
            "COMMAND GETKEYS OBJECT FREQ k x",
            "-ERR Invalid number of arguments specified for command|",
        ),
        ("MULTI", "+OK|"),
        ("WAIT 1 0", "+QUEUED|"),
        ("EXEC", "*1|:0|"),
        ("WAIT 0 0", ":0|"),
        ("WAIT 1 -1", "-ERR timeout is negative|"),
        ("WAIT 1 1.5", "-ERR timeout is not an integer or out of range|"),
    ]);
}

#[test]
fn who_waits_for_replicas_waits_in_vain() {
    let mut bench = bench();
    let (waits, forever, other) = (bench.open(), bench.open(), bench.open());
    assert_eq!(ask(&mut bench, waits, "WAIT 1 500"), "");
    assert_eq!(ask(&mut bench, forever, "WAIT 1 0"), "");
    bench.replace(kv()).unwrap();
    let blocked = ask(&mut bench, other, "INFO clients");
    assert!(blocked.contains("|blocked_clients:2|"), "{blocked}");
    bench.advance(Duration::from_millis(499));
    assert_eq!(shown(&bench.record(waits).sent), "");
    bench.advance(Duration::from_millis(1));
    assert_eq!(shown(&bench.record(waits).sent), ":0|");
    bench.advance(Duration::from_secs(1000));
    assert_eq!(ask(&mut bench, other, "CLIENT UNBLOCK 2"), ":1|");
    assert_eq!(shown(&bench.record(forever).sent), ":0|");
}

#[test]
fn encodings_are_those_that_redis_would_choose() {
    let mut bench = bench();
    let flow = bench.open();
    let long = "x".repeat(65);
    let many = |count: usize| (0..count).map(|number| format!(" {number}")).collect::<String>();
    let pairs = |count: usize| (0..count).map(|n| format!(" {n} {n}")).collect::<String>();
    for (command, encoding) in [
        ("SET k 12".to_owned(), "int"),
        (format!("SET k {}", &long[..44]), "embstr"),
        (format!("SET k {}", &long[..45]), "raw"),
        (format!("HSET k{}", pairs(512)), "listpack"),
        (format!("HSET k{}", pairs(513)), "hashtable"),
        (format!("HSET k a {}", &long[1..]), "listpack"),
        (format!("HSET k a {long}"), "hashtable"),
        (format!("SADD k{}", many(512)), "intset"),
        (format!("SADD k{}", many(513)), "hashtable"),
        ("SADD k 1 x".to_owned(), "hashtable"),
        (format!("ZADD k{}", pairs(128)), "listpack"),
        (format!("ZADD k{}", pairs(129)), "skiplist"),
        (format!("ZADD k 1 {long}"), "skiplist"),
        (format!("RPUSH k{}", many(2000)), "quicklist"),
    ] {
        ask(&mut bench, flow, "DEL k");
        ask(&mut bench, flow, &command);
        let reply = format!("${}|{encoding}|", encoding.len());
        assert_eq!(ask(&mut bench, flow, "OBJECT ENCODING k"), reply, "{}", &command[..12]);
    }
}
