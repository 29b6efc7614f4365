use super::*;

const TOO_LARGE: &str = "-ERR reply too large|";

/// A service that takes arguments of 4 KiB and replies 16 KiB.
fn small() -> Bench<Kv> {
    Bench::new(kv().with_bulk_limit(4096))
}

/// What a command of many words is answered.
fn ask_all(bench: &mut Bench<Kv>, flow: FlowId, first: &str, word: &str, count: usize) -> String {
    ask(bench, flow, &format!("{first}{}", format!(" {word}").repeat(count)))
}

#[test]
fn a_reply_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let mut bench = small();
    let flow = bench.open();
    let large = "x".repeat(4000);
    ask(&mut bench, flow, &format!("SET k {large}"));
    ask(&mut bench, flow, &format!("SADD s {large}"));
    ask(&mut bench, flow, &format!("HSET h {large} {large}"));
    assert_eq!(ask_all(&mut bench, flow, "MGET", "k", 5), TOO_LARGE);
    for line in ["SRANDMEMBER s -1048576", "HRANDFIELD h -3 WITHVALUES"] {
        assert_eq!(ask(&mut bench, flow, line), TOO_LARGE, "{line}");
    }
    assert_eq!(ask(&mut bench, flow, "SRANDMEMBER s"), format!("$4000|{large}|"));
    assert_eq!(ask_all(&mut bench, flow, "MGET", "k", 4).len(), 3 + 4 * 4007);
}

#[test]
fn a_transaction_replies_no_more_than_one_command_and_does_what_it_can() {
    let mut bench = small();
    let flow = bench.open();
    let large = "x".repeat(4000);
    ask(&mut bench, flow, &format!("SET k {large}"));
    ask(&mut bench, flow, &format!("RPUSH l {large}"));
    ask(&mut bench, flow, "MULTI");
    for line in
        ["GET k", "GET k", "GET k", "GET k", "GET k", "GETDEL k", "INCR n", "LPOP l", "GET n"]
    {
        assert_eq!(ask(&mut bench, flow, line), "+QUEUED|");
    }
    let whole = format!("$4000|{large}|");
    let parts = format!("*9|{}{}:1|{TOO_LARGE}$1|1|", whole.repeat(4), TOO_LARGE.repeat(2));
    assert_eq!(ask(&mut bench, flow, "EXEC"), parts);
    assert_eq!(ask(&mut bench, flow, "STRLEN k"), ":4000|");
    assert_eq!(ask(&mut bench, flow, "LLEN l"), ":1|");
}

#[test]
fn what_could_not_be_replied_is_not_taken() {
    let mut bench = small();
    let flow = bench.open();
    for number in 0..6 {
        let item = format!("{number}{}", "x".repeat(3000));
        for line in ["RPUSH l", "SADD s", "ZADD z 1"] {
            ask(&mut bench, flow, &format!("{line} {item}"));
        }
    }
    for (take, count) in [
        ("LPOP l 6", "LLEN l"),
        ("RPOP l 100", "LLEN l"),
        ("LMPOP 1 l LEFT COUNT 6", "LLEN l"),
        ("BLMPOP 0 1 l LEFT COUNT 6", "LLEN l"),
        ("SPOP s 6", "SCARD s"),
        ("ZPOPMIN z 6", "ZCARD z"),
        ("ZMPOP 1 z MAX COUNT 6", "ZCARD z"),
        ("BZMPOP 0 1 z MIN COUNT 6", "ZCARD z"),
    ] {
        assert_eq!(ask(&mut bench, flow, take), TOO_LARGE, "{take}");
        assert_eq!(ask(&mut bench, flow, count), ":6|", "{take}");
    }
    assert!(ask(&mut bench, flow, "LPOP l 5").starts_with("*5|$3001|0xxx"));
    let names = "c".repeat(3000);
    assert_eq!(ask_all(&mut bench, flow, "SUBSCRIBE", &names, 6), TOO_LARGE);
    assert_eq!(ask(&mut bench, flow, "PUBSUB CHANNELS"), "*0|");
}

#[test]
fn who_waits_for_more_than_a_reply_may_have_is_told_so() {
    let mut bench = small();
    let (waits, gives) = (bench.open(), bench.open());
    assert_eq!(ask(&mut bench, waits, "BLMPOP 0 1 l LEFT COUNT 100"), "");
    assert_eq!(ask_all(&mut bench, gives, "RPUSH l", &"x".repeat(3000), 6), ":6|");
    bench.drain(waits);
    assert_eq!(shown(&bench.record(waits).sent), TOO_LARGE);
    assert_eq!(ask(&mut bench, waits, "LLEN l"), ":6|");
}

#[test]
fn a_message_is_not_kept_for_a_subscriber_who_would_not_be_left_with_it() {
    let mut bench = bench();
    let (deaf, speaker) = (bench.open_with_window(100), bench.open());
    bench.data(deaf, &request("SUBSCRIBE c"));
    let message = format!("PUBLISH c {}", "x".repeat(20 << 20));
    assert_eq!(ask(&mut bench, speaker, &message), ":1|");
    assert!(bench.service().core.held > 20 << 20);
    assert_eq!(ask(&mut bench, speaker, &message), ":1|");
    assert!(bench.record(deaf).aborted);
    assert_eq!(bench.service().core.held, 0);
}

#[test]
fn memory_is_looked_at_for_each_command_of_a_transaction() {
    let mut bench = Bench::new(Kv::new(EPOCH, 1, Some(1000)));
    let flow = bench.open();
    const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.|";
    let large = "x".repeat(1000);
    ask(&mut bench, flow, "MULTI");
    for key in ["a", "b"] {
        assert_eq!(ask(&mut bench, flow, &format!("SET {key} {large}")), "+QUEUED|");
    }
    ask(&mut bench, flow, "GET c");
    assert_eq!(ask(&mut bench, flow, "EXEC"), format!("*3|+OK|{OOM}$-1|"));
    ask(&mut bench, flow, "MULTI");
    assert_eq!(ask(&mut bench, flow, "SET b 1"), OOM);
    let abort = "-EXECABORT Transaction discarded because of previous errors.|";
    assert_eq!(ask(&mut bench, flow, "EXEC"), abort);
    // What was queued while there was room is refused as a whole when there is none.
    let other = bench.open();
    ask(&mut bench, flow, "DEL a");
    ask(&mut bench, flow, "MULTI");
    ask(&mut bench, flow, "SET b 1");
    ask(&mut bench, other, &format!("SET a {large}"));
    let abort = format!("-EXECABORT Transaction discarded because of: {}", &OOM[1..]);
    assert_eq!(ask(&mut bench, flow, "EXEC"), abort);
    assert_eq!(ask(&mut bench, flow, "EXISTS b"), ":0|");
}

#[test]
fn connections_that_hold_most_go_when_all_hold_too_much() {
    let mut service = kv();
    service.core.limits.held = 100_000;
    let mut bench = Bench::new(service);
    let flows = [bench.open(), bench.open_with_window(10), bench.open(), bench.open()];
    let [queues, reads, sends, watches] = flows;
    ask(&mut bench, queues, "MULTI");
    ask(&mut bench, queues, &format!("SET k {}", "x".repeat(20_000)));
    bench.data(reads, &request(&format!("ECHO {}", "x".repeat(40_000))));
    ask(&mut bench, watches, &format!("WATCH {}", "x".repeat(10_000)));
    // An unfinished command, and a successor that keeps the account.
    bench.data(sends, &request(&format!("SET k {}", "x".repeat(30_000)))[..15_000]);
    let held = bench.service().core.held;
    assert!((94_000..96_000).contains(&held), "{held}");
    let mut heir = kv();
    heir.core.limits.held = 100_000;
    bench.replace(heir).unwrap();
    assert_eq!(bench.service().core.held, held);
    bench.data(sends, &[b'x'; 10_000]);
    let gone: Vec<bool> = flows.iter().map(|flow| bench.record(*flow).aborted).collect();
    assert_eq!(gone, [false, true, false, false]);
    assert_eq!(ask(&mut bench, queues, "EXEC"), "*1|+OK|");
}

#[test]
fn a_connection_watches_and_subscribes_to_so_much_and_no_more() {
    let mut bench = bench();
    let flow = bench.open();
    let names = |count: usize| (0..count).map(|name| format!(" {name}")).collect::<String>();
    let watch = |count| format!("WATCH{}", names(count));
    assert_eq!(ask(&mut bench, flow, &watch(session::WATCHES_MAX)), "+OK|");
    assert_eq!(ask(&mut bench, flow, "WATCH x"), "-ERR too many watched keys|");
    assert_eq!(ask(&mut bench, flow, "UNWATCH"), "+OK|");
    assert_eq!(bench.service().core.held, 0);
    let subscribe = format!("SUBSCRIBE{}", names(session::SUBSCRIPTIONS_MAX + 1));
    assert_eq!(ask(&mut bench, flow, &subscribe), "-ERR too many subscriptions|");
    let pattern = "*".repeat(glob::PATTERN_MAX + 1);
    for line in ["KEYS", "SCAN 0 MATCH", "PSUBSCRIBE", "PUBSUB CHANNELS", "CONFIG GET"] {
        let reply = ask(&mut bench, flow, &format!("{line} {pattern}"));
        assert_eq!(reply, "-ERR pattern is too long|", "{line}");
    }
}

#[test]
fn keys_that_are_named_often_are_read_once() {
    let mut bench = bench();
    let flow = bench.open();
    for member in 0..2_000 {
        bench.data(flow, &request(&format!("SADD s {member}")));
    }
    bench.drain(flow);
    for (line, count) in [("SINTERSTORE d", 2_000), ("SUNIONSTORE d", 2_000), ("SDIFFSTORE d", 0)] {
        assert_eq!(ask_all(&mut bench, flow, line, "s", 100_000), format!(":{count}|"));
    }
    // Keys that are not there take nothing away.
    let none: String = (0..100_000).map(|key| format!(" none{key}")).collect();
    assert_eq!(ask(&mut bench, flow, &format!("SDIFFSTORE d s{none}")), ":2000|");
}
